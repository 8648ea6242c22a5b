# SPDX-License-Identifier: GPL-2.0
# What scripts/cost writes, in folder `dir`, from lines of
# kernel cpu pti type zone instructions count.

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
	broken = dir "/broken"
	printf "" >broken
}

$4 in name_of {
	key = name_of[$4] SUBSEP $1 SUBSEP $2 SUBSEP $3 SUBSEP $5
	all[key] += $7
	if ($7 > most[key]) {
		most[key] = $7
		mode[key] = $6
	}
}

# How many instructions more a kernel may have, or "" for any number.
function allowed(kernel, cpu, zone) {
	if (zone == "excursion" || kernel == "base")
		return ""
	return kernel == "compiled-out" || cpu == "housekeeping" ? 0 : 2
}

END {
	tsv = dir "/cost.tsv"
	out = dir "/cost.txt"
	print "case", "kernel", "cpu", "pti", "zone", "instructions" >tsv
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
			print case_of[c], kernel_of[k], cpu_of[u], pti_of[p], zone_of[z], mode[key] + 0 >tsv
			more = mode[key] - mode[base]
			printf " %22s", sprintf("%d%s (%d/%d)", mode[key], (kernel_of[k] == "base" ? "" : sprintf(" %+d", more)), most[key], all[key]) >out
			where = kernel_of[k] ", " case_of[c] " on the " cpu_of[u] " CPU, PTI " pti_of[p] ", " zone_of[z]
			if (all[key] < rounds / 2)
				print where ": only " all[key] + 0 " excursions" >broken
			if (zone_of[z] == "entry+exit" && 2 * most[key] <= all[key])
				print where ": no number is that of more than half of the excursions" >broken
			bar = allowed(kernel_of[k], cpu_of[u], zone_of[z])
			if (bar != "" && more > bar)
				print where ": " more " instructions more than the base, of at most " bar >broken
		}
		print "" >out
	}
	close(broken)
	while ((getline line <broken) > 0)
		print line >out
	if (!NR)
		exit 1
}
