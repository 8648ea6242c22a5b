# SPDX-License-Identifier: GPL-2.0
# What of the plugin's stores went to the memory of isolated CPUs: lines "store KERNEL
# COUNT CASE WORD BEYOND", how often the context tracking state word of one of them was
# written to, and how often anything else in its area of per-CPU data. Files: where the
# per-CPU data starts in the kernel's image, what the guest said, what the plugin saw.
# Needs hex.awk.

# The last 12 digits of an address, as a number. The rest is the same for all that is
# compared, but for the image.
function number(hex) {
	return low(substr(hex, length(hex) - 11, 4)) * 4294967296 + low(hex)
}

BEGIN { WRAP = 65536 * 4294967296 }

$1 == "start" { start = number($2) }
$1 == "@percpu" {
	base[$2] = (number($3) + start) % WRAP
	if ($2 > last)
		last = $2
}
$1 == "@state" { word[$3] = $2; top = substr($3, 1, 4) }
$1 == "store" {
	if (!unit) {
		# One area lies behind the other.
		unit = base[1] - base[0]
		if (!last || unit <= 0)
			exit bad = 1
		for (cpu in base)
			if (base[cpu] != base[0] + cpu * unit)
				exit bad = 1
	}
	seen[$2]
	if ($3 in word) {
		if (word[$3])
			to_word[$2] += $4
	} else if (substr($3, 1, 4) == top) {
		cpu = int((number($3) - base[0]) / unit)
		if (number($3) >= base[0] && cpu >= 1 && cpu <= last)
			beyond[$2] += $4
	}
}
END {
	if (bad || !unit)
		exit 1
	for (i in seen)
		print "store", kernel, count, i, to_word[i] + 0, beyond[i] + 0
}
