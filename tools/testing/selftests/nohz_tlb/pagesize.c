// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: a purge that holds an area that was mapped by large pages flushes
 * immediately, so that translations of two sizes never meet in a TLB.
 */
#include "nohz_tlb.h"

#define HUGE_PAGES	1024
/* Attempts, if another purge came in between. */
#define NR_TRIES	10

FIXTURE(pagesize) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(pagesize)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(pagesize)
{
	nohz_tlb_teardown(&self->lab);
}

/*
 * A purge that flushed immediately is one that was not deferrable. Mapping large
 * pages may flush immediately as well, so the callbacks alone tell nothing.
 */
TEST_F_TIMEOUT(pagesize, large_pages_are_purged_immediately, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];

	if (vfree_flushes())
		SKIP(return, "With debug_pagealloc there are more deferrable flushes than purges.");

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "huge", HUGE_PAGES));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		if (read_number(MODULE_DIR "huge") != 1)
			SKIP(return, "vmalloc_huge_node() found no large pages.");
		if (received[0].all_purges > received[0].deferrable)
			break;
	}

	TH_LOG("%ld purges, %ld of them deferrable", received[0].all_purges,
	       received[0].deferrable);
	EXPECT_GT(received[0].all_purges, received[0].deferrable);
	for (int i = 0; i < self->lab.nr_spinners; i++)
		EXPECT_GE(received[i].immediate, 1);
}

TEST_F_TIMEOUT(pagesize, small_pages_are_purged_later, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long purges, shadow = 0;
	bool disturbed;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
		ASSERT_TRUE(spinners_quiet(&self->lab));
		purges = read_number(MODULE_DIR "purge");
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "purge", 1));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		if (purge_flushes_shadow())
			shadow = read_number(MODULE_DIR "purge") - purges;

		disturbed = false;
		for (int i = 0; i < self->lab.nr_spinners; i++) {
			if (received[i].flushes != shadow)
				disturbed = true;
		}
		if (!disturbed)
			break;
	}

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld immediate flushes, %ld deferrable ones",
		       self->lab.spinners[i].cpu, received[i].immediate,
		       received[i].deferrable);
		EXPECT_EQ(shadow, received[i].immediate);
		EXPECT_GE(received[i].deferrable, 1);
	}
}

TEST_HARNESS_MAIN
