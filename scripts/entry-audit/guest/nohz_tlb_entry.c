// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the entry audit that needs kernel code, on any kernel, with or without
 * the series. In the debugfs folder nohz_tlb_entry:
 *
 * facts  Reads what lies where in the address space, as lines
 *            area NAME START END          the end belongs to the area
 *            stack START END              the reading task's
 *            percpu CPU OFFSET            of the static per-CPU data
 *            state CPU ADDRESS            the context tracking state word
 * send   Writing "KIND CPU N" sends a CPU N interrupts of that kind, each after the one
 *        before had time to be handled: reschedule, call_single, call_many (to all
 *        other CPUs), irq_work, or timer, which the CPU's own timer brings. A fourth word
 *        is the time between two timers, in microseconds.
 */
#include <linux/completion.h>
#include <linux/context_tracking.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include <asm/apic.h>
#include <asm/cpu_entry_area.h>
#include <asm/fixmap.h>
#include <asm/irq_vectors.h>
#include <asm/page.h>
#include <asm/pgtable.h>

#define PERIOD_US	300
#define MAX_SENT	100000
#define MAX_PERIOD_US	1000000

static struct hrtimer timer;
static unsigned int timer_left, timer_us;
static DECLARE_COMPLETION(timer_done);
static DEFINE_MUTEX(send_mutex);
static struct dentry *dir;

static void show_area(struct seq_file *m, const char *name, unsigned long start,
		      unsigned long end)
{
	seq_printf(m, "area %s %016lx %016lx\n", name, start, end);
}

static int facts_show(struct seq_file *m, void *unused)
{
	unsigned long stack = (unsigned long)task_stack_page(current);
	int cpu;

	show_area(m, "vmalloc", VMALLOC_START, VMALLOC_END);
	show_area(m, "direct_map", PAGE_OFFSET, (unsigned long)high_memory - 1);
	show_area(m, "module", MODULES_VADDR, MODULES_END - 1);
	show_area(m, "vmemmap", VMEMMAP_START,
		  (unsigned long)virt_to_page(high_memory - 1) + sizeof(struct page) - 1);
	show_area(m, "cpu_entry_area", CPU_ENTRY_AREA_BASE,
		  CPU_ENTRY_AREA_BASE + CPU_ENTRY_AREA_MAP_SIZE - 1);
	show_area(m, "fixmap", FIXADDR_START, FIXADDR_TOP - 1);
#ifdef CONFIG_X86_ESPFIX64
	show_area(m, "espfix", ESPFIX_BASE_ADDR, ESPFIX_BASE_ADDR + P4D_SIZE - 1);
#endif
#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
	show_area(m, "ldt_of_pti", LDT_BASE_ADDR, LDT_END_ADDR - 1);
#endif
	seq_printf(m, "stack %016lx %016lx\n", stack, stack + THREAD_SIZE - 1);
	for_each_online_cpu(cpu) {
		seq_printf(m, "percpu %d %016lx\n", cpu, per_cpu_offset(cpu));
		seq_printf(m, "state %d %016lx\n", cpu,
			   (unsigned long)&per_cpu_ptr(&context_tracking, cpu)->state);
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(facts);

static void nothing(void *info)
{
}

static enum hrtimer_restart timer_fn(struct hrtimer *unused)
{
	if (!--timer_left) {
		complete(&timer_done);
		return HRTIMER_NORESTART;
	}
	hrtimer_forward_now(&timer, us_to_ktime(timer_us));

	return HRTIMER_RESTART;
}

static void timer_start(void *info)
{
	hrtimer_start(&timer, us_to_ktime(timer_us), HRTIMER_MODE_REL_PINNED_HARD);
}

/* The timer has to be started on its CPU, and goes off again by itself. */
static int send_timers(int cpu, unsigned int nr, unsigned int us)
{
	int err;

	timer_left = nr;
	timer_us = us;
	reinit_completion(&timer_done);
	err = smp_call_function_single(cpu, timer_start, NULL, true);
	if (!err)
		wait_for_completion(&timer_done);

	return err;
}

static int send_one(const char *kind, int cpu)
{
	if (!strcmp(kind, "reschedule"))
		__apic_send_IPI_mask(cpumask_of(cpu), RESCHEDULE_VECTOR);
	else if (!strcmp(kind, "irq_work"))
		__apic_send_IPI_mask(cpumask_of(cpu), IRQ_WORK_VECTOR);
	else if (!strcmp(kind, "call_single"))
		return smp_call_function_single(cpu, nothing, NULL, true);
	else if (!strcmp(kind, "call_many"))
		smp_call_function(nothing, NULL, true);
	else
		return -EINVAL;

	return 0;
}

static ssize_t send_write(struct file *file, const char __user *ubuf, size_t count,
			  loff_t *ppos)
{
	char text[48] = "", kind[16];
	unsigned int cpu, nr, us = PERIOD_US;
	int err = 0;

	if (count >= sizeof(text) || copy_from_user(text, ubuf, count))
		return -EINVAL;
	if (sscanf(text, "%15s %u %u %u", kind, &cpu, &nr, &us) < 3 || cpu >= nr_cpu_ids ||
	    !cpu_online(cpu) || !nr || nr > MAX_SENT || !us || us > MAX_PERIOD_US)
		return -EINVAL;

	guard(mutex)(&send_mutex);

	if (!strcmp(kind, "timer")) {
		err = send_timers(cpu, nr, us);
	} else {
		while (nr-- && !err) {
			err = send_one(kind, cpu);
			usleep_range(PERIOD_US, 2 * PERIOD_US);
		}
	}

	return err ?: count;
}

static const struct file_operations send_fops = {
	.owner	= THIS_MODULE,
	.write	= send_write,
	.llseek	= noop_llseek,
};

static int __init nohz_tlb_entry_init(void)
{
	hrtimer_setup(&timer, timer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	dir = debugfs_create_dir("nohz_tlb_entry", NULL);
	debugfs_create_file("facts", 0400, dir, NULL, &facts_fops);
	debugfs_create_file("send", 0200, dir, NULL, &send_fops);

	return 0;
}
module_init(nohz_tlb_entry_init);

static void __exit nohz_tlb_entry_exit(void)
{
	debugfs_remove(dir);
	hrtimer_cancel(&timer);
}
module_exit(nohz_tlb_entry_exit);

MODULE_DESCRIPTION("Kernel side of the entry audit of nohz_tlb");
MODULE_LICENSE("GPL");
