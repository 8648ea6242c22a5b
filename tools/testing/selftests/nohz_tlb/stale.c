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

/* Play @rounds rounds and return how many of them read the old page. */
static long count_stale(struct __test_metadata *_metadata, struct spinner *spinner,
			const char *replace, int rounds)
{
	long stale = 0;

	for (int round = 0; round < rounds; round++) {
		unsigned long next;

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
