// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways for a CPU to enter the kernel.
 *
 * event           Writing CPU * 16 + E arms event E, see enum test_event in
 *                 nohz_tlb_test.h: the CPU reads the window when the event happens to it
 *                 next, in the kernel and before the entry that brought the event
 *                 returns. Gives what it read, or -EAGAIN if that is yet to come.
 *                 Interrupts and NMIs are sent by the write, or by trigger.
 * trigger         Any number brings about the armed event, if it is an interrupt
 *                 or an NMI.
 * breakpoint      Writing an address sets a hardware breakpoint for the writer, hit
 *                 by writes to that address.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/hw_breakpoint.h>
#include <linux/nmi.h>
#include <linux/perf_event.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/nmi.h>

#include "nohz_tlb_test.h"
#include "nohz_tlb_test_part.h"

#define TIMER_DELAY		(50 * NSEC_PER_MSEC)
#define MAX_BREAKPOINTS		64

static enum test_event event_armed;
static unsigned int event_cpu;
static u64 event_value;
static struct hrtimer event_timer;

static struct perf_event *breakpoints[MAX_BREAKPOINTS];
static atomic_t nr_breakpoints = ATOMIC_INIT(0);

/* The armed event has happened to this CPU, if it is the one. */
static bool event_happened(enum test_event event)
{
	/* Pairs with the release in event_set(): event_cpu belongs to the event. */
	if (smp_load_acquire(&event_armed) != event || raw_smp_processor_id() != event_cpu)
		return false;

	WRITE_ONCE(event_value, window_read());
	/* Pairs with the acquire in event_get(): the value comes first. */
	smp_store_release(&event_armed, EVENT_NONE);

	return true;
}

static void page_fault_probe(void *data, unsigned long address, struct pt_regs *regs,
			     unsigned long error_code)
{
	event_happened(EVENT_PAGE_FAULT);
}

static void signal_probe(void *data, int sig, struct kernel_siginfo *info,
			 struct task_struct *task, int group, int result)
{
	event_happened(EVENT_SIGNAL);
}

static void user_exit_probe(void *data, int dummy)
{
	event_happened(EVENT_ENTRY);
}

static void reschedule_probe(void *data, int vector)
{
	event_happened(EVENT_RESCHEDULE);
}

static void event_call(void *info)
{
	event_happened(EVENT_CALL);
}

static int test_nmi(unsigned int type, struct pt_regs *regs)
{
	return event_happened(EVENT_NMI) ? NMI_HANDLED : NMI_DONE;
}

static enum hrtimer_restart event_timer_fn(struct hrtimer *timer)
{
	event_happened(EVENT_TIMER);
	return HRTIMER_NORESTART;
}

static void event_timer_start(void *info)
{
	hrtimer_start(&event_timer, TIMER_DELAY, HRTIMER_MODE_REL_PINNED_HARD);
}

static int event_set(u64 val)
{
	unsigned int cpu = val >> EVENT_CPU_SHIFT;
	enum test_event event = val & (BIT(EVENT_CPU_SHIFT) - 1);

	if (event == EVENT_NONE || event >= NR_EVENTS || cpu >= nr_cpu_ids ||
	    !cpu_online(cpu))
		return -EINVAL;

	event_cpu = cpu;
	/* Pairs with the acquire in event_happened(): event_cpu comes first. */
	smp_store_release(&event_armed, event);

	/* The timer has to be started on its CPU, so it is the first to enter. */
	if (event == EVENT_TIMER)
		return smp_call_function_single(cpu, event_timer_start, NULL, true);

	return 0;
}

static int event_get(u64 *val)
{
	/* Pairs with the release in event_happened(). */
	if (smp_load_acquire(&event_armed) != EVENT_NONE)
		return -EAGAIN;

	*val = READ_ONCE(event_value);
	return 0;
}

static int trigger_set(u64 val)
{
	switch (READ_ONCE(event_armed)) {
	case EVENT_RESCHEDULE:
		arch_smp_send_reschedule(event_cpu);
		break;
	case EVENT_CALL:
		return smp_call_function_single(event_cpu, event_call, NULL, true);
	case EVENT_NMI:
		__apic_send_IPI_mask(cpumask_of(event_cpu), NMI_VECTOR);
		break;
	default:
		break;
	}

	return 0;
}

static void breakpoint_hit(struct perf_event *bp, struct perf_sample_data *data,
			   struct pt_regs *regs)
{
	event_happened(EVENT_BREAKPOINT);
}

static int breakpoint_set(u64 addr)
{
	int nr = atomic_inc_return(&nr_breakpoints) - 1;
	struct perf_event_attr attr;
	struct perf_event *bp;

	if (nr >= MAX_BREAKPOINTS)
		return -ENOSPC;

	hw_breakpoint_init(&attr);
	attr.bp_addr = addr;
	attr.bp_len = HW_BREAKPOINT_LEN_8;
	attr.bp_type = HW_BREAKPOINT_W;
	bp = register_user_hw_breakpoint(&attr, breakpoint_hit, NULL, current);
	if (IS_ERR(bp))
		return PTR_ERR(bp);

	breakpoints[nr] = bp;
	return 0;
}

static int event_init(void)
{
	hrtimer_setup(&event_timer, event_timer_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);

	return register_nmi_handler(NMI_LOCAL, test_nmi, 0, "nohz_tlb_test");
}

static void event_exit(void)
{
	int i;

	unregister_nmi_handler(NMI_LOCAL, "nohz_tlb_test");
	hrtimer_cancel(&event_timer);
	for (i = 0; i < MAX_BREAKPOINTS; i++) {
		if (breakpoints[i])
			unregister_hw_breakpoint(breakpoints[i]);
	}
}

static const struct test_file event_files[] = {
	{ .name = "event",		.get = event_get, .set = event_set },
	{ .name = "trigger",		.set = trigger_set },
	{ .name = "breakpoint",		.set = breakpoint_set },
	{ }
};

static struct test_probe event_probes[] = {
	{ .name = "page_fault_user",	.probe = page_fault_probe },
	{ .name = "signal_generate",	.probe = signal_probe },
	{ .name = "reschedule_entry",	.probe = reschedule_probe },
	{ .name = "user_exit",		.probe = user_exit_probe },
	{ }
};

const struct test_part event_part = {
	.files	= event_files,
	.probes	= event_probes,
	.init	= event_init,
	.exit	= event_exit,
};
