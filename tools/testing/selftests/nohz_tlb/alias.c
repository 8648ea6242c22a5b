// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: when vm_unmap_aliases() returns, no CPU holds a translation of an
 * area that was freed before, also if the area was purged already with a flush
 * that was left to the CPU, and nothing waits.
 */
#include "nohz_tlb.h"

/* Attempts, if the CPU entered the kernel for another reason in between. */
#define NR_TRIES	10
/* Fewer, where it cannot be told what else a missing drain may be due to. */
#define NR_DRAIN_TRIES	3

FIXTURE(alias) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(alias)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(alias)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(alias, drained_with_nothing_to_purge, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long flushed[MAX_SPINNERS];
	long waiting, waited;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
		ASSERT_TRUE(spinners_quiet(&self->lab));

		/* Nothing is left to purge after this, but it waits for the spinners. */
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, spinners_leave_flush(&self->lab, MODULE_DIR "purge"));
		waited = vm_event("nr_vmap_waiting");
		for (int i = 0; i < self->lab.nr_spinners; i++)
			flushed[i] = cpu_flushed(self->lab.spinners[i].cpu);
		ASSERT_EQ(0, write_number(MODULE_DIR "unmap_aliases", 1));
		for (int i = 0; i < self->lab.nr_spinners; i++)
			flushed[i] = cpu_flushed(self->lab.spinners[i].cpu) - flushed[i];
		waiting = vm_event("nr_vmap_waiting");
		ASSERT_EQ(0, trace_count(&self->lab, received));

		if (received[0].empty_purges && !waiting &&
		    !spinners_disturbed(&self->lab, received))
			break;
	}

	TH_LOG("%ld purges with nothing lazy, %ld pages waited, %ld still do",
	       received[0].empty_purges, waited, waiting);
	ASSERT_GE(received[0].empty_purges, 1);
	ASSERT_GT(waited, 0);
	EXPECT_EQ(0, waiting);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		int cpu = self->lab.spinners[i].cpu;

		TH_LOG("cpu %d: %ld drain callbacks, %ld flush callbacks", cpu,
		       received[i].drains, received[i].flushes);
		EXPECT_EQ(1, received[i].drains);
		EXPECT_EQ(1, flushed[i]);
	}
}

/* A cache attribute must not change while a CPU holds an alias. */
TEST_F_TIMEOUT(alias, drained_by_a_cache_attribute_change, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	int left;

	ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
	for (int try = 1; try <= NR_DRAIN_TRIES; try++) {
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, spinners_leave_flush(&self->lab, MODULE_DIR "purge"));
		ASSERT_EQ(0, write_number(MODULE_DIR "uncached", 1));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		/* The purge of something else may have come first, or an entry. */
		left = 0;
		for (int i = 0; i < self->lab.nr_spinners; i++)
			left += !received[i].drains;
		if (!left)
			break;
	}

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld drain callbacks", self->lab.spinners[i].cpu,
		       received[i].drains);
		EXPECT_GE(received[i].drains, 1);
	}
}

TEST_F_TIMEOUT(alias, nobody_is_interrupted_for_nothing, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long deferred;
	bool disturbed;

	for (int try = 1; try <= NR_TRIES; try++) {
		deferred = vm_event("nr_tlb_deferred");
		ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
		ASSERT_TRUE(spinners_quiet(&self->lab));
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "unmap_aliases", 1));
		ASSERT_EQ(0, trace_count(&self->lab, received));

		/* Something may have been freed in between, and a flush left to them. */
		disturbed = vm_event("nr_tlb_deferred") != deferred;
		for (int i = 0; i < self->lab.nr_spinners; i++) {
			if (received[i].flushes || received[i].others)
				disturbed = true;
		}
		if (!disturbed)
			break;
	}

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld drain callbacks, %ld flush callbacks",
		       self->lab.spinners[i].cpu, received[i].drains,
		       received[i].flushes);
		EXPECT_EQ(0, received[i].drains);
		EXPECT_EQ(0, received[i].flushes);
	}
}

TEST_HARNESS_MAIN
