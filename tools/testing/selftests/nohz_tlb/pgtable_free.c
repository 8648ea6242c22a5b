// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: before a page table of the kernel is freed, isolated CPUs that run
 * user mode code are interrupted, and nothing stays pending on them. What the page
 * table mapped is out of their TLBs already when it is taken out of use.
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

/* What came of large pages over small ones. */
struct promotion {
	long owing;	/* CPUs with a flush to do for the small ones */
	long early;	/* page tables freed although they had */
	long freed;	/* page tables freed later */
	long unclean;	/* CPUs that had it still to do when one was freed */
};

/*
 * Each spinner reads what is mapped by small pages, and gets a flush left to it when
 * that is unmapped and purged. Large pages are mapped then, which must not come over the
 * small ones yet, and again after each spinner has entered the kernel. 0, or -1.
 */
static int promote(struct nohz_tlb *lab, struct promotion *promotion)
{
	if (write_number(MODULE_DIR "drain", 1) ||
	    write_number(MODULE_DIR "small", NR_LARGE_PAGES))
		return -1;
	for (int i = 0; i < lab->nr_spinners; i++) {
		if (spinner_do(&lab->spinners[i], SPINNER_TOUCH) ||
		    lab->spinners[i].page->value != NR_LARGE_PAGES)
			return -1;
	}

	if (write_number(MODULE_DIR "small", 0) || write_number(MODULE_DIR "purge", 1))
		return -1;
	promotion->owing = read_number(MODULE_DIR "owing");
	if (write_number(MODULE_DIR "promote", 1))
		return -1;
	promotion->early = read_number(MODULE_DIR "promote");

	for (int i = 0; i < lab->nr_spinners; i++) {
		if (spinner_do(&lab->spinners[i], SPINNER_ENTER))
			return -1;
	}
	if (write_number(MODULE_DIR "purge", 1) || trace_start() ||
	    write_number(MODULE_DIR "promote", 1))
		return -1;
	promotion->freed = read_number(MODULE_DIR "promote");
	promotion->unclean = read_number(MODULE_DIR "unclean");

	return 0;
}

TEST_F_TIMEOUT(pgtable_free, large_mapping_over_small_ones, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	struct promotion promotion;
	long pending, unclean = 0;
	bool met = false;
	int tries = 0;

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, promote(&self->lab, &promotion));
		pending = count_pending(&self->lab);
		ASSERT_EQ(0, trace_count(&self->lab, received));
		unclean += promotion.unclean;
		/* Somebody else may have made a spinner enter the kernel too soon. */
		met = promotion.owing == self->lab.nr_spinners && promotion.freed;
		if (unclean ||
		    (met && (!pending || vfree_flushes() || ++tries == NR_PENDING_TRIES)))
			break;
	}

	TH_LOG("%ld CPUs with a flush to do, %ld page tables freed before they did it",
	       promotion.owing, promotion.early);
	TH_LOG("%ld page tables freed later, %ld CPUs not clean then, %ld pending afterwards",
	       promotion.freed, unclean, pending);
	EXPECT_EQ(0, unclean);
	EXPECT_TRUE(met);
	/* To unmap what was mapped then leaves a flush again. */
	if (!vfree_flushes())
		EXPECT_EQ(0, pending);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld immediate flushes", self->lab.spinners[i].cpu,
		       received[i].immediate);
		EXPECT_GE(received[i].immediate, promotion.freed);
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
	bool collapsed = false;
	long pending, missed;
	int tries = 0;

	if (read_number(MODULE_DIR "text_large") != 1)
		SKIP(return, "This kernel does not map the text of modules by large pages.");

	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "text_large", 0));
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "flush", 1));
		ASSERT_EQ(0, module_load(DUMMY_MODULE, ""));
		ASSERT_EQ(0, trace_count(&self->lab, received));
		pending = count_pending(&self->lab);
		missed = read_number(MODULE_DIR "text_missed");
		collapsed = read_number(MODULE_DIR "text_freed") == 1 &&
			    read_number(MODULE_DIR "text_large") == 1;
		ASSERT_EQ(0, module_unload(DUMMY_MODULE));
		if (missed || (collapsed && (!pending || vfree_flushes() ||
					     ++tries == NR_PENDING_TRIES)))
			break;
	}

	TH_LOG("%d collapses, %ld CPUs not interrupted before the page table was freed",
	       collapsed, missed);
	TH_LOG("%ld CPUs pending afterwards", pending);
	EXPECT_TRUE(collapsed);
	EXPECT_EQ(0, missed);
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
