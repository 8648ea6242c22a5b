# SPDX-License-Identifier: GPL-2.0
# What scripts/bench writes, in folder `dir`: bench.tsv, report.md, what the pictures are
# made from, and the missed targets (broken). Reads what was measured: the guests' reports,
# cost.tsv, storm.tsv, sender.tsv, bench-host.txt and a file "facts" of KEY TEXT.

function put(part, row, mode, what, value,    key) {
	key = part SUBSEP row SUBSEP mode SUBSEP what
	# A string would be sorted as one.
	value_of[key, ++n[key]] = value + 0
}

# Sorts the values of a key in place; the middle, the least and the most are what is told.
function settle(key,    i, j, x) {
	if (key in settled)
		return
	settled[key]
	for (i = 2; i <= n[key]; i++) {
		x = value_of[key, i]
		for (j = i - 1; j >= 1 && value_of[key, j] > x; j--)
			value_of[key, j + 1] = value_of[key, j]
		value_of[key, j + 1] = x
	}
}
function median(part, row, mode, what,    key) {
	key = part SUBSEP row SUBSEP mode SUBSEP what
	settle(key)
	return value_of[key, int((n[key] + 1) / 2)]
}
function least(part, row, mode, what,    key) {
	key = part SUBSEP row SUBSEP mode SUBSEP what
	settle(key)
	return value_of[key, 1]
}
function most(part, row, mode, what,    key) {
	key = part SUBSEP row SUBSEP mode SUBSEP what
	settle(key)
	return value_of[key, n[key]]
}

# As a cell of a table: the median, and the spread if there is one.
function cell(part, row, mode, what,    a, b) {
	if (!((part, row, mode, what) in n))
		return "-"
	a = least(part, row, mode, what)
	b = most(part, row, mode, what)
	return median(part, row, mode, what) (a == b ? "" : " (" a " to " b ")")
}

# The same of a number that is the one that was seen most often.
function mode_cell(row, mode, what) {
	if (!(("cost", row, mode, what) in n))
		return "-"
	return median("cost", row, mode, what) (agreed(row, mode, what) ? "" : sprintf(" (%.0f %%)", 100 * share["cost", row, mode, what]))
}
function agreed(row, mode, what) {
	return share["cost", row, mode, what] > 0.5
}
# How much more the second is, if both are what most excursions take.
function more(row, mode, before, after) {
	if (!agreed(row, mode, before) || !agreed(row, mode, after))
		return "?"
	return sprintf("%+d", median("cost", row, mode, after) - median("cost", row, mode, before))
}

function tsv(part, row, mode, what) {
	if ((part, row, mode, what) in n)
		print part, row, mode, state(part == "calls" ? "interruptions" : part, mode), what, median(part, row, mode, what),
			least(part, row, mode, what), most(part, row, mode, what),
			(part, row, mode, what) in times ? times[part, row, mode, what] : n[part, row, mode, what] >(dir "/bench.tsv")
}

# Whether deferral was on, as the guest's switch said, "-" on the base.
function state(part, mode) {
	return (part, mode) in deferral ? deferral[part, mode] : "-"
}
function see_switch(part, mode, what) {
	if (!((part, mode) in deferral))
		deferral[part, mode] = what
	else if (deferral[part, mode] != what)
		deferral[part, mode] = "changing"
}

# The name of a row's mode. No row may look good by accident: where deferral was not what
# the row is about, it says so.
function name_mode(part, mode) {
	if (mode == "base")
		return mode
	if (mode == "off")
		return state(part, mode) == "off" ? mode : mode ", **but deferral was not**"
	rows_on++
	if (state(part, mode) == "on")
		return "on"
	rows_told++
	return "on, **but deferral was off**"
}

function fail(text) {
	print text >(dir "/broken")
	failures[++nr_failures] = text
}

function say(text) {
	print text >(dir "/report.md")
}

# Why a flush has to be immediate, or "" if it should have been deferred.
function reason(what, cause) {
	if (what == "nohz_tlb_drain_cpu")
		return cause ~ /_vm_unmap_aliases/ ? "drain: no alias may be left (vm_unmap_aliases())" : "drain: too much waits for flushes that were deferred"
	if (cause ~ /(set_memory|set_direct_map|cpa_|change_page_attr|set_pages|execmem|bpf_prog_pack|module_enable|module_set_memory)/)
		return "the protection of a mapping changes"
	if (cause ~ /_vm_unmap_aliases/)
		return "no stale alias may be left when a protection changes (vm_unmap_aliases())"
	if (cause ~ /(free_pgtables|pmd_free_pte_page|pud_free_pmd_page|vmap_try_huge|collapse)/)
		return "page tables are freed"
	return ""
}

BEGIN {
	OFS = "\t"
	split("base off on", mode_of, " ")
	split("off on", pti_of, " ")
	print "part", "case", "mode", "deferral", "what", "median", "least", "most", "rounds" >(dir "/bench.tsv")
	printf "" >(dir "/broken")
}

FILENAME ~ /\/facts$/ { fact[$1] = substr($0, length($1) + 2); next }
FILENAME ~ /\/bench-host.txt$/ { host[++hosts] = $0; next }
FILENAME ~ /\.missed$/ { fail($0); next }

FILENAME ~ /\/cost.tsv$/ {
	if ($1 == "case")
		next
	# Two kernels of one mode cannot be told apart elsewhere: compiled-out is its own.
	mode = $2 == "patched" ? "on" : $2 == "patched-off" ? "off" : $2
	if ($9 != "-")
		see_switch("cost", mode, $9)
	if ($6 != "-") {
		put("cost", $1 "/" $3 "/" $4, mode, $5, $6)
		share["cost", $1 "/" $3 "/" $4, mode, $5] = $7 / $8
	}
	next
}
FILENAME ~ /\/storm.tsv$/ {
	if ($1 == "kernel")
		next
	mode = $1 == "patched" ? "on" : "off"
	see_switch("storm", mode, $8)
	put("storm", "pti " $2, mode, "requests", $3)
	put("storm", "pti " $2, mode, "calls", $4)
	put("storm", "pti " $2, mode, "deferred", $5)
	put("storm", "pti " $2, mode, "flushed", $6)
	put("storm", "pti " $2, mode, "instructions_per_request", int($3 ? $7 / $3 : 0))
	next
}
FILENAME ~ /\/sender.tsv$/ {
	if ($1 == "case")
		next
	mode = $2 == "patched" ? "on" : $2 == "patched-off" ? "off" : $2
	if ($9 != "-")
		see_switch("sender", mode, $9)
	if (!($3 in seen_count)) { seen_count[$3]; count_of[++counts] = $3 }
	# The least, the median and the most, of so many calls.
	put("sender", $1 "/" $3, mode, "instructions", $5)
	put("sender", $1 "/" $3, mode, "instructions", $4)
	put("sender", $1 "/" $3, mode, "instructions", $6)
	put("sender", $1 "/" $3, mode, "waiting", $7)
	times["sender", $1 "/" $3, mode, "instructions"] = times["sender", $1 "/" $3, mode, "waiting"] = $8
	next
}

# The guests' reports.
/^@run / { part = $2; round = $3; mode = $4; next }
/^@isolated / { isolated[part] = $2; next }
/^@keeping / { keeping[part] = $2; next }
/^@switch / { see_switch(part, mode, $2 == "1" ? "on" : "off"); next }
/^@window / {
	load = $2
	if (!(load in seen_load)) { seen_load[load]; load_of[++loads] = load }
	if ($3 != "-") {
		put(part, load, mode, "deferred", $5 - $3)
		put(part, load, mode, "flushed", $6 - $4)
	}
	put(part, load, mode, "purges", $7)
	flushes = others = 0
	next
}
/^@did / { did[load, mode] = substr($0, 6); next }
/^@lost / {
	# "unknown" is as bad as any number.
	put(part, load, mode, "lost", $2 == "unknown" ? 1 : $2)
	if ($2 != "0")
		fail("interruptions, " load ", " mode ", round " round ": " $2 " trace events lost")
	next
}
/^@call / {
	if (is_flush($4)) {
		flushes += $2
		window_calls[$4 " by " $5] += $2
		flush_cause[load, $4, $5]
		if (mode == "on" && reason($4, $5) == "" && state(part, mode) == "on")
			fail("interruptions, " load ", on, round " round ": " $2 " times " $4 " by " $5 ", which should have been deferred")
	} else {
		others += $2
		other_cause[load SUBSEP mode SUBSEP $4] += $2
	}
	next
}
/^@ipi / {
	for (key in window_calls) {
		put("calls", load, mode, key, window_calls[key])
		delete window_calls[key]
	}
	put(part, load, mode, "ipis", $2)
	put(part, load, mode, "flush_callbacks", flushes)
	put(part, load, mode, "other_callbacks", others)
	next
}
/^@purges / { put("gaps", "oslat", mode, "purges", $2); next }
/^@counters / { if ($2 != "-") put("gaps", "oslat", mode, "deferred", $4 - $2); next }
part == "gaps" && /"max": / { gsub(/[",]/, ""); put("gaps", "oslat", mode, "longest_us", $2); next }
part == "gaps" && /"duration": / {
	gsub(/[",]/, "")
	duration[mode] += $2
	this_duration = $2
	next
}
part == "gaps" && /"histogram": / { in_histogram = 1; for (i in over) delete over[i]; next }
part == "gaps" && in_histogram && /}/ {
	in_histogram = 0
	for (i = 1; i <= limits; i++)
		put("gaps", "oslat", mode, "over_" limit_of[i] "_us_per_s", int(100 * over[limit_of[i]] / this_duration) / 100)
	next
}
part == "gaps" && in_histogram {
	gsub(/[",:]/, "")
	gap[mode, $1 + 0] += $2
	if (!limits)
		limits = split("5 10 20 50 100 200 1000", limit_of, " ")
	for (i = 1; i <= limits; i++)
		if ($1 + 0 > limit_of[i])
			over[limit_of[i]] += $2
	next
}

function interruptions(    i, m, l, mode, load, key, k, part, cause, shown, line) {
	say("## How many interruptions fewer\n")
	say("Calls that were sent to isolated CPUs " isolated["interruptions"] ", a task spinning in user mode on each, while CPUs " keeping["interruptions"])
	say("ran one load after the other. Counts are exact; median (least to most) of " n["interruptions", load_of[1], "on", "ipis"] " boots, taken in turns.\n")
	say("| load | mode | flush callbacks | other callbacks | IPI events | flushes deferred | done at entry | purges | events lost |")
	say("|---|---|---:|---:|---:|---:|---:|---:|---:|")
	for (l = 1; l <= loads; l++) for (m = 1; m <= 3; m++) {
		load = load_of[l]; mode = mode_of[m]
		say("| " load " | " name_mode("interruptions", mode) " | " cell("interruptions", load, mode, "flush_callbacks") " | " \
			cell("interruptions", load, mode, "other_callbacks") " | " cell("interruptions", load, mode, "ipis") " | " \
			cell("interruptions", load, mode, "deferred") " | " cell("interruptions", load, mode, "flushed") " | " \
			cell("interruptions", load, mode, "purges") " | " cell("interruptions", load, mode, "lost") " |")
		split("flush_callbacks other_callbacks ipis deferred flushed purges lost", shown, " ")
		for (i = 1; i in shown; i++)
			tsv("interruptions", load, mode, shown[i])
		if (mode == "on" && load !~ /^(modules|bpf)$/ && median("interruptions", load, mode, "deferred") < median("interruptions", load, "base", "flush_callbacks") / 10)
			fail("interruptions, " load ": " median("interruptions", load, mode, "deferred") " flushes deferred, and the base sends " median("interruptions", load, "base", "flush_callbacks"))
		if (mode != "on" && median("interruptions", load, mode, "flush_callbacks") < 1)
			fail("interruptions, " load ", " mode ": no flush callback at all, so its row says nothing")
		if (mode != "on" && median("interruptions", load, mode, "deferred") > 0)
			fail("interruptions, " load ", " mode ": flushes deferred where none may be")
	}
	say("\nThe loads: vmalloc " did["vmalloc", "on"] "; threads, which come and go until there were 3 purges, " did["threads", "base"] ", " \
		did["threads", "off"] ", " did["threads", "on"] "; modules " did["modules", "on"] "; bpf " did["bpf", "on"] \
		"; hackbench " did["hackbench", "on"] "; exec, a mix of short programs, " did["exec", "on"] "; stress-ng (fork, vfork, exec, pthread, mmap) " did["stress-ng", "on"] ".")
	say("The last three free too little in so short a time; a purge each second goes with them, and how often that gets its turn is their")
	say("number. Flushes done at entry can be those of a purge before the load.\n")
	say("Who flushes at once, for each boot, by the function that flushes and who calls it:\n")
	say("| load | function | called by | base | off | on | why it is not deferred |")
	say("|---|---|---|---:|---:|---:|---|")
	for (l = 1; l <= loads; l++)
		for (k in flush_cause) {
			split(k, part, SUBSEP)
			if (part[1] != load_of[l])
				continue
			key = part[2] " by " part[3]
			line = "| " part[1] " | " part[2] " | " part[3]
			for (m = 1; m <= 3; m++) {
				line = line " | " cell("calls", part[1], mode_of[m], key)
				tsv("calls", part[1], mode_of[m], key)
			}
			cause = ("calls", part[1], "on", key) in n ? reason(part[2], part[3]) : ""
			say(line " | " (cause == "" && ("calls", part[1], "on", key) in n ? "**it should be**" : cause) " |")
		}
	say("\nA number is of the boots in which there were any.\n")
	for (l = 1; l <= loads; l++)
		print load_of[l], median("interruptions", load_of[l], "base", "flush_callbacks"), median("interruptions", load_of[l], "off", "flush_callbacks"), \
			median("interruptions", load_of[l], "on", "flush_callbacks") >(dir "/interruptions")
	say("\n![Flush callbacks by load](bench-interruptions.svg)\n")
	say("What else is sent there with the series on, all boots together:\n")
	cause = ""
	for (k in other_cause) {
		split(k, part, SUBSEP)
		if (part[2] == "on")
			say(cause = "- " part[1] ": " other_cause[k] " times `" part[3] "`")
	}
	if (cause == "")
		say("- nothing")
	say("")
}

function gaps(    i, m, mode, g, sum, line) {
	say("## What the application sees\n")
	say("oslat on isolated CPU " isolated["gaps"] " while another one frees vmalloc memory (5 purges each quarter of a second):")
	say("how often something else had the CPU for longer than that, for each second.\n")
	say("| mode | over 5 us | over 10 us | over 20 us | over 50 us | over 100 us | over 200 us | over 1 ms | longest, us | purges, set-up included | flushes deferred |")
	say("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for (m = 1; m <= 3; m++) {
		mode = mode_of[m]
		line = "| " name_mode("gaps", mode)
		for (i = 1; i <= limits; i++) {
			line = line " | " cell("gaps", "oslat", mode, "over_" limit_of[i] "_us_per_s")
			tsv("gaps", "oslat", mode, "over_" limit_of[i] "_us_per_s")
		}
		say(line " | " cell("gaps", "oslat", mode, "longest_us") " | " cell("gaps", "oslat", mode, "purges") " | " cell("gaps", "oslat", mode, "deferred") " |")
		tsv("gaps", "oslat", mode, "longest_us")
		tsv("gaps", "oslat", mode, "purges")
		tsv("gaps", "oslat", mode, "deferred")
		# How many gaps are longer than that, for the picture.
		sum = 0
		for (g = 1024; g >= 1; g--) {
			sum += gap[mode, g]
			if (gap[mode, g])
				print mode, g, sum / duration[mode] >(dir "/gaps-" mode)
		}
		close(dir "/gaps-" mode)
	}
	if (median("gaps", "oslat", "on", "deferred") < 1)
		fail("gaps: nothing was deferred")
	say("\n![Gaps that oslat sees](bench-gaps.svg)\n")
	say("An emulator has no time of its own: an emulated interrupt takes far longer than a real one, the emulator's host")
	say("takes the CPU away for other work, and both are in these gaps. How often the task is interrupted shows here; for")
	say("how long does not. `make bench-host` and oslat on a real machine tell that.\n")
}

function cost_row(name, cpu, pti,    row, m, i, kernels, line, z, zones) {
	row = name "/" cpu "/" pti
	split("base off on compiled-out", kernels, " ")
	line = "| " name " | " cpu " | " pti
	# As name_mode(), for a column.
	rows_on++
	if (state("cost", "on") != "on")
		rows_told++
	for (m = 1; m <= 4; m++)
		line = line " | " (kernels[m] != "on" || state("cost", "on") == "on" ? "" : "**deferral was off:** ") mode_cell(row, kernels[m], "entry+exit")
	for (m = 1; m <= 4; m++)
		line = line " | " mode_cell(row, kernels[m], "excursion")
	zones = split("entry+exit excursion pending:entry+exit pending:excursion pending:pages", z, " ")
	for (m = 1; m <= 4; m++)
		for (i = 1; i <= zones; i++)
			tsv("cost", row, kernels[m], z[i])
	say(line " |")
}

function costs(    c, cases, case_of, u, p, cpu_of, row) {
	cases = split("system_call page_fault timer ipi", case_of, " ")
	split("nohz_full housekeeping", cpu_of, " ")
	say("## What an entry costs when nothing is pending\n")
	say("Instructions of the kernel, counted one by one. entry+exit: before the first that may be instrumented and behind the")
	say("last one, where the series adds its test. excursion: all between user mode and user mode. The number that was seen most")
	say("often, in one boot; with a share where that is less than half of the excursions, and then it is not to be compared.\n")
	say("| | CPU | PTI | entry+exit: base | off | on | compiled out | excursion: base | off | on | compiled out |")
	say("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for (c = 1; c <= cases; c++) for (u = 1; u <= 2; u++) for (p = 1; p <= 2; p++)
		cost_row(case_of[c], cpu_of[u], pti_of[p])
	say("\n![Instructions of an entry](bench-entry.svg)\n")
	say("## What an entry costs with a flush pending\n")
	say("On a CPU in nohz_full=. more: than with nothing pending. pages: different pages that the kernel uses between the flush")
	say("and user mode; a processor has to walk its page tables again for each of them at most. The interruption that was spared")
	say("costs the excursion of an IPI, above, and what the flush itself costs there.\n")
	say("| | PTI | deferral | entry+exit | more | excursion | more | pages |")
	say("|---|---|---|---:|---:|---:|---:|---:|")
	for (c = 1; c <= cases; c++) for (p = 1; p <= 2; p++) {
		row = case_of[c] "/nohz_full/" pti_of[p]
		if (!(("cost", row, "on", "pending:excursion") in n)) {
			say("| " case_of[c] " | " pti_of[p] " | " name_mode("cost", "on") " | no flush was pending | | | | |")
			continue
		}
		say("| " case_of[c] " | " pti_of[p] " | " name_mode("cost", "on") " | " mode_cell(row, "on", "pending:entry+exit") " | " \
			more(row, "on", "entry+exit", "pending:entry+exit") " | " mode_cell(row, "on", "pending:excursion") " | " \
			more(row, "on", "excursion", "pending:excursion") " | " mode_cell(row, "on", "pending:pages") " |")
		print case_of[c] ", PTI " pti_of[p], median("cost", row, "base", "entry+exit"), median("cost", row, "on", "entry+exit"), median("cost", row, "on", "pending:entry+exit") >(dir "/entry")
	}
	say("")
}

function sender(    i, c, m, mode, cases, case_of, row, base, each) {
	cases = split("fresh pending kernel", case_of, " ")
	say("## What it costs the sender, and how that scales\n")
	say("Instructions of one flush of a purge, from its first to its return, without the loop that waits for the")
	say("acknowledgements, which is a column of its own: its length is the emulator's, and only zero means something. Median")
	say("(least to most) of the flushes of one boot.\n")
	say("- fresh: all isolated CPUs are in user mode, and flushed since the last request")
	say("- pending: in user mode, and the last request is still pending")
	say("- kernel: all in the kernel, in long system calls: the bad case, each of them is asked in vain and interrupted\n")
	say("| case | isolated CPUs | mode | instructions | for each CPU more | instructions of the wait |")
	say("|---|---:|---|---:|---:|---:|")
	for (c = 1; c <= cases; c++) for (i = 1; i <= counts; i++) for (m = 1; m <= 3; m++) {
		mode = mode_of[m]
		row = case_of[c] "/" count_of[i]
		base = case_of[c] "/" count_of[1]
		each = i == 1 ? "" : sprintf("%.1f", (median("sender", row, mode, "instructions") - median("sender", base, mode, "instructions")) / (count_of[i] - count_of[1]))
		say("| " case_of[c] " | " count_of[i] " | " name_mode("sender", mode) " | " cell("sender", row, mode, "instructions") " | " each " | " cell("sender", row, mode, "waiting") " |")
		tsv("sender", row, mode, "instructions")
		tsv("sender", row, mode, "waiting")
		print count_of[i], median("sender", row, mode, "instructions") >(dir "/sender-" case_of[c] "-" mode)
	}
	say("\n![Instructions of the sender](bench-sender.svg)\n")
}

function coalescing(    l, p) {
	say("## Requests for each flush\n")
	say("However many flushes were left to a CPU, it does one when it enters the kernel. The tasks of the loads above never enter,")
	say("so what they do at the end of a load is one flush for all; the task of the storm below enters all the time.\n")
	say("| | deferral | flushes deferred | done at entry | requests for each flush |")
	say("|---|---|---:|---:|---:|")
	for (l = 1; l <= loads; l++)
		coalescing_row(load_of[l], "interruptions", load_of[l])
	for (p = 1; p <= 2; p++)
		if (("storm", "pti " pti_of[p], "on", "deferred") in n)
			coalescing_row("storm, PTI " pti_of[p], "storm", "pti " pti_of[p])
	say("\n![Requests for each flush](bench-coalescing.svg)\n")
}
function coalescing_row(name, part, row,    deferred, flushed) {
	deferred = median(part, row, "on", "deferred")
	flushed = median(part, row, "on", "flushed")
	say("| " name " | " name_mode(part, "on") " | " cell(part, row, "on", "deferred") " | " cell(part, row, "on", "flushed") " | " \
		(deferred && flushed ? sprintf("%.1f", deferred / flushed) : "-") " |")
	print name, deferred, flushed >(dir "/coalescing")
}

function storms(    p, m, i, mode, row, modes, shown, saved, pages) {
	split("off on", modes, " ")
	say("## When it is not worth it\n")
	say("A task that makes system calls without a break, while another CPU makes one purge of the vmalloc area after the other.")
	say("Off, each is an interrupt that flushes the TLB. On, those that come in user mode are a flush of the TLB at the")
	say("next entry, and those that come in the kernel still are interrupts. Counted is what the task executes in the kernel for")
	say("that, beyond what its system calls take most often. One boot each.\n")
	say("| PTI | mode | purges | system calls | deferred | interrupted | flushes at entry | instructions for each request |")
	say("|---|---|---:|---:|---:|---:|---:|---:|")
	for (p = 1; p <= 2; p++) {
		row = "pti " pti_of[p]
		for (m = 1; m <= 2; m++) {
			mode = modes[m]
			say("| " pti_of[p] " | " name_mode("storm", mode) " | " cell("storm", row, mode, "requests") " | " cell("storm", row, mode, "calls") " | " \
				cell("storm", row, mode, "deferred") " | " median("storm", row, mode, "requests") - median("storm", row, mode, "deferred") " | " \
				cell("storm", row, mode, "flushed") " | " cell("storm", row, mode, "instructions_per_request") " |")
			split("requests calls deferred flushed instructions_per_request", shown, " ")
			for (i = 1; i in shown; i++)
				tsv("storm", row, mode, shown[i])
		}
		print "PTI " pti_of[p], median("storm", row, "off", "instructions_per_request"), median("storm", row, "on", "instructions_per_request") >(dir "/storm")
	}
	say("\n![Kernel instructions for each request under a storm](bench-storm.svg)\n")
	row = "system_call/nohz_full/off"
	if (("cost", row, "on", "pending:pages") in n) {
		# What is saved for all requests is there for the flushes at entry.
		saved = median("storm", "pti off", "off", "instructions_per_request") - median("storm", "pti off", "on", "instructions_per_request")
		saved *= median("storm", "pti off", "on", "requests") / median("storm", "pti off", "on", "flushed")
		pages = median("cost", row, "on", "pending:pages")
		say("Instructions are not time. A flush drops every translation, at the entry as in an interrupt, and the kernel uses " pages " pages")
		say(sprintf("before it is back in user mode, and the task its own. With PTI off there are %.0f instructions less for each flush at entry than with", saved))
		say("interrupts.")
	}
	say("That is for a task that enters the kernel so often that it is never left alone anyway; `nohz_tlb=off` is for it. `make")
	say("bench-host` tells the times on a machine, by its rows \"storm\".\n")
}

function on_hardware(    i) {
	say("## On real hardware\n")
	if (!hosts) {
		say("Not measured: there was no machine. `make bench-host`, as root on a machine that runs this kernel, measures")
		say("time and cycles there; its table then appears here.\n")
		return
	}
	say("```")
	for (i = 1; i <= hosts; i++)
		say(host[i])
	say("```\n")
}

END {
	say("# nohz_tlb: what it changes, and what it costs\n")
	say("- Command: `" fact["command"] "`, " fact["date"])
	say("- Kernel: base " fact["base"] "; the series " fact["series"] "; modes base (without the series), off (with it, `nohz_tlb=off`), on")
	say("- Machine: " fact["machine"] "; guests are emulated by " fact["qemu"] " (TCG, no KVM), 2 GB\n")
	if (loads)
		interruptions()
	if (limits)
		gaps()
	if (("cost", "system_call/nohz_full/off", "base", "excursion") in n)
		costs()
	if (counts)
		sender()
	if (loads || ("storm", "pti off", "on", "calls") in n)
		coalescing()
	if (("storm", "pti off", "on", "calls") in n)
		storms()
	on_hardware()
	say("## Targets\n")
	for (i = 1; i <= nr_failures; i++)
		say("- missed: " failures[i])
	if (!nr_failures) {
		if (loads)
			say("- met: no flush callback but those that have to be immediate, and no event lost from the trace")
		if (("cost", "system_call/nohz_full/off", "base", "excursion") in n)
			say("- met: two instructions more in entry and exit together with nothing pending, none on other CPUs or compiled out")
		if (counts)
			say("- met: at the sender at most 40 instructions for each deferred CPU, never more than the base, and no wait")
	}
	printf "on_name = '%s'\n", state("interruptions", "on") state("cost", "on") state("sender", "on") state("gaps", "on") ~ /off|changing/ ? "on, BUT DEFERRAL WAS OFF" : "on" >(dir "/state.gp")
	print rows_on + 0, rows_told + 0 >(dir "/told")
}
