# SPDX-License-Identifier: GPL-2.0
# What scripts/cost writes, in folder `dir`, from lines of
# kernel cpu pti type zone instructions count, "switch" kernel deferral, and
# "storm" kernel pti requests calls deferred flushed instructions.

BEGIN {
	OFS = "\t"
	cases = split("system_call page_fault timer ipi", case_of, " ")
	name_of["syscall/user"] = "system_call"
	name_of["pf_write_missing/user"] = "page_fault"
	name_of["asm_sysvec_apic_timer_interrupt/user"] = "timer"
	name_of["asm_sysvec_call_function_single/user"] = "ipi"
	nr_kernels = split(kernels, kernel_of, " ")
	split("nohz_full housekeeping", cpu_of, " ")
	split("off on", pti_of, " ")
	split("entry+exit excursion", zone_of, " ")
	STORM_LEAST = 50
	broken = dir "/broken"
	printf "" >broken
}

$1 == "switch" {
	if (!($2 in deferral))
		deferral[$2] = $3
	else if (deferral[$2] != $3)
		deferral[$2] = "changing"
	next
}
$1 == "storm" { storms[++nr_storms] = $0; next }

$4 in name_of {
	key = name_of[$4] SUBSEP $1 SUBSEP $2 SUBSEP $3 SUBSEP $5
	all[key] += $7
	if ($7 > most[key]) {
		most[key] = $7
		mode[key] = $6
	}
}

# Whether more than half of the excursions took the same.
function agree(key) {
	return 2 * most[key] > all[key]
}

# How many instructions more a kernel may have, or "" for any number. What a handler does
# may differ from time to time, so of whole excursions only those that agree say something.
function allowed(kernel, cpu, zone, key, base) {
	if (kernel == "base" || zone == "excursion" && (!agree(key) || !agree(base)))
		return ""
	return kernel == "compiled-out" || cpu == "housekeeping" ? 0 : 2
}

# What a flush that is pending adds.
function print_pending(    c, p, k, z, key, before, zones, zone_of, kernel, where) {
	zones = split("pending:entry+exit pending:excursion pending:pages", zone_of, " ")
	print "\nThe same with a flush pending on the nohz_full CPU, and how many more than with nothing pending;\npages: different pages of the kernel that are used between the flush and user mode\n" >out
	for (c = 1; c <= cases; c++) for (p = 1; p <= 2; p++) for (k = 1; k <= nr_kernels; k++) {
		kernel = kernel_of[k]
		if (kernel !~ /^patched/)
			continue
		key = case_of[c] SUBSEP kernel SUBSEP "nohz_full" SUBSEP pti_of[p] SUBSEP
		where = kernel ", " case_of[c] ", PTI " pti_of[p] ": "
		if (kernel == "patched" && all[key "pending:excursion"] < rounds / 4)
			print where "only " all[key "pending:excursion"] + 0 " excursions with a flush pending" >broken
		if (kernel == "patched-off" && all[key "pending:excursion"])
			print where all[key "pending:excursion"] " flushes pending, where none may be" >broken
		printf "%-12s %-13s %-3s ", case_of[c], kernel, pti_of[p] >out
		for (z = 1; z <= zones; z++) {
			before = zone_of[z]
			sub("pending:", "", before)
			if (!((key zone_of[z]) in mode)) {
				printf "  %-10s %18s", before, "none pending" >out
				print case_of[c], kernel, "nohz_full", pti_of[p], zone_of[z], "-", 0, 0, deferral[kernel] >tsv
				continue
			}
			print case_of[c], kernel, "nohz_full", pti_of[p], zone_of[z], mode[key zone_of[z]], most[key zone_of[z]], all[key zone_of[z]], deferral[kernel] >tsv
			printf "  %-10s %18s", before, sprintf("%d%s (%d/%d)", mode[key zone_of[z]],
				before == "pages" ? "" : sprintf(" %+d", mode[key zone_of[z]] - mode[key before]),
				most[key zone_of[z]], all[key zone_of[z]]) >out
		}
		print "" >out
	}
}

function print_storms(    i, part) {
	print "\nA task that makes system calls without a break, while another CPU makes one purge after the other:\nwhat that costs the task in the kernel, beyond what its calls take most often\n" >out
	printf "%-13s %-3s %9s %13s %11s %16s %13s %12s\n", "", "pti", "purges", "system calls", "deferred", "flushed at entry", "instructions", "per request" >out
	print "kernel", "pti", "requests", "calls", "deferred", "flushed", "instructions", "deferral" >(dir "/storm.tsv")
	for (i = 1; i <= nr_storms; i++) {
		split(storms[i], part, " ")
		printf "%-13s %-3s %9d %13d %11d %16d %13d %12.0f\n", part[2], part[3], part[4], part[5], part[6], part[7], part[8], part[4] ? part[8] / part[4] : 0 >out
		print part[2], part[3], part[4], part[5], part[6], part[7], part[8], deferral[part[2]] >(dir "/storm.tsv")
		if (part[4] < STORM_LEAST || !part[5])
			print "storm, " part[2] ", PTI " part[3] ": only " part[4] " purges, in " part[5] " system calls" >broken
		if ((part[2] == "patched") != (part[7] > 0))
			print "storm, " part[2] ", PTI " part[3] ": " part[7] " flushes at entry" >broken
	}
}

END {
	tsv = dir "/cost.tsv"
	out = dir "/cost.txt"
	print "case", "kernel", "cpu", "pti", "zone", "instructions", "times", "of", "deferral" >tsv
	print "Instructions of the kernel with nothing pending, and how many more than in the base (of how many\nexcursions this is the mode)\n" >out
	printf "%-12s %-13s %-3s  %-10s", "case", "cpu", "pti", "zone" >out
	for (k = 1; k <= nr_kernels; k++)
		printf " %22s", kernel_of[k] >out
	print "" >out
	for (c = 1; c <= cases; c++) for (u = 1; u <= 2; u++) for (p = 1; p <= 2; p++) for (z = 1; z <= 2; z++) {
		printf "%-12s %-13s %-3s  %-10s", case_of[c], cpu_of[u], pti_of[p], zone_of[z] >out
		for (k = 1; k <= nr_kernels; k++) {
			key = case_of[c] SUBSEP kernel_of[k] SUBSEP cpu_of[u] SUBSEP pti_of[p] SUBSEP zone_of[z]
			base = case_of[c] SUBSEP "base" SUBSEP cpu_of[u] SUBSEP pti_of[p] SUBSEP zone_of[z]
			print case_of[c], kernel_of[k], cpu_of[u], pti_of[p], zone_of[z], mode[key] + 0, most[key] + 0, all[key] + 0, deferral[kernel_of[k]] >tsv
			more = mode[key] - mode[base]
			printf " %22s", sprintf("%d%s (%d/%d)", mode[key], (kernel_of[k] == "base" ? "" : sprintf(" %+d", more)), most[key], all[key]) >out
			where = kernel_of[k] ", " case_of[c] " on the " cpu_of[u] " CPU, PTI " pti_of[p] ", " zone_of[z]
			if (all[key] < rounds / 2)
				print where ": only " all[key] + 0 " excursions" >broken
			if ((zone_of[z] == "entry+exit" || case_of[c] ~ /^(system_call|page_fault)$/) && !agree(key))
				print where ": no number is that of more than half of the excursions" >broken
			bar = allowed(kernel_of[k], cpu_of[u], zone_of[z], key, base)
			if (bar != "" && more > bar)
				print where ": " more " instructions more than the base, of at most " bar >broken
		}
		print "" >out
	}
	for (k = 1; k <= nr_kernels; k++) {
		if (kernel_of[k] ~ /^patched/ && deferral[kernel_of[k]] != (kernel_of[k] == "patched" ? "on" : "off"))
			print kernel_of[k] ": deferral is " deferral[kernel_of[k]] " in it" >broken
	}
	if (pending) {
		print_pending()
		print_storms()
	}
	close(broken)
	while ((getline line <broken) > 0)
		print "not ok - " line >out
	if (!NR)
		exit 1
}
