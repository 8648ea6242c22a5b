/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the tests of addresses that wait for flushes: areas in places where nobody
 * else allocates, lazy purges, and what a CPU owes. See nohz_tlb_test_wait.c for the
 * module's files.
 */
#ifndef __SELFTESTS_NOHZ_TLB_WAIT_H
#define __SELFTESTS_NOHZ_TLB_WAIT_H

#include "nohz_tlb.h"

/* Does @cpu owe a flush that was left to it since it had done @flushes? */
static inline bool cpu_owes(int cpu, long flushes)
{
	struct cpu_state state = cpu_state(cpu);

	return state.pending == 1 && state.flushed == flushes;
}

/* Wait until @cpu has done one flush more than @flushes: 0, or -ETIMEDOUT. */
static inline int wait_for_flush(int cpu, long flushes)
{
	long deadline = now_ms() + DEADLINE_MS;

	while (cpu_flushed(cpu) == flushes) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

/* Write @number to a file of the module: 0, or -errno. */
static inline int module_write(const char *name, unsigned long number)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MODULE_DIR "%s", name);
	return write_number(path, number) ? -errno : 0;
}

static inline long module_read(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MODULE_DIR "%s", name);
	return read_number(path);
}

/* Hand everything back that waits. */
static inline int drain(void)
{
	return module_write("drain", 1);
}

static inline int lazy_purge(void)
{
	return module_write("lazy_purge", 1);
}

#endif /* __SELFTESTS_NOHZ_TLB_WAIT_H */
