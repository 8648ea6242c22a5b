// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of the tests in tools/testing/selftests/nohz_tlb.
 *
 * Gives user space, in the debugfs folder nohz_tlb_test,
 *
 * window          One page of the vmalloc area, behind which is one of two pages
 *                 that hold the numbers 0 and 1. Reading it makes the CPU read
 *                 the number through the window. Writing the number of a page
 *                 puts that page behind the window, with a deferrable flush.
 * window_noflush  The same without any flush: what a lost flush looks like.
 * hold            Reading it makes the CPU read the window, stay in the kernel
 *                 until somebody writes to release, and read the window again.
 *                 Gives the second number.
 * held            Reads 1 while a CPU is held.
 * release         Any number ends the hold.
 * flush           Writing N makes N deferrable flushes of the window.
 * flush_outside   The same for a range that starts in the vmalloc area and ends
 *                 outside of it.
 * purge           Writing N frees enough vmap areas for N purges past the lazy
 *                 threshold. Reads the number of purges since the module came.
 * huge            Writing N allocates and frees an area of N pages that is mapped by
 *                 large pages, and purges past the lazy threshold. Reads 1 if the
 *                 last such area really was.
 * drain           Any number calls vm_unmap_aliases(), which purges and drains.
 * drain_only      Any number calls flush_tlb_kernel_drain().
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

#define NR_WINDOW_PAGES		2
#define PURGE_AREA_PAGES	512
#define HOLD_TIMEOUT		(10 * HZ)
#define PURGE_TIMEOUT		(10 * HZ)

static struct page *window_pages[NR_WINDOW_PAGES];
static void *window;
static pte_t *window_pte;
static DEFINE_MUTEX(window_mutex);

static struct tracepoint *purge_tracepoint;
static atomic_t nr_purges = ATOMIC_INIT(0);

static bool hold_active;
static bool hold_released;

static bool area_was_huge;

static struct dentry *test_dir;

static int window_get(u64 *val)
{
	*val = READ_ONCE(*(u64 *)window);
	return 0;
}

static int window_map(u64 nr, bool flush)
{
	unsigned long addr = (unsigned long)window;
	pgprot_t prot;

	if (nr >= NR_WINDOW_PAGES)
		return -EINVAL;

	guard(mutex)(&window_mutex);

	/* As a purge does: unmap, flush, and only then use the address again. */
	prot = pte_pgprot(*window_pte);
	set_pte(window_pte, __pte(0));
	if (flush)
		flush_tlb_kernel_range_deferrable(addr, addr + PAGE_SIZE);
	set_pte(window_pte, pfn_pte(page_to_pfn(window_pages[nr]), prot));

	return 0;
}

static int window_set(u64 nr)
{
	return window_map(nr, true);
}

static int window_noflush_set(u64 nr)
{
	return window_map(nr, false);
}

static int hold_get(u64 *val)
{
	unsigned long deadline = jiffies + HOLD_TIMEOUT;
	int err = 0;

	window_get(val);

	WRITE_ONCE(hold_released, false);
	WRITE_ONCE(hold_active, true);
	while (!READ_ONCE(hold_released)) {
		if (time_after(jiffies, deadline)) {
			err = -ETIMEDOUT;
			break;
		}
		cpu_relax();
	}
	WRITE_ONCE(hold_active, false);

	window_get(val);
	return err;
}

static int held_get(u64 *val)
{
	*val = READ_ONCE(hold_active);
	return 0;
}

static int release_set(u64 val)
{
	WRITE_ONCE(hold_released, true);
	return 0;
}

static int flush_range(unsigned long start, unsigned long end, u64 nr)
{
	while (nr--) {
		flush_tlb_kernel_range_deferrable(start, end);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}

	return 0;
}

static int flush_set(u64 nr)
{
	unsigned long addr = (unsigned long)window;

	return flush_range(addr, addr + PAGE_SIZE, nr);
}

static int flush_outside_set(u64 nr)
{
	return flush_range((unsigned long)window, MODULES_END, nr);
}

static void purge_probe(void *data, unsigned long start, unsigned long end,
			unsigned int npurged)
{
	if (npurged)
		atomic_inc(&nr_purges);
}

/* Free areas until the worker has purged them because there are too many. */
static int purge_once(struct page **pages)
{
	unsigned long deadline = jiffies + PURGE_TIMEOUT;
	int before = atomic_read(&nr_purges);
	void *area;

	while (atomic_read(&nr_purges) == before) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;

		area = vmap(pages, PURGE_AREA_PAGES, VM_MAP, PAGE_KERNEL);
		if (!area)
			return -ENOMEM;
		vunmap(area);
		cond_resched();
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
	int err = 0;
	int i;

	pages = kmalloc_array(PURGE_AREA_PAGES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	for (i = 0; i < PURGE_AREA_PAGES; i++)
		pages[i] = window_pages[0];

	while (nr-- && !err)
		err = purge_once(pages);

	kfree(pages);
	return err;
}

static int huge_get(u64 *val)
{
	*val = area_was_huge;
	return 0;
}

static int huge_set(u64 nr)
{
	unsigned int level;
	void *area;

	area = vmalloc_huge_node(nr << PAGE_SHIFT, GFP_KERNEL, NUMA_NO_NODE);
	if (!area)
		return -ENOMEM;

	lookup_address((unsigned long)area, &level);
	area_was_huge = level > PG_LEVEL_4K;
	vfree(area);

	return purge_set(1);
}

static int drain_set(u64 val)
{
	vm_unmap_aliases();
	return 0;
}

static int drain_only_set(u64 val)
{
	flush_tlb_kernel_drain();
	return 0;
}

struct test_file {
	const char *name;
	int (*get)(u64 *val);
	int (*set)(u64 val);
};

static const struct test_file test_files[] = {
	{ .name = "window",		.get = window_get, .set = window_set },
	{ .name = "window_noflush",	.set = window_noflush_set },
	{ .name = "hold",		.get = hold_get },
	{ .name = "held",		.get = held_get },
	{ .name = "release",		.set = release_set },
	{ .name = "flush",		.set = flush_set },
	{ .name = "flush_outside",	.set = flush_outside_set },
	{ .name = "purge",		.get = purge_get, .set = purge_set },
	{ .name = "huge",		.get = huge_get, .set = huge_set },
	{ .name = "drain",		.set = drain_set },
	{ .name = "drain_only",		.set = drain_only_set },
};

static ssize_t test_read(struct file *file, char __user *ubuf, size_t count,
			 loff_t *ppos)
{
	const struct test_file *test = file_inode(file)->i_private;
	char buf[24];
	u64 val;
	int err;

	if (!test->get)
		return -EPERM;

	err = test->get(&val);
	if (err)
		return err;

	return simple_read_from_buffer(ubuf, count, ppos, buf,
				       scnprintf(buf, sizeof(buf), "%llu\n", val));
}

static ssize_t test_write(struct file *file, const char __user *ubuf,
			  size_t count, loff_t *ppos)
{
	const struct test_file *test = file_inode(file)->i_private;
	u64 val;
	int err;

	if (!test->set)
		return -EPERM;

	err = kstrtou64_from_user(ubuf, count, 0, &val);
	if (!err)
		err = test->set(val);

	return err ?: count;
}

static const struct file_operations test_fops = {
	.owner	= THIS_MODULE,
	.read	= test_read,
	.write	= test_write,
	.llseek	= default_llseek,
};

static void find_purge_tracepoint(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "purge_vmap_area_lazy"))
		purge_tracepoint = tp;
}

static void free_window(void)
{
	int i;

	if (window)
		vunmap(window);
	for (i = 0; i < NR_WINDOW_PAGES; i++) {
		if (window_pages[i])
			__free_page(window_pages[i]);
	}
}

static int alloc_window(void)
{
	unsigned int level;
	int i;

	for (i = 0; i < NR_WINDOW_PAGES; i++) {
		window_pages[i] = alloc_page(GFP_KERNEL);
		if (!window_pages[i])
			return -ENOMEM;
		*(u64 *)page_address(window_pages[i]) = i;
	}

	window = vmap(window_pages, 1, VM_MAP, PAGE_KERNEL);
	if (!window)
		return -ENOMEM;

	window_pte = lookup_address((unsigned long)window, &level);
	return window_pte && level == PG_LEVEL_4K ? 0 : -EINVAL;
}

static int __init nohz_tlb_test_init(void)
{
	int err;
	int i;

	for_each_kernel_tracepoint(find_purge_tracepoint, NULL);
	if (!purge_tracepoint)
		return -ENOENT;

	err = alloc_window();
	if (err)
		goto err_window;

	err = tracepoint_probe_register(purge_tracepoint, purge_probe, NULL);
	if (err)
		goto err_window;

	test_dir = debugfs_create_dir("nohz_tlb_test", NULL);
	for (i = 0; i < ARRAY_SIZE(test_files); i++)
		debugfs_create_file(test_files[i].name, 0600, test_dir,
				    (void *)&test_files[i], &test_fops);

	return 0;

err_window:
	free_window();
	return err;
}
module_init(nohz_tlb_test_init);

static void __exit nohz_tlb_test_exit(void)
{
	debugfs_remove(test_dir);
	tracepoint_probe_unregister(purge_tracepoint, purge_probe, NULL);
	tracepoint_synchronize_unregister();
	/* Leave the original page behind the window, and no stale translation. */
	window_map(0, true);
	free_window();
	vm_unmap_aliases();
}
module_exit(nohz_tlb_test_exit);

MODULE_DESCRIPTION("Kernel side of the nohz_tlb selftests");
MODULE_LICENSE("GPL");
