# SPDX-License-Identifier: GPL-2.0
# What scripts/entry-audit/report writes, in folder `dir`, from what classify.awk printed
# of all runs.

BEGIN {
	OFS = "\t"
	# The types that there must be, in the order of the tables.
	wanted = split("syscall rt_sigreturn int80 compat_syscall pf_read_missing pf_write_missing pf_read_protected pf_write_protected gp ud de of mf bp db_single_step db_breakpoint df_on_iret np_on_iret timer reschedule call_single call_many irq_work device mce nmi_user nmi_before_add nmi_add_to_flush nmi_flush_to_clear nmi_exit clone", order, " ")
	# In each boot: windows, and windows with a flush pending.
	for (i = 1; i <= wanted; i++) {
		minimum[order[i]] = order[i] == "mce" ? 10 : 100
		minimum_pending[order[i]] = order[i] == "mce" ? 2 : order[i] == "clone" ? 0 : 5
	}
	columns = split("own_stack ldt percpu kernel_data kernel_text cpu_entry_area direct_map fixmap espfix ldt_of_pti vmemmap user other_vmalloc module unknown", column, " ")
	# Shown in the table even if nothing was touched there.
	used["other_vmalloc"] = used["module"] = used["unknown"]
	split("#7f7f7f #c49c94 #2ca02c #1f77b4 #98df8a #17becf #bcbd22 #9467bd #8c564b #e377c2 #c5b0d5 #aec7e8 #d62728 #ff7f0e #000000", colour, " ")
	broken = dir "/broken"
	printf "" >broken
}

$1 == "boot" {
	boots[$2 ", " $3]
	next
}

{ ptis[$2]; key = $2 SUBSEP $3 }

# A new task comes by no entry, and only leaves.
$1 == "type" && $3 == "clone" { $4 = $6 }

$1 == "type" {
	boot_windows[$2 ", " $9, $3] += $4
	boot_pending[$2 ", " $9, $3] += $5
	windows[key] += $4
	pending[key] += $5
	exits[key] += $6
	if ($7 > enter[key])
		enter[key] = $7
	if ($8 > leave[key])
		leave[key] = $8
	if (!($3 in minimum) && !($3 in extra)) {
		extra[$3]
		order[wanted + ++extras] = $3
	}
}

$1 == "region" {
	regions[$2, $3, $4, $5] += $6
	seen_ldt += $5 == "ldt"
	if ($7 == "data") {
		data[$2, $3, $5] += $6
		used[$5]
	}
}

$1 == "vmalloc" { vmalloc[$2 OFS $3 OFS $4 OFS $5 OFS $6 OFS $7] += $8 }

$1 == "violation" {
	text = $0
	sub(/^violation [^ ]+ [^ ]+ [0-9]+ /, "", text)
	violations[key] += $4
	broke[$2 " " $3 ": " text] += $4
}

function max(a, b) {
	return a + 0 > b + 0 ? a + 0 : b + 0
}

END {
	types = wanted + extras
	if (!types || !NR)
		exit 1
	tsv = dir "/audit.tsv"
	print "type", "pti", "windows", "max_insns", "violations" >tsv
	out = dir "/audit.txt"
	nr_ptis = 0
	for (i = 1; i <= 2; i++)
		if ((pti = i == 1 ? "off" : "on") in ptis)
			pti_of[++nr_ptis] = pti

	for (p = 1; p <= nr_ptis; p++) {
		pti = pti_of[p]
		printf "%sPTI %s: windows, those with a flush pending, the longest way in and out in instructions,\nand accesses to data by region\n\n", (p > 1 ? "\n" : ""), pti >out
		printf "%-20s %8s %8s %5s %5s", "", "windows", "pending", "in", "out" >out
		for (c = 1; c <= columns; c++)
			if (column[c] in used)
				printf " %14s", column[c] >out
		print "" >out
		for (t = 1; t <= types; t++) {
			type = order[t]; key = pti SUBSEP type
			if (!windows[key] && !exits[key] && !violations[key] && !(type in minimum))
				continue
			print type, pti, windows[key] + 0, max(enter[key], leave[key]), violations[key] + 0 >tsv
			transitions += windows[key]
			if (max(enter[key], leave[key]) > deepest) {
				deepest = max(enter[key], leave[key])
				deepest_of = type " with PTI " pti
			}
			sum += violations[key]
			if (windows[key] && type in minimum)
				met[type]
			printf "%-20s %8d %8d %5d %5d", type, windows[key], pending[key], enter[key], leave[key] >out
			for (c = 1; c <= columns; c++)
				if (column[c] in used)
					printf " %14d", data[pti, type, column[c]] >out
			print "" >out
		}
	}
	for (t in met)
		nr_types++
	# What the argument makes an exception for must be there to be seen.
	if ("off" in ptis && !seen_ldt)
		print "PTI off: no IRET has read a large LDT" >broken
	for (b in boots)
		for (t = 1; t <= wanted; t++) {
			type = order[t]
			if (boot_windows[b, type] < minimum[type])
				print "PTI " b ": " boot_windows[b, type] + 0 " windows of type " type ", fewer than " minimum[type] >broken
			if (boot_pending[b, type] < minimum_pending[type])
				print "PTI " b ": " boot_pending[b, type] + 0 " windows of type " type " with a flush pending, fewer than " minimum_pending[type] >broken
		}

	print "type", "pti", "zone", "region", "accesses" >(dir "/audit-regions.tsv")
	for (k in regions) {
		split(k, part, SUBSEP)
		print part[2], part[1], part[3], part[4], regions[k] | ("sort >>'" dir "/audit-regions.tsv'")
	}
	fflush()
	close(dir "/audit-regions.tsv")
	close("sort >>'" dir "/audit-regions.tsv'")

	print "pti", "type", "zone", "instruction", "address", "owner", "accesses" >(dir "/audit-vmalloc.tsv")
	close(dir "/audit-vmalloc.tsv")
	for (k in vmalloc) {
		print k, vmalloc[k] | ("sort >>'" dir "/audit-vmalloc.tsv'")
		split(k, part, OFS)
		owners[part[6]] += vmalloc[k]
		instruction[part[6], part[4]]
	}
	close("sort >>'" dir "/audit-vmalloc.tsv'")

	printf "\nThe deepest danger zone: %d instructions, %s\n", deepest, deepest_of >out
	print "What was touched of the vmalloc area, by owner:" >out
	for (k in owners) {
		n = 0
		for (i in instruction) {
			split(i, part, SUBSEP)
			n += part[1] == k
		}
		printf "  %s: %d accesses by %d instructions\n", k, owners[k], n >out
	}
	print "" >out
	for (k in broke) {
		print broke[k] " times, PTI " k >broken
	}
	close(broken)
	while ((getline line <broken) > 0)
		print line >out
	printf "entry audit: %d transitions, %d entry types, %d violations\n", transitions, nr_types, sum >out

	picture(dir "/audit.gp")
}

function picture(gp,    p, t, c, pti, n, type, key, rows) {
	for (p = 1; p <= nr_ptis; p++) {
		pti = pti_of[p]
		rows = ""
		n = 0
		for (t = 1; t <= types; t++) {
			type = order[t]; key = pti SUBSEP type
			if (!windows[key] || !(type in minimum))
				continue
			rows = rows sprintf("\"%s\"", type)
			for (c = 1; c <= columns; c++)
				rows = rows sprintf(" %.3f", data[pti, type, column[c]] / windows[key])
			rows = rows sprintf(" %d %d\n", enter[key], leave[key])
			n++
		}
		printf "$d%d << EOD\n%sEOD\n", p, rows >gp
	}
	printf "set terminal svg size 1280,%d font 'sans,12' background '#ffffff'\n", 60 + 400 * nr_ptis >gp
	print "set output dir . '/audit.svg'" >gp
	printf "set multiplot layout %d,1 title \"What an isolated CPU touches before the flush on the way in, and after the last change of its state on the way out\\n{/*0.8 %d windows; accesses to vmalloc addresses that the argument does not allow, to modules, or to places unknown: %d}\" font ',16'\n", nr_ptis, transitions, sum >gp
	print "set style data histograms\nset style histogram rowstacked\nset style fill solid 0.85 noborder\nset boxwidth 0.75" >gp
	print "set xtics rotate by -35 noenhanced nomirror scale 0\nset ytics nomirror\nset y2tics\nset grid y\nset key outside right noenhanced" >gp
	print "set ylabel 'data accesses per excursion, mean'\nset y2label 'longest window, instructions'\nset yrange [0:*]\nset y2range [0:*]\nset bmargin 7" >gp
	for (p = 1; p <= nr_ptis; p++) {
		printf "set title 'PTI %s'\nplot", pti_of[p] >gp
		for (c = 1; c <= columns; c++)
			if (column[c] in used)
				printf " $d%d using %d%s title '%s' lc rgb '%s',", p, c + 1, c == 1 || !n++ ? ":xtic(1)" : "", column[c], colour[c] >gp
		printf " $d%d using 0:%d axes x1y2 with points pt 9 ps 0.8 lc rgb '#d62728' title 'way in', $d%d using 0:%d axes x1y2 with points pt 11 ps 0.8 lc rgb '#000000' title 'way out'\n", p, columns + 2, p, columns + 3 >gp
	}
	print "unset multiplot" >gp
}
