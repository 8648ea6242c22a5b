// SPDX-License-Identifier: GPL-2.0-only
/*
 * Purges of the vmalloc area, and what frees page tables.
 *
 * purge           Writing N frees enough vmap areas for N purges past the lazy
 *                 threshold, and waits for them. Reads the number of purges since the
 *                 module came that took areas off the lazy lists.
 * small           Writing N maps N times PMD_SIZE by small pages, and unmaps that again if
 *                 N is 0. Reading it makes the CPU read each of these.
 * owing           How many CPUs have read them and still have to do a flush that was left
 *                 to them since.
 * promote         Any number maps large pages, over the addresses that were small before
 *                 if nobody else has them. Reads how many page tables that freed.
 * unclean         How many CPUs were found owing when one of these was about to be freed,
 *                 since small was mapped.
 * text_large      Reads 1 if a large page maps the text of this module. Writing any
 *                 number forgets what the next two have seen.
 * text_freed      Reads 1 if small pages mapped it when another module with per-CPU
 *                 data was being loaded, into the same large page, and their page
 *                 table was freed afterwards.
 * text_missed     How many CPUs had not been interrupted then since the large page was
 *                 back.
 * uncached        Any number makes a page uncached, and cached again.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include <asm/set_memory.h>

#include "nohz_tlb_test_part.h"

#define PURGE_AREA_PAGES	512
#define PURGE_TIMEOUT		(10 * HZ)
#define MAX_SMALL		64

static atomic_t nr_purges = ATOMIC_INIT(0);
static bool purge_queued;
static DEFINE_MUTEX(purge_mutex);

static void *small_area;
static unsigned long small_start;
static unsigned long small_end;
/* Who has read it, and how many flushes these had done then. */
static cpumask_var_t small_readers;
static DEFINE_PER_CPU(unsigned long, small_flushes);

/* The task that maps large pages. */
static struct task_struct *promoter;
static unsigned int nr_promoted;
static unsigned int nr_unclean;

/* The page table of this module's text, while there is one. */
static struct page *text_table;
static bool text_freed;
static unsigned int text_missed;
/* Who was interrupted since the large page was back. */
static cpumask_var_t text_interrupted;

/* An array that holds the same page @nr times, for vmap(). */
struct page **repeat_page(struct page *page, unsigned long nr)
{
	struct page **pages;
	unsigned long i;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	for (i = 0; pages && i < nr; i++)
		pages[i] = page;

	return pages;
}

bool has_page_table(unsigned long addr)
{
	unsigned int level;

	return lookup_address(addr, &level) && level == PG_LEVEL_4K;
}

static void purge_probe(void *data, unsigned long start, unsigned long end,
			unsigned int npurged)
{
	if (npurged)
		atomic_inc(&nr_purges);
}

static void free_probe(void *data, unsigned long va_start, unsigned long nr_lazy,
		       unsigned long nr_lazy_max)
{
	if (nr_lazy > nr_lazy_max)
		WRITE_ONCE(purge_queued, true);
}

/*
 * Free areas until there are too many, and wait for the worker. It finds all of
 * them then, and nothing is left for a next purge.
 */
static int purge_once(struct page **pages)
{
	unsigned long deadline = jiffies + PURGE_TIMEOUT;
	int before = atomic_read(&nr_purges);
	void *area;

	WRITE_ONCE(purge_queued, false);
	while (atomic_read(&nr_purges) == before) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		cond_resched();
		if (READ_ONCE(purge_queued))
			continue;

		area = vmap(pages, PURGE_AREA_PAGES, VM_MAP, PAGE_KERNEL);
		if (!area)
			return -ENOMEM;
		vunmap(area);
	}

	return 0;
}

static int purge_get(u64 *val)
{
	*val = atomic_read(&nr_purges);
	return 0;
}

static int purge_set(u64 nr)
{
	struct page **pages;
	int err;

	pages = repeat_page(window_page(), PURGE_AREA_PAGES);
	if (!pages)
		return -ENOMEM;

	err = mutex_lock_killable(&purge_mutex);
	if (!err) {
		while (nr-- && !err)
			err = purge_once(pages);
		mutex_unlock(&purge_mutex);
	}

	kvfree(pages);
	return err;
}

static int small_map(u64 nr)
{
	struct page **pages;

	pages = repeat_page(window_page(), nr * PTRS_PER_PTE);
	if (!pages)
		return -ENOMEM;

	cpumask_clear(small_readers);
	nr_unclean = 0;
	small_area = vmap(pages, nr * PTRS_PER_PTE, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	if (!small_area)
		return -ENOMEM;

	WRITE_ONCE(small_start, (unsigned long)small_area);
	WRITE_ONCE(small_end, small_start + nr * PMD_SIZE);
	return 0;
}

static int small_set(u64 nr)
{
	if (nr > MAX_SMALL)
		return -EINVAL;

	if (small_area)
		vunmap(small_area);
	small_area = NULL;

	return nr ? small_map(nr) : 0;
}

static int small_get(u64 *val)
{
	unsigned int cpu = get_cpu();
	unsigned long addr;

	*val = 0;
	for (addr = small_start; small_area && addr < small_end; addr += PMD_SIZE) {
		READ_ONCE(*(u64 *)addr);
		++*val;
	}
	per_cpu(small_flushes, cpu) = test_nr_flushes(cpu);
	cpumask_set_cpu(cpu, small_readers);
	put_cpu();

	return 0;
}

/* A flush was left to the CPU since it has read, and it has not done any since. */
static bool small_owes(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, small_readers) && test_is_pending(cpu) &&
	       test_nr_flushes(cpu) == per_cpu(small_flushes, cpu);
}

static int owing_get(u64 *val)
{
	unsigned int cpu;

	*val = 0;
	for_each_online_cpu(cpu)
		*val += small_owes(cpu);
	return 0;
}

static bool text_is_large(void)
{
	return !has_page_table((unsigned long)text_is_large);
}

/* Whether one of the page tables has just been taken out of use. */
static bool small_is_taken(void)
{
	unsigned long addr;
	unsigned int level;

	for (addr = small_start; addr < small_end; addr += PMD_SIZE) {
		if (!lookup_address(addr, &level))
			return true;
	}

	return false;
}

/* pmd_free_pte_page() is about to interrupt every CPU. The TLBs must be clean already. */
static void csd_probe(void *data, const unsigned int cpu, unsigned long callsite,
		      smp_call_func_t func, call_single_data_t *csd)
{
	if (READ_ONCE(promoter) == current && small_is_taken() && small_owes(cpu))
		nr_unclean++;
	if (READ_ONCE(text_table) && text_is_large()) {
		cpumask_set_cpu(cpu, text_interrupted);
		/* It does not interrupt itself. */
		cpumask_set_cpu(raw_smp_processor_id(), text_interrupted);
	}
}

/*
 * Unmapping leaves the page tables, and the next area of that size gets the
 * same addresses if they are free and nobody else was faster.
 */
static int promote_set(u64 val)
{
	unsigned long size = small_end - small_start;
	unsigned long large, addr;

	nr_promoted = 0;
	if (!size || small_area)
		return -EINVAL;

	WRITE_ONCE(promoter, current);
	large = (unsigned long)vmalloc_huge_node(size, GFP_KERNEL, NUMA_NO_NODE);
	WRITE_ONCE(promoter, NULL);
	if (!large)
		return -ENOMEM;

	for (addr = large; addr < large + size; addr += PMD_SIZE) {
		if (addr >= small_start && addr + PMD_SIZE <= small_end &&
		    !has_page_table(addr))
			nr_promoted++;
	}
	vfree((void *)large);

	return 0;
}

static int promote_get(u64 *val)
{
	*val = nr_promoted;
	return 0;
}

static int unclean_get(u64 *val)
{
	*val = nr_unclean;
	return 0;
}

static int text_large_get(u64 *val)
{
	*val = text_is_large();
	return 0;
}

static int text_large_set(u64 val)
{
	WRITE_ONCE(text_table, NULL);
	WRITE_ONCE(text_freed, false);
	text_missed = 0;
	return 0;
}

static int text_freed_get(u64 *val)
{
	*val = READ_ONCE(text_freed);
	return 0;
}

static int text_missed_get(u64 *val)
{
	*val = text_missed;
	return 0;
}

/* While a module is loaded, its text is writable and the large page split. */
static void percpu_probe(void *data, unsigned long call_site, bool reserved,
			 bool is_atomic, size_t size, size_t align, void *base_addr,
			 int off, void __percpu *ptr, size_t bytes_alloc, gfp_t gfp)
{
	unsigned int level;
	pte_t *pte;

	pte = lookup_address((unsigned long)text_is_large, &level);
	if (!pte || level != PG_LEVEL_4K || READ_ONCE(text_freed))
		return;
	cpumask_clear(text_interrupted);
	WRITE_ONCE(text_table, virt_to_page(pte));
}

static void page_free_probe(void *data, struct page *page, unsigned int order)
{
	unsigned int cpu;

	if (page != READ_ONCE(text_table))
		return;

	WRITE_ONCE(text_table, NULL);
	for_each_online_cpu(cpu)
		text_missed += !cpumask_test_cpu(cpu, text_interrupted);
	WRITE_ONCE(text_freed, true);
}

static int uncached_set(u64 val)
{
	unsigned long addr = __get_free_page(GFP_KERNEL);
	int err;

	if (!addr)
		return -ENOMEM;

	err = set_memory_uc(addr, 1);
	if (!err)
		err = set_memory_wb(addr, 1);
	/* Better lost than uncached. */
	if (!err)
		free_page(addr);

	return err;
}

static int vmap_init(void)
{
	if (!zalloc_cpumask_var(&small_readers, GFP_KERNEL))
		return -ENOMEM;
	if (zalloc_cpumask_var(&text_interrupted, GFP_KERNEL))
		return 0;

	free_cpumask_var(small_readers);
	return -ENOMEM;
}

static void vmap_exit(void)
{
	small_set(0);
	free_cpumask_var(text_interrupted);
	free_cpumask_var(small_readers);
}

static const struct test_file vmap_files[] = {
	{ .name = "purge",		.get = purge_get, .set = purge_set },
	{ .name = "small",		.get = small_get, .set = small_set },
	{ .name = "owing",		.get = owing_get },
	{ .name = "promote",		.get = promote_get, .set = promote_set },
	{ .name = "unclean",		.get = unclean_get },
	{ .name = "text_large",		.get = text_large_get, .set = text_large_set },
	{ .name = "text_freed",		.get = text_freed_get },
	{ .name = "text_missed",	.get = text_missed_get },
	{ .name = "uncached",		.set = uncached_set },
	{ }
};

static struct test_probe vmap_probes[] = {
	{ .name = "purge_vmap_area_lazy",	.probe = purge_probe },
	{ .name = "free_vmap_area_noflush",	.probe = free_probe },
	{ .name = "csd_queue_cpu",		.probe = csd_probe },
	{ .name = "percpu_alloc_percpu",	.probe = percpu_probe },
	{ .name = "mm_page_free",		.probe = page_free_probe },
	{ }
};

const struct test_part vmap_part = {
	.files	= vmap_files,
	.probes	= vmap_probes,
	.init	= vmap_init,
	.exit	= vmap_exit,
};
