// SPDX-License-Identifier: GPL-2.0
/*
 * The part of `make run` that needs kernel code: real purges of the vmalloc
 * area, on any kernel, with or without the series.
 *
 * In debugfs nohz_tlb_run:
 *
 * purges   Writing N makes N purges, one after another, the way the kernel itself
 *          makes them: more pages are freed than it may keep lazily, and its worker
 *          purges them. Reading gives the number of purges, of whatever origin, seen
 *          since the module was loaded.
 * aliases  Writing 1 calls vm_unmap_aliases(): afterwards nothing is left to purge,
 *          and no address waits for a flush.
 * flushed  A line "CPU N" for each CPU: how many flushes it has done for others at
 *          its entries to the kernel. There is none in a kernel without the series.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

static DEFINE_MUTEX(purge_lock);
static DECLARE_WAIT_QUEUE_HEAD(purge_wait);
static atomic64_t purges;
static unsigned long own_start, own_end;
static struct tracepoint *purge_tp;
static struct dentry *purge_dir;

/* The kernel keeps this many pages and purges when one more is freed. */
static unsigned long lazy_pages(void)
{
	return fls(num_online_cpus()) * (32UL * 1024 * 1024 / PAGE_SIZE);
}

/* The tracepoint also fires when there was nothing to purge: no flush then. */
static void probe_purge(void *data, unsigned long start, unsigned long end,
			unsigned int npurged)
{
	if (!npurged)
		return;

	atomic64_inc(&purges);
	if (start <= READ_ONCE(own_start) && end >= READ_ONCE(own_end)) {
		WRITE_ONCE(own_start, 0);
		wake_up(&purge_wait);
	}
}

static int purge_once(struct page **pages, unsigned long nr)
{
	void *addr;

	addr = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!addr)
		return -ENOMEM;

	/* Another, smaller purge may come first: wait for the one with this area. */
	WRITE_ONCE(own_end, (unsigned long)addr + nr * PAGE_SIZE);
	WRITE_ONCE(own_start, (unsigned long)addr);
	vunmap(addr);
	if (!wait_event_timeout(purge_wait, !READ_ONCE(own_start), 20 * HZ))
		return -ETIMEDOUT;

	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int purges_set(void *data, u64 val)
{
	unsigned long i, nr = lazy_pages() + 1;
	struct page *page, **pages;
	int ret = -ENOMEM;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;

	/* The same page again and again: addresses count, not memory. */
	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		goto free_page;

	for (i = 0; i < nr; i++)
		pages[i] = page;

	mutex_lock(&purge_lock);
	for (ret = 0; val && !ret; val--) {
		ret = purge_once(pages, nr);
		cond_resched();
	}
	mutex_unlock(&purge_lock);

	kvfree(pages);
free_page:
	__free_page(page);
	return ret;
}

static int purges_get(void *data, u64 *val)
{
	*val = atomic64_read(&purges);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(purges_fops, purges_get, purges_set, "%llu\n");

static int aliases_set(void *data, u64 val)
{
	vm_unmap_aliases();
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(aliases_fops, NULL, aliases_set, "%llu\n");

#ifdef CONFIG_CONTEXT_TRACKING_TLB_FLUSH
static int flushed_show(struct seq_file *m, void *data)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		seq_printf(m, "%d %lu\n", cpu,
			   per_cpu(vm_event_states, cpu).event[NR_TLB_DEFERRED_FLUSH]);
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(flushed);
#endif

/* The tracepoint is not exported, but it can be looked up. */
static void find_purge(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "purge_vmap_area_lazy"))
		purge_tp = tp;
}

static int __init nohz_tlb_run_init(void)
{
	int ret;

	for_each_kernel_tracepoint(find_purge, NULL);
	if (!purge_tp)
		return -ENOENT;

	ret = tracepoint_probe_register(purge_tp, probe_purge, NULL);
	if (ret)
		return ret;

	purge_dir = debugfs_create_dir("nohz_tlb_run", NULL);
	debugfs_create_file_unsafe("purges", 0600, purge_dir, NULL, &purges_fops);
	debugfs_create_file_unsafe("aliases", 0200, purge_dir, NULL, &aliases_fops);
#ifdef CONFIG_CONTEXT_TRACKING_TLB_FLUSH
	debugfs_create_file("flushed", 0400, purge_dir, NULL, &flushed_fops);
#endif
	return 0;
}

static void __exit nohz_tlb_run_exit(void)
{
	debugfs_remove_recursive(purge_dir);
	tracepoint_probe_unregister(purge_tp, probe_purge, NULL);
	tracepoint_synchronize_unregister();
}

module_init(nohz_tlb_run_init);
module_exit(nohz_tlb_run_exit);
MODULE_DESCRIPTION("Real vmalloc purges for the nohz_tlb lab");
MODULE_LICENSE("GPL");
