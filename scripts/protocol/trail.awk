# SPDX-License-Identifier: GPL-2.0
# usage: awk -f trail.awk nohz_tlb.pml TRAIL
# What `spin -t -p -g` prints, as one line for each step and inline: the process, the
# inline that the step is in, and what changed there.

# Which inline or process of the model each of its lines belongs to.
FNR == NR {
	if (/^(inline|proctype) /) {
		name = $2
		sub(/\(.*/, "", name)
	}
	at[FNR] = name
	next
}

function flush_step()
{
	if (changed != "" || where != printed)
		printf "%4d  %-15s %-36s %s\n", ++n, who, where, changed
	printed = where
	changed = ""
}

function change(key, text)
{
	if (key in value ? value[key] == text : text ~ /(= 0|: )$/)
		return
	value[key] = text
	changed = changed (changed ? ", " : "") text
}

# The processes of one kind are numbered from 0 on, as their CPUs and levels are not.
/^Starting / { title[$5] = $2 " " started[$2]++; next }
/^ *[0-9]+:\tproc +[1-9]/ {
	match($0, /proc +[0-9]+/)
	process = substr($0, RSTART + 5, RLENGTH - 5) + 0
	match($0, /pml:[0-9]+/)
	line = substr($0, RSTART + 4, RLENGTH - 4)
	if (running && ($1 != step || process != last || at[line] "()" != where))
		flush_step()
	running = 1
	step = $1
	last = process
	who = title[process]
	where = at[line] "()"
	next
}
!running { next }
/^\t\tqueue/ { sub(/^\t\tqueue [0-9]+ /, ""); change($1, $0); next }
/^\t\tviolated = [^0]/ { sub(/^\t\t/, ""); flush_step(); print "      " $0; exit }
/^\t\t[a-z]/ { sub(/^\t\t/, ""); change($1, $0) }
