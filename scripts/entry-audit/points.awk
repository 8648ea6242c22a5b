# SPDX-License-Identifier: GPL-2.0
# What scripts/entry-audit/points does. Files: state-word, nm -n, addresses with sizes and
# names, objdump -d. Addresses are compared as text: they are all of 16 digits, and
# too long for awk's numbers.

function point(kind, addr) {
	points[kind]++
	printf "%s %s %s %s %s\n", kind, addr, start, end, fn
}

# Whether a number in an operand, with its sign, is an address in the per-CPU variable.
function in_state(hex,    n) {
	n = low(substr(hex, index(hex, "x") + 1))
	if (hex ~ /^-/)
		n = 4294967296 - n
	return n >= variable && n < variable + size
}

function plain_name(name) {
	sub(/\.(constprop|isra|part|cold).*/, "", name)
	return name
}

# Follow the variable's address from register to register, from top to bottom of a
# function. That is not the way in which code runs, so a register may be taken to hold
# it longer than it does. An address that is an argument, or in memory, is not seen.
function follow(text,    to, from) {
	if (text ~ /^lea .*<context_tracking(\+0x[0-9a-f]+)?>/) {
		to = text
		sub(/ *#.*/, "", to)
		sub(/.*,/, "", to)
		holds[to]
		return
	}
	if (!match(text, /,%r[a-z0-9]+$/))
		return
	to = substr(text, RSTART + 1)
	from = substr(text, 1, RSTART - 1)
	sub(/^[a-z]+ */, "", from)
	if (text ~ /^mov/ && (from in holds || (from ~ /^\$0xffffffff/ && in_state(substr(from, 2)))))
		holds[to]
	else if (text ~ /^lea/ && based_on_state(from))
		holds[to]
	else if (text ~ /^add/ && from in holds)
		holds[to]
	else if (text !~ /^add/)
		delete holds[to]
}

# Whether a locked instruction is one on the variable: addressed by it, or by a register
# that holds its address.
function uses_state(text) {
	if (text ~ /<context_tracking(\+0x[0-9a-f]+)?>/)
		return 1
	return based_on_state(text)
}

# Whether there is a memory operand that has the address as its number, base or index.
function based_on_state(text,    part, n) {
	if (match(text, /-0x[0-9a-f]+\(/) && in_state(substr(text, RSTART, RLENGTH - 1)))
		return 1
	if (!match(text, /\([^)]*\)/))
		return 0
	for (n = split(substr(text, RSTART + 1, RLENGTH - 2), part, ","); n; n--)
		if (part[n] in holds)
			return 1
	return 0
}

function locked(addr, text,    name) {
	name = plain_name(fn)
	found[name]++
	if (!(name in kind_of)) {
		if (unchecked)
			return
		printf "a locked instruction on the state word that the list does not have: %s at %s: %s\n", fn, addr, text >"/dev/stderr"
		bad = 1
	} else if (kind_of[name] != "other") {
		point(kind_of[name], addr)
	}
}

FNR == 1 { file++ }

file == 1 {
	if (/^[^#]/ && NF == 3) {
		kind_of[$1] = $2
		want[$1] = $3
	}
	next
}

file == 2 {
	at[$3] = $1
	next
}

file == 3 {
	size_of[$1] = $2
	if ($3 == "context_tracking") {
		variable = low($1)
		size = low($2)
	}
	next
}

FNR == 1 {
	if (!size) {
		print "there is no context_tracking" >"/dev/stderr"
		exit bad = 1
	}
	print "quiet", at["__noinstr_text_start"], at["__noinstr_text_end"]
	print "quiet", at["__entry_text_start"], at["__entry_text_end"]
}

# A function, or a label within one.
/^[0-9a-f]+ <.*>:$/ {
	label = substr($2, 2, length($2) - 3)
	if ($1 in size_of && low(size_of[$1])) {
		split("", holds)
		fn = label
		start = $1
		end = sprintf("%s%08x", substr(start, 1, 8), low(start) + low(size_of[start]))
	}
	is_entry = start >= at["__entry_text_start"] && start < at["__entry_text_end"]
	next
}

/^[0-9a-f]+:\t/ {
	addr = substr($1, 1, 16)
	text = substr($0, index($0, "\t") + 1)
	if (fn ~ /^(asm_(exc|sysvec|int80|fred_entrypoint)_|entry_(SYSCALL|SYSENTER|INT80)_)/ && addr == start && is_entry)
		point("entry", addr)
	# A table of stubs, each of which pushes its number.
	if ((start == at["irq_entries_start"] || start == at["spurious_entries_start"]) && text ~ /^push/)
		point("entry", before ~ /^endbr/ ? before_addr : addr)
	before = text
	before_addr = addr
	if (addr == at["ct_idle_enter"])
		point("idle_enter", addr)
	if (addr == at["ct_idle_exit"])
		point("idle_exit", addr)
	if (addr == at["__switch_to_asm"])
		point("switch", addr)
	if (addr == at["ret_from_fork_asm"])
		point("new_task", addr)
	if (addr == at["ct_tlb_flush_execute"])
		point("flush_call", addr)
	if (start == at["native_write_cr4"] && text ~ /^mov .*,%cr4/ || start == at["arch_ct_tlb_flush"] && text ~ /^invpcid/)
		point("flush", addr)
	# An NMI from kernel mode has three: out of an NMI that hit an NMI; one that only lets
	# NMIs come again (CONFIG_DEBUG_ENTRY); and the one that leads back.
	if (is_entry && text ~ /^iret/ && label != "first_nmi")
		point(label == "nested_nmi_out" ? "iret_nested" : "iret", addr)
	if (is_entry && text ~ /^sys(ret|exit)/)
		point("sysret", addr)
	if (text ~ /^lock / || text ~ /^xchg .*\(/) {
		if (uses_state(text))
			locked(addr, text)
	} else {
		follow(text)
	}
}

# Kinds without which nothing of what the plugin says would be true.
function need(kind, least, most) {
	if (points[kind] >= least && points[kind] <= most)
		return
	printf "%d places of kind %s were found, and at least %d and at most %d are expected\n", points[kind], kind, least, most >"/dev/stderr"
	bad = 1
}

END {
	for (name in want)
		if (!unchecked && found[name] + 0 != want[name]) {
			printf "%s has %d locked instructions on the state word, and %d are expected\n", name, found[name], want[name] >"/dev/stderr"
			bad = 1
		}
	if (!unchecked) {
		need("entry", 100, 1000)
		need("flush_call", 1, 1)
		need("flush", 1, 3)
		need("iret", 2, 2)
		need("iret_nested", 1, 1)
		need("sysret", 1, 8)
		need("idle_enter", 1, 1)
		need("idle_exit", 1, 1)
		need("switch", 1, 1)
		need("new_task", 1, 1)
	}
	exit bad
}
