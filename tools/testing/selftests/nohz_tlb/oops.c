// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: after an oops no flush is deferred any more, because the CPU that
 * had it may never have completed its way into the kernel or out of it.
 */
#include "nohz_tlb.h"

#define NR_FLUSHES	10
#define TAINT_DIE	0x80

FIXTURE(oops) {
	struct nohz_tlb lab;
};

static bool had_oops(void)
{
	long tainted = read_number("/proc/sys/kernel/tainted");

	return tainted >= 0 && tainted & TAINT_DIE;
}

FIXTURE_SETUP(oops)
{
	const char *allowed = getenv("NOHZ_TLB_OOPS");

	/* The kernel is not the same afterwards. */
	if (!allowed || strcmp(allowed, "1"))
		SKIP(return,
		     "This test kills a kernel thread by an oops, and runs only with NOHZ_TLB_OOPS=1.");

	if (read_number("/proc/sys/kernel/panic_on_oops"))
		SKIP(return, "An oops would be a panic here (kernel.panic_on_oops).");
	if (had_oops())
		SKIP(return, "This kernel has had an oops already.");

	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(oops)
{
	nohz_tlb_teardown(&self->lab);
}

static bool wait_for_oops(void)
{
	long deadline = now_ms() + DEADLINE_MS;

	do {
		if (had_oops())
			return true;
		sleep_ms(10);
	} while (now_ms() < deadline);

	return false;
}

TEST_F_TIMEOUT(oops, nothing_is_deferred_any_more, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long deferred[MAX_SPINNERS];

	/* It was deferred before. */
	for (int i = 0; i < self->lab.nr_spinners; i++)
		deferred[i] = cpu_stat(self->lab.spinners[i].cpu, "deferred");
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_FLUSHES));
	for (int i = 0; i < self->lab.nr_spinners; i++)
		ASSERT_LT(deferred[i], cpu_stat(self->lab.spinners[i].cpu, "deferred"));

	ASSERT_EQ(0, write_number(MODULE_DIR "oops", 1));
	ASSERT_TRUE(wait_for_oops());

	for (int i = 0; i < self->lab.nr_spinners; i++)
		deferred[i] = cpu_stat(self->lab.spinners[i].cpu, "deferred");
	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_FLUSHES));
	ASSERT_EQ(0, trace_count(&self->lab, received));

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		int cpu = self->lab.spinners[i].cpu;

		TH_LOG("cpu %d: %d flushes after the oops, %ld callbacks", cpu,
		       NR_FLUSHES, received[i].flushes);
		EXPECT_GE(received[i].flushes, NR_FLUSHES);
		EXPECT_EQ(deferred[i], cpu_stat(cpu, "deferred"));
	}
}

TEST_HARNESS_MAIN
