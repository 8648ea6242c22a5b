# SPDX-License-Identifier: GPL-2.0
# The reading part of scripts/report: run.raw in; run.tsv, run.txt, what the
# timeline needs and the broken promises out, in folder `dir`. Plain POSIX awk.

function flushes(load, mode, cpu) {
	return n[load, mode, cpu, "do_kernel_range_flush"] + n[load, mode, cpu, "do_flush_tlb_all"] + n[load, mode, cpu, "nohz_tlb_drain_cpu"]
}

# What the series promises: how many calls to flush may reach a CPU, or "" for any number.
# At the default limit the purges that reach it interrupt, and they are few of many.
function bar(load, mode, cpu) {
	if (load == "vmalloc" && mode == "on")
		return int(flushes("vmalloc", "off", cpu) / FEW)
	if (load == "vmalloc" && mode == "wide" || load == "threads" && mode == "on")
		return 0
	return ""
}

# Whether the bar is broken only by calls that found a CPU in the kernel, which are right:
# a later try of the guest, if there is one, counts instead.
function by_chance(load, mode,    c, cpu, here, chance) {
	for (c = 1; c <= cpus; c++) {
		cpu = cpu_of[c]
		here = flushes(load, mode, cpu)
		if (bar(load, mode, cpu) == "" || here <= bar(load, mode, cpu))
			continue
		if (here - excused[cpu] > bar(load, mode, cpu))
			return 0
		chance = 1
	}
	return chance
}

# A window that is repeated starts from nothing.
function forget(load, mode,    i, k) {
	for (k in n) {
		split(k, i, SUBSEP)
		if (i[1] == load && i[2] == mode)
			delete n[k]
	}
	for (k in cause) {
		split(k, i, SUBSEP)
		if (i[1] == load && i[2] == mode)
			delete cause[k]
	}
	for (k = 1; k <= cpus; k++)
		marks[load, mode, cpu_of[k]] = 0
	for (k in deferred) {
		split(k, i, SUBSEP)
		if (i[1] == load && i[2] == mode)
			delete deferred[k]
	}
	purges[load, mode] = at_limit[load, mode] = 0
}

# The CPUs in a mask of hexadecimal digits, the last of which is for CPUs 0 to 3.
function count_left(mask,    i, digit, cpu) {
	gsub(/,/, "", mask)
	for (i = length(mask); i; i--) {
		digit = index("0123456789abcdef", substr(mask, i, 1)) - 1
		for (cpu = 4 * (length(mask) - i); digit; cpu++) {
			if (digit % 2)
				deferred[load, mode, cpu]++
			digit = int(digit / 2)
		}
	}
}

# One interruption of `cpu`, by `what`, at `time`.
function hit(cpu, what, time) {
	n[load, mode, cpu, what]++
	n[load, mode, cpu, "total"]++
	sum[what]++
	mark[load, mode, cpu, ++marks[load, mode, cpu]] = what " " time
}

# A call chain ends here: count it for who made the call.
function end_stack(    key) {
	if (!stack)
		return
	stack = 0
	key = load SUBSEP mode SUBSEP stack_what SUBSEP (chain == "" ? "unknown" : chain)
	chains[key]
	cause[key, stack_cpu]++
	cause[key, "all"]++
}

function milli(ns) {
	return sprintf("%.1f ms", ns / 1e6)
}

function fatal(text) {
	print text >"/dev/stderr"
	failed = 1
	exit 1
}

BEGIN {
	FEW = 50
	PURGES = 1000
	PAGES_PER_MB = 256
	broken = dir "/broken"
	printf "" >broken
}

/^@kernel / { kernel = $2; next }
/^@isolated / {
	for (i = 2; i <= NF; i++)
		cpu_of[++cpus] = $i
	next
}
/^@keeping / { keeping = $2; next }

/^@window / {
	load = $2; mode = $3
	skip = settled[load, mode]
	if (skip)
		next
	if (!(load in seen_load)) { seen_load[load]; load_of[++loads] = load }
	if (!(mode in seen_mode)) { seen_mode[mode]; mode_of[++modes] = mode }
	forget(load, mode)
	try[load, mode] = $4
	counted = 0
	for (i in excused)
		delete excused[i]
	next
}
# Page tables stay, so what each try adds counts.
/^@tables before / { tables_before = $3; next }
/^@tables after / { tables[load, mode] += $3 - tables_before; next }
skip { next }

/^@flushed before / { flushed_before[$3] = $4; next }
/^@flushed after / {
	flushed[load, mode, $3] = $4 - flushed_before[$3]
	deferred[load, mode, $3] += 0
	next
}
/^@waited / { waited[load, mode] = $2; next }
/^@gap / { gap[load, mode, $2] = $3; next }
/^@lost / { lost[load, mode] = $2; all_lost += $2; next }
/^@did / { did[load, mode] = substr($0, 6); watching = 0; next }
/^@done/ { complete = 1; next }
/^@accel / { emulated = $2 == "tcg"; next }

/^@end/ {
	end_stack()
	tries[load, mode, try[load, mode]] = counted
	settled[load, mode] = !by_chance(load, mode)
	next
}

# What remains is the trace: task, [CPU], flags, time, event.
# Of a call chain two names say enough. For
# a work item it is the item that counts, whoever queued it.
/^ => / {
	if (!stack || frames > 1 || is_plumbing($2))
		next
	if ($2 == "__queue_work" && queued[sender] != "") {
		chain = chain (frames ? " < " : "") "work item " queued[sender]
		frames = 2
	} else {
		chain = chain (frames++ ? " < " : "") $2
	}
	next
}
match($0, /\[[0-9]+\] +[^ ]+ +[0-9]+\.[0-9]+: /) {
	split(substr($0, RSTART, RLENGTH), head, / +/)
	cpu = substr(head[1], 2) + 0
	time = head[3] + 0
	event = substr($0, RSTART + RLENGTH)
	if (event == "<stack trace>") {
		end_stack()
		stack = watching; stack_what = what; stack_cpu = target; sender = cpu
		chain = ""; frames = 0
		next
	}
	end_stack()
	split(event, word, /[: ]+/)
	name = word[1]
	if (name == "tracing_mark_write") {
		if (word[2] == "begin") {
			watching = 1
			start = time
			for (i in in_kernel)
				delete in_kernel[i]
		} else {
			watching = 0
			length_of[load, mode] = time - start
		}
		next
	}
	if (name == "user_exit") { in_kernel[cpu] = 1; next }
	if (name == "user_enter") { in_kernel[cpu] = 0; next }
	if (!watching)
		next
	if (name == "workqueue_queue_work") {
		match(event, /function=[^ ]+/)
		queued[cpu] = substr(event, RSTART + 9, RLENGTH - 9)
		next
	}
	if (name == "purge_vmap_area_lazy") { purges[load, mode]++; next }
	if (name == "nohz_tlb_defer") {
		match(event, /left:[0-9a-f,]+/)
		if (event ~ /why:deferred/)
			count_left(substr(event, RSTART + 5, RLENGTH - 5))
		at_limit[load, mode] += event ~ /why:limit/
		next
	}
	if (name == "csd_queue_cpu") {
		match(event, /cpu=[0-9]+/)
		cpu = substr(event, RSTART + 4, RLENGTH - 4) + 0
		match(event, /func=[^ ]+/)
		what = substr(event, RSTART + 5, RLENGTH - 5)
		if (is_flush(what)) {
			counted++
			excused[cpu] += in_kernel[cpu]
		}
	} else if (name == "irq_handler_entry") {
		match(event, /name=.*/)
		what = "irq:" substr(event, RSTART + 5)
		gsub(/[ \t]/, "_", what)
	} else if (name == "nmi_handler") {
		what = "nmi"
	} else {
		what = name
		sub(/_entry$/, "", what)
	}
	target = cpu
	hit(cpu, what, time - start)
}

# The counters of a CPU; a kernel without the series has none.
function counter(array, load, mode, cpu) {
	return (load, mode, cpu) in flushed ? array[load, mode, cpu] : "-"
}

# How many MB so many pages are.
function mb(pages) {
	return sprintf(pages < 10 * PAGES_PER_MB ? "%.1f" : "%.0f", pages / PAGES_PER_MB)
}

# Wide is a mode of one load.
function ran(load, mode) {
	return (load, mode) in did
}

function tsv(load, mode, cpu, what, deferred, flushed) {
	printf "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\n", load, mode, cpu, what,
		n[load, mode, cpu, what], deferred, flushed, lost[load, mode] >(dir "/run.tsv")
}

# The names of an array of counts, greatest first, in order[1..].
function rank(array, order,    k, i, nr) {
	nr = 0
	for (k in array) {
		for (i = ++nr; i > 1 && (array[order[i - 1]] < array[k] || array[order[i - 1]] == array[k] && order[i - 1] > k); i--)
			order[i] = order[i - 1]
		order[i] = k
	}
	return nr
}

# Text in a gnuplot script, in double quotes.
function label(gp, text, x, y, how) {
	gsub(/["\\$`]/, "", text)
	printf "set label \"%s\" at %s, %s %s noenhanced front\n", text, x, y, how >gp
}

# The picture: for each load a panel, in it mode off above on, a row for each
# cause, a mark for each interruption of the CPU that is drawn.
function timeline(gp,    i, w, l, m, rows, row_of, row, colour, colours, palette, meaning, height, top_y, tall, lane,
		  left, width, gap_x, x0, y0, y1, span, count, part, has, text, col, k, remain, drawn_sum, drawn, text_of) {
	colours = split("#1f77b4 #2ca02c #9467bd #8c564b #17becf #bcbd22 #e377c2 #7f7f7f", palette, " ")
	meaning["do_flush_tlb_all"] = "flush of the whole kernel TLB"
	meaning["do_kernel_range_flush"] = "flush of a range of kernel addresses"
	meaning["nohz_tlb_drain_cpu"] = "made to do its deferred flush now"
	meaning["do_sync_core"] = "kernel code was patched"
	meaning["local_timer"] = "its own timer"
	meaning["reschedule"] = "asked to reschedule"
	meaning["irq_work"] = "its own deferred work"
	meaning["nohz_full_kick_func"] = "asked whether it needs its tick"
	meaning["__hrtick_start"] = "the scheduler sets its timer"
	meaning["sched_ttwu_pending"] = "a task is woken there"
	meaning["page_fault_user"] = "a page fault of its task"

	# Of the isolated CPUs the one that fared worst with the feature on.
	drawn = cpu_of[1]
	for (i = 1; i <= cpus; i++) {
		for (l = 1; l <= loads; l++)
			remain[i] += n[load_of[l], modes > 1 ? "on" : "off", cpu_of[i], "total"]
		if (remain[i] > remain[1]) {
			remain[1] = remain[i]
			drawn = cpu_of[i]
		}
	}

	# The two flushes first, then the rest by frequency; a row each.
	drawn_sum["do_flush_tlb_all"] = 1e9
	drawn_sum["do_kernel_range_flush"] = 2e9
	for (k in n) {
		split(k, part, SUBSEP)
		if (part[3] == drawn && part[4] != "total" && n[k])
			drawn_sum[part[4]] += n[k]
	}
	rows = rank(drawn_sum, row_of)
	if (rows > 10)
		rows = 10
	for (i = 1; i <= rows; i++) {
		row[row_of[i]] = i
		colour[i] = i == 1 ? "#d62728" : i == 2 ? "#ff7f0e" : palette[i - 2]
	}

	tall = rows < 4 ? 34 : 22
	lane = rows * tall + 8
	height = 92 + modes * (lane + 26) + 34 + 20 * int((rows + 1) / 2) + 48
	printf "set terminal svg size 1280,%d font 'sans,13' background '#ffffff'\n", height >gp
	printf "if (exists('png')) set terminal pngcairo size 1280,%d font 'sans,10' background '#ffffff'\n", height >gp
	print "set output dir . (exists('png') ? '/run.png' : '/run.svg')" >gp
	print "set multiplot\nset border 0\nunset tics\nunset key\nset margins 0,0,0,0" >gp
	print "set lmargin at screen 0\nset rmargin at screen 1\nset bmargin at screen 0\nset tmargin at screen 1" >gp
	print "set xrange [0:1280]\nset yrange [" height ":0]" >gp

	# What surrounds the panels.
	label(gp, "What interrupted isolated CPU " drawn " while a task spun on it in user mode", 640, 26, "center font ',19'")
	label(gp, "Linux " kernel ", loads on CPUs " keeping ", one boot" (modes > 1 ? "; deferred kernel TLB flushes off, on, and on with a limit that is never reached (wide)" : ""), 640, 50, "center tc rgb '#555555'")
	left = 216; gap_x = 14
	width = (1280 - left - 16 - (loads - 1) * gap_x) / loads
	top_y = 92
	for (m = 1; m <= modes; m++) {
		y0 = top_y + (m - 1) * (lane + 26)
		label(gp, mode_of[m], 28, y0 + lane / 2, "center rotate by 90 font ',19'")
		for (i = 1; i <= rows; i++)
			label(gp, row_of[i], left - 10, y0 + 4 + (i - 0.5) * tall, "right tc rgb '" colour[i] "'")
	}
	y0 = top_y + modes * (lane + 26) + 40
	for (i = 1; i <= rows; i++) {
		x0 = i > (rows + 1) / 2 ? 690 : 80
		y1 = y0 + 20 * ((i - 1) % int((rows + 1) / 2))
		printf "set object rectangle from %d,%d to %d,%d fc rgb '%s' fs solid noborder\n", x0, y1 - 5, x0 + 10, y1 + 5, colour[i] >gp
		label(gp, row_of[i] (row_of[i] in meaning ? ": " meaning[row_of[i]] : ""), x0 + 20, y1, "left")
	}
	y1 = height - 38
	label(gp, "A mark is one interruption, a number how many there were: function calls by callback, other interrupts by vector, from the kernel's own trace (" all_lost + 0 " events lost). Shaded: the time watched.", 640, y1, "center tc rgb '#555555' font ',11'")
	label(gp, "Counts are exact. " (emulated ? "Times are those of an emulated machine and depend on the emulator's host." : "Times depend on the host too."), 640, y1 + 18, "center tc rgb '#555555' font ',11'")
	print "plot NaN notitle\nunset label\nunset object" >gp

	for (l = 1; l <= loads; l++) {
		x0 = left + (l - 1) * (width + gap_x)
		span = 0
		for (m = 1; m <= modes; m++)
			if (length_of[load_of[l], mode_of[m]] > span)
				span = length_of[load_of[l], mode_of[m]]
		for (m = 1; m <= modes; m++) {
			y0 = top_y + (m - 1) * (lane + 26)
			printf "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", x0 / 1280, (x0 + width) / 1280 >gp
			printf "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", 1 - y0 / height, 1 - (y0 + lane) / height >gp
			printf "set xrange [0:%.6f]\nset yrange [%.2f:0.3]\n", span * 1.2, rows + 0.7 >gp
			printf "set object rectangle from 0,graph 0 to %.6f,graph 1 behind fc rgb '%s' fs solid noborder\n", length_of[load_of[l], mode_of[m]], mode_of[m] == "off" ? "#f4f1ec" : "#e9f3e9" >gp
			if (m == 1)
				label(gp, load_of[l], "graph 0", "graph 1 offset 0,0.8", "left font ',15'")
			if (m == modes) {
				printf "set xtics nomirror scale 0.4 offset 0,0.3 (0" >gp
				text = span > 20 ? 10 : span > 8 ? 4 : span > 4 ? 2 : span > 1.6 ? 1 : span > 0.8 ? 0.5 : 0.2
				for (i = text; i <= span; i += text)
					printf ", '%g' %g", i, i >gp
				printf ") font ',11'\nset label \"s\" at graph 1,graph 0 offset 0,-1 right font ',11'\n" >gp
			}
			count = marks[load_of[l], mode_of[m], drawn]
			for (i = 1; i <= rows; i++)
				has[i] = 0
			for (i = 1; i <= count; i++) {
				split(mark[load_of[l], mode_of[m], drawn, i], part, " ")
				w = part[1] in row ? row[part[1]] : 0
				if (!w)
					continue
				if (!has[w]++)
					text_of[w] = ""
				text_of[w] = text_of[w] part[2] " " w "\n"
			}
			col = ""
			for (i = 1; i <= rows; i++) {
				if (!has[i])
					continue
				printf "$d%d << EOD\n%sEOD\n", i, text_of[i] >gp
				col = col (col == "" ? "" : ", ") "$d" i " using 1:($2-0.36):(0):(0.72) with vectors nohead lw 1 lc rgb '" colour[i] "' notitle"
				label(gp, has[i], sprintf("%.6f", span * 1.19), i, "right font ',11' tc rgb '" colour[i] "'")
			}
			if (col == "" && !ran(load_of[l], mode_of[m])) {
				label(gp, "not measured", "graph 0.4", "graph 0.5", "center font ',11' tc rgb '#999999'")
				col = "NaN notitle"
			} else if (col == "") {
				label(gp, "nothing reached it", "graph 0.4", "graph 0.58", "center font ',14' tc rgb '#5f8f5f'")
				if (mode_of[m] != "off")
					label(gp, counter(deferred, load_of[l], mode_of[m], drawn) " flushes deferred", "graph 0.4", "graph 0.36", "center font ',11' tc rgb '#5f8f5f'")
				col = "NaN notitle"
			}
			print "plot " col "\nunset label\nunset object\nunset xtics" >gp
		}
	}
	print "unset multiplot" >gp
}

# Who made the calls that remain, most first.
function print_causes(load, mode, what,    k, part, all, order, nr, i, c, text) {
	for (k in chains) {
		split(k, part, SUBSEP)
		if (part[1] == load && part[2] == mode && part[3] == what && cause[k, "all"])
			all[k] = cause[k, "all"]
	}
	nr = rank(all, order)
	for (i = 1; i <= nr; i++) {
		split(order[i], part, SUBSEP)
		text = cause[order[i], cpu_of[1]] + 0
		for (c = 2; c <= cpus; c++)
			text = text " + " cause[order[i], cpu_of[c]] + 0
		printf "  %-13s %9s    %9s  by %s\n", "", "", text, part[4] >out
	}
}

# What still reached the CPUs under a load in a mode.
function print_rest(load, mode,    name, w, what, text, here, c, i) {
	name = load (mode == "on" ? "" : " " mode)
	for (w = 1; w <= whats; w++) {
		what = what_of[w]; text = ""; here = 0
		for (c = 1; c <= cpus; c++) {
			text = text (c > 1 ? " + " : "") n[load, mode, cpu_of[c], what] + 0
			here += n[load, mode, cpu_of[c], what]
		}
		if (!here)
			continue
		printf "  %-13s %9s  %s\n", name, text, what >out
		name = ""
		print_causes(load, mode, what)
	}
	if (name != "")
		printf "  %-13s %9s\n", name, "nothing" >out
	for (i = 1; i < try[load, mode]; i++)
		printf "  (%s %s: try %d counted %d flush callbacks, so many of them sent while a CPU was in the kernel, as it must be, that it was repeated)\n", load, mode, i, tries[load, mode, i] >out
}

function promise(ok, text) {
	if (!ok)
		print text >broken
}

END {
	if (failed)
		exit 1
	if (!complete)
		fatal("the guest did not end its report")
	sum["do_kernel_range_flush"] += 0
	sum["do_flush_tlb_all"] += 0
	whats = rank(sum, what_of)

	# run.tsv
	print "load\tmode\tcpu\tcallback\tipis\tdeferred\tflushed\tlost" >(dir "/run.tsv")
	for (l = 1; l <= loads; l++) for (m = 1; m <= modes; m++) for (c = 1; c <= cpus; c++) {
		load = load_of[l]; mode = mode_of[m]; cpu = cpu_of[c]
		if (!ran(load, mode))
			continue
		tsv(load, mode, cpu, "do_kernel_range_flush", "-", "-")
		tsv(load, mode, cpu, "do_flush_tlb_all", "-", "-")
		for (w = 1; w <= whats; w++) {
			what = what_of[w]
			if (what !~ /^do_(kernel_range_flush|flush_tlb_all)$/ && n[load, mode, cpu, what])
				tsv(load, mode, cpu, what, "-", "-")
		}
		tsv(load, mode, cpu, "total", counter(deferred, load, mode, cpu), counter(flushed, load, mode, cpu))
	}

	# run.txt
	out = dir "/run.txt"
	isolated = cpu_of[1]
	for (c = 2; c <= cpus; c++)
		isolated = isolated "," cpu_of[c]
	printf "What reached isolated CPU%s %s (one task spinning in user mode on each)\n", (cpus > 1) ? "s" : "", isolated >out
	printf "while CPU%s %s ran the loads. Linux %s, one boot.\n\n", (keeping ~ /,/) ? "s" : "", keeping, kernel >out
	format = "%-8s %-4s %3s  %9s  %7s  %8s  %7s  %4s  %11s  %10s  %11s%s\n"
	printf format, "", "", "", "flush", "other", "flushes", "flushed", "lost", "longest gap", "MB waiting", "page tables", "" >out
	printf format, "load", "mode", "CPU", "callbacks", "causes", "deferred", "instead", "ev.", emulated ? "(emulated)" : "", "at most", "grew by, MB", "  the load" >out
	for (l = 1; l <= loads; l++) {
		load = load_of[l]
		for (m = 1; m <= modes; m++) for (c = 1; c <= cpus; c++) {
			mode = mode_of[m]; cpu = cpu_of[c]
			if (!ran(load, mode))
				continue
			text = most = grew = ""
			if (c == 1) {
				text = "  " did[load, mode] ", " purges[load, mode] + 0 " purges seen"
				if (at_limit[load, mode])
					text = text ", " at_limit[load, mode] " at the limit"
				most = (load, mode) in waited ? mb(waited[load, mode]) : "-"
				grew = mb(tables[load, mode])
			}
			line = sprintf(format, load, mode, cpu,
				flushes(load, mode, cpu), n[load, mode, cpu, "total"] - flushes(load, mode, cpu),
				counter(deferred, load, mode, cpu), counter(flushed, load, mode, cpu),
				lost[load, mode], milli(gap[load, mode, cpu]), most, grew, text)
			sub(/ +\n$/, "\n", line)
			printf "%s", line >out
		}
	}
	if ("on" in seen_mode)
		print "\nWhat still reached them with the feature on (a count for each of CPUs " isolated "), and who sent it:" >out
	for (l = 1; l <= loads; l++) for (m = 1; m <= modes; m++)
		if (mode_of[m] != "off" && ran(load_of[l], mode_of[m]))
			print_rest(load_of[l], mode_of[m])
	print "" >out
	print "A function call counts once, by its callback; any other interrupt by its vector." >out
	if ("on" in seen_mode)
		print "A CPU that does not enter the kernel owes one flush, however many were deferred: it does that when it enters." >out
	if ("on" in seen_mode)
		print "Waiting: purged addresses that nobody may use before these flushes. Page tables are those of user mode too; the kernel keeps its own." >out
	if ("wide" in seen_mode)
		print "Mode wide is mode on with a nohz_tlb_wait= that is never reached." >out
	if (emulated)
		print "Gaps depend on the emulator's host: the emulated CPUs take turns on one of its CPUs, so a gap is no latency of the kernel." >out
	else
		print "Gaps depend on the host too, which may take a CPU away from the guest." >out

	timeline(dir "/timeline.gp")

	# What must be true of the loads that the series is about.
	promise(!all_lost, all_lost " trace events were lost, so the counts are too low")
	for (c = 1; c <= cpus; c++) {
		cpu = cpu_of[c]
		here = flushes("vmalloc", "off", cpu)
		promise(here >= PURGES, "vmalloc off, CPU " cpu ": " here " flush callbacks, fewer than " PURGES)
		promise(flushes("threads", "off", cpu), "threads off, CPU " cpu ": no flush callback, so mode on says nothing")
	}
	for (l = 1; l <= loads; l++) for (m = 1; m <= modes; m++) for (c = 1; c <= cpus; c++) {
		load = load_of[l]; mode = mode_of[m]; cpu = cpu_of[c]
		most = bar(load, mode, cpu)
		if (most == "" || !ran(load, mode))
			continue
		text = load " " mode ", CPU " cpu ": "
		here = flushes(load, mode, cpu)
		promise(here <= most, text here " flush callbacks, of at most " most)
		here = counter(deferred, load, mode, cpu)
		# What was deferred and what was not are all that the load asked for.
		most = load == "vmalloc" ? PURGES - most : 1
		promise(here + 0 >= most, text here + 0 " flushes deferred, fewer than " most)
	}
	if ("on" in seen_mode) {
		promise(ran("vmalloc", "wide"), "vmalloc wide was not measured")
		promise(waited["vmalloc", "on"] > 0, "vmalloc on: nothing waited")
		promise(waited["vmalloc", "wide"] > waited["vmalloc", "on"],
			"vmalloc wide: " mb(waited["vmalloc", "wide"]) " MB waited at most, no more than at the default limit")
	}
}
