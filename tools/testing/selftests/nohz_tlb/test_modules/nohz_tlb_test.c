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
 * window_move     Any number moves the window to another address, page 0 behind it.
 *                 No CPU may be reading it.
 * hold            Reading it makes the CPU read the window, stay in the kernel
 *                 until somebody writes to release, and read the window again.
 *                 Gives the second number.
 * held            Reads 1 while a CPU is held.
 * release         Any number ends the hold.
 * event           Writing CPU * 16 + E arms event E, see enum test_event in
 *                 nohz_tlb.h: the CPU reads the window when the event happens to it
 *                 next, in the kernel and before the entry that brought the event
 *                 returns. Gives what it read, or -EAGAIN if that is yet to come.
 *                 Interrupts and NMIs are sent by the write, or by trigger.
 * trigger         Any number brings about the armed event, if it is an interrupt
 *                 or an NMI.
 * flush           Writing N makes N deferrable flushes of the window.
 * flush_outside   The same for a range that starts in the vmalloc area and ends
 *                 outside of it.
 * purge           Writing N frees enough vmap areas for N purges past the lazy
 *                 threshold. Reads the number of purges since the module came.
 * huge            Writing N allocates and frees an area of N pages that is mapped by
 *                 large pages, and purges past the lazy threshold. Reads 1 if the
 *                 last such area really was.
 * percpu          Writing N allocates N pages of dynamic per-CPU memory and frees all
 *                 of them but every 16th, so that chunks are reclaimed in part. The
 *                 rest goes with the next write.
 * drain           Any number calls vm_unmap_aliases(), which purges and drains.
 * drain_only      Any number calls flush_tlb_kernel_drain().
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include <asm/apic.h>
#include <asm/tlbflush.h>

#define NR_WINDOW_PAGES		2
#define PURGE_AREA_PAGES	512
#define HOLD_TIMEOUT		(10 * HZ)
#define PURGE_TIMEOUT		(10 * HZ)
#define MAX_PERCPU_PAGES	1024
#define PERCPU_KEEP		16
#define EVENT_CPU_SHIFT		4
#define TIMER_DELAY		(50 * NSEC_PER_MSEC)

static struct page *window_pages[NR_WINDOW_PAGES];
static void *window;
static pte_t *window_pte;
static DEFINE_MUTEX(window_mutex);

/* Numbers as in nohz_tlb.h. */
enum test_event {
	EVENT_NONE,
	EVENT_PAGE_FAULT,
	EVENT_SIGNAL,
	EVENT_RESCHEDULE,
	EVENT_CALL,
	EVENT_TIMER,
	EVENT_NMI,
	NR_EVENTS
};

static enum test_event event_armed;
static unsigned int event_cpu;
static u64 event_value;
static struct hrtimer event_timer;

static atomic_t nr_purges = ATOMIC_INIT(0);

static bool hold_active;
static bool hold_released;

static bool area_was_huge;

static void __percpu *percpu_pages[MAX_PERCPU_PAGES];

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

	/* In one step, so that a CPU may read the window at any time. */
	prot = pte_pgprot(*window_pte);
	set_pte(window_pte, pfn_pte(page_to_pfn(window_pages[nr]), prot));
	if (flush)
		flush_tlb_kernel_range_deferrable(addr, addr + PAGE_SIZE);

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

static int window_open(void)
{
	unsigned int level;
	void *area;

	area = vmap(window_pages, 1, VM_MAP, PAGE_KERNEL);
	if (!area)
		return -ENOMEM;

	/* The old one goes last, so that the new one lies elsewhere. */
	if (window)
		vunmap(window);
	window = area;
	window_pte = lookup_address((unsigned long)window, &level);

	return window_pte && level == PG_LEVEL_4K ? 0 : -EINVAL;
}

static int window_move_set(u64 val)
{
	guard(mutex)(&window_mutex);

	return window_open();
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

/* The armed event has happened to this CPU, if it is the one. */
static bool event_happened(enum test_event event)
{
	/* Pairs with the release in event_set(): event_cpu belongs to the event. */
	if (smp_load_acquire(&event_armed) != event || raw_smp_processor_id() != event_cpu)
		return false;

	WRITE_ONCE(event_value, READ_ONCE(*(u64 *)window));
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

static void reschedule_probe(void *data, int vector)
{
	event_happened(EVENT_RESCHEDULE);
}

static void event_call(void *info)
{
	event_happened(EVENT_CALL);
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

static int event_nmi(unsigned int type, struct pt_regs *regs)
{
	return event_happened(EVENT_NMI) ? NMI_HANDLED : NMI_DONE;
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

static void free_percpu_pages(int keep)
{
	int i;

	for (i = 0; i < MAX_PERCPU_PAGES; i++) {
		if (keep && i % keep == 0)
			continue;
		free_percpu(percpu_pages[i]);
		percpu_pages[i] = NULL;
	}
}

static int percpu_set(u64 nr)
{
	int err = 0;
	u64 i;

	if (nr > MAX_PERCPU_PAGES)
		return -EINVAL;

	free_percpu_pages(0);
	for (i = 0; i < nr && !err; i++) {
		percpu_pages[i] = __alloc_percpu(PAGE_SIZE, PAGE_SIZE);
		if (!percpu_pages[i])
			err = -ENOMEM;
	}
	free_percpu_pages(PERCPU_KEEP);

	return err;
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
	{ .name = "window_move",	.set = window_move_set },
	{ .name = "hold",		.get = hold_get },
	{ .name = "held",		.get = held_get },
	{ .name = "release",		.set = release_set },
	{ .name = "event",		.get = event_get, .set = event_set },
	{ .name = "trigger",		.set = trigger_set },
	{ .name = "flush",		.set = flush_set },
	{ .name = "flush_outside",	.set = flush_outside_set },
	{ .name = "purge",		.get = purge_get, .set = purge_set },
	{ .name = "huge",		.get = huge_get, .set = huge_set },
	{ .name = "percpu",		.set = percpu_set },
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

struct test_probe {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;
	bool registered;
};

static struct test_probe test_probes[] = {
	{ .name = "purge_vmap_area_lazy",	.probe = purge_probe },
	{ .name = "page_fault_user",		.probe = page_fault_probe },
	{ .name = "signal_generate",		.probe = signal_probe },
	{ .name = "reschedule_entry",		.probe = reschedule_probe },
};

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(test_probes); i++) {
		if (!strcmp(tp->name, test_probes[i].name))
			test_probes[i].tracepoint = tp;
	}
}

static void unregister_probes(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(test_probes); i++) {
		if (test_probes[i].registered)
			tracepoint_probe_unregister(test_probes[i].tracepoint,
						    test_probes[i].probe, NULL);
	}
	tracepoint_synchronize_unregister();
}

static int register_probes(void)
{
	int err;
	int i;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(test_probes); i++) {
		if (!test_probes[i].tracepoint) {
			pr_err("nohz_tlb_test: there is no tracepoint %s\n",
			       test_probes[i].name);
			return -EOPNOTSUPP;
		}
		err = tracepoint_probe_register(test_probes[i].tracepoint,
						test_probes[i].probe, NULL);
		if (err)
			return err;
		test_probes[i].registered = true;
	}

	return 0;
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
	int i;

	for (i = 0; i < NR_WINDOW_PAGES; i++) {
		window_pages[i] = alloc_page(GFP_KERNEL);
		if (!window_pages[i])
			return -ENOMEM;
		*(u64 *)page_address(window_pages[i]) = i;
	}

	return window_open();
}

static int __init nohz_tlb_test_init(void)
{
	int err;
	int i;

	hrtimer_setup(&event_timer, event_timer_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);

	err = alloc_window();
	if (err)
		goto err_window;

	err = register_probes();
	if (err)
		goto err_probes;

	err = register_nmi_handler(NMI_LOCAL, event_nmi, 0, "nohz_tlb_test");
	if (err)
		goto err_probes;

	test_dir = debugfs_create_dir("nohz_tlb_test", NULL);
	for (i = 0; i < ARRAY_SIZE(test_files); i++)
		debugfs_create_file(test_files[i].name, 0600, test_dir,
				    (void *)&test_files[i], &test_fops);

	return 0;

err_probes:
	unregister_probes();
err_window:
	free_window();
	return err;
}
module_init(nohz_tlb_test_init);

static void __exit nohz_tlb_test_exit(void)
{
	debugfs_remove(test_dir);
	unregister_nmi_handler(NMI_LOCAL, "nohz_tlb_test");
	unregister_probes();
	hrtimer_cancel(&event_timer);
	free_percpu_pages(0);
	/* Leave the original page behind the window, and no stale translation. */
	window_map(0, true);
	free_window();
	vm_unmap_aliases();
}
module_exit(nohz_tlb_test_exit);

MODULE_DESCRIPTION("Kernel side of the nohz_tlb selftests");
MODULE_LICENSE("GPL");
