# SPDX-License-Identifier: GPL-2.0
# Counts what trace-cmd report says of calls to isolated CPUs, with a stack each: lines of
# @call COUNT CPU FUNCTION CAUSE and @ipi COUNT. Needs frames.awk.

# A call chain ends here. Two names of it say enough.
function end_stack() {
	if (what != "")
		calls[target " " what " " (chain == "" ? "unknown" : chain)]++
	what = ""
}

# A call whose stack never came: it counts all the same.
function end_call(cpu) {
	if (func_of[cpu] != "")
		calls[to[cpu] " " func_of[cpu] " unknown"]++
	func_of[cpu] = ""
}

# Of two CPUs that send at the same time the stack may come behind the other's event.
function sender(line) {
	match(line, /\[[0-9]+\]/)
	return substr(line, RSTART + 1, RLENGTH - 2) + 0
}

/: csd_queue_cpu: / {
	end_stack()
	end_call(sender($0))
	match($0, /cpu=[0-9]+/)
	to[sender($0)] = substr($0, RSTART + 4, RLENGTH - 4)
	match($0, /func=[^ ]+/)
	func_of[sender($0)] = substr($0, RSTART + 5, RLENGTH - 5)
	next
}
/: ipi_send_cpu(mask)?: / {
	end_stack()
	ipis++
	end_call(sender($0))
	next
}
/: kernel_stack: / {
	end_stack()
	# That of an IPI has no call.
	what = func_of[sender($0)]
	target = to[sender($0)]
	func_of[sender($0)] = chain = ""
	frames = 0
	next
}
/^=> / {
	if (what == "" || frames > 1 || is_plumbing($2))
		next
	chain = chain (frames++ ? "<" : "") $2
}
END {
	end_stack()
	for (i in func_of)
		end_call(i)
	for (i in calls)
		print "@call", calls[i], i
	print "@ipi", ipis + 0
}
