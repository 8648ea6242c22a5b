# SPDX-License-Identifier: GPL-2.0
# Reads "KERNEL CPUS CASE INSTRUCTIONS WAITING INTERRUPTS" for each call, "store KERNEL CPUS
# CASE WORD BEYOND" (see stores.awk) for each case, "deferred KERNEL CPUS N" and "switch KERNEL
# STATE" for each boot; prints a table and writes the file tsv.

function fail(what)
{
	print "not ok - " what
	failed = 1
}

# The median of what call[key, 1...n] holds.
function median(call, key, n,    i, j, x, sorted)
{
	for (i = 1; i <= n; i++) {
		x = call[key, i]
		for (j = i - 1; j >= 1 && sorted[j] > x; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = x
	}
	return sorted[int((n + 1) / 2)]
}

$1 == "switch" {
	if (!($2 in state))
		state[$2] = $3
	else if (state[$2] != $3)
		state[$2] = "changing"
	next
}
$1 == "store" {
	key = $2 SUBSEP $3 SUBSEP $4
	to_word[key] = $5
	beyond[key] = $6
	next
}
$1 == "deferred" {
	deferred[$2, $3] = $4
	next
}
{
	key = $1 SUBSEP $2 SUBSEP $3
	n[key]++
	insns[key, n[key]] = $4
	wait[key, n[key]] = $5
	if ($5 > longest[key])
		longest[key] = $5
	if (!(key in most) || $4 > most[key])
		most[key] = $4
	if (!(key in least) || $4 < least[key])
		least[key] = $4
}
END {
	split("fresh pending kernel", cases, " ")
	nr_kernels = split("base patched-off patched", kernels, " ")
	nr_counts = split(counts, count, " ")
	print "Instructions of one flush; and how often, in all calls, a state word of an isolated CPU was written"
	print "to, and anything else in the per-CPU data of one\n"
	format = "%-8s %-12s %6s %8s %15s %8s %9s %7s %8s %8s\n"
	printf format, "case", "kernel", "CPUs", "median", "spread", "waiting", "per CPU", "calls", "word", "beyond"
	print "case\tkernel\tcpus\tinstructions\tleast\tmost\twaiting\tcalls\tdeferral" >tsv
	for (c = 1; c <= 3; c++) {
		for (k = 1; k <= nr_kernels; k++) {
			for (i = 1; i <= nr_counts; i++) {
				key = kernels[k] SUBSEP count[i] SUBSEP c
				what = cases[c] ", " kernels[k] ", " count[i] " CPUs"
				if (n[key] < rounds) {
					fail(what ": only " n[key] + 0 " calls of " rounds)
					continue
				}
				cost[c, k, i] = median(insns, key, n[key])
				waited = median(wait, key, n[key])
				each = "-"
				if (i > 1) {
					each = (cost[c, k, i] - cost[c, k, i - 1]) / (count[i] - count[i - 1])
					if (c < 3 && kernels[k] == "patched" && each > 40)
						fail(what ": " each " instructions for each CPU more, of 40")
					each = sprintf("%.1f", each)
				}
				printf format, cases[c], kernels[k], count[i], cost[c, k, i],
					least[key] " - " most[key], waited, each, n[key], to_word[key] + 0, beyond[key] + 0
				printf "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", cases[c], kernels[k], count[i],
					cost[c, k, i], least[key], most[key], waited, n[key],
					(kernels[k] in state) ? state[kernels[k]] : "-" >tsv
				if (c < 3 && kernels[k] == "patched") {
					if (waited)
						fail(what ": it waits")
					if (cost[c, k, i] > cost[c, 1, i])
						fail(what ": more than the base")
					if (beyond[key])
						fail(what ": " beyond[key] " writes to the memory of CPUs that are left alone, beyond the word")
					if (c == 1 && to_word[key] < rounds * count[i] * 0.9)
						fail(what ": only " to_word[key] + 0 " writes to state words")
				} else if (!(count[i] == 1 ? longest[key] : waited)) {
					# One CPU alone often answers before the sender looks, not each time.
					fail(what ": it does not wait, so it was no flush by interrupt")
				}
				# An interrupt has to be queued there: else writes are not seen.
				if (kernels[k] != "patched" && !beyond[key])
					fail(what ": no write to the memory of a CPU that is interrupted")
				# So one call that waits says nothing of the others.
				if (c == 3 && kernels[k] == "patched" && cost[c, k, i] <= cost[1, k, i])
					fail(what ": no more than in user mode, so most were deferred")
			}
		}
	}
	if (state["patched"] != "on" || state["patched-off"] != "off")
		fail("deferral is " state["patched"] " in patched and " state["patched-off"] " in patched-off")
	# What was to defer has to have done so in both cases, and nothing else.
	for (i = 1; i <= nr_counts; i++) {
		if (deferred["patched", count[i]] < 2 * rounds * count[i] * 0.9)
			fail("patched, " count[i] " CPUs: only " deferred["patched", count[i]] + 0 " flushes deferred")
		if (deferred["patched-off", count[i]])
			fail("patched-off, " count[i] " CPUs: flushes were deferred")
	}
	exit failed
}
