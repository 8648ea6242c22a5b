// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: the switch in debugfs takes what kstrtobool() takes and nothing
 * else, and tells what is.
 */
#include "nohz_tlb.h"

FIXTURE(switching) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(switching)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(switching)
{
	nohz_tlb_teardown(&self->lab);
}

TEST_F_TIMEOUT(switching, values, TEST_TIMEOUT_S)
{
	static const char * const bad[] = { "2", "maybe", "-1" };
	static const char * const off[] = { "0", "n", "off" };
	static const char * const on[] = { "1", "y", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_EQ(0, write_text(SWITCH_FILE, off[i]));
		EXPECT_EQ(0, read_number(SWITCH_FILE));
		EXPECT_EQ(0, write_text(SWITCH_FILE, on[i]));
		EXPECT_EQ(1, read_number(SWITCH_FILE));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, write_text(SWITCH_FILE, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(1, read_number(SWITCH_FILE));
	}
}

TEST_HARNESS_MAIN
