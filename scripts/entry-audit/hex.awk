# SPDX-License-Identifier: GPL-2.0
# Shared by the awk programs here, by a second -f.

# The last 8 digits of an address, as a number. Kernel text is within 2 GB.
function low(hex,    n) {
	hex = substr("0000000" hex, length("0000000" hex) - 7)
	for (n = 0; length(hex); hex = substr(hex, 2))
		n = n * 16 + index("0123456789abcdef", substr(hex, 1, 1)) - 1
	return n
}
