// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of the tests in tools/testing/selftests/nohz_tlb: puts the files of
 * all parts into the debugfs folder nohz_tlb_test. Each part says what its files do.
 * Those here are
 *
 * cpus            A line for each CPU: its number, whether a flush is pending there, how
 *                 many it has done for others, and how many were left to it since
 *                 the module came.
 * tracks_all      Reads 1 if the context of all CPUs is tracked, and not only of those
 *                 in nohz_full=.
 * debug_pagealloc Reads 1 if each vfree() and the like flushes by itself.
 * kasan_vmalloc   Reads 1 if each purge also flushes, immediately, what KASAN unmaps.
 * unmap_aliases   Any number calls vm_unmap_aliases().
 * drain_only      Any number calls flush_tlb_kernel_drain().
 * drain           Any number calls both, so that nothing waits and nothing is pending.
 */
#include <linux/atomic.h>
#include <linux/context_tracking.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "nohz_tlb_test_part.h"

static const struct test_part * const test_parts[] = {
	&cpus_part,
	&window_part,
	&vmap_part,
	&event_part,
	&wait_part,
	&nmi_part,
};

static struct dentry *test_dir;
static unsigned int nr_parts;

static DEFINE_PER_CPU(atomic_long_t, nr_left);

/* The kernel's own is there at boot only. */
int test_left_alloc(struct flush_tlb_left *left)
{
	left->nr_flushes = kcalloc(nr_cpu_ids, sizeof(*left->nr_flushes), GFP_KERNEL);
	if (!left->nr_flushes || !zalloc_cpumask_var(&left->cpus, GFP_KERNEL) ||
	    !zalloc_cpumask_var(&left->others, GFP_KERNEL))
		return -ENOMEM;

	return 0;
}

void test_left_free(struct flush_tlb_left *left)
{
	free_cpumask_var(left->others);
	free_cpumask_var(left->cpus);
	kfree(left->nr_flushes);
}

bool test_is_pending(unsigned int cpu)
{
	return atomic_read(&per_cpu(context_tracking, cpu).state) & CT_TLB_FLUSH_PENDING;
}

unsigned long test_nr_flushes(unsigned int cpu)
{
	return READ_ONCE(per_cpu(context_tracking, cpu).nr_tlb_flushes);
}

static void defer_probe(void *data, unsigned long start, unsigned long end,
			const struct cpumask *left, unsigned int interrupted,
			enum tlb_leave_reason why)
{
	unsigned int cpu;

	for_each_cpu(cpu, left)
		atomic_long_inc(per_cpu_ptr(&nr_left, cpu));
}

static int cpus_show(struct seq_file *m, void *unused)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		seq_printf(m, "%u %d %lu %ld\n", cpu, test_is_pending(cpu),
			   test_nr_flushes(cpu), atomic_long_read(per_cpu_ptr(&nr_left, cpu)));

	return 0;
}

static int tracks_all_get(u64 *val)
{
	*val = IS_ENABLED(CONFIG_CONTEXT_TRACKING_USER_FORCE);
	return 0;
}

/* If so, free_unmap_vmap_area() and vb_free() in mm/vmalloc.c flush at once. */
static int debug_pagealloc_get(u64 *val)
{
	*val = debug_pagealloc_enabled();
	return 0;
}

/* If so, kasan_release_vmalloc() flushes. */
static int kasan_vmalloc_get(u64 *val)
{
	*val = IS_ENABLED(CONFIG_KASAN_VMALLOC);
	return 0;
}

static int unmap_aliases_set(u64 val)
{
	vm_unmap_aliases();
	return 0;
}

static int drain_only_set(u64 val)
{
	flush_tlb_kernel_drain();
	return 0;
}

/* The first drains only if something waits, and the tests leave flushes of their own. */
static int drain_set(u64 val)
{
	unmap_aliases_set(val);
	return drain_only_set(val);
}

static const struct test_file cpus_files[] = {
	{ .name = "cpus",		.show = cpus_show },
	{ .name = "tracks_all",		.get = tracks_all_get },
	{ .name = "debug_pagealloc",	.get = debug_pagealloc_get },
	{ .name = "kasan_vmalloc",	.get = kasan_vmalloc_get },
	{ .name = "unmap_aliases",	.set = unmap_aliases_set },
	{ .name = "drain_only",		.set = drain_only_set },
	{ .name = "drain",		.set = drain_set },
	{ }
};

static struct test_probe cpus_probes[] = {
	{ .name = "nohz_tlb_defer",	.probe = defer_probe },
	{ }
};

const struct test_part cpus_part = {
	.files	= cpus_files,
	.probes	= cpus_probes,
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

static int test_show_open(struct inode *inode, struct file *file)
{
	const struct test_file *test = inode->i_private;

	return single_open(file, test->show, NULL);
}

static const struct file_operations test_show_fops = {
	.owner		= THIS_MODULE,
	.open		= test_show_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	struct test_probe *probe = data;

	if (!strcmp(tp->name, probe->name))
		probe->tracepoint = tp;
}

static void unregister_probes(struct test_probe *probe)
{
	for (; probe && probe->name; probe++) {
		if (probe->registered)
			tracepoint_probe_unregister(probe->tracepoint, probe->probe, NULL);
		probe->registered = false;
	}
	tracepoint_synchronize_unregister();
}

static int register_probes(struct test_probe *probe)
{
	int err;

	for (; probe && probe->name; probe++) {
		for_each_kernel_tracepoint(find_tracepoint, probe);
		if (!probe->tracepoint) {
			pr_err("nohz_tlb_test: there is no tracepoint %s\n", probe->name);
			return -EOPNOTSUPP;
		}
		err = tracepoint_probe_register(probe->tracepoint, probe->probe, NULL);
		if (err)
			return err;
		probe->registered = true;
	}

	return 0;
}

static void create_files(const struct test_file *file)
{
	for (; file && file->name; file++)
		debugfs_create_file(file->name, 0600, test_dir, (void *)file,
				    file->show ? &test_show_fops : &test_fops);
}

static void __nohz_tlb_test_exit(void)
{
	debugfs_remove(test_dir);
	while (nr_parts--) {
		unregister_probes(test_parts[nr_parts]->probes);
		if (test_parts[nr_parts]->exit)
			test_parts[nr_parts]->exit();
	}
	/* Leave no stale translation. */
	drain_set(1);
}

static int __init nohz_tlb_test_init(void)
{
	const struct test_part *part;
	int err = 0;

	test_dir = debugfs_create_dir("nohz_tlb_test", NULL);
	while (!err && nr_parts < ARRAY_SIZE(test_parts)) {
		part = test_parts[nr_parts];
		if (part->init)
			err = part->init();
		if (err)
			break;
		nr_parts++;
		err = register_probes(part->probes);
		if (!err)
			create_files(part->files);
	}
	if (err)
		__nohz_tlb_test_exit();

	return err;
}
module_init(nohz_tlb_test_init);

static void __exit nohz_tlb_test_exit(void)
{
	__nohz_tlb_test_exit();
}
module_exit(nohz_tlb_test_exit);

MODULE_DESCRIPTION("Kernel side of the nohz_tlb selftests");
MODULE_LICENSE("GPL");
