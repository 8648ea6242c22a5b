// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that is only there to be loaded and unloaded: some text, per-CPU data, a page of
 * data, and a page of data that the kernel frees as soon as the module runs.
 *
 * Loaded with hold=1 it has the next task wait that frees memory of the module
 * area, after the memory was unmapped and before anybody flushed it, until 0 is
 * written to hold. held reads 1 meanwhile.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/tracepoint.h>

#define HOLD_TIMEOUT	(10 * HZ)

static u8 data_page[PAGE_SIZE] = { 1 };
static DEFINE_PER_CPU(int, percpu_number);
static u8 init_data_page[PAGE_SIZE] __initdata = { 1 };

static int hold;
module_param(hold, int, 0600);
MODULE_PARM_DESC(hold, "Have the next task wait that frees memory of the module area");

static int held;
module_param(held, int, 0400);
MODULE_PARM_DESC(held, "Whether a task waits");

static struct tracepoint *free_tracepoint;

/* Called when the area is on the lists that the next purge takes. */
static void free_probe(void *data, unsigned long va_start, unsigned long nr_lazy,
		       unsigned long nr_lazy_max)
{
	unsigned long deadline = jiffies + HOLD_TIMEOUT;

	if (va_start < MODULES_VADDR || !READ_ONCE(hold) || cmpxchg(&held, 0, 1))
		return;

	while (READ_ONCE(hold) && time_before(jiffies, deadline))
		cpu_relax();
	WRITE_ONCE(hold, 0);
	WRITE_ONCE(held, 0);
}

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "free_vmap_area_noflush"))
		free_tracepoint = tp;
}

static int __init nohz_tlb_dummy_init(void)
{
	WRITE_ONCE(data_page[0], READ_ONCE(init_data_page[0]));
	this_cpu_inc(percpu_number);
	if (!hold)
		return 0;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	if (!free_tracepoint)
		return -EOPNOTSUPP;

	return tracepoint_probe_register(free_tracepoint, free_probe, NULL);
}
module_init(nohz_tlb_dummy_init);

static void __exit nohz_tlb_dummy_exit(void)
{
	if (!free_tracepoint)
		return;

	tracepoint_probe_unregister(free_tracepoint, free_probe, NULL);
	tracepoint_synchronize_unregister();
}
module_exit(nohz_tlb_dummy_exit);

MODULE_DESCRIPTION("Something for the nohz_tlb selftests to load and unload");
MODULE_LICENSE("GPL");
