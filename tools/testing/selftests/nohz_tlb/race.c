// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: whoever wins the race between flushes and an entry to the kernel,
 * the CPU that enters uses no translation that is older than a flush that has
 * returned before it looked.
 */
#include "nohz_tlb.h"

#define NR_EXCHANGES		1000
#define NR_EXCHANGES_LONG	100000
#define MAX_RACERS		4
#define RACE_DEADLINE_MS	120000

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
	pid_t storms[MAX_RACERS];
	int err = 0;

	for (int i = 0; i < nr_storms; i++)
		storms[i] = storm_start(i, nr);
	for (int i = 0; i < nr_storms; i++)
		err |= storm_wait(storms[i]);

	return err;
}

/* Whether each spinner got a flush left to it, and did one, since these states. */
static bool all_took_part(struct nohz_tlb *lab, const struct cpu_state *before)
{
	for (int i = 0; i < lab->nr_spinners; i++) {
		struct cpu_state state = cpu_state(lab->spinners[i].cpu);

		if (state.left == before[i].left || state.flushed == before[i].flushed)
			return false;
	}

	return true;
}

TEST_F_TIMEOUT(race, initiators_against_entries, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_EXCHANGES, NR_EXCHANGES_LONG);
	long deadline = now_ms() + RACE_DEADLINE_MS;
	struct cpu_state before[MAX_SPINNERS];
	cpu_set_t housekeeping;
	long stale, made = 0;
	int nr_storms;
	bool met;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(housekeeping), &housekeeping));
	nr_storms = MIN(CPU_COUNT(&housekeeping), MAX_RACERS);

	ASSERT_EQ(0, write_number(MODULE_DIR "check", 0));
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		before[i] = cpu_state(self->lab.spinners[i].cpu);
		spinner_ask(&self->lab.spinners[i], SPINNER_STORM);
	}

	/* Whether a flush meets a CPU in user mode is luck. */
	do {
		ASSERT_EQ(0, run_storms(nr_storms, nr));
		made += nr;
		met = all_took_part(&self->lab, before);
	} while (!met && now_ms() < deadline);

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		struct spinner *spinner = &self->lab.spinners[i];
		struct cpu_state after;

		ASSERT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
		after = cpu_state(spinner->cpu);
		TH_LOG("cpu %d: %ld requests deferred, %ld flushes", spinner->cpu,
		       after.left - before[i].left, after.flushed - before[i].flushed);
		/* One may have been pending before. */
		ASSERT_LE(after.flushed - before[i].flushed, after.left - before[i].left + 1);
	}

	stale = read_number(MODULE_DIR "check");
	TH_LOG("%d CPUs made %ld exchanges each, %ld stale", nr_storms, made, stale);
	/* A skip would hide it. */
	ASSERT_EQ(0, stale);
	if (!met)
		SKIP(return, "No flush met each isolated CPU in user mode, as if CPUs took turns.");
}

TEST_HARNESS_MAIN
