// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: areas that an isolated CPU frees are purged by another CPU.
 */
#include "nohz_tlb.h"

#define NR_PURGES	3

FIXTURE(purge_placement) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(purge_placement)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(purge_placement)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(purge_placement, on_housekeeping_cpus, TEST_TIMEOUT_S)
{
	struct received received[MAX_SPINNERS];
	cpu_set_t isolated;
	long purges;

	/* Unbound workers may run on a CPU that is only in nohz_full=. */
	read_cpulist("/sys/devices/system/cpu/isolated", &isolated);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		if (!CPU_ISSET(self->lab.spinners[i].cpu, &isolated))
			SKIP(return, "A CPU in nohz_full= is not in isolcpus=domain.");
	}

	purges = read_number(MODULE_DIR "purge");
	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, spinner_repeat(&self->lab.spinners[0], SPINNER_PURGE, NR_PURGES));
	ASSERT_EQ(0, trace_count(&self->lab, received));
	purges = read_number(MODULE_DIR "purge") - purges;

	EXPECT_GE(purges, NR_PURGES);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		TH_LOG("cpu %d: made %ld of %ld purges", self->lab.spinners[i].cpu,
		       received[i].purges, purges);
		EXPECT_EQ(0, received[i].purges);
	}
}

TEST_HARNESS_MAIN
