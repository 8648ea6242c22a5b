// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: addresses of the module area wait for flushes like all others. When
 * the kernel gives back what was executable, no CPU holds a translation of it, nor an
 * alias that may be written through.
 *
 * Memory of modules is purged at once by the task that frees it, but between the
 * two another purge may come first. nohz_tlb_dummy.ko keeps that moment open.
 */
#include "nohz_tlb.h"

#define DUMMY_DIR	"/sys/module/" DUMMY_MODULE "/parameters/"
/* The kernel and its modules are in the last 2 GB of the address space. */
#define KERNEL_START	0xffffffff80000000UL
/* Attempts, if a CPU was disturbed by something else than what is counted. */
#define NR_TRIES	10

FIXTURE(exec) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(exec)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(exec)
{
	nohz_tlb_teardown(&self->lab);
}

static int wait_held(int held)
{
	long deadline = now_ms() + DEADLINE_MS;

	while (read_number(DUMMY_DIR "held") != held) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

/* How many flushes the trace has that were left to CPUs and reach the module area. */
static long count_module_flushes(void)
{
	unsigned long start, end;
	const char *field;
	char line[1024];
	long nr = 0;
	FILE *file;

	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		field = strstr(line, "nohz_tlb_defer: ");
		if (field && strstr(field, "why:deferred") &&
		    sscanf(field, "%*s range:%lx-%lx", &start, &end) == 2)
			nr += end > KERNEL_START;
	}
	fclose(file);

	return nr;
}

/* Wait until nothing waits any more, and tell how many pages still do. */
static long wait_released(void)
{
	long deadline = now_ms() + DEADLINE_MS;
	long waiting;

	do {
		waiting = vm_event("nr_vmap_waiting");
	} while (waiting && now_ms() < deadline);

	return waiting;
}

/*
 * While the kernel gives back what the module had to initialize, another purge comes and
 * leaves its flush to the spinners. Nothing is lazy then when the kernel purges itself.
 */
TEST_F_TIMEOUT(exec, module_area_waits, TEST_TIMEOUT_S)
{
	struct received purged[MAX_SPINNERS], freed[MAX_SPINNERS];
	long deferred, waited, waiting;
	int err;

	if (purge_flushes_shadow())
		SKIP(return, "With KASAN each purge interrupts every CPU.");

	for (int try = 1; try <= NR_TRIES; try++) {
		err = module_load(DUMMY_MODULE, "hold=1");
		if (err == -ENOENT)
			SKIP(return, "The test module " DUMMY_MODULE ".ko has not been built.");
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, wait_held(1));

		/* The interrupts that loading needs are left out. */
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(MODULE_DIR "purge", 1));
		ASSERT_EQ(0, trace_count(&self->lab, purged));
		deferred = count_module_flushes();
		waited = vm_event("nr_vmap_waiting");

		ASSERT_EQ(1, read_number(DUMMY_DIR "held"));
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, write_number(DUMMY_DIR "hold", 0));
		waiting = wait_released();
		ASSERT_EQ(0, wait_held(0));
		ASSERT_EQ(0, module_unload(DUMMY_MODULE));
		ASSERT_EQ(0, trace_count(&self->lab, freed));
		if (deferred && freed[0].empty_purges && !spinners_disturbed(&self->lab, purged))
			break;
	}

	TH_LOG("%ld purges of the module area left to CPUs, %ld pages waited, %ld still do",
	       deferred, waited, waiting);
	ASSERT_GE(deferred, 1);
	ASSERT_GE(freed[0].empty_purges, 1);
	EXPECT_GT(waited, 0);
	EXPECT_EQ(0, waiting);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld flush callbacks, then %ld and %ld drains",
		       self->lab.spinners[i].cpu, purged[i].flushes, freed[i].flushes,
		       freed[i].drains);
		EXPECT_EQ(0, purged[i].flushes);
		EXPECT_EQ(0, purged[i].drains);
		EXPECT_GE(freed[i].drains, 1);
		/* Of the alias in the direct map, which was not lazy. */
		EXPECT_GE(freed[i].flushes, 1);
	}
}

TEST_HARNESS_MAIN
