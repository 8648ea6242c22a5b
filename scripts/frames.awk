# SPDX-License-Identifier: GPL-2.0
# What scripts/report and scripts/bench know of the functions in a trace.

# The callbacks that flush a TLB at once, or make a CPU do its deferred flush.
function is_flush(what) {
	return what ~ /^(do_kernel_range_flush|do_flush_tlb_all|nohz_tlb_drain_cpu)$/
}

# Of a call chain, what is part of every such call, and says nothing of who made it.
function is_plumbing(name) {
	return name ~ /^(trace_|__trace|ftrace_|event_trigger|smp_call|__smp_call|generic_exec|on_each_cpu|flush_tlb|__flush_tlb|kernel_tlb_flush|vmap_purge_flush|cpa_flush|(__)?change_page_attr_set_clr|irq_work_queue|__irq_work|smp_text_poke|do_raw|tick_nohz_|enqueue_task|ttwu_|try_to_wake_up)/
}
