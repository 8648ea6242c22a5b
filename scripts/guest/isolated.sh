# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034 # set for the jobs that source this
# What the guests of scripts/run and scripts/bench share: the machine set up as isolated
# CPUs are, and the loads that make kernel-range flushes. What is said goes to descriptor 3.

debug=/sys/kernel/debug
purges=$debug/nohz_tlb_run/purges
aliases=$debug/nohz_tlb_run/aliases
flushed=$debug/nohz_tlb_run/flushed
switch=$debug/x86/nohz_tlb
limit=$debug/x86/nohz_tlb_wait
exec 3>/dev/ttyS1

fail()
{
	echo "@error $*" >&3
	echo "job: $*"
	exit 1
}

# A list of CPUs such as 1,4-6 as words.
expand()
{
	echo "$1" | tr , '\n' | while IFS=- read -r first last; do
		seq "$first" "${last:-$first}"
	done
}

# Sets isolated, cpus (the same as words) and keeping, the others.
isolate()
{
	isolated=$(cat /sys/devices/system/cpu/nohz_full)
	case $isolated in
	[0-9]*) ;;
	*) fail "no CPU is isolated in the guest: ISOL= is empty, or the kernel lacks NO_HZ_FULL" ;;
	esac
	cpus=$(expand "$isolated")
	online=$(expand "$(cat /sys/devices/system/cpu/online)")
	for cpu in $cpus; do
		echo "$online" | grep -qx "$cpu" || fail "isolated CPU $cpu is not online"
	done
	keeping=
	for cpu in $online; do
		echo "$cpus" | grep -qx "$cpu" || keeping=$keeping${keeping:+,}$cpu
	done
	[ -n "$keeping" ] || fail "no CPU is left for the loads"

	# What the administrator of isolated CPUs does: tasks and device interrupts go to
	# the others, and the kernel sums up its memory statistics seldom (it does so by a
	# work item on each CPU, the isolated ones too).
	taskset -pc "$keeping" $$ >/dev/null || fail "cannot set the CPU affinity"
	for irq in /proc/irq/*/smp_affinity_list; do
		echo "$keeping" >"$irq" 2>/dev/null
	done
	echo 3600 >/proc/sys/vm/stat_interval || fail "cannot set vm.stat_interval"

	insmod /run/nohz_tlb_run.ko || fail "the module that makes purges does not load"
	# The first load of a module talks on the console; that is no part of a load.
	if ! insmod /run/nohz_tlb_empty.ko || ! rmmod nohz_tlb_empty; then
		fail "the empty module does not load"
	fi
}

# load_of NAME: says how much it did.
load_of()
{
	case $1 in
	vmalloc) echo 1000 >"$purges" && echo "1000 purges asked for" ;;
	threads) /run/loads threads 3 20 "$purges" ;;
	modules) /run/loads modules 20 /run/nohz_tlb_empty.ko nohz_tlb_empty ;;
	bpf) /run/loads bpf 200 ;;
	esac
}
