// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: whoever wins the race between flushes and an entry to the kernel,
 * the CPU that enters uses no translation that is older than a flush that has
 * returned before it looked.
 */
#include "nohz_tlb.h"

#define NR_EXCHANGES		1000
#define NR_EXCHANGES_LONG	100000
#define MAX_STORMS		4

FIXTURE(race) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(race)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(race)
{
	nohz_tlb_teardown(&self->lab);
}

/* Let each housekeeping CPU exchange pages of its own: 0 if all did so @nr times. */
static int run_storms(int nr_storms, long nr)
{
	pid_t storms[MAX_STORMS];
	int err = 0;

	for (int i = 0; i < nr_storms; i++)
		storms[i] = storm_start(i, nr);
	for (int i = 0; i < nr_storms; i++)
		err |= storm_wait(storms[i]);

	return err;
}

TEST_F_TIMEOUT(race, initiators_against_entries, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_EXCHANGES, NR_EXCHANGES_LONG);
	long deferred[MAX_SPINNERS], flushed[MAX_SPINNERS];
	cpu_set_t housekeeping;
	int nr_storms;
	long stale;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(housekeeping), &housekeeping));
	nr_storms = MIN(CPU_COUNT(&housekeeping), MAX_STORMS);

	ASSERT_EQ(0, write_number(MODULE_DIR "check", 0));
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		deferred[i] = cpu_stat(self->lab.spinners[i].cpu, "deferred");
		flushed[i] = cpu_stat(self->lab.spinners[i].cpu, "flushed");
		spinner_ask(&self->lab.spinners[i], SPINNER_STORM);
	}

	EXPECT_EQ(0, run_storms(nr_storms, nr));

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		struct spinner *spinner = &self->lab.spinners[i];

		EXPECT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
		deferred[i] = cpu_stat(spinner->cpu, "deferred") - deferred[i];
		flushed[i] = cpu_stat(spinner->cpu, "flushed") - flushed[i];
		TH_LOG("cpu %d: %ld requests deferred, %ld flushes", spinner->cpu,
		       deferred[i], flushed[i]);
		EXPECT_GE(deferred[i], 1);
		EXPECT_GE(flushed[i], 1);
		EXPECT_LE(flushed[i], deferred[i]);
	}

	stale = read_number(MODULE_DIR "check");
	TH_LOG("%d CPUs made %ld exchanges each, %ld stale", nr_storms, nr, stale);
	EXPECT_EQ(0, stale);
}

TEST_HARNESS_MAIN
