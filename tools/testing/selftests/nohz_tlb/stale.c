// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: an isolated CPU that was left alone while a kernel mapping was
 * replaced reads the new page when it comes into the kernel.
 *
 * In each round the CPU reads through a window in kernel mode, so that its TLB
 * has the translation, and goes back to user mode. A housekeeping CPU puts
 * another page behind the window, and leaves the flush to the CPU. Then that enters
 * the kernel in the way under test and reads the window again.
 */
#include "nohz_tlb.h"

#define NR_ROUNDS	1000
#define NR_CONTROL	1000
#define NR_HOLDS	20
#define NR_ENTRY_ROUNDS	50
#define ENTRY_DEADLINE_MS	240000
/* Faults in pieces, until so many had a request to serve, or time is up. */
#define NR_IRETS	100
#define NR_SERVED	10
#define NR_SERVED_LONG	1000
#define IRET_DEADLINE_MS	120000
#define IRET_DEADLINE_LONG_MS	3000000
/* How many exchanges a storm makes with one write. */
#define NR_EXIT_EXCHANGES	100
#define NR_MCE_ROUNDS	5
#define MCE_WAIT_MS	100

FIXTURE(stale) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(stale)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(stale)
{
	nohz_tlb_teardown(&self->lab);
}

/* The CPU comes into the kernel by @command and reads the new page, each time. */
static void expect_none_stale(struct __test_metadata *_metadata, struct spinner *spinner,
			      enum spinner_command command)
{
	long deferred, stale;

	deferred = cpu_left(spinner->cpu);
	stale = count_stale(spinner, MODULE_DIR "window", command, NR_ROUNDS);
	deferred = cpu_left(spinner->cpu) - deferred;
	ASSERT_GE(stale, 0);

	TH_LOG("cpu %d: %d rounds, %ld deferred, %ld stale", spinner->cpu, NR_ROUNDS,
	       deferred, stale);
	EXPECT_EQ(0, stale);
	/* Rounds with an IPI say nothing about the flush at the entry. */
	EXPECT_GE(deferred, NR_ROUNDS * 9 / 10);
}

TEST_F_TIMEOUT(stale, system_call, TEST_TIMEOUT_S)
{
	for (int i = 0; i < self->lab.nr_spinners; i++)
		expect_none_stale(_metadata, &self->lab.spinners[i], SPINNER_READ);
}

TEST_F_TIMEOUT(stale, int80, TEST_TIMEOUT_S)
{
	if (!int80_works())
		SKIP(return, "This kernel has no system calls for 32-bit programs.");

	expect_none_stale(_metadata, &self->lab.spinners[0], SPINNER_READ_INT80);
}

/*
 * An iret that faults enters the kernel again before it has left it, in the state
 * of user mode. A request that was made there is served by that entry. What the
 * CPU reads when the signal for the fault is made must be as new as what was there
 * before it read.
 */
static void iret_fault(struct __test_metadata *_metadata, struct nohz_tlb *lab,
		       enum spinner_command command)
{
	long deadline = now_ms() + rounds(IRET_DEADLINE_MS, IRET_DEADLINE_LONG_MS);
	long enough = rounds(NR_SERVED, NR_SERVED_LONG);
	struct spinner *spinner = &lab->spinners[0];
	long stale, served, nr = 0;
	pid_t storm;
	int err;

	if (!has_ldt())
		SKIP(return, "Without modify_ldt() no iret can be made to fault.");

	ASSERT_EQ(0, write_number(MODULE_DIR "check", 0));
	ASSERT_EQ(0, write_number(MODULE_DIR "served_faults", 0));
	storm = storm_write(MODULE_DIR "exchange_exit",
			    (unsigned long)spinner->cpu << STORM_CPU_SHIFT | NR_EXIT_EXCHANGES,
			    LONG_MAX);
	ASSERT_GT(storm, 0);
	do {
		err = spinner_repeat(spinner, command, NR_IRETS);
		nr += NR_IRETS;
		served = read_number(MODULE_DIR "served_faults");
	} while (!err && served < enough && now_ms() < deadline);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, storm_stop(storm));
	stale = read_number(MODULE_DIR "check");

	TH_LOG("cpu %d: %ld faults, %ld with a request since the exit, %ld stale",
	       spinner->cpu, nr, served, stale);
	/* A skip would hide it. */
	ASSERT_EQ(0, stale);
	if (!served)
		SKIP(return, "No request came between the exit and the fault, however often.");
}

TEST_F_TIMEOUT(stale, iret_stack_fault, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	iret_fault(_metadata, &self->lab, SPINNER_IRET_SS);
}

TEST_F_TIMEOUT(stale, iret_segment_not_present, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	iret_fault(_metadata, &self->lab, SPINNER_IRET_CS);
}

TEST_F_TIMEOUT(stale, held_in_kernel, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long stale = 0;

	for (int round = 0; round < NR_HOLDS; round++) {
		unsigned long next;

		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		next = !spinner->page->value;

		ASSERT_EQ(0, spinner_hold(spinner));
		EXPECT_EQ(0, write_number(MODULE_DIR "window", next));
		ASSERT_EQ(0, spinner_release(spinner));
		stale += spinner->page->value != next;
	}

	TH_LOG("cpu %d: %d rounds, %ld stale", spinner->cpu, NR_HOLDS, stale);
	EXPECT_EQ(0, stale);
}

FIXTURE(stale_entry) {
	struct nohz_tlb lab;
};

/* The spinner's part, or -1 if the module brings the event about. */
FIXTURE_VARIANT(stale_entry)
{
	enum test_event event;
	int command;
};

FIXTURE_VARIANT_ADD(stale_entry, page_fault) {
	.event = EVENT_PAGE_FAULT,
	.command = SPINNER_PAGE_FAULT,
};

FIXTURE_VARIANT_ADD(stale_entry, invalid_opcode) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_UD,
};

FIXTURE_VARIANT_ADD(stale_entry, general_protection) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_GP,
};

FIXTURE_VARIANT_ADD(stale_entry, divide_error) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_DE,
};

FIXTURE_VARIANT_ADD(stale_entry, breakpoint) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_BP,
};

FIXTURE_VARIANT_ADD(stale_entry, single_step) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_DB,
};

FIXTURE_VARIANT_ADD(stale_entry, hardware_breakpoint) {
	.event = EVENT_BREAKPOINT,
	.command = SPINNER_HW_BREAKPOINT,
};

FIXTURE_VARIANT_ADD(stale_entry, signal_return) {
	.event = EVENT_SIGNAL,
	.command = SPINNER_SIGRETURN,
};

FIXTURE_VARIANT_ADD(stale_entry, compat_system_call) {
	.event = EVENT_ENTRY,
	.command = SPINNER_COMPAT,
};

FIXTURE_VARIANT_ADD(stale_entry, reschedule_interrupt) {
	.event = EVENT_RESCHEDULE,
	.command = -1,
};

FIXTURE_VARIANT_ADD(stale_entry, call_interrupt) {
	.event = EVENT_CALL,
	.command = -1,
};

FIXTURE_VARIANT_ADD(stale_entry, timer_interrupt) {
	.event = EVENT_TIMER,
	.command = -1,
};

FIXTURE_VARIANT_ADD(stale_entry, nmi) {
	.event = EVENT_NMI,
	.command = -1,
};

FIXTURE_SETUP(stale_entry)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(stale_entry)
{
	nohz_tlb_teardown(&self->lab);
}

/* Every entry is an EVENT_ENTRY, so that one is armed when the others are over. */
static int arm_event(int cpu, enum test_event event, bool late)
{
	bool is_late = event == EVENT_ENTRY;

	if (late != is_late)
		return 0;

	return write_number(MODULE_DIR "event", cpu << EVENT_CPU_SHIFT | event);
}

/*
 * The same through other entries. The CPU reads the window in the kernel before
 * the entry under test returns: in a probe, an interrupt or an NMI handler.
 */
TEST_F_TIMEOUT(stale_entry, reads_the_new_page, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long before, left, value, deferred = 0, played = 0, stale = 0, early = 0;
	long deadline = now_ms() + ENTRY_DEADLINE_MS;

	if (variant->command == SPINNER_COMPAT && !int80_works())
		SKIP(return, "This kernel has no system calls for 32-bit programs.");

	/* The others only take time from this one where CPUs are emulated. */
	spinners_keep(&self->lab, 1);
	if (variant->command == SPINNER_HW_BREAKPOINT)
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_WATCH));

	while (played < NR_ENTRY_ROUNDS && now_ms() < deadline) {
		long next;
		int err;

		ASSERT_EQ(0, move_window(played + early));
		ASSERT_EQ(0, arm_event(spinner->cpu, variant->event, false));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		next = !spinner->page->value;
		before = cpu_left(spinner->cpu);
		ASSERT_EQ(0, write_number(MODULE_DIR "window", next));
		left = cpu_left(spinner->cpu) - before;
		ASSERT_EQ(0, arm_event(spinner->cpu, variant->event, true));
		/* The timer runs already, and may have been faster. */
		if (read_number(MODULE_DIR "event") >= 0) {
			early++;
			continue;
		}
		if (variant->command < 0)
			err = write_number(MODULE_DIR "trigger", 1);
		else
			err = spinner_do(spinner, variant->command);
		if (err == -EOPNOTSUPP)
			SKIP(return, "This CPU has no SYSCALL instruction in 32-bit code.");
		ASSERT_EQ(0, err);
		value = event_result();
		ASSERT_GE(value, 0);
		stale += value != next;
		deferred += left;
		played++;
	}

	TH_LOG("cpu %d: %ld rounds, %ld too early, %ld deferred, %ld stale", spinner->cpu,
	       played, early, deferred, stale);
	EXPECT_EQ(NR_ENTRY_ROUNDS, played);
	EXPECT_EQ(0, stale);
	EXPECT_GE(deferred, NR_ENTRY_ROUNDS / 2);
}

TEST_F_TIMEOUT(stale, machine_check, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long before, value, next, deferred, hit = 0, stale = 0;

	if (!environment_has("NOHZ_TLB_MONITOR"))
		SKIP(return,
		     "Only an emulator that listens raises machine checks (NOHZ_TLB_MONITOR=1).");

	spinners_keep(&self->lab, 1);
	deferred = cpu_left(spinner->cpu);
	for (int round = 0; round < NR_MCE_ROUNDS; round++) {
		ASSERT_EQ(0, move_window(0));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		next = !spinner->page->value;
		before = nr_interrupts("MCE:", spinner->cpu);
		ASSERT_EQ(0, write_number(MODULE_DIR "window", next));
		ASSERT_EQ(0, write_number(MODULE_DIR "event",
					  spinner->cpu << EVENT_CPU_SHIFT | EVENT_ENTRY));
		ASSERT_EQ(0, raise_machine_check(spinner->cpu));
		value = event_result();
		ASSERT_GE(value, 0);
		/* If it comes only now, it was not what made the CPU enter the kernel. */
		if (machine_check_came(spinner->cpu, before, MCE_WAIT_MS)) {
			hit++;
			stale += value != next;
		}
		/* The CPU must not get the next one before this one is over. */
		ASSERT_TRUE(machine_check_came(spinner->cpu, before, DEADLINE_MS));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
	}

	deferred = cpu_left(spinner->cpu) - deferred;

	TH_LOG("cpu %d: %ld machine checks, %ld deferred, %ld stale", spinner->cpu, hit,
	       deferred, stale);
	EXPECT_GE(hit, 1);
	EXPECT_GE(deferred, hit);
	EXPECT_EQ(0, stale);
}

/*
 * The negative control: without any flush the same rounds do read the old page.
 * If they did not, the tests above would prove nothing, or the kernel would flush
 * at entries that have nothing pending.
 */
TEST_F_TIMEOUT(stale, control_without_flush, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long stale;

	if (cr3_writes_flush_kernel())
		SKIP(return,
		     "With PTI this CPU drops all kernel translations whenever CR3 is written, so none can be stale.");

	stale = count_stale(spinner, MODULE_DIR "window_noflush", SPINNER_READ, NR_CONTROL);
	ASSERT_GE(stale, 0);
	TH_LOG("cpu %d: %d rounds without a flush, %ld stale", spinner->cpu,
	       NR_CONTROL, stale);
	EXPECT_GT(stale, 0);
}

TEST_HARNESS_MAIN
