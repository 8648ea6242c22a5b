/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of kernel TLB flushes that are left to CPUs, for Spin: two CPUs that
 * purge, and one that runs in user mode, with all that can interrupt it. scripts/model
 * explores it exhaustively, and its mutations.
 *
 * Inlines and processes that stand for functions of the kernel carry their names.
 * The file functions beside this one lists those, and scripts/model compares it with
 * the tree. With CORE it is part core alone: the flush comes at the end of an entry,
 * and NMIs and WARNs leave the bit. The tree's tip has part moment as well.
 *
 * Memory is x86-TSO: a store goes to the store buffer of its CPU and from there,
 * at any later time and in order, to memory; a locked instruction, and smp_mb(),
 * wait until that buffer is empty. No CPU here reads what it has itself in its
 * buffer, so there is no forwarding.
 *
 * One address is watched, and one page table. All other addresses are alike: they may
 * be among those purged, and wait, but nobody looks at their translations. The page
 * walker is a process of its own: it may fill the TLB at any time, in user mode too,
 * with what memory holds then. When the address has been handed out again, a TLB must
 * not have what memory had before.
 *
 * Which number of flushes a purge has noted does not matter, only whether it is
 * another one by now. So a store to the count sets that for both generations.
 *
 * Taken for granted: a walk in flight does not survive a flush. The flush by CR4 is
 * one step; an exception between its two writes flushes for itself and leaves CR4
 * as it found it. Disabling preemption and reading the key are one step. Idle and
 * guest mode are not here, so "the state is user" cannot be told from "the state
 * has the bit of user". Nor are callers that write page tables without a lock and leave
 * the flush at once: only they need the first barrier of flush_tlb_kernel_range_leave()
 * with TSO, see the litmus test "skip". Nor are CPUs that go offline, which have entered the kernel
 * before, nor an oops that leaves a CPU in the kernel with RCU not watching. Which
 * purge finds that too much waits is left open: any of them may.
 */

#define USER		1	/* CT_STATE_USER, else CT_STATE_KERNEL */
#define WATCHING	2	/* CT_RCU_WATCHING */
#define PENDING		4	/* CT_TLB_FLUSH_PENDING */

/* A mutation needs more of the model than the others. */
#ifdef LEAVE_PAGE_TABLES
#define PAGE_TABLES
#endif

#ifndef INITIATORS
#define INITIATORS	2
#endif
#ifndef NESTING
#define NESTING		1	/* How deep exceptions may nest. */
#endif
#if INITIATORS > 2 || NESTING > 3
#error init does not start so many
#endif
#define OWNER		INITIATORS
#define IRQ_NONIDLE	8	/* CT_NESTING_IRQ_NONIDLE */

mtype:tlb = { NONE, CURRENT, OLD };
mtype:area = { MAPPED, LAZY, WAITING, PURGED };
mtype:kind = { NMI, WARN };
mtype:store = { PTE, LISTED, COUNT, PMD_CLEAR, PMD_SET, UNLOCK, ACK };
mtype:ipi = { NO_IPI, FLUSH_IPI, RANGE_IPI, DRAIN_IPI };

/* The context tracking state of the owner, and what it counts by itself. */
byte word = USER;
byte nmi_nesting = 0;
bool user_mode = true;
/* 0: the entry code and the task; from 1 on, exceptions that nest. */
byte level = 0;

/* The owner's TLB, and its paging-structure cache for the upper level entry. */
mtype:tlb tlb = NONE;
mtype:tlb pwc = NONE;

/* Memory. The entries of the page tables, and whether the address is lazily freed. */
bool pte = true;
bool pmd = true;
bool lazy = false;
bool vmap_purge_lock = false;
bool nohz_tlb_key = true;

/* Where the address is, and the generation that it waits in. */
mtype:area area = MAPPED;
bool waiting = 0;

/* Protected by vmap_purge_lock, as in struct vmap_generation. */
bool vmap_young_generation = 0;
bool gen_owed[2] = false;
bool gen_others[2] = false;	/* It has other areas. */
bool counted[2] = false;	/* The count is not that in left.nr_flushes. */

/* Store buffers, and interrupts that were sent and not acknowledged. */
chan buffer[INITIATORS + 1] = [2] of { mtype:store, byte };
mtype:ipi ipi[INITIATORS] = NO_IPI;
bool handled[INITIATORS] = false;
bool preempt_off[INITIATORS] = false;

/* What only the properties look at. */
bool owed = false;	/* A flush was left to the owner and not done. */
bool alias = false;	/* _vm_unmap_aliases() has to get rid of the TLB's entry. */

/* A step of the owner: whatever has interrupted the code runs, nothing else. */
#define step(...)		atomic { level == me -> __VA_ARGS__ }
#define locked_step(...)	atomic { level == me && empty(buffer[OWNER]) -> __VA_ARGS__ }

/* A step of an initiator that is a full barrier. */
#define locked(...)		atomic { empty(buffer[me]) -> __VA_ARGS__ }

/*
 * Properties. Each is checked together with the step that ends the time in which
 * it must hold, which may be as late as it likes. With ONLY only that one is.
 */
mtype:property = { reused_early, request_lost, page_table_in_use, alias_left,
	owed_after_switch_off, state_overwritten };
mtype:property violated;

#ifdef ONLY
#define checked(property)	(property == ONLY)
#else
#define checked(property)	true
#endif
#define never(property, when)	\
	violated = (checked(property) && (when) -> property : 0); assert(!violated)

/* Code that may be instrumented must not run before the flush: with part moment. */
#ifdef CORE
#define may_be_instrumented()	skip
#else
#define may_be_instrumented()	never(request_lost, owed)
#endif

/*
 * The machine
 */

proctype store_buffer(byte cpu)
{
	mtype:store what;
	byte from;

	do
	:: atomic {
		buffer[cpu] ? what, from ->
		if
		:: what == PTE ->
			pte = false;
			tlb = (tlb == CURRENT -> OLD : tlb)
		:: what == LISTED -> lazy = true
		:: what == COUNT ->
			counted[0] = true;
			counted[1] = true
#ifdef PAGE_TABLES
		:: what == PMD_CLEAR ->
			pmd = false;
			pwc = (pwc == CURRENT -> OLD : pwc)
		:: what == PMD_SET -> pmd = true
#endif
		:: what == UNLOCK -> vmap_purge_lock = false
		:: what == ACK ->
			ipi[from] = NO_IPI;
			handled[from] = false
		fi;
		what = 0;
		from = 0
	}
	od
}

proctype page_walker()
{
	do
	:: atomic { tlb == NONE && pte -> tlb = CURRENT }
#ifdef PAGE_TABLES
	:: atomic { pwc == NONE && pmd -> pwc = CURRENT }
#endif
	od
}

/*
 * The owner
 */

inline drop()
{
	tlb = NONE;
	alias = false
}

inline arch_ct_tlb_flush()
{
	drop();
	pwc = NONE;
	owed = false
}

inline count_flush()
{
	atomic { level == me && nfull(buffer[OWNER]) -> buffer[OWNER] ! COUNT, 0 }
}

/* RCU watches: see the top of this file. A flush that was not asked for is not counted. */
inline ct_tlb_flush_execute()
{
#ifdef COUNT_THEN_FLUSH
	count_flush();
#endif
#ifdef CLEAR_THEN_FLUSH
	locked_step(word = word & ~PENDING);
	step(arch_ct_tlb_flush());
#elif defined(CORE)
	step(arch_ct_tlb_flush());
	count_flush();
	locked_step(word = word & ~PENDING)
#else
	step(arch_ct_tlb_flush());
	locked_step(asked = word & PENDING; word = word & ~PENDING);
	if
	:: asked -> asked = 0; count_flush()
	:: else
	fi
#endif
}

/* To add is to change these bits, if they are as they should be before. */
inline add(change, before)
{
	never(state_overwritten, (word & (change)) != (before));
	word = word ^ (change)
}

inline ct_state_inc(change, before)
{
	locked_step(add(change, before))
}

inline ct_state_inc_watching(change, before)
{
#ifdef CLEAR_UNWATCHED
	step(old = word & PENDING);
	if
	:: old -> ct_tlb_flush_execute()
	:: else
	fi;
#endif
	locked_step(old = word & PENDING; add(change, before));
#ifndef CORE
	if
	:: old -> ct_tlb_flush_execute()
	:: else
	fi;
	old = 0
#endif
}

inline ct_kernel_enter_state(change, before)
{
	ct_state_inc_watching(change, before)
}

inline ct_kernel_exit_state(change, before)
{
	ct_state_inc(change, before)
}

inline ct_kernel_enter()
{
	ct_kernel_enter_state(USER | WATCHING, USER);
	step(may_be_instrumented(); never(state_overwritten, nmi_nesting != 0); nmi_nesting = IRQ_NONIDLE)
#ifdef CORE
	;
	if
	:: old -> ct_tlb_flush_execute()
	:: else
	fi;
	old = 0
#endif
}

inline ct_kernel_exit()
{
	step(may_be_instrumented(); never(state_overwritten, nmi_nesting != IRQ_NONIDLE); nmi_nesting = 0);
	ct_kernel_exit_state(USER | WATCHING, WATCHING)
}

inline __ct_user_exit()
{
	ct_kernel_enter()
}

inline __ct_user_enter()
{
	ct_kernel_exit()
}

inline ct_nmi_enter()
{
	step(state = word);
	if
	:: !(state & WATCHING) ->
		state = 0;
		ct_kernel_enter_state(WATCHING, 0);
		old = 0;
		incby = 1
	:: else ->
		incby = 2;
#if !defined(NMI_DOES_NOT_TEST) && !defined(CORE)
		if
		:: state & PENDING -> ct_tlb_flush_execute()
		:: else
		fi;
#endif
		state = 0
	fi;
	step(may_be_instrumented(); nmi_nesting = nmi_nesting + incby; incby = 0)
}

inline ct_nmi_exit()
{
	if
	:: atomic { level == me && nmi_nesting != 1 -> may_be_instrumented(); nmi_nesting = nmi_nesting - 2 }
	:: atomic { level == me && nmi_nesting == 1 -> may_be_instrumented(); nmi_nesting = 0 };
		ct_kernel_exit_state(WATCHING, WATCHING)
	fi
}

inline warn_rcu_enter()
{
	step(state = word; rcu = !(state & WATCHING));
	if
#if defined(WARN_DOES_NOT_TEST) || defined(CORE)
	:: rcu -> ct_state_inc(WATCHING, 0)
#else
	:: rcu -> ct_state_inc_watching(WATCHING, 0)
	:: !rcu && (state & PENDING) -> ct_tlb_flush_execute()
#endif
	:: else
	fi;
	state = 0
}

inline warn_rcu_exit()
{
	if
	:: rcu -> ct_state_inc(WATCHING, WATCHING); rcu = false
	:: else
	fi
}

/* A range flush that has other addresses leaves this one, but no upper level entry. */
inline do_kernel_range_flush(from)
{
	if
	:: ipi[from] == FLUSH_IPI -> drop()
	:: else
	fi;
	pwc = NONE
}

/* Without an oops the entry has flushed: there is nothing for the handler to do. */
inline nohz_tlb_drain_cpu()
{
	never(request_lost, word & PENDING)
}

inline handle_ipi(from)
{
	atomic {
		level == me && ipi[from] != NO_IPI && !handled[from] && nfull(buffer[OWNER]) ->
		may_be_instrumented();
		handled[from] = true;
		if
		:: ipi[from] == DRAIN_IPI -> nohz_tlb_drain_cpu()
		:: else -> do_kernel_range_flush(from)
		fi;
		buffer[OWNER] ! ACK, from
	}
}

proctype owner()
{
	byte me = 0;
	byte old, asked;

	do
	::	/* A system call, a fault or an interrupt. Interrupts are off. */
		step(user_mode = false);
		__ct_user_exit();

		do
		:: handle_ipi(0)
#if INITIATORS > 1
		:: handle_ipi(1)
#endif
		:: break
		od;

		__ct_user_enter();
		step(user_mode = true)
	od
}

#if NESTING > 0
/*
 * Whatever interrupts the code of the next lower level, between any two of its
 * steps: an NMI, or a WARN. What is like an NMI: a machine check, a debug exception,
 * and any fault of the kernel while RCU does not watch, which arch_in_rcu_eqs()
 * makes call ct_irq_enter(). Where RCU watches a fault does nothing of all this;
 * the few instructions between the addition and the clear cannot fault.
 */
proctype exception(byte me)
{
	mtype:kind kind;
	byte state, old, incby, asked;
	bool rcu;

	do
	::	atomic {
			level == me - 1 ->
			if
			:: kind = NMI
			:: !user_mode || me > 1 -> kind = WARN
			fi;
			level = me
		};
		if
		:: kind == WARN ->
			warn_rcu_enter();
			step(may_be_instrumented());
			warn_rcu_exit()
#ifdef FAULT_WITHOUT_RCU
		:: kind == NMI && !(word & WATCHING) && (!user_mode || me > 1) ->
			step(may_be_instrumented())
#endif
		:: else ->
			ct_nmi_enter();
			ct_nmi_exit()
		fi;
		step(kind = 0; level = me - 1)
	od
}
#endif

/*
 * The initiators
 */

#ifdef IGNORE_WATCHING
#define may_leave(word)		((word) & USER)
#else
#define may_leave(word)		(((word) & (USER | WATCHING)) == USER)
#endif

inline look_at_word()
{
	old = word;
	left = (may_leave(old) && (old & PENDING));
	owed = owed || left
}

inline set_pending()
{
	word = old | PENDING;
	left = true;
	owed = true
}

inline ct_tlb_flush_leave()
{
	/* The smp_mb() of flush_tlb_kernel_range_leave() comes with it. */
	locked(look_at_word());
	do
	:: left || !may_leave(old) -> break
	:: else ->
#ifdef PLAIN_STORE
		atomic { set_pending() }
#else
		locked(
			if
			:: word == old -> set_pending()
			:: else -> look_at_word()
			fi
		)
#endif
	od;
	old = 0
}

/* Sending an interrupt takes a locked instruction. */
inline send_and_wait(what)
{
	locked(ipi[me] = what);
	ipi[me] == NO_IPI
}

/*
 * Other addresses than this one may be all that there is to flush. With the CPUs that are
 * not left alone this is kernel_tlb_flush().
 */
inline flush_tlb_kernel_range()
{
	send_and_wait((range -> FLUSH_IPI : RANGE_IPI))
}

#define young	vmap_young_generation

/* Notes what ct_tlb_flush_count() says. */
inline note_count()
{
	counted[young] = false
}

inline nohz_tlb_leave()
{
#ifdef NOTE_COUNT_FIRST
	atomic { note_count() };
	ct_tlb_flush_leave()
#else
	ct_tlb_flush_leave();
	if
	:: left -> atomic { note_count() }
	:: else
	fi
#endif
}

/*
 * Preemption is off until all bits are set, which only a grace period looks at. The smp_mb()
 * after the looks is left out: with TSO and without it more can happen.
 */
inline flush_tlb_kernel_range_leave()
{
	atomic { left = nohz_tlb_key; preempt_off[me] = true };
	if
	:: left -> left = false; nohz_tlb_leave()
	:: else
	fi;
	preempt_off[me] = false;
	if
	:: !left -> flush_tlb_kernel_range()
	:: else
	fi
}

/* Is the owner still in the mask? Takes it out of that of one generation. */
inline flush_tlb_kernel_left(gen)
{
	atomic { old = word & PENDING };
	if
	:: !old -> gen_owed[gen] = false
	:: else ->
		atomic { gen_owed[gen] = !counted[gen] }
	fi;
	old = 0
}

/* nohz_tlb_drain_cond() is what asks ct_tlb_flush_pending(). */
#ifdef DRAIN_BY_STATE
#define ct_tlb_flush_pending()	(may_leave(word) && (word & PENDING))
#else
#define ct_tlb_flush_pending()	(word & PENDING)
#endif

inline flush_tlb_kernel_drain()
{
	locked(old = ct_tlb_flush_pending());
	if
	:: old -> send_and_wait(DRAIN_IPI)
	:: else
	fi;
	old = 0
}

inline vmap_look_who_flushed()
{
	if
	:: gen_owed[0] -> flush_tlb_kernel_left(0)
	:: else
	fi;
	if
	:: gen_owed[1] -> flush_tlb_kernel_left(1)
	:: else
	fi
}

#define has_areas(gen)		(gen_others[gen] || (area == WAITING && waiting == (gen)))
#define vmap_areas_wait()	(has_areas(0) || has_areas(1))
#define vmap_flush_is_owed()	(gen_owed[0] || gen_owed[1])

#ifdef FORGET_GENERATION
#define mask_of(gen)		0
#else
#define mask_of(gen)		gen
#endif

inline end_waiting(gen)
{
	if
	:: !gen_owed[mask_of(gen)] ->
		gen_others[gen] = false;
		if
		:: area == WAITING && waiting == gen -> area = PURGED; waiting = 0
		:: else
		fi
	:: else
	fi
}

inline vmap_end_waiting()
{
	atomic {
		end_waiting(0);
		end_waiting(1);
		if
		:: !has_areas(!young) -> young = !young
		:: else
		fi
	}
}

/* What comes off the lazy list, this address or not, joins the young generation. */
inline vmap_purge_target()
{
	waiting = young;
	area = WAITING
}

/* A drain is a promise about all, so nobody is looked at. */
inline vmap_drain()
{
	flush_tlb_kernel_drain();
	atomic { gen_owed[0] = false; gen_owed[1] = false }
}

inline vmap_purge_flush()
{
	if
	:: some -> flush_tlb_kernel_range_leave()
#ifndef HAND_BACK_AT_ONCE
		;
		atomic { gen_owed[young] = gen_owed[young] || left }
#endif
	:: else
	fi;
	atomic { left = false; range = false; some = false };
#ifndef NO_DRAIN
	/* Strict, or so much waits. */
	if
	:: vmap_flush_is_owed() ->
		vmap_drain()
	:: !strict || !vmap_flush_is_owed()
	fi;
#endif
	vmap_end_waiting()
}

/* Hands the address out, by new page table entries. */
inline vmap_release_areas()
{
	atomic {
		if
		:: area == PURGED ->
			never(reused_early, pte || tlb != NONE);
			area = MAPPED;
			pte = true
		:: else
		fi
	}
}

/* A mutex is a locked instruction; the list is taken under a spinlock of its own. */
inline __purge_vmap_area_lazy()
{
	vmap_look_who_flushed();
	vmap_end_waiting();
	locked(
		if
		:: lazy -> range = true; some = true; lazy = false; vmap_purge_target()
		:: !lazy
		fi;
		if
		:: gen_others[young] = true; some = true
		:: true
		fi
	);
	vmap_purge_flush();
	vmap_release_areas()
}

inline lock()
{
	atomic { empty(buffer[me]) && !vmap_purge_lock -> vmap_purge_lock = true }
}

inline unlock()
{
	atomic { nfull(buffer[me]) -> buffer[me] ! UNLOCK, 0; strict = false }
}

inline free_vmap_area_noflush()
{
	atomic {
		area == MAPPED && len(buffer[me]) == 0 ->
		area = LAZY;
		buffer[me] ! PTE, 0;
		buffer[me] ! LISTED, 0
	}
}

/* These say what kind of purge purge() does. */
inline drain_vmap_area_work()
{
	strict = false
}

inline _vm_unmap_aliases()
{
	strict = true
}

/*
 * When a strict one returns no CPU holds an alias: of what it purges, and of what was
 * purged before.
 */
inline purge()
{
	lock();
	alias = (strict && (lazy || area == WAITING) && tlb != NONE);
	__purge_vmap_area_lazy();
	if
	:: strict -> atomic { never(alias_left, alias || vmap_areas_wait()) }
	:: else
	fi;
	unlock()
}

inline pmd_free_pte_page()
{
	atomic { pmd && nfull(buffer[me]) -> buffer[me] ! PMD_CLEAR, 0 };
#ifdef LEAVE_PAGE_TABLES
	flush_tlb_kernel_range_leave();
	left = false;
#else
	flush_tlb_kernel_range();
#endif
	/* Here the table is freed: nobody may get to it any more. */
	atomic { never(page_table_in_use, pmd || pwc == OLD) };
	atomic { nfull(buffer[me]) -> buffer[me] ! PMD_SET, 0 };
	empty(buffer[me])
}

/*
 * Then purge() goes on, and switched_off() is the end. As leaving holds vmap_purge_lock
 * today, the purge alone would do; the rest is for callers who do not hold it.
 */
inline nohz_tlb_switch()
{
	nohz_tlb_key = false;
	switching = true;
#ifndef SWITCH_AT_ONCE
	/* synchronize_rcu() */
	!preempt_off[INITIATORS - 1 - me];
#endif
	_vm_unmap_aliases()
}

/*
 * A drain comes last. In part core it may find a bit whose flush is done and counted. Part
 * moment counts after it has cleared the bit, so the purge has left nothing to drain.
 */
inline switched_off()
{
	if
	:: switching ->
#ifdef CORE
		flush_tlb_kernel_drain();
#else
		atomic { never(owed_after_switch_off, ct_tlb_flush_pending()) };
#endif
		atomic { never(owed_after_switch_off, owed); nohz_tlb_key = true; switching = false }
	:: else
	fi
}

proctype initiator(byte me)
{
	byte old;
	bool range, some, left, strict, switching;

	do
	:: free_vmap_area_noflush()
#ifdef PAGE_TABLES
	:: me == 0 -> pmd_free_pte_page()
#endif
	::	if
		:: drain_vmap_area_work()
		:: me == 0 -> _vm_unmap_aliases()
		:: me == INITIATORS - 1 -> nohz_tlb_switch()
		fi;
#ifdef SWITCH_AT_ONCE
		if
		:: !switching -> purge()
		:: else
		fi;
#else
		purge();
#endif
		switched_off()
	od
}

init
{
	atomic {
		run page_walker();
		run store_buffer(OWNER);
		run owner();
#if NESTING > 0
		run exception(1);
#endif
#if NESTING > 1
		run exception(2);
#endif
#if NESTING > 2
		run exception(3);
#endif
		run store_buffer(0);
		run initiator(0);
#if INITIATORS > 1
		run store_buffer(1);
		run initiator(1);
#endif
	}
}
