// SPDX-License-Identifier: GPL-2.0
/*
 * What scripts/cost asks for flushes with. The kselftests' module has probes where tasks
 * enter the kernel and leave it, whose instructions would be counted. This one has that
 * module's name, because the kernel exports the flush to no other, and of its files in
 * debugfs only
 *
 * flush  Writing N asks for N flushes of a page.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

static void *page;
static struct dentry *dir;

static int flush_set(void *unused, u64 nr)
{
	unsigned long addr = (unsigned long)page;

	while (nr--) {
		flush_tlb_kernel_range_deferrable(addr, addr + PAGE_SIZE);
		cond_resched();
	}

	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(flush_fops, NULL, flush_set, "%llu\n");

static int __init nohz_tlb_test_init(void)
{
	page = vmalloc(PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	dir = debugfs_create_dir("nohz_tlb_test", NULL);
	debugfs_create_file("flush", 0200, dir, NULL, &flush_fops);

	return 0;
}
module_init(nohz_tlb_test_init);

static void __exit nohz_tlb_test_exit(void)
{
	debugfs_remove(dir);
	vfree(page);
}
module_exit(nohz_tlb_test_exit);

MODULE_DESCRIPTION("Requests for deferrable flushes, and nothing else");
MODULE_LICENSE("GPL");
