// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: a flush of vmalloc addresses does not interrupt an isolated CPU
 * that runs user mode code, does interrupt one that is in the kernel, and an
 * entry to the kernel does at most one flush, and only if one is pending.
 */
#include "nohz_tlb.h"

#define NR_PURGES	100
#define NR_FLUSHES	900
#define NR_IMMEDIATE	100
#define NR_HELD		10
#define NR_ENTRIES	100
/* Attempts, if a CPU was disturbed by something else than what is counted. */
#define NR_TRIES	10

FIXTURE(ipi_count) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(ipi_count)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(ipi_count)
{
	nohz_tlb_teardown(&self->lab);
}

/*
 * One attempt of the test below. False if the callbacks that an isolated CPU got
 * may be due to something else: the CPU was in the kernel for another reason at
 * some time, or somebody flushed who cannot wait. Where purges interrupt CPUs for
 * KASAN, there are none.
 */
static bool count_deferred(struct __test_metadata *_metadata, struct nohz_tlb *lab,
			   bool last)
{
	const int nr_purges = purge_flushes_shadow() ? 0 : NR_PURGES;
	long left[MAX_SPINNERS], others[MAX_SPINNERS];
	struct received received[MAX_SPINNERS];
	long purges, vmstat_before, sum = 0;
	bool disturbed = false;

	ASSERT_EQ(0, write_number(MODULE_DIR "drain", 1));
	ASSERT_TRUE(spinners_quiet(lab));
	for (int i = 0; i < lab->nr_spinners; i++)
		left[i] = cpu_left(lab->spinners[i].cpu);
	vmstat_before = vm_event("nr_tlb_deferred");
	purges = read_number(MODULE_DIR "purge");

	ASSERT_EQ(0, trace_start());
	if (nr_purges)
		ASSERT_EQ(0, write_number(MODULE_DIR "purge", nr_purges));
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_FLUSHES));
	ASSERT_EQ(0, trace_count(lab, received));
	purges = read_number(MODULE_DIR "purge") - purges;

	for (int i = 0; i < lab->nr_spinners; i++) {
		left[i] = cpu_left(lab->spinners[i].cpu) - left[i];
		others[i] = received[i].others + received[i].interrupts + received[i].drains;
		if (received[i].flushes && (others[i] || received[i].immediate))
			disturbed = true;
		/*
		 * Somebody else's flush may have come just before the trace or after
		 * it. What is in the trace may be missing only where the CPU itself
		 * made the flush.
		 */
		if (!received[i].flushes &&
		    (received[i].deferrable < left[i] ||
		     (received[i].deferrable > left[i] && received[i].entries)))
			disturbed = true;
	}
	if (disturbed && !last)
		return false;

	EXPECT_GE(purges, nr_purges);
	for (int i = 0; i < lab->nr_spinners; i++) {
		sum += left[i];
		TH_LOG("cpu %d: %ld deferrable flushes with %ld purges, %ld deferred",
		       lab->spinners[i].cpu, received[i].deferrable, purges, left[i]);
		TH_LOG("cpu %d: %ld callbacks (%ld immediate), %ld entries for other reasons",
		       lab->spinners[i].cpu, received[i].flushes,
		       received[i].immediate, others[i]);
		EXPECT_GE(received[i].deferrable, NR_FLUSHES + nr_purges);
		EXPECT_EQ(0, received[i].flushes);
		EXPECT_EQ(0, received[i].drains);
		EXPECT_EQ(received[i].deferrable, left[i]);
	}
	/* Other CPUs count too where context tracking covers more than these. */
	EXPECT_GE(vm_event("nr_tlb_deferred") - vmstat_before, sum);

	return true;
}

TEST_F_TIMEOUT(ipi_count, deferred, TEST_TIMEOUT_S)
{
	for (int try = 1; try <= NR_TRIES; try++) {
		if (count_deferred(_metadata, &self->lab, try == NR_TRIES))
			break;
		TH_LOG("attempt %d was disturbed, once more", try);
	}
}

/*
 * One attempt: with the switch off each flush sends one callback to every CPU. False if
 * a flush of somebody else may have come in between.
 */
static bool count_immediate(struct __test_metadata *_metadata, struct nohz_tlb *lab,
			    bool last)
{
	struct received received[MAX_SPINNERS];
	long left[MAX_SPINNERS];

	for (int i = 0; i < lab->nr_spinners; i++)
		left[i] = cpu_left(lab->spinners[i].cpu);

	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_IMMEDIATE));
	ASSERT_EQ(0, trace_count(lab, received));

	for (int i = 0; i < lab->nr_spinners; i++) {
		left[i] = cpu_left(lab->spinners[i].cpu) - left[i];
		if (!last && received[i].flushes > NR_IMMEDIATE)
			return false;
	}

	for (int i = 0; i < lab->nr_spinners; i++) {
		TH_LOG("cpu %d: %d flushes, %ld callbacks", lab->spinners[i].cpu,
		       NR_IMMEDIATE, received[i].flushes);
		EXPECT_EQ(NR_IMMEDIATE, received[i].flushes);
		EXPECT_EQ(0, left[i]);
	}

	return true;
}

TEST_F_TIMEOUT(ipi_count, switched_off, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, write_text(SWITCH_FILE, "0"));
	for (int try = 1; try <= NR_TRIES; try++) {
		if (count_immediate(_metadata, &self->lab, try == NR_TRIES))
			break;
	}
}

TEST_F_TIMEOUT(ipi_count, held_in_kernel, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	int cpu = self->lab.spinners[0].cpu;
	long left, callbacks;

	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, spinner_hold(&self->lab.spinners[0]));
	left = cpu_left(cpu);
	EXPECT_EQ(0, write_number(MODULE_DIR "flush", NR_HELD));
	left = cpu_left(cpu) - left;
	ASSERT_EQ(0, spinner_release(&self->lab.spinners[0]));
	ASSERT_EQ(0, trace_count(&self->lab, received));

	callbacks = received[0].flushes - received[0].immediate;
	TH_LOG("cpu %d held in the kernel: %d flushes, %ld of %ld deferrable ones as callbacks",
	       cpu, NR_HELD, callbacks, received[0].deferrable);
	/* There may be flushes of somebody else. */
	EXPECT_GE(callbacks, NR_HELD);
	EXPECT_EQ(0, left);
}

/* A drain interrupts the CPUs that have a flush pending, and nobody else. */
TEST_F_TIMEOUT(ipi_count, drain, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	long total;

	for (int try = 1; try <= NR_TRIES; try++) {
		total = vm_event("nr_tlb_deferred_drain");
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, spinners_leave_flush(&self->lab, MODULE_DIR "flush"));
		ASSERT_EQ(0, write_number(MODULE_DIR "drain_only", 1));
		ASSERT_EQ(0, write_number(MODULE_DIR "drain_only", 1));
		ASSERT_EQ(0, trace_count(&self->lab, received));

		total = vm_event("nr_tlb_deferred_drain") - total;
		/* One that entered by itself has flushed already. */
		if (!spinners_disturbed(&self->lab, received))
			break;
		TH_LOG("attempt %d was disturbed, once more", try);
	}

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: 2 drains, %ld callbacks", self->lab.spinners[i].cpu,
		       received[i].drains);
		EXPECT_EQ(1, received[i].drains);
	}
	EXPECT_EQ(0, count_pending(&self->lab));
	EXPECT_GE(total, self->lab.nr_spinners);
	/* Other CPUs count too where context tracking covers more than these. */
	if (read_number(MODULE_DIR "tracks_all") != 1)
		EXPECT_EQ(self->lab.nr_spinners, total);
}

TEST_F_TIMEOUT(ipi_count, one_flush_per_entry, TEST_TIMEOUT_S)
{
	struct spinner *spinner = &self->lab.spinners[0];
	long before, flushed, total, left;
	struct received received[MAX_SPINNERS];

	/* Whatever each entry finds pending, it flushes once. */
	total = vm_event("nr_tlb_deferred_flush");
	before = cpu_flushed(spinner->cpu);
	ASSERT_EQ(0, trace_start());
	for (int i = 0; i < NR_ENTRIES; i++) {
		ASSERT_EQ(0, write_number(MODULE_DIR "flush", 10));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
	}
	ASSERT_EQ(0, trace_count(&self->lab, received));
	flushed = cpu_flushed(spinner->cpu) - before;

	TH_LOG("cpu %d: %d system calls, %ld entries, %ld flushes",
	       spinner->cpu, NR_ENTRIES, received[0].entries, flushed);
	EXPECT_GE(flushed, NR_ENTRIES);
	EXPECT_LE(flushed, received[0].entries);
	EXPECT_GE(vm_event("nr_tlb_deferred_flush") - total, flushed);

	/* With nothing pending it does not flush. */
	for (int try = 1; try <= NR_TRIES; try++) {
		left = cpu_left(spinner->cpu);
		before = cpu_flushed(spinner->cpu);
		ASSERT_EQ(0, spinner_repeat(spinner, SPINNER_ENTER, NR_ENTRIES));
		flushed = cpu_flushed(spinner->cpu) - before;
		left = cpu_left(spinner->cpu) - left;
		if (!left)
			break;
	}

	TH_LOG("cpu %d: %d system calls with nothing pending, %ld flushes",
	       spinner->cpu, NR_ENTRIES, flushed);
	EXPECT_EQ(0, left);
	EXPECT_EQ(0, flushed);
}

TEST_HARNESS_MAIN
