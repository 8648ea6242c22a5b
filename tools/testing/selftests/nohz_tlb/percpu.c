// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: reclaiming dynamic per-CPU memory does not interrupt an isolated
 * CPU that runs user mode code.
 */
#include "nohz_tlb.h"

#define NR_PAGES	1024
/* For all possible CPUs together, as each of them gets as many. */
#define NR_ALL_PAGES	65536
#define PERCPU_WAIT_MS	2000
/* Attempts, if a CPU was disturbed by something else than what is counted. */
#define NR_TRIES	10

FIXTURE(percpu) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(percpu)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(percpu)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(percpu, reclaim_is_deferred, TEST_TIMEOUT_S)
{
	long nr = MIN(NR_PAGES, NR_ALL_PAGES / sysconf(_SC_NPROCESSORS_CONF));
	struct received received[MAX_SPINNERS];
	long before, deadline;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
		ASSERT_TRUE(spinners_quiet(&self->lab));

		/* The worker that reclaims comes some time after the memory is free. */
		before = cpu_stat(self->lab.spinners[0].cpu, "deferred");
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "percpu", nr));
		deadline = now_ms() + PERCPU_WAIT_MS;
		while (cpu_stat(self->lab.spinners[0].cpu, "deferred") == before &&
		       now_ms() < deadline)
			sleep_ms(10);
		sleep_ms(100);
		ASSERT_EQ(0, trace_count(&self->lab, received));

		if (received[0].deferrable && !spinners_disturbed(&self->lab, received))
			break;
	}

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld deferrable flushes, %ld callbacks",
		       self->lab.spinners[i].cpu, received[i].deferrable,
		       received[i].flushes);
		EXPECT_GE(received[i].deferrable, 1);
		EXPECT_EQ(0, received[i].flushes);
	}
}

TEST_HARNESS_MAIN
