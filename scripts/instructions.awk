# SPDX-License-Identifier: GPL-2.0
# Reads the disassembly of an object that is not linked, and prints the shortest way from
# the start of ct_kernel_enter() to its return that has a locked addition and calls nothing
# but ct_kernel_enter_state(), whose own shortest way comes in its place.

# By address, because the compiler may give equal functions one body with two names.
/^[0-9a-f]+ <.*>:$/ {
	name = substr($2, 2, length($2) - 3)
	next
}
/^ *[0-9a-f]+:\t/ {
	addr = $1
	sub(/:/, "", addr)
	text[addr] = substr($0, index($0, "\t") + 1)
	if (name != "" && name ~ /^ct_kernel_enter(\.|$)/)
		enter = addr
	if (name != "" && name ~ /^ct_kernel_enter_state(\.|$)/)
		state = addr
	name = ""
	if (before != "")
		behind[before] = addr
	before = addr
}

function target(insn,    part) {
	split(insn, part, / +/)
	return part[2]
}

# An object has relocations for jumps out of its section: they seem to lead to what is
# next, which is never what a function jumps to.
function leaves(addr) {
	return text[addr] ~ /^ret/ || text[addr] ~ /^jmp / && target(text[addr]) == behind[addr]
}

# One step, to ADDR in the state whether the addition is behind it.
function reach(addr, added, from) {
	if ((addr, added) in seen || !(addr in text) || text[addr] ~ /^ud2/)
		return
	seen[addr, added] = from
	queue[++last] = addr SUBSEP added
}

# The shortest way from START, as lines; with its addition, if it needs one.
function walk(start, need,    first, part, addr, added, insn, way, key) {
	split("", seen)
	split("", queue)
	last = first = 0
	reach(start, 0, "")
	while (first < last) {
		key = queue[++first]
		split(key, part, SUBSEP)
		addr = part[1]
		insn = text[addr]
		added = part[2] || insn ~ /^lock xadd/
		if (leaves(addr)) {
			if (need && !added)
				continue
			for (way = ""; key != ""; key = seen[part[1], part[2]]) {
				split(key, part, SUBSEP)
				way = text[part[1]] "\n" (target(text[part[1]]) == state && text[part[1]] ~ /^call/ ? of_state : "") way
			}
			return way
		}
		if (insn ~ /^call/ && target(insn) != state)
			continue
		if (insn ~ /^call/)
			added = 1
		if (insn ~ /^j/)
			reach(target(insn), added, key)
		if (insn !~ /^jmp/)
			reach(behind[addr], added, key)
	}
	return ""
}

END {
	if (state != "")
		of_state = walk(state, 1)
	way = enter == "" ? "" : walk(enter, 1)
	printf "%s", way
	exit way == ""
}
