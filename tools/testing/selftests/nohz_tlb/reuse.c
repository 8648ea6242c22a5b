// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: when an address is allocated again, no CPU has a translation of it from
 * before.
 *
 * In each round an isolated CPU reads an area in the kernel, so that its TLB has the
 * translation, and goes back to user mode. A housekeeping CPU frees the area, and a purge
 * leaves the flush to the isolated CPU. That one enters the kernel in the way under
 * test, and another purge hands the addresses back. They are allocated again, with
 * another page behind them, and the isolated CPU reads what is there.
 */
#include "nohz_tlb_wait.h"

#define NR_ROUNDS		20
#define NR_MCE_ROUNDS		5
#define ROUNDS_DEADLINE_MS	200000

/* How the CPU enters the kernel, where its own task does not do it. */
enum entry_way {
	BY_SPINNER,
	BY_MODULE,
	BY_MONITOR,
	/* Not at all: it forgets the flush. */
	BY_NOBODY,
};

FIXTURE(reuse) {
	struct nohz_tlb lab;
	struct spinner *spinner;
	long place;
	/* This CPU cannot enter the kernel in that way. */
	bool unsupported;
	/* What became of the rounds. */
	long played;
	long disturbed;
	long handed_out;
	long stale;
};

FIXTURE_VARIANT(reuse)
{
	enum entry_way way;
	/* The spinner's command, or the module's entry. */
	int which;
};

FIXTURE_VARIANT_ADD(reuse, system_call) {
	.which = SPINNER_ENTER,
};

FIXTURE_VARIANT_ADD(reuse, int80) {
	.which = SPINNER_READ_INT80,
};

FIXTURE_VARIANT_ADD(reuse, page_fault) {
	.which = SPINNER_PAGE_FAULT,
};

FIXTURE_VARIANT_ADD(reuse, invalid_opcode) {
	.which = SPINNER_UD,
};

FIXTURE_VARIANT_ADD(reuse, general_protection) {
	.which = SPINNER_GP,
};

FIXTURE_VARIANT_ADD(reuse, divide_error) {
	.which = SPINNER_DE,
};

FIXTURE_VARIANT_ADD(reuse, breakpoint) {
	.which = SPINNER_BP,
};

FIXTURE_VARIANT_ADD(reuse, single_step) {
	.which = SPINNER_DB,
};

FIXTURE_VARIANT_ADD(reuse, hardware_breakpoint) {
	.which = SPINNER_HW_BREAKPOINT,
};

FIXTURE_VARIANT_ADD(reuse, signal_return) {
	.which = SPINNER_SIGRETURN,
};

FIXTURE_VARIANT_ADD(reuse, compat_system_call) {
	.which = SPINNER_COMPAT,
};

FIXTURE_VARIANT_ADD(reuse, reschedule_interrupt) {
	.way = BY_MODULE,
	.which = ENTRY_RESCHEDULE,
};

FIXTURE_VARIANT_ADD(reuse, call_interrupt) {
	.way = BY_MODULE,
	.which = ENTRY_CALL,
};

FIXTURE_VARIANT_ADD(reuse, timer_interrupt) {
	.way = BY_MODULE,
	.which = ENTRY_TIMER,
};

FIXTURE_VARIANT_ADD(reuse, machine_check) {
	.way = BY_MONITOR,
};

FIXTURE_VARIANT_ADD(reuse, nmi) {
	.way = BY_MODULE,
	.which = ENTRY_NMI,
};

/*
 * The negative control: with the bit cleared and no flush, the CPU does read the old
 * page. If it did not, the others would prove nothing.
 */
FIXTURE_VARIANT_ADD(reuse, control_flush_lost) {
	.way = BY_NOBODY,
};

FIXTURE_SETUP(reuse)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
	/* The others only take time from this one where CPUs are emulated. */
	spinners_keep(&self->lab, 1);
	self->spinner = &self->lab.spinners[0];
}

FIXTURE_TEARDOWN(reuse)
{
	nohz_tlb_teardown(&self->lab);
}

static int send_entry(struct spinner *spinner, int entry)
{
	return module_write("entry", spinner->cpu << ENTRY_CPU_SHIFT | entry);
}

/* The CPU enters the kernel in the way under test: 0, or -errno. */
static int enter(FIXTURE_DATA(reuse) *self, const FIXTURE_VARIANT(reuse) *variant,
		 long flushes)
{
	struct spinner *spinner = self->spinner;
	long before;
	int err;

	switch (variant->way) {
	case BY_SPINNER:
		err = spinner_do(spinner, variant->which);
		break;
	case BY_MODULE:
		/* The timer runs already. */
		err = variant->which == ENTRY_TIMER ? 0 : send_entry(spinner, variant->which);
		break;
	case BY_MONITOR:
		before = nr_interrupts("MCE:", spinner->cpu);
		err = raise_machine_check(spinner->cpu);
		if (!err && !machine_check_came(spinner->cpu, before, DEADLINE_MS))
			err = -ETIMEDOUT;
		break;
	default:
		return module_write("lose", spinner->cpu);
	}

	return err ?: wait_for_flush(spinner->cpu, flushes);
}

/* Once in a while the area lies elsewhere, as the TLB may have no room for one place. */
static void allocate(struct __test_metadata *_metadata, FIXTURE_DATA(reuse) *self)
{
	if (self->place++ % MOVE_ROUNDS == 0)
		ASSERT_EQ(0, module_write("area_place", self->place));
	ASSERT_EQ(0, module_write("area", 1));
}

/*
 * Have the CPU read the area, and leave it the flush for its addresses. Nothing says
 * that the CPU stays in user mode meanwhile: false if it did not.
 */
static bool leave_flush(struct __test_metadata *_metadata, FIXTURE_DATA(reuse) *self,
			const FIXTURE_VARIANT(reuse) *variant, long *flushes)
{
	struct spinner *spinner = self->spinner;

	allocate(_metadata, self);
	if (variant->way == BY_MODULE && variant->which == ENTRY_TIMER)
		ASSERT_EQ(0, send_entry(spinner, ENTRY_TIMER));
	ASSERT_EQ(0, spinner_do(spinner, SPINNER_AREA));
	ASSERT_EQ(module_read("area_number"), spinner->page->value);

	*flushes = cpu_flushed(spinner->cpu);
	ASSERT_EQ(0, module_write("area_free", 1));
	ASSERT_EQ(0, lazy_purge());

	return cpu_owes(spinner->cpu, *flushes);
}

/* Leave nothing behind for the next round: no area, and no translation of one. */
static void end_round(struct __test_metadata *_metadata, FIXTURE_DATA(reuse) *self)
{
	ASSERT_EQ(0, module_write("area_free", 1));
	ASSERT_EQ(0, module_write("ask", 1));
	ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_ENTER));
	ASSERT_EQ(0, drain());
}

/* The CPU reads what is behind the address. */
static void read_again(struct __test_metadata *_metadata, FIXTURE_DATA(reuse) *self)
{
	ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_AREA));
	self->stale += self->spinner->page->value != module_read("area_number");
}

static void play_round(struct __test_metadata *_metadata, FIXTURE_DATA(reuse) *self,
		       const FIXTURE_VARIANT(reuse) *variant)
{
	struct spinner *spinner = self->spinner;
	struct cpu_state state;
	long flushes;
	int err;

	if (!leave_flush(_metadata, self, variant, &flushes)) {
		self->disturbed++;
		return end_round(_metadata, self);
	}

	if (!module_write("area_nowait", 1)) {
		self->handed_out++;
		self->played++;
		return end_round(_metadata, self);
	}

	err = enter(self, variant, flushes);
	self->unsupported = err == -EOPNOTSUPP;
	if (self->unsupported)
		return;
	ASSERT_EQ(0, err);
	/* Only hands back, as nothing was freed since. */
	ASSERT_EQ(0, module_write("unmap_aliases", 1));
	ASSERT_EQ(0, module_write("area_nowait", 1));

	/* A CPU that was asked again would flush before it reads. */
	state = cpu_state(spinner->cpu);
	if (!state.pending && state.flushed - flushes == (variant->way != BY_NOBODY)) {
		read_again(_metadata, self);
		self->played++;
	} else {
		self->disturbed++;
	}
	end_round(_metadata, self);
}

TEST_F_TIMEOUT(reuse, reads_the_new_page, TEST_TIMEOUT_S)
{
	long rounds = variant->way == BY_MONITOR ? NR_MCE_ROUNDS : NR_ROUNDS;
	long deadline = now_ms() + ROUNDS_DEADLINE_MS;
	int cpu = self->spinner->cpu;

	if (variant->way == BY_MONITOR && !environment_has("NOHZ_TLB_MONITOR"))
		SKIP(return,
		     "Only an emulator that listens raises machine checks (NOHZ_TLB_MONITOR=1).");
	if (variant->way == BY_NOBODY && cr3_writes_flush_kernel())
		SKIP(return,
		     "With PTI this CPU drops all kernel translations whenever CR3 is written, so none can be stale.");
	if (variant->way == BY_SPINNER && !int80_works() &&
	    (variant->which == SPINNER_READ_INT80 || variant->which == SPINNER_COMPAT))
		SKIP(return, "This kernel has no system calls for 32-bit programs.");
	if (variant->way == BY_SPINNER && variant->which == SPINNER_HW_BREAKPOINT)
		ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_WATCH));

	while (self->played < rounds && now_ms() < deadline) {
		play_round(_metadata, self, variant);
		if (self->unsupported)
			SKIP(return, "This CPU has no SYSCALL instruction in 32-bit code.");
	}

	if (variant->way == BY_NOBODY) {
		TH_LOG("cpu %d: %ld times, %ld disturbed, %ld found the old page", cpu,
		       self->played, self->disturbed, self->stale);
		EXPECT_GT(self->stale, 0);
		return;
	}

	TH_LOG("cpu %d: %ld rounds, %ld disturbed, %ld handed out early, %ld stale", cpu,
	       self->played, self->disturbed, self->handed_out, self->stale);
	EXPECT_EQ(rounds, self->played);
	EXPECT_EQ(0, self->handed_out);
	EXPECT_EQ(0, self->stale);
}

TEST_HARNESS_MAIN
