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
 *                 nohz_tlb_test.h: the CPU reads the window when the event happens to it
 *                 next, in the kernel and before the entry that brought the event
 *                 returns. Gives what it read, or -EAGAIN if that is yet to come.
 *                 Interrupts and NMIs are sent by the write, or by trigger.
 * trigger         Any number brings about the armed event, if it is an interrupt
 *                 or an NMI.
 * breakpoint      Writing an address sets a hardware breakpoint for the writer, hit
 *                 by writes to that address.
 * exchange        Writing N * 16 + S exchanges the page behind window S of several
 *                 others N times, each time with a deferrable flush. The pages hold
 *                 rising numbers.
 * check           Reading it makes the CPU read all these windows, many times, and
 *                 gives how often any CPU has found a number there that was exchanged already
 *                 before it looked. Signals, NMIs and other events check as well.
 *                 Writing any number sets that count to 0.
 * nmi_storm       Writing CPU * 2^32 + N sends N NMIs to a CPU, each after the one
 *                 before was handled. Before each, it exchanges the pages behind two
 *                 of the windows, and has a task on that CPU enter the kernel.
 * nmi_word        The address, in the writer's memory, of the two numbers by which
 *                 nmi_storm does so: it counts the first one up, and the task sets
 *                 the second one to the same.
 * nmi_gaps        Reading it says where the NMIs of the last storm hit, how many did,
 *                 and how many of these came when a request was there to be served.
 * served_faults   Reads how many faults of iret came when a request was there that
 *                 was made after the CPU had left the kernel. Writing any number sets
 *                 that to 0.
 * flush           Writing N makes N deferrable flushes of the window.
 * flush_outside   The same for a range that starts in the vmalloc area and ends
 *                 outside of it.
 * purge           Writing N frees enough vmap areas for N purges past the lazy
 *                 threshold. Reads the number of purges since the module came.
 * huge            Writing N allocates and frees an area of N pages that is mapped by
 *                 large pages, and purges past the lazy threshold. Reads 1 if the
 *                 last such area really was.
 * promote         Writing N maps N times PMD_SIZE by small pages, unmaps that, and
 *                 maps large pages over it. Reads how many page tables that freed.
 * tracks_all      Reads 1 if the context of all CPUs is tracked, and not only of those
 *                 in nohz_full=.
 * debug_pagealloc Reads 1 if each vfree() and the like flushes by itself.
 * kasan_vmalloc   Reads 1 if each purge also flushes, immediately, what KASAN unmaps.
 * text_large      Reads 1 if a large page maps the text of this module. Writing any
 *                 number forgets what text_split has seen.
 * text_split      Reads 1 if small pages mapped it when another module with per-CPU
 *                 data was being loaded, into the same large page.
 * uncached        Any number makes a page uncached, and cached again.
 * oops            Any number kills a kernel thread by an oops.
 * percpu          Writing N allocates N pages of dynamic per-CPU memory and frees all
 *                 of them but every 16th, so that chunks are reclaimed in part. The
 *                 rest goes with the next write.
 * drain           Any number calls vm_unmap_aliases(), which purges and drains.
 * drain_only      Any number calls flush_tlb_kernel_drain().
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/context_tracking.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/hw_breakpoint.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/kstrtox.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/pgtable.h>
#include <linux/prandom.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/text-patching.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/apic.h>
#include <asm/set_memory.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "nohz_tlb_test.h"

#define NR_WINDOW_PAGES		2
#define PURGE_AREA_PAGES	512
#define HOLD_TIMEOUT		(10 * HZ)
#define PURGE_TIMEOUT		(10 * HZ)
#define MAX_PERCPU_PAGES	1024
#define PERCPU_KEEP		16
#define TIMER_DELAY		(50 * NSEC_PER_MSEC)
#define NR_SLOTS		4
#define SLOT_PAGES		64
#define NR_CHECKS		5000
#define MAX_BREAKPOINTS		64
#define STORM_TIMEOUT		(10 * HZ)
#define STORM_TRIALS		32
#define STORM_WAY_IN		4
#define MAX_NMI_PLACES		4096
#define MAX_PROMOTE		64

static struct page *window_pages[NR_WINDOW_PAGES];
static void *window;
static pte_t *window_pte;
static DEFINE_MUTEX(window_mutex);

static enum test_event event_armed;
static unsigned int event_cpu;
static u64 event_value;
static struct hrtimer event_timer;

static struct perf_event *breakpoints[MAX_BREAKPOINTS];
static atomic_t nr_breakpoints = ATOMIC_INIT(0);

/*
 * A window through which every CPU must see a number that is not older than the
 * last one published. Pages are used in turn, so that an old translation shows
 * an old number for a while.
 */
struct slot {
	/* Held for an exchange. Readers take no lock. */
	struct mutex mutex;
	struct page *pages[SLOT_PAGES];
	void *addr;
	pte_t *pte;
	u64 mapped;
	u64 published;
};

static struct slot slots[NR_SLOTS];
static atomic_t nr_stale = ATOMIC_INIT(0);

/* The flushes that a CPU had done for others when it last went to user mode. */
static DEFINE_PER_CPU(unsigned long, flushes_at_exit);
/* Faults of iret at which a request was served that came after that. */
static atomic_t nr_served_faults = ATOMIC_INIT(0);

/* Where NMIs of a storm hit the kernel, written by the NMI handler alone. */
struct nmi_place {
	unsigned long ip;
	/* RCU did not watch before the NMI. */
	bool in_eqs;
	/* The code that was hit had changed CR4.PGE, and not changed it back. */
	bool in_toggle;
	unsigned int count;
	/* So many came when a request was there that they had to serve. */
	unsigned int served;
};

enum nmi_gap {
	GAP_USER,
	GAP_BEFORE_ADD,
	GAP_ADD_TO_FLUSH,
	GAP_FLUSH_TO_CLEAR,
	GAP_EXIT,
	GAP_ELSEWHERE,
	GAP_NO_ROOM,
	GAP_LOST,
	NR_GAPS
};

static const char * const nmi_gap_names[] = {
	[GAP_USER]		= "user_mode",
	[GAP_BEFORE_ADD]	= "before_add",
	[GAP_ADD_TO_FLUSH]	= "add_to_flush",
	[GAP_FLUSH_TO_CLEAR]	= "flush_to_clear",
	[GAP_EXIT]		= "exit_add_to_return",
	[GAP_ELSEWHERE]		= "elsewhere",
	[GAP_NO_ROOM]		= "not_recorded",
	[GAP_LOST]		= "lost",
};

static struct nmi_place nmi_places[MAX_NMI_PLACES];

/* Shared with the task that is to enter the kernel. */
static struct nmi_word __user *nmi_word;
/* These two are ordered against the NMI handler by the NMI itself. */
static unsigned int nmi_cpu;
static unsigned int nmi_sent;
static unsigned int nmi_handled;
static unsigned int nmi_lost;
static unsigned int nmi_user;
static unsigned int nmi_no_room;
static DEFINE_MUTEX(nmi_mutex);

static unsigned int nr_promoted;
static bool text_was_split;

static atomic_t nr_purges = ATOMIC_INIT(0);

static bool hold_active;
static bool hold_released;

static bool area_was_huge;

static void __percpu *percpu_pages[MAX_PERCPU_PAGES];

static struct dentry *test_dir;

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

/* An array that holds the same page @nr times, for vmap(). */
static struct page **repeat_page(struct page *page, unsigned long nr)
{
	struct page **pages;
	unsigned long i;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	for (i = 0; pages && i < nr; i++)
		pages[i] = page;

	return pages;
}

static bool has_page_table(unsigned long addr)
{
	unsigned int level;

	return lookup_address(addr, &level) && level == PG_LEVEL_4K;
}

static int window_get(u64 *val)
{
	*val = READ_ONCE(*(u64 *)window);
	return 0;
}

static int window_map(u64 nr, bool flush)
{
	unsigned long addr = (unsigned long)window;

	if (nr >= NR_WINDOW_PAGES)
		return -EINVAL;

	guard(mutex)(&window_mutex);

	exchange_page(window_pte, window_pages[nr]);
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

/* Exchange the page behind a slot's window, and publish the number it holds. */
static void slot_exchange(struct slot *slot)
{
	unsigned long addr = (unsigned long)slot->addr;
	struct page *page;

	guard(mutex)(&slot->mutex);

	slot->mapped++;
	page = slot->pages[slot->mapped % SLOT_PAGES];
	WRITE_ONCE(*(u64 *)page_address(page), slot->mapped);
	exchange_page(slot->pte, page);
	flush_tlb_kernel_range_deferrable(addr, addr + PAGE_SIZE);
	/* Pairs with the acquire in check_slots(): the flush has been asked for. */
	smp_store_release(&slot->published, slot->mapped);
}

/* May be called wherever code can be instrumented, in NMI too. */
static void check_slots(void)
{
	u64 published;
	int i;

	for (i = 0; i < NR_SLOTS; i++) {
		/* Pairs with the release in slot_exchange(). */
		published = smp_load_acquire(&slots[i].published);
		if (READ_ONCE(*(u64 *)slots[i].addr) < published)
			atomic_inc(&nr_stale);
	}
}

/* Whether a request was served on this CPU since it last left the kernel. */
static bool was_served(void)
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
}

static int exchange_set(u64 val)
{
	unsigned int slot = val & (BIT(SLOT_SHIFT) - 1);
	u64 nr = val >> SLOT_SHIFT;

	if (slot >= NR_SLOTS)
		return -EINVAL;

	while (nr--) {
		slot_exchange(&slots[slot]);
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
	check_slots();
	/* In these tests only an iret that faults brings this signal. */
	if (sig == SIGBUS && was_served())
		atomic_inc(&nr_served_faults);
	event_happened(EVENT_SIGNAL);
}

static void user_exit_probe(void *data, int dummy)
{
	event_happened(EVENT_ENTRY);
}

static void breakpoint_hit(struct perf_event *bp, struct perf_sample_data *data,
			   struct pt_regs *regs)
{
	event_happened(EVENT_BREAKPOINT);
}

static int breakpoint_set(u64 addr)
{
	int nr = atomic_inc_return(&nr_breakpoints) - 1;
	struct perf_event_attr attr;
	struct perf_event *bp;

	if (nr >= MAX_BREAKPOINTS)
		return -ENOSPC;

	hw_breakpoint_init(&attr);
	attr.bp_addr = addr;
	attr.bp_len = HW_BREAKPOINT_LEN_8;
	attr.bp_type = HW_BREAKPOINT_W;
	bp = register_user_hw_breakpoint(&attr, breakpoint_hit, NULL, current);
	if (IS_ERR(bp))
		return PTR_ERR(bp);

	breakpoints[nr] = bp;
	return 0;
}

static void free_breakpoints(void)
{
	int i;

	for (i = 0; i < MAX_BREAKPOINTS; i++) {
		if (breakpoints[i])
			unregister_hw_breakpoint(breakpoints[i]);
	}
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

/* Keep where this NMI hit the kernel. Only one CPU gets the NMIs of a storm. */
static void nmi_record(struct pt_regs *regs)
{
	struct context_tracking *ct = this_cpu_ptr(&context_tracking);
	/* ct_nmi_enter() counts by one only if RCU did not watch. */
	bool in_eqs = ct->nmi_nesting == 1;
	bool in_toggle = !(__read_cr4() & X86_CR4_PGE);
	struct nmi_place *place;
	int i;

	if (user_mode(regs)) {
		nmi_user++;
		return;
	}

	for (i = 0; i < MAX_NMI_PLACES; i++) {
		place = &nmi_places[(regs->ip + i) % MAX_NMI_PLACES];
		if (!place->count) {
			place->ip = regs->ip;
			place->in_eqs = in_eqs;
			place->in_toggle = in_toggle;
		}
		if (place->ip == regs->ip && place->in_eqs == in_eqs &&
		    place->in_toggle == in_toggle) {
			place->count++;
			place->served += was_served();
			return;
		}
	}
	nmi_no_room++;
}

static bool nmi_of_storm(struct pt_regs *regs)
{
	if (raw_smp_processor_id() != READ_ONCE(nmi_cpu) ||
	    READ_ONCE(nmi_sent) == nmi_handled)
		return false;

	check_slots();
	nmi_record(regs);
	/* Pairs with the acquire in nmi_send(). */
	smp_store_release(&nmi_handled, nmi_handled + 1);

	return true;
}

static int test_nmi(unsigned int type, struct pt_regs *regs)
{
	if (nmi_of_storm(regs))
		return NMI_HANDLED;

	return event_happened(EVENT_NMI) ? NMI_HANDLED : NMI_DONE;
}

/* Send one NMI and wait until it is handled: false if that does not happen. */
static bool nmi_send(unsigned int cpu)
{
	unsigned long deadline = jiffies + STORM_TIMEOUT;

	WRITE_ONCE(nmi_sent, nmi_sent + 1);
	__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
	/* Pairs with the release in nmi_of_storm(): it has done its work. */
	while (smp_load_acquire(&nmi_handled) != nmi_sent) {
		if (time_after(jiffies, deadline))
			return false;
		cpu_relax();
	}

	return true;
}

/* Wait until the task has entered the kernel and come back. */
static int nmi_wait_task(u32 go)
{
	unsigned long deadline = jiffies + STORM_TIMEOUT;
	u32 came;

	do {
		if (get_user(came, &nmi_word->came))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
	} while (came != go);

	return 0;
}

/* The time that the task needs at best to enter the kernel and come back, in ns. */
static int nmi_trials(u32 *go, u32 *best)
{
	u64 began;
	int err;
	int i;

	*best = NSEC_PER_MSEC;
	for (i = 0; i < STORM_TRIALS; i++) {
		slot_exchange(&slots[0]);
		began = ktime_get_ns();
		if (put_user(++*go, &nmi_word->go))
			return -EFAULT;
		err = nmi_wait_task(*go);
		if (err)
			return err;
		*best = min(*best, ktime_get_ns() - began);
	}

	return 0;
}

/* Leave a flush to the CPU, have it enter the kernel, and send an NMI meanwhile. */
static int nmi_round(unsigned int cpu, u32 go, u32 time)
{
	slot_exchange(&slots[0]);
	if (put_user(go, &nmi_word->go))
		return -EFAULT;
	/* The way in is the first part of that time, and has most of the gaps. */
	ndelay(get_random_u32_below(go & 2 ? time : time / STORM_WAY_IN));
	/* A request may come at any time, also while the CPU is on its way. */
	if (go & 1)
		slot_exchange(&slots[1]);
	if (!nmi_send(cpu)) {
		nmi_lost++;
		return -ETIMEDOUT;
	}

	return nmi_wait_task(go);
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

static int nmi_word_set(u64 val)
{
	nmi_word = (struct nmi_word __user *)val;
	return 0;
}

static int nmi_storm_set(u64 val)
{
	unsigned int cpu = val >> STORM_CPU_SHIFT;
	unsigned int nr = val;
	u32 go, time;
	int err;

	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;
	if (get_user(go, &nmi_word->go))
		return -EFAULT;

	guard(mutex)(&nmi_mutex);

	memset(nmi_places, 0, sizeof(nmi_places));
	nmi_user = 0;
	nmi_lost = 0;
	nmi_no_room = 0;
	/* One that was lost must not be waited for again. */
	WRITE_ONCE(nmi_sent, READ_ONCE(nmi_handled));
	WRITE_ONCE(nmi_cpu, cpu);

	err = nmi_trials(&go, &time);
	while (nr-- && !err) {
		err = nmi_round(cpu, ++go, time);
		cond_resched();
	}

	return err;
}

/* Split what is known of @ip into the name of the function and the offset. */
static unsigned long symbol_of(unsigned long ip, char *name)
{
	unsigned long offset = 0;
	char *plus;

	sprint_symbol(name, ip);
	plus = strchr(name, '+');
	if (plus) {
		*plus = '\0';
		if (sscanf(plus + 1, "%lx", &offset) != 1)
			offset = 0;
	}

	return offset;
}

/* Whether there is a call of @callee before @ip in the same function. */
static bool is_past_call(unsigned long ip, unsigned long offset, const char *callee)
{
	char name[KSYM_SYMBOL_LEN];
	unsigned long at;

	for (at = ip - offset; at + CALL_INSN_SIZE <= ip; at++) {
		if (*(u8 *)at != CALL_INSN_OPCODE)
			continue;
		if (!symbol_of(at + CALL_INSN_SIZE + *(s32 *)(at + 1), name) &&
		    !strcmp(name, callee))
			return true;
	}

	return false;
}

/* Whether there are the bytes @insn before @ip in the same function. */
static bool is_past_insn(unsigned long ip, unsigned long offset, const u8 *insn,
			 size_t len)
{
	unsigned long at;

	for (at = ip - offset; at + len <= ip; at++) {
		if (!memcmp((void *)at, insn, len))
			return true;
	}

	return false;
}

/* The gaps in which RCU does not watch: on the way in, and on the way out. */
static enum nmi_gap eqs_gap(unsigned long ip, unsigned long offset, const char *name)
{
	static const char * const in[] = { "__ct_user_exit", "ct_kernel_enter" };
	static const char * const out[] = {
		"__ct_user_enter", "ct_kernel_exit", "entry_SYSRETQ",
		"common_interrupt_return", "swapgs_restore_regs_and_return_to_usermode",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		if (str_has_prefix(name, in[i]))
			return GAP_BEFORE_ADD;
	}
	for (i = 0; i < ARRAY_SIZE(out); i++) {
		if (str_has_prefix(name, out[i]))
			return GAP_EXIT;
	}
	if (str_has_prefix(name, "entry_SYSCALL_64"))
		return is_past_call(ip, offset, "do_syscall_64") ? GAP_EXIT : GAP_BEFORE_ADD;

	return GAP_ELSEWHERE;
}

/* The gaps in which RCU watches already: before the flush, and before the clear. */
static enum nmi_gap flush_gap(unsigned long ip, unsigned long offset, const char *name,
			      bool in_toggle)
{
	static const u8 invpcid[] = { 0x66, 0x0f, 0x38, 0x82 };
	static const u8 cmpxchg[] = { 0xf0, 0x0f, 0xb1 };
	static const u8 mov_to_cr4[] = { 0x0f, 0x22 };

	if (!strcmp(name, "ct_tlb_flush_execute")) {
		if (is_past_insn(ip, offset, cmpxchg, sizeof(cmpxchg)))
			return GAP_ELSEWHERE;
		return is_past_call(ip, offset, "arch_ct_tlb_flush") ?
			GAP_FLUSH_TO_CLEAR : GAP_ADD_TO_FLUSH;
	}

	if (!strcmp(name, "arch_ct_tlb_flush")) {
		if (boot_cpu_has(X86_FEATURE_INVPCID) ?
		    is_past_insn(ip, offset, invpcid, sizeof(invpcid)) :
		    is_past_call(ip, offset, "native_write_cr4"))
			return GAP_FLUSH_TO_CLEAR;
		return GAP_ADD_TO_FLUSH;
	}

	/* The first write to CR4 flushes. */
	if (!strcmp(name, "native_write_cr4")) {
		if (in_toggle || is_past_insn(ip, offset, mov_to_cr4, sizeof(mov_to_cr4)))
			return GAP_FLUSH_TO_CLEAR;
		return GAP_ADD_TO_FLUSH;
	}

	return GAP_ELSEWHERE;
}

static int nmi_gaps_show(struct seq_file *m, void *unused)
{
	unsigned int count[NR_GAPS] = { }, served[NR_GAPS] = { };
	char name[KSYM_SYMBOL_LEN];
	unsigned long offset;
	enum nmi_gap gap;
	int i;

	guard(mutex)(&nmi_mutex);

	for (i = 0; i < MAX_NMI_PLACES; i++) {
		struct nmi_place *place = &nmi_places[i];

		if (!place->count)
			continue;
		offset = symbol_of(place->ip, name);
		if (place->in_eqs)
			gap = eqs_gap(place->ip, offset, name);
		else
			gap = flush_gap(place->ip, offset, name, place->in_toggle);
		count[gap] += place->count;
		served[gap] += place->served;
		cond_resched();
	}
	count[GAP_USER] = nmi_user;
	count[GAP_NO_ROOM] = nmi_no_room;
	count[GAP_LOST] = nmi_lost;

	for (i = 0; i < NR_GAPS; i++)
		seq_printf(m, "%s %u %u\n", nmi_gap_names[i], count[i], served[i]);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nmi_gaps);

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

	pages = repeat_page(window_pages[0], PURGE_AREA_PAGES);
	if (!pages)
		return -ENOMEM;

	while (nr-- && !err)
		err = purge_once(pages);

	kvfree(pages);
	return err;
}

static int huge_get(u64 *val)
{
	*val = area_was_huge;
	return 0;
}

static int huge_set(u64 nr)
{
	void *area;

	area = vmalloc_huge_node(nr << PAGE_SHIFT, GFP_KERNEL, NUMA_NO_NODE);
	if (!area)
		return -ENOMEM;

	area_was_huge = !has_page_table((unsigned long)area);
	vfree(area);

	return purge_set(1);
}

static int promote_get(u64 *val)
{
	*val = nr_promoted;
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

/*
 * Unmapping leaves the page tables, and the next area of that size gets the
 * same addresses if nobody else was faster.
 */
static int promote_set(u64 nr)
{
	unsigned long small, large, addr;
	struct page **pages;

	nr_promoted = 0;
	if (!nr || nr > MAX_PROMOTE)
		return -EINVAL;

	pages = repeat_page(window_pages[0], nr * PTRS_PER_PTE);
	if (!pages)
		return -ENOMEM;

	small = (unsigned long)vmap(pages, nr * PTRS_PER_PTE, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	if (!small)
		return -ENOMEM;
	vunmap((void *)small);
	/* Purge, so that the addresses are free, and leave a flush pending. */
	vm_unmap_aliases();
	flush_tlb_kernel_range_deferrable(small, small + nr * PMD_SIZE);

	large = (unsigned long)vmalloc_huge_node(nr * PMD_SIZE, GFP_KERNEL, NUMA_NO_NODE);
	if (!large)
		return -ENOMEM;
	for (addr = large; addr < large + nr * PMD_SIZE; addr += PMD_SIZE) {
		if (addr >= small && addr + PMD_SIZE <= small + nr * PMD_SIZE &&
		    !has_page_table(addr))
			nr_promoted++;
	}
	vfree((void *)large);

	return 0;
}

static bool text_is_large(void)
{
	return !has_page_table((unsigned long)text_is_large);
}

static int text_large_get(u64 *val)
{
	*val = text_is_large();
	return 0;
}

static int text_large_set(u64 val)
{
	WRITE_ONCE(text_was_split, false);
	return 0;
}

static int text_split_get(u64 *val)
{
	*val = READ_ONCE(text_was_split);
	return 0;
}

/* While a module is loaded, its text is writable and the large page split. */
static void percpu_probe(void *data, unsigned long call_site, bool reserved,
			 bool is_atomic, size_t size, size_t align, void *base_addr,
			 int off, void __percpu *ptr, size_t bytes_alloc, gfp_t gfp)
{
	if (!text_is_large())
		WRITE_ONCE(text_was_split, true);
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

static int oops_thread(void *unused)
{
	WRITE_ONCE(*(int *)NULL, 0);
	return 0;
}

static int oops_set(u64 val)
{
	struct task_struct *task;

	task = kthread_run(oops_thread, NULL, "nohz_tlb_oops");

	return PTR_ERR_OR_ZERO(task);
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
	{ .name = "breakpoint",		.set = breakpoint_set },
	{ .name = "exchange",		.set = exchange_set },
	{ .name = "check",		.get = check_get, .set = check_set },
	{ .name = "nmi_storm",		.set = nmi_storm_set },
	{ .name = "nmi_word",		.set = nmi_word_set },
	{ .name = "served_faults",	.get = served_faults_get, .set = served_faults_set },
	{ .name = "flush",		.set = flush_set },
	{ .name = "flush_outside",	.set = flush_outside_set },
	{ .name = "purge",		.get = purge_get, .set = purge_set },
	{ .name = "huge",		.get = huge_get, .set = huge_set },
	{ .name = "tracks_all",		.get = tracks_all_get },
	{ .name = "debug_pagealloc",	.get = debug_pagealloc_get },
	{ .name = "kasan_vmalloc",	.get = kasan_vmalloc_get },
	{ .name = "promote",		.get = promote_get, .set = promote_set },
	{ .name = "text_large",		.get = text_large_get, .set = text_large_set },
	{ .name = "text_split",		.get = text_split_get },
	{ .name = "uncached",		.set = uncached_set },
	{ .name = "oops",		.set = oops_set },
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
	{ .name = "user_enter",			.probe = user_enter_probe },
	{ .name = "user_exit",			.probe = user_exit_probe },
	{ .name = "percpu_alloc_percpu",	.probe = percpu_probe },
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

static void free_slot(struct slot *slot)
{
	int i;

	if (slot->addr)
		vunmap(slot->addr);
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

	return slot->addr ? 0 : -ENOMEM;
}

static void free_slots(void)
{
	int i;

	for (i = 0; i < NR_SLOTS; i++)
		free_slot(&slots[i]);
}

static int alloc_slots(void)
{
	int err = 0;
	int i;

	for (i = 0; i < NR_SLOTS && !err; i++)
		err = alloc_slot(&slots[i]);

	return err;
}

static int __init nohz_tlb_test_init(void)
{
	int err;
	int i;

	hrtimer_setup(&event_timer, event_timer_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);

	err = alloc_window();
	if (!err)
		err = alloc_slots();
	if (err)
		goto err_window;

	err = register_probes();
	if (err)
		goto err_probes;

	err = register_nmi_handler(NMI_LOCAL, test_nmi, 0, "nohz_tlb_test");
	if (err)
		goto err_probes;

	test_dir = debugfs_create_dir("nohz_tlb_test", NULL);
	for (i = 0; i < ARRAY_SIZE(test_files); i++)
		debugfs_create_file(test_files[i].name, 0600, test_dir,
				    (void *)&test_files[i], &test_fops);
	debugfs_create_file("nmi_gaps", 0400, test_dir, NULL, &nmi_gaps_fops);

	return 0;

err_probes:
	unregister_probes();
err_window:
	free_slots();
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
	free_breakpoints();
	free_percpu_pages(0);
	/* Leave the original page behind the window, and no stale translation. */
	window_map(0, true);
	free_window();
	free_slots();
	vm_unmap_aliases();
}
module_exit(nohz_tlb_test_exit);

MODULE_DESCRIPTION("Kernel side of the nohz_tlb selftests");
MODULE_LICENSE("GPL");
