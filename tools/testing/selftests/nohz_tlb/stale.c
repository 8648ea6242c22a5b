// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: an isolated CPU that was left alone while a kernel mapping was
 * replaced reads the new page when it comes into the kernel.
 *
 * In each round the CPU reads through a window in kernel mode, so that its TLB
 * has the translation, and goes back to user mode. A housekeeping CPU puts
 * another page behind the window, with a deferrable flush. Then the CPU enters
 * the kernel in the way under test and reads the window again.
 */
#include "nohz_tlb.h"

#define NR_ROUNDS	1000
#define NR_CONTROL	1000
#define NR_HOLDS	20
#define NR_ENTRY_ROUNDS	50
/*
 * The window moves after so many rounds. A TLB has room for few translations of
 * addresses that collide, so at an unlucky one there is never a stale one.
 */
#define MOVE_ROUNDS	10

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

static int move_window(int round)
{
	return round % MOVE_ROUNDS ? 0 : write_number(MODULE_DIR "window_move", 1);
}

/* Play @rounds rounds and return how many of them read the old page. */
static long count_stale(struct __test_metadata *_metadata, struct spinner *spinner,
			const char *replace, int rounds)
{
	long stale = 0;

	for (int round = 0; round < rounds; round++) {
		unsigned long next;

		ASSERT_EQ(0, move_window(round));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		next = !spinner->page->value;
		ASSERT_EQ(0, write_number(replace, next));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		stale += spinner->page->value != next;
	}

	return stale;
}

TEST_F_TIMEOUT(stale, system_call, TEST_TIMEOUT_S)
{
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		struct spinner *spinner = &self->lab.spinners[i];
		long deferred, stale;

		deferred = cpu_stat(spinner->cpu, "deferred");
		stale = count_stale(_metadata, spinner, MODULE_DIR "window", NR_ROUNDS);
		deferred = cpu_stat(spinner->cpu, "deferred") - deferred;

		TH_LOG("cpu %d: %d rounds, %ld deferred, %ld stale", spinner->cpu,
		       NR_ROUNDS, deferred, stale);
		EXPECT_EQ(0, stale);
		/* Rounds with an IPI say nothing about the flush at the entry. */
		EXPECT_GE(deferred, NR_ROUNDS * 9 / 10);
	}
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

/* Wait for what the CPU read at the event: -1 if the event does not come. */
static long event_result(void)
{
	long deadline = now_ms() + DEADLINE_MS;
	long value;

	do {
		value = read_number(MODULE_DIR "event");
	} while (value < 0 && errno == EAGAIN && now_ms() < deadline);

	return value;
}

/*
 * The same through other entries. The CPU reads the window in the kernel before
 * the entry under test returns: in a probe, an interrupt or an NMI handler.
 */
TEST_F_TIMEOUT(stale_entry, reads_the_new_page, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long deferred, stale = 0, early = 0;

	deferred = cpu_stat(spinner->cpu, "deferred");
	for (int round = 0; round < NR_ENTRY_ROUNDS; round++) {
		long next;
		int err;

		ASSERT_EQ(0, move_window(round));
		ASSERT_EQ(0, write_number(MODULE_DIR "event",
					  spinner->cpu << EVENT_CPU_SHIFT | variant->event));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		next = !spinner->page->value;
		ASSERT_EQ(0, write_number(MODULE_DIR "window", next));
		/* The timer runs already, and may have been faster. */
		if (read_number(MODULE_DIR "event") >= 0) {
			early++;
			continue;
		}
		if (variant->command < 0)
			err = write_number(MODULE_DIR "trigger", 1);
		else
			err = spinner_do(spinner, variant->command);
		ASSERT_EQ(0, err);
		stale += event_result() != next;
	}
	deferred = cpu_stat(spinner->cpu, "deferred") - deferred;

	TH_LOG("cpu %d: %d rounds, %ld too early, %ld deferred, %ld stale", spinner->cpu,
	       NR_ENTRY_ROUNDS, early, deferred, stale);
	EXPECT_EQ(0, stale);
	EXPECT_GE(deferred - early, NR_ENTRY_ROUNDS / 2);
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

	stale = count_stale(_metadata, spinner, MODULE_DIR "window_noflush", NR_CONTROL);
	TH_LOG("cpu %d: %d rounds without a flush, %ld stale", spinner->cpu,
	       NR_CONTROL, stale);
	EXPECT_GT(stale, 0);
}

TEST_HARNESS_MAIN
