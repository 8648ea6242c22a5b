// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses that wait for the flushes of CPUs that were left alone.
 *
 * The areas lie in places of their own, far from where others allocate: whether one
 * can be had there says whether the addresses are free.
 *
 * area_place      Writing N moves to place N in the vmalloc area, or to the one in the
 *                 module area, see nohz_tlb_test.h. There must be no area.
 * area            Writing N allocates an area of N pages at the place. May sleep, and
 *                 so purges if there is no room. The first word of the area holds the
 *                 number of areas so far. Reading it makes the CPU read that word
 *                 through the area, or gives -ENOENT if there is none.
 * area_nowait     The same without sleeping: -EBUSY if the addresses are not free.
 * area_number     Reads the number of areas so far.
 * area_free       Any number frees the area. Its first page is kept until the next but
 *                 one is allocated, so that who finds it behind the address is known.
 * area_nmi        Reads what the last NMI of entry has read there, or -ENOENT.
 * pool            Writing N allocates N pages by vmalloc(), which uses the pools of
 *                 the vmap nodes. Reads how many areas were allocated by pool_again
 *                 until one had the same address, or 0.
 * pool_free       Any number frees that area.
 * pool_again      Writing N allocates up to N areas of that size, until one has the
 *                 same address, and frees them.
 * lazy_purge      Writing N frees what N purges need, and waits for each. Reads how
 *                 many pages purges have taken since the module came.
 * lazy_modules    The same with areas of the module area. Reads how many pages there
 *                 are in that.
 * lazy_small      The same with areas of one page. Reads how many areas the last purge
 *                 needed.
 * reset_perms     Any number frees an area with VM_FLUSH_RESET_PERMS, and has its
 *                 addresses purged lazily before its direct map is flushed. Reads 1
 *                 if the last time that was so.
 * ask             Any number leaves a flush to the isolated CPUs that are in user mode.
 * lose            Writing the number of a CPU makes it forget to flush.
 * entry           Writing CPU * 16 + E makes the CPU enter the kernel, see enum
 *                 test_entry. A timer interrupt comes a little later.
 */
#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/context_tracking.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include <asm/apic.h>
#include <asm/tlbflush.h>

#include "nohz_tlb_test.h"
#include "nohz_tlb_test_part.h"

/* The places begin after so many quarters of the vmalloc area. */
#define PLACE_QUARTERS		3
#define PLACE_SIZE		(67 * PAGE_SIZE)
/* So far below the end of the module area, where modules do not come. */
#define PLACE_BELOW_MODULES_END	SZ_64M
#define KEPT_PAGES		2
#define LARGE_PAGES		8192
/* So few that vmalloc() needs no area for their array. */
#define MODULE_PAGES		(PAGE_SIZE / sizeof(struct page *))
#define WAIT_TIMEOUT		(10 * HZ)
#define SPIN_TIMEOUT		(2 * NSEC_PER_SEC)
#define ENTRY_TIMER_DELAY	(400 * NSEC_PER_MSEC)

/* Protects all that the files change. */
static DEFINE_MUTEX(wait_mutex);

static unsigned long area_place;
static unsigned long area_end;
static void *area;
static u64 area_number;
static struct page *kept_pages[KEPT_PAGES];

static void *pool_area;
static unsigned long pool_address;
static unsigned long pool_size;
static u64 pool_tries;

/* What the tracepoints say of the pages that purges take. */
static atomic_t nr_purges_seen = ATOMIC_INIT(0);
static atomic_long_t nr_lazy_seen = ATOMIC_LONG_INIT(0);
static atomic_long_t nr_lazy_max_seen = ATOMIC_LONG_INIT(0);
static atomic_long_t nr_purged_pages = ATOMIC_LONG_INIT(0);
static u64 nr_small_areas;

static struct page **large_pages;

/* The address whose purge reset_perms wants at once, or 0. */
static unsigned long purge_wanted_for;
static bool purge_wanted;
static bool purge_came_between;

static struct flush_tlb_left asked;
static struct hrtimer entry_timer;
static unsigned int nmi_entry_cpu;
static bool nmi_entry_sent;
static s64 nmi_entry_value;

static void free_probe(void *data, unsigned long va_start, unsigned long nr_lazy,
		       unsigned long nr_lazy_max)
{
	unsigned long deadline;
	int before;

	atomic_long_set(&nr_lazy_max_seen, nr_lazy_max);
	/* Another area may go while a purge is under way, and is for the next one. */
	if (nr_lazy > atomic_long_read(&nr_lazy_seen))
		atomic_long_set(&nr_lazy_seen, nr_lazy);
	if (va_start != READ_ONCE(purge_wanted_for))
		return;

	/* Interrupts are on, so that the purge may flush this CPU. */
	before = atomic_read(&nr_purges_seen);
	deadline = ktime_get_ns() + SPIN_TIMEOUT;
	WRITE_ONCE(purge_wanted, true);
	while (atomic_read(&nr_purges_seen) == before && ktime_get_ns() < deadline)
		cpu_relax();
	purge_came_between = atomic_read(&nr_purges_seen) != before;
}

static void purge_probe(void *data, unsigned long start, unsigned long end,
			unsigned int nr_purged)
{
	/* One that only gives back what waited took nothing. */
	if (start >= end || !nr_purged)
		return;

	atomic_long_add(atomic_long_xchg(&nr_lazy_seen, 0), &nr_purged_pages);
	atomic_inc(&nr_purges_seen);
}

/* Has enough been freed for a purge? Nothing else frees much here. */
static bool purge_is_due(void)
{
	return atomic_long_read(&nr_lazy_seen) > atomic_long_read(&nr_lazy_max_seen);
}

static int wait_for_purge(int before)
{
	unsigned long deadline = jiffies + WAIT_TIMEOUT;

	while (atomic_read(&nr_purges_seen) == before) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		cond_resched();
	}

	return 0;
}

static void *range_alloc(unsigned long nr_pages, unsigned long start, unsigned long end,
			 gfp_t gfp, unsigned long flags)
{
	return __vmalloc_node_range(nr_pages << PAGE_SHIFT, 1, start, end,
				    gfp | __GFP_NOWARN, PAGE_KERNEL, flags, NUMA_NO_NODE,
				    __builtin_return_address(0));
}

static void *large_alloc(void)
{
	return vmap(large_pages, LARGE_PAGES, VM_MAP, PAGE_KERNEL);
}

static void *module_alloc_pages(void)
{
	return range_alloc(MODULE_PAGES, MODULES_VADDR, MODULES_END, GFP_KERNEL, 0);
}

/* Frees what @alloc gives until a purge is due, and waits for that. */
static int purge_once(void *(*alloc)(void), void (*release)(const void *))
{
	int before = atomic_read(&nr_purges_seen);
	void *addr;

	do {
		addr = alloc();
		if (!addr)
			return -ENOMEM;
		release(addr);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (atomic_read(&nr_purges_seen) == before && !purge_is_due());

	return wait_for_purge(before);
}

static int purge_times(u64 nr, void *(*alloc)(void), void (*release)(const void *))
{
	int err = 0;

	while (nr-- && !err)
		err = purge_once(alloc, release);

	return err;
}

static int lazy_purge_set(u64 nr)
{
	guard(mutex)(&wait_mutex);

	return purge_times(nr, large_alloc, vunmap);
}

static int lazy_purge_get(u64 *val)
{
	*val = atomic_long_read(&nr_purged_pages);
	return 0;
}

static int lazy_modules_set(u64 nr)
{
	guard(mutex)(&wait_mutex);

	return purge_times(nr, module_alloc_pages, vfree);
}

static int lazy_modules_get(u64 *val)
{
	*val = (MODULES_END - MODULES_VADDR) >> PAGE_SHIFT;
	return 0;
}

static void *small_alloc(void)
{
	nr_small_areas++;
	return vmap(large_pages, 1, VM_MAP, PAGE_KERNEL);
}

static int lazy_small_set(u64 nr)
{
	int err = 0;

	guard(mutex)(&wait_mutex);

	while (nr-- && !err) {
		nr_small_areas = 0;
		err = purge_once(small_alloc, vunmap);
	}

	return err;
}

static int lazy_small_get(u64 *val)
{
	*val = nr_small_areas;
	return 0;
}

static void place_set(unsigned long nr)
{
	if (nr == PLACE_IN_MODULES)
		area_place = MODULES_END - PLACE_BELOW_MODULES_END;
	else
		area_place = VMALLOC_START + (VMALLOC_END - VMALLOC_START) / 4 * PLACE_QUARTERS +
			     nr * PLACE_SIZE;
	area_place = PAGE_ALIGN(area_place);
}

static int area_place_set(u64 nr)
{
	guard(mutex)(&wait_mutex);

	if (area)
		return -EBUSY;
	if (nr > PLACE_IN_MODULES)
		return -EINVAL;

	place_set(nr);
	return 0;
}

static int area_alloc(u64 nr_pages, gfp_t gfp)
{
	struct page *page;
	void *addr;

	if (!nr_pages || nr_pages >= PLACE_SIZE >> PAGE_SHIFT)
		return -EINVAL;

	guard(mutex)(&wait_mutex);

	if (area)
		return -EEXIST;

	/* There is room for the area and its guard page, and no choice. */
	area_end = area_place + ((nr_pages + 1) << PAGE_SHIFT);
	if (gfpflags_allow_blocking(gfp)) {
		addr = range_alloc(nr_pages, area_place, area_end, gfp, 0);
	} else {
		/* Where a sleep would be noticed. */
		guard(rcu)();
		addr = range_alloc(nr_pages, area_place, area_end, gfp, 0);
	}
	if (!addr)
		return -EBUSY;

	/* The translation is for the CPU that is to read it, so not by the address. */
	page = vmalloc_to_page(addr);
	area_number++;
	WRITE_ONCE(*(u64 *)page_address(page), area_number);
	get_page(page);
	swap(page, kept_pages[area_number % KEPT_PAGES]);
	if (page)
		put_page(page);
	/* Pairs with the acquires of who reads it. */
	smp_store_release(&area, addr);

	return 0;
}

static int area_set(u64 nr_pages)
{
	return area_alloc(nr_pages, GFP_KERNEL);
}

static int area_nowait_set(u64 nr_pages)
{
	return area_alloc(nr_pages, GFP_NOWAIT);
}

static s64 area_read(void)
{
	/* Pairs with the release in area_alloc(). */
	u64 *addr = smp_load_acquire(&area);

	return addr ? READ_ONCE(*addr) : -ENOENT;
}

static int area_get(u64 *val)
{
	s64 value = area_read();

	if (value < 0)
		return value;

	*val = value;
	return 0;
}

static int area_number_get(u64 *val)
{
	*val = area_number;
	return 0;
}

static int area_free_set(u64 val)
{
	void *addr;

	guard(mutex)(&wait_mutex);

	addr = area;
	WRITE_ONCE(area, NULL);
	vfree(addr);

	return 0;
}

static int pool_set(u64 nr_pages)
{
	guard(mutex)(&wait_mutex);

	if (pool_area)
		return -EEXIST;

	pool_size = nr_pages << PAGE_SHIFT;
	pool_area = vmalloc(pool_size);
	pool_address = (unsigned long)pool_area;
	pool_tries = 0;

	return pool_area ? 0 : -ENOMEM;
}

static int pool_get(u64 *val)
{
	*val = pool_tries;
	return 0;
}

static int pool_free_set(u64 val)
{
	guard(mutex)(&wait_mutex);

	vfree(pool_area);
	pool_area = NULL;

	return 0;
}

/* All are kept until the end, so that each one has another address. */
static int pool_again_set(u64 nr)
{
	bool found = false;
	void **addrs;
	u64 i;

	guard(mutex)(&wait_mutex);

	addrs = kcalloc(nr, sizeof(*addrs), GFP_KERNEL);
	if (!addrs)
		return -ENOMEM;

	pool_tries = 0;
	for (i = 0; i < nr && !found; i++) {
		addrs[i] = vmalloc(pool_size);
		found = (unsigned long)addrs[i] == pool_address;
	}
	if (found)
		pool_tries = i;
	while (i--)
		vfree(addrs[i]);
	kfree(addrs);

	return 0;
}

/* Wants to run already when it is needed, so it polls. */
static int purge_thread(void *unused)
{
	while (!kthread_should_stop()) {
		if (READ_ONCE(purge_wanted)) {
			WRITE_ONCE(purge_wanted, false);
			purge_once(large_alloc, vunmap);
		}
		cond_resched();
		cpu_relax();
	}

	return 0;
}

static int reset_perms_set(u64 val)
{
	struct task_struct *task;
	void *addr;

	guard(mutex)(&wait_mutex);

	addr = range_alloc(1, VMALLOC_START, VMALLOC_END, GFP_KERNEL, VM_FLUSH_RESET_PERMS);
	if (!addr)
		return -ENOMEM;

	purge_came_between = false;
	purge_wanted = false;
	task = kthread_run(purge_thread, NULL, "nohz_tlb_purge");
	if (!IS_ERR(task))
		WRITE_ONCE(purge_wanted_for, (unsigned long)addr);
	vfree(addr);
	WRITE_ONCE(purge_wanted_for, 0);
	if (IS_ERR(task))
		return PTR_ERR(task);

	kthread_stop(task);
	return 0;
}

static int reset_perms_get(u64 *val)
{
	*val = purge_came_between;
	return 0;
}

static int ask_set(u64 val)
{
	guard(mutex)(&wait_mutex);

	flush_tlb_kernel_range_leave(area_place, area_place + PAGE_SIZE, &asked,
				     TLB_LEAVE_DEFERRED);
	return 0;
}

static int lose_set(u64 cpu)
{
	if (cpu >= nr_cpu_ids)
		return -EINVAL;

	/* Fully ordered, as the kernel's own. */
	atomic_fetch_andnot(CT_TLB_FLUSH_PENDING, &per_cpu(context_tracking, cpu).state);
	return 0;
}

static void entry_call(void *info) { }

static enum hrtimer_restart entry_timer_fn(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

static void entry_timer_start(void *info)
{
	hrtimer_start(&entry_timer, ENTRY_TIMER_DELAY, HRTIMER_MODE_REL_PINNED_HARD);
}

static int entry_nmi(unsigned int type, struct pt_regs *regs)
{
	/* Pairs with the release in entry_set(). */
	if (!smp_load_acquire(&nmi_entry_sent) || raw_smp_processor_id() != nmi_entry_cpu)
		return NMI_DONE;

	nmi_entry_value = user_mode(regs) ? area_read() : -EINTR;
	/* Pairs with the acquire in area_nmi_get(). */
	smp_store_release(&nmi_entry_sent, false);

	return NMI_HANDLED;
}

static int area_nmi_get(u64 *val)
{
	/* Pairs with the release in entry_nmi(). */
	if (smp_load_acquire(&nmi_entry_sent))
		return -EAGAIN;
	if (nmi_entry_value < 0)
		return nmi_entry_value;

	*val = nmi_entry_value;
	return 0;
}

static int entry_set(u64 val)
{
	unsigned int cpu = val >> ENTRY_CPU_SHIFT;

	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;

	switch (val & (BIT(ENTRY_CPU_SHIFT) - 1)) {
	case ENTRY_RESCHEDULE:
		arch_smp_send_reschedule(cpu);
		return 0;
	case ENTRY_CALL:
		return smp_call_function_single(cpu, entry_call, NULL, true);
	case ENTRY_TIMER:
		/* The timer has to be started on its CPU, so this makes it enter, too. */
		return smp_call_function_single(cpu, entry_timer_start, NULL, true);
	case ENTRY_NMI:
		nmi_entry_cpu = cpu;
		/* Pairs with the acquire in entry_nmi(). */
		smp_store_release(&nmi_entry_sent, true);
		__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct test_file wait_files[] = {
	{ .name = "area_place",		.set = area_place_set },
	{ .name = "area",		.get = area_get, .set = area_set },
	{ .name = "area_nowait",	.set = area_nowait_set },
	{ .name = "area_number",	.get = area_number_get },
	{ .name = "area_free",		.set = area_free_set },
	{ .name = "area_nmi",		.get = area_nmi_get },
	{ .name = "pool",		.get = pool_get, .set = pool_set },
	{ .name = "pool_free",		.set = pool_free_set },
	{ .name = "pool_again",		.set = pool_again_set },
	{ .name = "lazy_purge",		.get = lazy_purge_get, .set = lazy_purge_set },
	{ .name = "lazy_modules",	.get = lazy_modules_get, .set = lazy_modules_set },
	{ .name = "lazy_small",		.get = lazy_small_get, .set = lazy_small_set },
	{ .name = "reset_perms",	.get = reset_perms_get, .set = reset_perms_set },
	{ .name = "ask",		.set = ask_set },
	{ .name = "lose",		.set = lose_set },
	{ .name = "entry",		.set = entry_set },
	{ }
};

static struct test_probe wait_probes[] = {
	{ .name = "free_vmap_area_noflush",	.probe = free_probe },
	{ .name = "purge_vmap_area_lazy",	.probe = purge_probe },
	{ }
};

static void wait_free(void)
{
	unsigned int i;

	vfree(area);
	vfree(pool_area);
	/* No CPU may find the pages by an old translation any more. */
	vm_unmap_aliases();
	for (i = 0; i < KEPT_PAGES; i++) {
		if (kept_pages[i])
			put_page(kept_pages[i]);
	}
	kvfree(large_pages);
	test_left_free(&asked);
}

static int wait_init(void)
{
	int err;

	place_set(0);
	hrtimer_setup(&entry_timer, entry_timer_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);

	err = test_left_alloc(&asked);
	large_pages = repeat_page(window_page(), LARGE_PAGES);
	if (!err && !large_pages)
		err = -ENOMEM;
	if (!err)
		err = register_nmi_handler(NMI_LOCAL, entry_nmi, 0, "nohz_tlb_test_wait");
	if (err)
		wait_free();

	return err;
}

static void wait_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "nohz_tlb_test_wait");
	hrtimer_cancel(&entry_timer);
	wait_free();
}

const struct test_part wait_part = {
	.files	= wait_files,
	.probes	= wait_probes,
	.init	= wait_init,
	.exit	= wait_exit,
};
