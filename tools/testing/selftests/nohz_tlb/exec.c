// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: a purge that holds addresses of the module area flushes
 * immediately, whoever asked for it, because code there may run on the way into
 * the kernel.
 *
 * Memory of modules is purged at once by the task that frees it, but between the
 * two another purge may come first. nohz_tlb_dummy.ko keeps that moment open.
 */
#include "nohz_tlb.h"

#define DUMMY_DIR	"/sys/module/" DUMMY_MODULE "/parameters/"
/* The kernel and its modules are in the last 2 GB of the address space. */
#define KERNEL_START	0xffffffff80000000UL

/* What the trace says about flushes that touch the module area. */
struct module_flushes {
	long purged;
	long deferrable;
};

FIXTURE(exec) {
	struct nohz_tlb lab;
	bool dummy_loaded;
};

FIXTURE_SETUP(exec)
{
	self->dummy_loaded = false;
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(exec)
{
	if (self->dummy_loaded) {
		write_number(DUMMY_DIR "hold", 0);
		module_unload(DUMMY_MODULE);
	}
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

static int count_module_flushes(struct module_flushes *flushes)
{
	unsigned long start, end;
	unsigned int purged;
	const char *field;
	char line[512];
	FILE *file;

	memset(flushes, 0, sizeof(*flushes));
	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		field = strstr(line, "purge_vmap_area_lazy: ");
		if (field && sscanf(field, "%*s start=%lx end=%lx num_purged=%u", &start,
				    &end, &purged) == 3 && end > KERNEL_START)
			flushes->purged += !!purged;
		field = strstr(line, "nohz_tlb_defer: ");
		if (field && sscanf(field, "%*s range:%lx-%lx", &start, &end) == 2 &&
		    end > KERNEL_START)
			flushes->deferrable++;
	}
	fclose(file);

	return 0;
}

TEST_F_TIMEOUT(exec, module_area_is_purged_immediately, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	struct module_flushes flushes;
	int err;

	/* It holds the kernel up when that frees what the module had to initialize. */
	err = module_load(DUMMY_MODULE, "hold=1");
	if (err == -ENOENT)
		SKIP(return, "The test module " DUMMY_MODULE ".ko has not been built.");
	ASSERT_EQ(0, err);
	self->dummy_loaded = true;

	/* The interrupts that loading needs, and those of the freeing, are left out. */
	ASSERT_EQ(0, wait_held(1));
	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, write_number(MODULE_DIR "purge", 1));
	ASSERT_EQ(0, trace_count(&self->lab, received));
	ASSERT_EQ(1, read_number(DUMMY_DIR "held"));
	ASSERT_EQ(0, count_module_flushes(&flushes));
	ASSERT_EQ(0, write_number(DUMMY_DIR "hold", 0));
	ASSERT_EQ(0, wait_held(0));

	TH_LOG("%ld purges with addresses of the module area, %ld of them deferrable",
	       flushes.purged, flushes.deferrable);
	ASSERT_GE(flushes.purged, 1);
	EXPECT_EQ(0, flushes.deferrable);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: %ld flush callbacks", self->lab.spinners[i].cpu,
		       received[i].flushes);
		EXPECT_GE(received[i].flushes, flushes.purged);
	}
}

TEST_HARNESS_MAIN
