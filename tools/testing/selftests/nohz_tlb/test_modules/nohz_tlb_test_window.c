// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: addresses of the vmalloc area behind which pages are exchanged while CPUs
 * may have the old ones in their TLB.
 *
 * window          One page of the vmalloc area, behind which is one of two pages
 *                 that hold the numbers 0 and 1. Reading it makes the CPU read
 *                 the number through the window. Writing the number of a page
 *                 puts that page behind the window, with a flush that is left to CPUs
 *                 in user mode.
 * window_noflush  The same without any flush: what a lost flush looks like.
 * window_move     Any number moves the window to another address, page 0 behind it.
 *                 No CPU may be reading it.
 * hold            Reading it makes the CPU read the window, stay in the kernel
 *                 until somebody writes to release, and read the window again.
 *                 Gives the second number.
 * held            Reads 1 while a CPU is held.
 * release         Any number ends the hold.
 * exchange        Writing N * 16 + S exchanges the page behind window S of several
 *                 others N times, each time with such a flush. The pages hold rising
 *                 numbers.
 * exchange_exit   Writing CPU * 2^32 + N exchanges the page behind one more window N
 *                 times, each time as soon as that CPU has left the kernel, and leaves
 *                 the flush to it. Nobody else looks at that window. Reads how often
 *                 that came off, and not too late.
 * check           Reading it makes the CPU read all these windows, many times, and
 *                 gives how often any CPU has found a number there that was
 *                 exchanged already before it looked. A CPU also looks on its way to
 *                 user mode, and at signals and NMIs. Writing any number sets that
 *                 count to 0.
 * served_faults   Reads how many faults of iret came when a request was there that
 *                 was made after the CPU had left the kernel. Writing any number sets
 *                 that to 0.
 * flush           Writing N makes N such flushes of the window.
 */
#include <linux/cleanup.h>
#include <linux/context_tracking.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include "nohz_tlb_test.h"
#include "nohz_tlb_test_part.h"

#define NR_WINDOW_PAGES		2
#define HOLD_TIMEOUT		(10 * HZ)
#define NR_SLOTS		4
/* The slot of exchange_exit. */
#define EXIT_SLOT		NR_SLOTS
#define SLOT_PAGES		64
#define NR_CHECKS		5000
#define EXIT_TIMEOUT		(HZ / 10)
/* How often to look whether a CPU has left the kernel that is about to. */
#define EXIT_LOOKS		100000

static struct page *window_pages[NR_WINDOW_PAGES];
static void *window;
static pte_t *window_pte;
static struct flush_tlb_left window_left;
static DEFINE_MUTEX(window_mutex);

/*
 * A window through which every CPU must see a number that is not older than the
 * last one published. Pages are used in turn, so that an old translation shows
 * an old number for a while.
 */
struct slot {
	/* Held for an exchange. Readers take no lock. */
	struct mutex mutex;
	struct page *pages[SLOT_PAGES];
	struct flush_tlb_left left;
	void *addr;
	pte_t *pte;
	u64 mapped;
	u64 published;
};

static struct slot slots[NR_SLOTS + 1];
static atomic_t nr_stale = ATOMIC_INIT(0);

/* The flushes that a CPU had done for others when it last went to user mode. */
static DEFINE_PER_CPU(unsigned long, flushes_at_exit);
static DEFINE_PER_CPU(unsigned long, nr_exits);
/* Who looks at the slot of exchange_exit. */
static unsigned int exit_cpu = UINT_MAX;
static unsigned long nr_exchanged_at_exit;
/* Faults of iret at which a request was served that came after that. */
static atomic_t nr_served_faults = ATOMIC_INIT(0);

static bool hold_active;
static bool hold_released;

/* Map the first of @pages by one small page: NULL if that fails. */
static void *map_page(struct page **pages, pte_t **pte)
{
	unsigned int level;
	void *addr;

	addr = vmap(pages, 1, VM_MAP, PAGE_KERNEL);
	if (!addr)
		return NULL;

	*pte = lookup_address((unsigned long)addr, &level);
	if (!*pte || level != PG_LEVEL_4K) {
		vunmap(addr);
		return NULL;
	}

	return addr;
}

/* In one step, so that a CPU may read the page at any time. */
static void exchange_page(pte_t *pte, struct page *page)
{
	set_pte(pte, pfn_pte(page_to_pfn(page), pte_pgprot(*pte)));
}

static void leave_flush(void *page, struct flush_tlb_left *left)
{
	unsigned long addr = (unsigned long)page;

	flush_tlb_kernel_range_leave(addr, addr + PAGE_SIZE, left, TLB_LEAVE_DEFERRED);
}

/* May be called wherever code can be instrumented. */
u64 window_read(void)
{
	return READ_ONCE(*(u64 *)READ_ONCE(window));
}

/* A page for whatever has to be mapped. */
struct page *window_page(void)
{
	return window_pages[0];
}

static int window_get(u64 *val)
{
	*val = window_read();
	return 0;
}

static int window_map(u64 nr, bool flush)
{
	if (nr >= NR_WINDOW_PAGES)
		return -EINVAL;

	guard(mutex)(&window_mutex);

	exchange_page(window_pte, window_pages[nr]);
	if (flush)
		leave_flush(window, &window_left);

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
	void *area, *old;

	area = map_page(window_pages, &window_pte);
	if (!area)
		return -ENOMEM;

	/* The old one goes last, so that the new one lies elsewhere. */
	old = window;
	WRITE_ONCE(window, area);
	if (old)
		vunmap(old);

	return 0;
}

static int window_move_set(u64 val)
{
	guard(mutex)(&window_mutex);

	return window_open();
}

static int flush_set(u64 nr)
{
	guard(mutex)(&window_mutex);

	while (nr--) {
		leave_flush(window, &window_left);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}

	return 0;
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

/* Put the next page behind a slot's window. The flush is up to the caller. */
static void slot_map_next(struct slot *slot)
{
	struct page *page;

	slot->mapped++;
	page = slot->pages[slot->mapped % SLOT_PAGES];
	WRITE_ONCE(*(u64 *)page_address(page), slot->mapped);
	exchange_page(slot->pte, page);
}

static void slot_publish(struct slot *slot)
{
	/* Pairs with the acquire in check_slot(): the flush has been asked for. */
	smp_store_release(&slot->published, slot->mapped);
}

/* Exchange the page behind a slot's window, and publish the number it holds. */
void exchange_slot(unsigned int nr)
{
	struct slot *slot = &slots[nr];

	guard(mutex)(&slot->mutex);

	slot_map_next(slot);
	leave_flush(slot->addr, &slot->left);
	slot_publish(slot);
}

static void check_slot(struct slot *slot)
{
	u64 published;

	/* Pairs with the release in slot_publish(). */
	published = smp_load_acquire(&slot->published);
	if (READ_ONCE(*(u64 *)slot->addr) < published)
		atomic_inc(&nr_stale);
}

/* May be called wherever code can be instrumented, in NMI too. */
void check_slots(void)
{
	int i;

	for (i = 0; i < NR_SLOTS; i++)
		check_slot(&slots[i]);
	if (raw_smp_processor_id() == READ_ONCE(exit_cpu))
		check_slot(&slots[EXIT_SLOT]);
}

/* Whether a request was served on this CPU since it last left the kernel. */
bool was_served(void)
{
	return this_cpu_read(context_tracking.nr_tlb_flushes) !=
	       this_cpu_read(flushes_at_exit);
}

/*
 * On the way out, and before user mode: have translations in the TLB that the next
 * request makes stale.
 */
static void user_enter_probe(void *data, int dummy)
{
	check_slots();
	this_cpu_write(flushes_at_exit, this_cpu_read(context_tracking.nr_tlb_flushes));
	this_cpu_inc(nr_exits);
}

/* How often the CPU was about to leave the kernel. */
unsigned long nr_exits_of(unsigned int cpu)
{
	return READ_ONCE(per_cpu(nr_exits, cpu));
}

/* Wait until the CPU is about to leave the kernel once more: false if it does not. */
static bool wait_for_exit(unsigned int cpu, unsigned long exits)
{
	unsigned long deadline = jiffies + EXIT_TIMEOUT;

	while (nr_exits_of(cpu) == exits) {
		if (time_after(jiffies, deadline) || need_resched())
			return false;
		cpu_relax();
	}

	return true;
}

/* The same as leave_flush() for one CPU, as fast as can be: false if it is too late. */
static bool leave_flush_at_exit(unsigned int cpu)
{
	unsigned int i;

	/* Orders the page table write before the look at the word. */
	smp_mb();
	for (i = 0; i < EXIT_LOOKS; i++) {
		if (ct_tlb_flush_leave(cpu))
			return true;
	}

	return false;
}

/*
 * Leave a flush to @cpu right after its context has become user mode, when it may still
 * have to come to an instruction that faults, or get an NMI. That is when it leaves the
 * kernel for the first time since it had done so @exits times: false if it does not.
 */
bool exchange_at_exit(unsigned int cpu, unsigned long exits)
{
	struct slot *slot = &slots[EXIT_SLOT];
	bool left;

	guard(mutex)(&slot->mutex);

	if (exit_cpu != cpu) {
		leave_flush(slot->addr, &slot->left);
		WRITE_ONCE(exit_cpu, cpu);
	}
	scoped_guard(preempt) {
		if (!wait_for_exit(cpu, exits))
			return false;
		slot_map_next(slot);
		left = leave_flush_at_exit(cpu);
	}
	if (left)
		nr_exchanged_at_exit++;
	else
		leave_flush(slot->addr, &slot->left);
	slot_publish(slot);

	return left;
}

static int exchange_exit_set(u64 val)
{
	unsigned int cpu = val >> STORM_CPU_SHIFT;
	unsigned int nr = val;

	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;

	while (nr--) {
		exchange_at_exit(cpu, nr_exits_of(cpu));
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}

	return 0;
}

static int exchange_exit_get(u64 *val)
{
	*val = READ_ONCE(nr_exchanged_at_exit);
	return 0;
}

static void signal_probe(void *data, int sig, struct kernel_siginfo *info,
			 struct task_struct *task, int group, int result)
{
	check_slots();
	/* In these tests only an iret that faults brings this signal. */
	if (sig == SIGBUS && was_served())
		atomic_inc(&nr_served_faults);
}

static int served_faults_get(u64 *val)
{
	*val = atomic_read(&nr_served_faults);
	return 0;
}

static int served_faults_set(u64 val)
{
	atomic_set(&nr_served_faults, 0);
	return 0;
}

static int exchange_set(u64 val)
{
	unsigned int slot = val & (BIT(SLOT_SHIFT) - 1);
	u64 nr = val >> SLOT_SHIFT;

	if (slot >= NR_SLOTS)
		return -EINVAL;

	while (nr--) {
		exchange_slot(slot);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}

	return 0;
}

/* For a while, so that requests come meanwhile: none may be left to this CPU now. */
static int check_get(u64 *val)
{
	int i;

	for (i = 0; i < NR_CHECKS; i++)
		check_slots();
	*val = atomic_read(&nr_stale);
	return 0;
}

static int check_set(u64 val)
{
	atomic_set(&nr_stale, 0);
	return 0;
}

static void free_slot(struct slot *slot)
{
	int i;

	if (slot->addr)
		vunmap(slot->addr);
	test_left_free(&slot->left);
	for (i = 0; i < SLOT_PAGES; i++) {
		if (slot->pages[i])
			__free_page(slot->pages[i]);
	}
}

static int alloc_slot(struct slot *slot)
{
	int i;

	mutex_init(&slot->mutex);
	for (i = 0; i < SLOT_PAGES; i++) {
		slot->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!slot->pages[i])
			return -ENOMEM;
	}

	slot->addr = map_page(slot->pages, &slot->pte);

	return slot->addr ? test_left_alloc(&slot->left) : -ENOMEM;
}

/* Leaves the original page behind the window, and no stale translation. */
static void window_exit(void)
{
	int i;

	if (window) {
		exchange_page(window_pte, window_pages[0]);
		leave_flush(window, &window_left);
		flush_tlb_kernel_drain();
		vunmap(window);
	}
	test_left_free(&window_left);
	for (i = 0; i < NR_WINDOW_PAGES; i++) {
		if (window_pages[i])
			__free_page(window_pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		free_slot(&slots[i]);
}

static int window_init(void)
{
	int err;
	int i;

	err = test_left_alloc(&window_left);
	for (i = 0; i < NR_WINDOW_PAGES && !err; i++) {
		window_pages[i] = alloc_page(GFP_KERNEL);
		if (window_pages[i])
			*(u64 *)page_address(window_pages[i]) = i;
		else
			err = -ENOMEM;
	}
	if (!err)
		err = window_open();
	for (i = 0; i < ARRAY_SIZE(slots) && !err; i++)
		err = alloc_slot(&slots[i]);
	if (err)
		window_exit();

	return err;
}

static const struct test_file window_files[] = {
	{ .name = "window",		.get = window_get, .set = window_set },
	{ .name = "window_noflush",	.set = window_noflush_set },
	{ .name = "window_move",	.set = window_move_set },
	{ .name = "hold",		.get = hold_get },
	{ .name = "held",		.get = held_get },
	{ .name = "release",		.set = release_set },
	{ .name = "exchange",		.set = exchange_set },
	{ .name = "exchange_exit",	.get = exchange_exit_get, .set = exchange_exit_set },
	{ .name = "check",		.get = check_get, .set = check_set },
	{ .name = "served_faults",	.get = served_faults_get, .set = served_faults_set },
	{ .name = "flush",		.set = flush_set },
	{ }
};

static struct test_probe window_probes[] = {
	{ .name = "user_enter",		.probe = user_enter_probe },
	{ .name = "signal_generate",	.probe = signal_probe },
	{ }
};

const struct test_part window_part = {
	.files	= window_files,
	.probes	= window_probes,
	.init	= window_init,
	.exit	= window_exit,
};
