/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of deferred kernel TLB flushes, for Spin: two CPUs that flush, and
 * one that runs in user mode, with all that can interrupt it. scripts/model
 * explores it exhaustively, and its mutations.
 *
 * Inlines and processes that stand for functions of the kernel carry their names.
 * The file functions beside this one lists those, and scripts/model compares it with
 * the tree.
 *
 * Memory is x86-TSO: a store goes to the store buffer of its CPU and from there,
 * at any later time and in order, to memory; a locked instruction, and smp_mb(),
 * wait until that buffer is empty. No CPU here reads what it has itself in its
 * buffer, so there is no forwarding.
 *
 * One address is watched, and one page table. All other addresses are alike, so
 * flushes for them are flushes of a range without this one. The page walker is a
 * process of its own: it may fill the TLB at any time, in user mode too, with what
 * memory holds then. The address is not unmapped again before the flush for the
 * last time has returned, so the TLB's entry for it is one of: none; what memory
 * has; what memory had before; and that, although the flush has returned: stale.
 *
 * Taken for granted: a walk in flight does not survive a flush. The flush by CR4 is
 * one step; an exception between its two writes flushes for itself and leaves CR4
 * as it found it. Disabling preemption and reading the key are one step. Idle and
 * guest mode are not here, so "the state is user" cannot be told from "the state
 * has the bit of user".
 */

#define USER		1	/* CT_STATE_USER, else CT_STATE_KERNEL */
#define WATCHING	2	/* CT_RCU_WATCHING */
#define PENDING		4	/* CT_TLB_FLUSH_PENDING */

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

mtype:tlb = { NONE, CURRENT, OLD, STALE };
mtype:area = { MAPPED, HELD, GONE };
mtype:kind = { NMI, WARN };
mtype:store = { PTE, LAZY, PMD_CLEAR, PMD_SET, UNLOCK, ACK };
mtype:ipi = { NO_IPI, FLUSH_IPI, RANGE_IPI, EMPTY_IPI };

/* The context tracking state of the owner, and what it counts by itself. */
byte word = USER;
byte nmi_nesting = 0;
bool user_mode = true;
/* 0: the entry code and the task; from 1 on, exceptions that nest. */
byte level = 0;

/* The owner's TLB, and its paging-structure cache for the upper level entry. */
mtype:tlb tlb = NONE;
mtype:tlb pwc = NONE;

/* Memory. The entry of the page table, and whether the address waits to be purged. */
bool pmd = true;
bool lazy = false;
bool vmap_purge_lock = false;
bool nohz_tlb_key = true;
mtype:area area = MAPPED;

/* Store buffers, and interrupts that were sent and not acknowledged. */
chan buffer[INITIATORS + 1] = [2] of { mtype:store, byte };
mtype:ipi ipi[INITIATORS] = NO_IPI;
bool handled[INITIATORS] = false;
bool preempt_off[INITIATORS] = false;

/* What only the properties look at. */
bool owed = false;	/* A flush was left to the owner and not done. */
bool buffered = false;	/* The write of the page table entry is not in memory yet... */
bool late = false;	/* ... although its flush has returned. */
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
mtype:property = { stale_use, request_lost, page_table_in_use, alias_left,
	pending_after_switch_off, state_overwritten };
mtype:property violated;

#ifdef ONLY
#define checked(property)	(property == ONLY)
#else
#define checked(property)	true
#endif
#define never(property, when)	\
	violated = (checked(property) && (when) -> property : 0); assert(!violated)

#define stale			(tlb == STALE || late)

/* Code that may be instrumented may use any address that is mapped. */
#define may_use_anything()	never(request_lost, owed); never(stale_use, stale)

/* The way in and out uses what the task had before: its stack, for example. */
#ifdef TOUCH_ON_THE_WAY
#define may_use_what_is_held()	never(stale_use, stale)
#else
#define may_use_what_is_held()	never(stale_use, stale && area == HELD)
#endif

/* The end of a flush that had the address in its range. */
inline flush_returned()
{
	if
	:: buffered ->
		late = true;
		if
		:: tlb != NONE -> tlb = STALE
		:: else
		fi
	:: !buffered && tlb == OLD -> tlb = STALE
	:: else
	fi;
	area = MAPPED
}

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
			tlb = (tlb == CURRENT -> OLD : tlb);
			buffered = false;
			late = false
		:: what == LAZY -> lazy = true
		:: what == PMD_CLEAR ->
			pmd = false;
			pwc = (pwc == CURRENT -> OLD : pwc)
		:: what == PMD_SET -> pmd = true
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
	:: atomic { tlb == NONE -> tlb = (late -> STALE : CURRENT) }
	:: atomic { pwc == NONE && pmd -> pwc = CURRENT }
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

inline ct_tlb_flush_execute()
{
#ifdef CLEAR_THEN_FLUSH
	locked_step(word = word & ~PENDING);
	step(arch_ct_tlb_flush())
#else
	step(may_use_what_is_held(); arch_ct_tlb_flush());
	locked_step(word = word & ~PENDING)
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
	locked_step(may_use_what_is_held(); old = word & PENDING; add(change, before));
	if
	:: old -> ct_tlb_flush_execute()
	:: else
	fi;
	old = 0
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
	step(may_use_anything(); never(state_overwritten, nmi_nesting != 0); nmi_nesting = IRQ_NONIDLE)
}

inline ct_kernel_exit()
{
	step(may_use_anything(); never(state_overwritten, nmi_nesting != IRQ_NONIDLE); nmi_nesting = 0);
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
	step(may_use_what_is_held(); state = word);
	if
	:: !(state & WATCHING) ->
		state = 0;
		ct_kernel_enter_state(WATCHING, 0);
		incby = 1
	:: else ->
		incby = 2;
#ifndef NMI_DOES_NOT_TEST
		if
		:: state & PENDING -> ct_tlb_flush_execute()
		:: else
		fi;
#endif
		state = 0
	fi;
	step(may_use_anything(); nmi_nesting = nmi_nesting + incby; incby = 0)
}

inline ct_nmi_exit()
{
	if
	:: atomic { level == me && nmi_nesting != 1 -> may_use_anything(); nmi_nesting = nmi_nesting - 2 }
	:: atomic { level == me && nmi_nesting == 1 -> may_use_anything(); nmi_nesting = 0 };
		ct_kernel_exit_state(WATCHING, WATCHING)
	fi
}

inline warn_rcu_enter()
{
	step(may_use_what_is_held(); state = word; rcu = !(state & WATCHING));
	if
#ifdef WARN_DOES_NOT_TEST
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

inline handle_ipi(from)
{
	atomic {
		level == me && ipi[from] != NO_IPI && !handled[from] && nfull(buffer[OWNER]) ->
		may_use_anything();
		handled[from] = true;
		if
		:: ipi[from] == EMPTY_IPI /* do_kernel_flush_drain() */
		:: else -> do_kernel_range_flush(from)
		fi;
		buffer[OWNER] ! ACK, from
	}
}

proctype owner()
{
	byte me = 0;
	byte old;

	do
	::	/* A system call, a fault or an interrupt. Interrupts are off. */
		step(user_mode = false);
		__ct_user_exit();

		do
		:: handle_ipi(0)
#if INITIATORS > 1
		:: handle_ipi(1)
#endif
		:: atomic { level == me && area == MAPPED -> may_use_anything(); area = HELD }
		:: atomic { level == me && area == HELD -> area = MAPPED }
		:: break
		od;

		__ct_user_enter();
		step(may_use_what_is_held(); user_mode = true)
	od
}

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
	byte state, old, incby;
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
			step(may_use_anything());
			warn_rcu_exit()
#ifdef FAULT_WITHOUT_RCU
		:: kind == NMI && !(word & WATCHING) && (!user_mode || me > 1) ->
			step(may_use_anything())
#endif
		:: else ->
			ct_nmi_enter();
			ct_nmi_exit()
		fi;
		step(kind = 0; level = me - 1)
	od
}

/*
 * The initiators
 */

#ifdef IGNORE_WATCHING
#define may_defer(word)		((word) & USER)
#else
#define may_defer(word)		(((word) & (USER | WATCHING)) == USER)
#endif

inline look_at_word()
{
	old = word;
	deferred = (may_defer(old) && (old & PENDING));
	owed = owed || deferred
}

inline set_pending()
{
	word = old | PENDING;
	deferred = true;
	owed = true
}

inline ct_tlb_flush_defer()
{
#ifdef NO_BARRIER
	atomic { look_at_word() };
#else
	/* The smp_mb() of kernel_flush_deferrable() comes with it. */
	locked(look_at_word());
#endif
	do
	:: deferred || !may_defer(old) -> break
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
	od
}

/* Sending an interrupt takes a locked instruction. */
inline send_and_wait(what)
{
	locked(ipi[me] = what);
	ipi[me] == NO_IPI
}

inline flush_tlb_kernel_range()
{
	send_and_wait((range -> FLUSH_IPI : RANGE_IPI))
}

/* Preemption is on again for a flush that may not be deferred. */
inline kernel_flush_may_defer()
{
	atomic { deferred = nohz_tlb_key; preempt_off[me] = deferred }
}

/* kernel_flush_defer() is what asks ct_tlb_flush_defer(), kernel_flush_deferrable() calls it. */
/* The smp_mb() after the looks is left out: with TSO and without it more can happen. */
inline flush_tlb_kernel_range_deferrable()
{
	kernel_flush_may_defer();
	if
	:: deferred -> deferred = false; ct_tlb_flush_defer()
	:: else
	fi;
	if
	:: !deferred -> flush_tlb_kernel_range()
	:: else
	fi;
	atomic {
		preempt_off[me] = false;
		deferred = false;
		old = 0;
		if
		:: range -> flush_returned()
		:: else
		fi
	}
}

#ifdef DRAIN_BY_STATE
#define ct_tlb_flush_pending()	(may_defer(word) && (word & PENDING))
#else
#define ct_tlb_flush_pending()	(word & PENDING)
#endif

/* kernel_flush_is_pending() is what asks ct_tlb_flush_pending(). */
inline flush_tlb_kernel_drain()
{
#ifdef NO_DRAIN
	skip
#else
	locked(deferred = !ct_tlb_flush_pending());
	if
	:: !deferred -> send_and_wait(EMPTY_IPI)
	:: else
	fi;
	deferred = false
#endif
}

inline clear_pte()
{
	atomic {
		area == MAPPED && !buffered && nfull(buffer[me]) ->
		area = GONE;
		buffered = true;
		buffer[me] ! PTE, 0
	}
}

inline vunmap_range()
{
	clear_pte();
	range = true;
	flush_tlb_kernel_range_deferrable();
	range = false
}

inline free_vmap_area_noflush()
{
	clear_pte();
	atomic { nfull(buffer[me]) -> buffer[me] ! LAZY, 0 }
}

/* A mutex is a locked instruction; the list is taken under a spinlock of its own. */
inline lock()
{
	atomic { empty(buffer[me]) && !vmap_purge_lock -> vmap_purge_lock = true }
}

inline unlock()
{
	atomic { nfull(buffer[me]) -> buffer[me] ! UNLOCK, 0; range = false }
}

/* Takes what is lazily freed: this address, or only others, or nothing at all. */
#define __purge_vmap_area_lazy(flush)		\
	locked(range = lazy; lazy = false);	\
	if					\
	:: flush()				\
	:: !range				\
	fi

inline drain_vmap_area_work()
{
	lock();
	__purge_vmap_area_lazy(flush_tlb_kernel_range_deferrable);
	unlock()
}

/* When it returns no CPU holds an alias: of what it purges, and of what was purged. */
inline _vm_unmap_aliases()
{
	lock();
	alias = (stale || (lazy && tlb != NONE));
	__purge_vmap_area_lazy(flush_tlb_kernel_range);
	flush_tlb_kernel_drain();
	atomic {
		never(alias_left, alias);
		if
		:: range -> flush_returned()
		:: else
		fi
	};
	unlock()
}

inline pmd_free_pte_page()
{
	atomic { pmd && nfull(buffer[me]) -> buffer[me] ! PMD_CLEAR, 0 };
#ifdef DEFER_PAGE_TABLES
	flush_tlb_kernel_range_deferrable();
#else
	flush_tlb_kernel_range();
#endif
	/* Here the table is freed: nobody may get to it any more. */
	atomic { never(page_table_in_use, pmd || pwc == OLD) };
	atomic { nfull(buffer[me]) -> buffer[me] ! PMD_SET, 0 };
	empty(buffer[me])
}

inline nohz_tlb_switch()
{
	nohz_tlb_key = false;
#ifndef NO_GRACE_PERIOD
	/* synchronize_rcu() */
	!preempt_off[INITIATORS - 1 - me];
#endif
	flush_tlb_kernel_drain();
	atomic {
		never(pending_after_switch_off, word & PENDING);
		nohz_tlb_key = true
	}
}

proctype initiator(byte me)
{
	byte old;
	bool range, deferred;

	do
	:: vunmap_range()
	:: free_vmap_area_noflush()
	:: drain_vmap_area_work()
	:: _vm_unmap_aliases()
	:: me == 0 -> pmd_free_pte_page()
	:: me == INITIATORS - 1 -> nohz_tlb_switch()
	od
}

init
{
	atomic {
		run page_walker();
		run store_buffer(OWNER);
		run owner();
		run exception(1);
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
