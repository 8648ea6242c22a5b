// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: any number of requests to one CPU end in one flush, at its next
 * entry to the kernel.
 */
#include "nohz_tlb.h"

#define NR_REQUESTS	10000
/* Attempts, if the CPU entered the kernel for another reason in between. */
#define NR_TRIES	10

FIXTURE(coalesce) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(coalesce)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(coalesce)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(coalesce, one_flush, TEST_TIMEOUT_S)
{
	int cpu = self->lab.spinners[0].cpu;
	struct received received[MAX_SPINNERS];
	long left, flushed, again = -1;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, spinner_do(&self->lab.spinners[0], SPINNER_ENTER));
		left = cpu_left(cpu);
		flushed = cpu_flushed(cpu);

		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_REQUESTS));
		ASSERT_EQ(0, spinner_do(&self->lab.spinners[0], SPINNER_ENTER));
		ASSERT_EQ(0, trace_count(&self->lab, received));

		left = cpu_left(cpu) - left;
		flushed = cpu_flushed(cpu) - flushed;
		if (received[0].entries != 1)
			continue;

		again = cpu_flushed(cpu);
		ASSERT_EQ(0, spinner_do(&self->lab.spinners[0], SPINNER_ENTER));
		again = cpu_flushed(cpu) - again;
		/* Somebody else may have asked for a flush in between. */
		if (!again)
			break;
	}

	TH_LOG("cpu %d: %ld requests, %ld entries, %ld flushes", cpu, left,
	       received[0].entries, flushed);
	TH_LOG("cpu %d: %ld flushes at the next entry", cpu, again);
	EXPECT_GE(left, NR_REQUESTS);
	EXPECT_EQ(received[0].entries, 1);
	EXPECT_EQ(flushed, 1);
	EXPECT_EQ(again, 0);
}

TEST_HARNESS_MAIN
