# SPDX-License-Identifier: GPL-2.0
# Puts what the plugin saw in one run into regions. Files: nm -n, the facts, the
# plugin's report. Prints lines for report.awk. Addresses have an x before them, or awk
# might take them for numbers.

BEGIN {
	print "boot", pti, kind
	# The first that fits counts, so those within others come first.
	regions = split("own_stack percpu kernel_text kernel_data cpu_entry_area espfix ldt_of_pti fixmap module other_vmalloc vmemmap direct_map", region_of, " ")
	# What the argument allows, and what no mapping change can reach.
	split("own_stack percpu ldt kernel_text kernel_data cpu_entry_area espfix ldt_of_pti fixmap vmemmap direct_map user", i, " ")
	for (k in i)
		allowed[i[k]]

	name_of["entry_SYSCALL_64"] = "syscall"
	name_of["entry_SYSCALL_compat"] = "compat_syscall"
	name_of["entry_SYSENTER_compat"] = "sysenter"
	name_of["entry_INT80_compat"] = name_of["asm_int80_emulation"] = "int80"
	name_of["asm_exc_page_fault"] = "pf"
	name_of["asm_exc_general_protection"] = "gp"
	name_of["asm_exc_invalid_op"] = "ud"
	name_of["asm_exc_divide_error"] = "de"
	name_of["asm_exc_overflow"] = "of"
	name_of["asm_exc_coprocessor_error"] = "mf"
	name_of["asm_exc_int3"] = "bp"
	name_of["asm_exc_debug"] = "db"
	name_of["asm_exc_stack_segment"] = "ss"
	name_of["asm_exc_segment_not_present"] = "np"
	name_of["asm_exc_nmi"] = "nmi"
	name_of["asm_exc_double_fault"] = "df"
	name_of["asm_exc_machine_check"] = "mce"
	name_of["asm_sysvec_apic_timer_interrupt"] = "timer"
	name_of["asm_sysvec_reschedule_ipi"] = "reschedule"
	name_of["asm_sysvec_call_function"] = "call_many"
	name_of["asm_sysvec_call_function_single"] = "call_single"
	name_of["asm_sysvec_irq_work"] = "irq_work"
	name_of["irq_entries_start"] = "device"
	name_of["ret_from_fork_asm"] = "clone"
}

FNR == 1 { file++ }

file == 1 {
	if ($2 ~ /^[tT]$/) {
		symbols++
		symbol_at[symbols] = "x" $1
		symbol_name[symbols] = $3
	}
	next
}

file == 2 && $1 == "area" {
	# What of the vmalloc area is not one of the others.
	name = $2 == "vmalloc" ? "other_vmalloc" : $2
	areas[name]++
	first[name, areas[name]] = "x" $3
	last[name, areas[name]] = "x" $4
}

# Of the task, and of those that it made.
file == 2 && $1 == "stack" {
	areas["own_stack"]++
	first["own_stack", areas["own_stack"]] = "x" $2
	last["own_stack", areas["own_stack"]] = "x" $3
}

file == 2 && $1 == "state" && $2 == cpu {
	state = "x" $3
}

# A line of /proc/vmallocinfo: 0xSTART-0xEND SIZE OWNER ...
file == 2 && $1 == "area_of" && split($2, part, "-") == 2 {
	owners++
	owner_first[owners] = "x" substr(part[1], 3)
	owner_end[owners] = "x" substr(part[2], 3)
	owner_name[owners] = $4
}

file == 2 { next }

function region(addr,    i, k) {
	if (addr < "x8")
		return "user"
	for (i = 1; i <= regions; i++)
		for (k = 1; k <= areas[region_of[i]]; k++)
			if (addr >= first[region_of[i], k] && addr <= last[region_of[i], k])
				return region_of[i]
	return "unknown"
}

# The LDT has no area of its own in which to look for it, but an owner. With PTI off iret
# reads it there.
function region_of_data(addr, by, zone,    where) {
	where = region(addr)
	return where == "other_vmalloc" && pti == "off" && zone == "leave" && by ~ /^native_irq_return_iret\+/ && \
		owner(addr) ~ /^alloc_ldt_struct\+/ ? "ldt" : where
}

function owner(addr,    i) {
	for (i = 1; i <= owners; i++)
		if (addr >= owner_first[i] && addr < owner_end[i])
			return owner_name[i]
	return "unknown"
}

function symbol(addr,    a, b, m) {
	if (addr in symbol_cache)
		return symbol_cache[addr]
	a = 1
	b = symbols + 1
	while (b - a > 1) {
		m = int((a + b) / 2)
		if (symbol_at[m] <= addr)
			a = m
		else
			b = m
	}
	# Of several names for one address the first that is no marker of a section.
	while (a > 1 && symbol_at[a - 1] == symbol_at[a])
		a--
	while (symbol_name[a] ~ /^__/ && a < symbols && symbol_at[a + 1] == symbol_at[a])
		a++
	return symbol_cache[addr] = sprintf("%s+0x%x", symbol_name[a], low(addr) - low(symbol_at[a]))
}

function violation(id, count, text) {
	print "violation", pti, type_of[id], count, text
}

$1 == "type" && $2 == cpu {
	id = $3
	type = $5 != "-" ? $5 : $4 in name_of ? name_of[$4] : $4
	sub(/^asm_(exc|sysvec)_/, "", type)
	if ($6 == "iret")
		type = type "_on_iret"
	else if ($6 != "user")
		type = type "_" $6
	else if (type == "nmi")
		type = "nmi_user"
	type_of[id] = type
	has_add[id] = $6 !~ /^(add_to_flush|flush_to_clear)$/
	windows[id] = $7
	exits[id] = $9
	print "type", pti, type, $7, $8, $9, $10, $11, kind
}

$1 == "insn" && $2 == cpu {
	where = region("x" $5)
	print "region", pti, type_of[$3], $4, where, $8, "fetch"
	if (where != "kernel_text")
		violation($3, $8, "instruction at " $5 " in region " where)
}

$1 == "data" && $2 == cpu {
	where = region_of_data("x" $6, symbol("x" $5), $4)
	print "region", pti, type_of[$3], $4, where, $8, "data"
	if ("x" $6 == state && $7 == "w")
		touched[$3, $4] += $8
	whose = where == "own_stack" ? "the_task's_own_stack," owner("x" $6) : \
		where == "percpu" && region_is_vmalloc("x" $6) ? "first_per-CPU_chunk" : \
		where == "other_vmalloc" || where == "ldt" ? owner("x" $6) : ""
	if (whose != "")
		print "vmalloc", pti, type_of[$3], $4, symbol("x" $5), $6, whose, $8
	if (!(where in allowed) || (where == "ldt_of_pti" && pti == "off"))
		violation($3, $8, symbol("x" $5) " touches " $6 " in region " where (whose != "" ? " of " whose : "") " (" $4 " window)")
}

# Whether a per-CPU address lies in the vmalloc area: with percpu_alloc=page.
function region_is_vmalloc(addr) {
	return addr >= first["other_vmalloc", 1] && addr <= last["other_vmalloc", 1]
}

$1 == "error" && $2 == cpu {
	text = $0
	sub(/^error [0-9]+ [0-9]+ [0-9a-f]+ [0-9]+ /, "", text)
	violation($3, $5, text ": " symbol("x" $4))
}

$1 == "end" { complete = 1 }

END {
	if (!complete || !state || !symbols) {
		print "no end, no state word, or no symbols" >"/dev/stderr"
		exit 1
	}
	# The flush points were found in the kernel's text. Here is what they really touch.
	for (id in type_of) {
		if (has_add[id] && touched[id, "enter"] < windows[id])
			violation(id, windows[id] - touched[id, "enter"], "ways in without a change of the state word at " state)
		if (touched[id, "leave"] < exits[id])
			violation(id, exits[id] - touched[id, "leave"], "ways out without a change of the state word at " state)
	}
}
