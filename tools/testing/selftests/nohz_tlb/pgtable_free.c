// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: before a page table of the kernel is freed, isolated CPUs that run
 * user mode code are interrupted, and nothing stays pending on them.
 */
#include "nohz_tlb.h"

#define NR_LARGE_PAGES	8
/* Attempts, if somebody else got the addresses, or nothing was there to collapse. */
#define NR_TRIES	20
/* Of these may have found a flush pending, which somebody else left meanwhile. */
#define NR_PENDING_TRIES	3

FIXTURE(pgtable_free) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(pgtable_free)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(pgtable_free)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(pgtable_free, large_mapping_over_small_ones, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long freed, pending;
	int tries = 0;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "promote", NR_LARGE_PAGES));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		pending = count_pending(&self->lab);
		freed = read_number(MODULE_DIR "promote");
		if (freed && (!pending || vfree_flushes() || ++tries == NR_PENDING_TRIES))
			break;
	}

	TH_LOG("%ld page tables freed, %ld CPUs pending afterwards", freed, pending);
	EXPECT_GE(freed, 1);
	/* To unmap what was mapped then leaves a flush again. */
	if (!vfree_flushes())
		EXPECT_EQ(0, pending);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld immediate flushes", self->lab.spinners[i].cpu,
		       received[i].immediate);
		EXPECT_GE(received[i].immediate, freed);
	}
}

/*
 * The text of modules shares large pages. To load one more splits the large page,
 * and collapses it again when the new text is in place, which frees a page table.
 * The direct_map_level2_collapses of /proc/vmstat do not count these, as they are
 * no part of the direct map.
 */
TEST_F_TIMEOUT(pgtable_free, collapse_of_module_text, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	bool collapsed;
	int tries = 0;
	long pending;

	if (read_number(MODULE_DIR "text_large") != 1)
		SKIP(return, "This kernel does not map the text of modules by large pages.");

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "text_large", 0));
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "flush", 1));
		ASSERT_EQ(0, module_load(DUMMY_MODULE, ""));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		pending = count_pending(&self->lab);
		collapsed = read_number(MODULE_DIR "text_split") == 1 &&
			    read_number(MODULE_DIR "text_large") == 1;
		ASSERT_EQ(0, module_unload(DUMMY_MODULE));
		if (collapsed && (!pending || vfree_flushes() || ++tries == NR_PENDING_TRIES))
			break;
	}

	TH_LOG("%d collapses, %ld CPUs pending afterwards", collapsed, pending);
	EXPECT_TRUE(collapsed);
	/* load_module() then leaves a flush again, by freeing its copy of the file. */
	if (!vfree_flushes())
		EXPECT_EQ(0, pending);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld immediate flushes", self->lab.spinners[i].cpu,
		       received[i].immediate);
		EXPECT_GE(received[i].immediate, 1);
	}
}

TEST_HARNESS_MAIN
