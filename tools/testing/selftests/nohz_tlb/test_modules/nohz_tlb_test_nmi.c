// SPDX-License-Identifier: GPL-2.0-only
/*
 * NMIs on the way into the kernel and out of it.
 *
 * nmi_storm       Writing CPU * 2^32 + N sends N NMIs to a CPU, each after the one
 *                 before was handled. Before each, it exchanges the pages behind
 *                 windows, and has a task on that CPU enter the kernel.
 * nmi_word        The address, in the writer's memory, of the two numbers by which
 *                 nmi_storm does so: it counts the first one up, and the task sets
 *                 the second one to the same.
 * nmi_gaps        Reading it says where the NMIs of the last storm hit, how many did,
 *                 and how many of these came when a request was there to be served.
 */
#include <linux/cleanup.h>
#include <linux/context_tracking.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/prandom.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/text-patching.h>
#include <linux/uaccess.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/nmi.h>
#include <asm/tlbflush.h>

#include "nohz_tlb_test.h"
#include "nohz_tlb_test_part.h"

#define STORM_TIMEOUT		(10 * HZ)
#define STORM_TRIALS		32
#define STORM_WAY_IN		4
#define MAX_NMI_PLACES		4096

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

static int storm_nmi(unsigned int type, struct pt_regs *regs)
{
	if (raw_smp_processor_id() != READ_ONCE(nmi_cpu) ||
	    READ_ONCE(nmi_sent) == nmi_handled)
		return NMI_DONE;

	check_slots();
	nmi_record(regs);
	/* Pairs with the acquire in nmi_send(). */
	smp_store_release(&nmi_handled, nmi_handled + 1);

	return NMI_HANDLED;
}

/* Send one NMI and wait until it is handled: false if that does not happen. */
static bool nmi_send(unsigned int cpu)
{
	unsigned long deadline = jiffies + STORM_TIMEOUT;

	WRITE_ONCE(nmi_sent, nmi_sent + 1);
	__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
	/* Pairs with the release in storm_nmi(): it has done its work. */
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
		exchange_slot(0);
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

/*
 * Leave a flush to the CPU, have it enter the kernel, and send an NMI meanwhile. The way
 * in is the first part of the time that takes, and has most of the gaps. To hit the way
 * out with a request that came there, wait for it.
 */
static int nmi_round(unsigned int cpu, u32 go, u32 time)
{
	unsigned long exits = nr_exits_of(cpu);

	exchange_slot(0);
	if (put_user(go, &nmi_word->go))
		return -EFAULT;
	switch (go % 4) {
	case 0:
		exchange_at_exit(cpu, exits);
		break;
	case 2:
		ndelay(get_random_u32_below(time));
		break;
	default:
		ndelay(get_random_u32_below(time / STORM_WAY_IN));
		/* A request may come at any time, also while the CPU is on its way. */
		exchange_slot(1);
		break;
	}
	if (!nmi_send(cpu)) {
		nmi_lost++;
		return -ETIMEDOUT;
	}

	return nmi_wait_task(go);
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
static int nmi_init(void)
{
	return register_nmi_handler(NMI_LOCAL, storm_nmi, 0, "nohz_tlb_storm");
}

static void nmi_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "nohz_tlb_storm");
}

static const struct test_file nmi_files[] = {
	{ .name = "nmi_storm",		.set = nmi_storm_set },
	{ .name = "nmi_word",		.set = nmi_word_set },
	{ .name = "nmi_gaps",		.show = nmi_gaps_show },
	{ }
};

const struct test_part nmi_part = {
	.files	= nmi_files,
	.init	= nmi_init,
	.exit	= nmi_exit,
};
