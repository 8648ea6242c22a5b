// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: user mode code on an isolated CPU never works with an LDT that was
 * replaced before it looked, although nothing but an LDT makes the CPU read the
 * vmalloc area while it is left alone.
 *
 * A task reads the limit of a segment, in user mode and over and over, while its
 * twin on a housekeeping CPU raises it. Each time the kernel puts a new LDT in
 * place and frees the old one, and its addresses come back after the next purge.
 *
 * With PTI off the CPU reads the LDT from where it was allocated, which is the
 * vmalloc area if it has more than one page. With PTI on it reads an alias that
 * belongs to the address space and takes turns between two places. No flush that is
 * left to a CPU is about that one, which must hold all the same.
 */
#include "nohz_tlb.h"

#define NR_LIMITS	1000
#define NR_LIMITS_LONG	100000
/* One page has room for 512 entries. */
#define LDT_ENTRY	600
#define WRITE_LDT	0x11
/* How many old LDTs lie between two purges. */
#define PURGE_ROUNDS	50
#define READER_STACK	65536

/* What the twins share: the second one writes the last three. */
struct shared {
	unsigned int published;
	unsigned int stop;
	long reads;
	long stale;
	long unreadable;
};

FIXTURE(ldt) {
	struct nohz_tlb lab;
	struct shared shared;
	char *stack;
	pid_t reader;
	pid_t storm;
};

FIXTURE_SETUP(ldt)
{
	memset(&self->shared, 0, sizeof(self->shared));
	self->reader = -1;
	self->storm = -1;
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(ldt)
{
	if (self->reader > 0) {
		kill(self->reader, SIGKILL);
		waitpid(self->reader, NULL, 0);
	}
	if (self->storm > 0)
		storm_stop(self->storm);
	nohz_tlb_teardown(&self->lab);
}

/* The limit of the segment in user mode: false if there is no such segment. */
static bool read_limit(unsigned int *limit)
{
	unsigned int selector = LDT_SELECTOR(LDT_ENTRY);
	bool valid;

	asm volatile("lsl %2, %0" : "=r" (*limit), "=@ccz" (valid) : "r" (selector));
	return valid;
}

/* The twin shares everything in memory, so it must not call the C library. */
static int reader(void *arg)
{
	struct shared *shared = arg;
	unsigned int floor, limit;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		floor = __atomic_load_n(&shared->published, __ATOMIC_ACQUIRE);
		if (!read_limit(&limit))
			shared->unreadable++;
		else if (limit < floor)
			shared->stale++;
		__atomic_store_n(&shared->reads, shared->reads + 1, __ATOMIC_RELEASE);
	}

	return 0;
}

/* Start the reader, and put it on @cpu: its id, or -1. */
static pid_t reader_start(struct shared *shared, char *stack, int cpu)
{
	cpu_set_t mask;
	pid_t pid;

	pid = clone(reader, stack + READER_STACK, CLONE_VM | SIGCHLD, shared);
	if (pid < 0)
		return -1;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	if (sched_setaffinity(pid, sizeof(mask), &mask)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}

	return pid;
}

/* Have a new LDT with this limit, and tell the reader: 0, or -1 with errno set. */
static int install_limit(struct shared *shared, unsigned int limit)
{
	struct user_desc segment = {
		.entry_number = LDT_ENTRY,
		.limit = limit,
		.seg_32bit = 1,
		.contents = MODIFY_LDT_CONTENTS_DATA,
	};
	long ret;

	ret = syscall(SYS_modify_ldt, WRITE_LDT, &segment, sizeof(segment));
	/* The kernel returns an int in a register of 64 bits. */
	if ((int)ret) {
		errno = ret < 0 ? errno : -(int)ret;
		return -1;
	}
	__atomic_store_n(&shared->published, limit, __ATOMIC_RELEASE);

	return 0;
}

/* Wait until a read is over that began after this was called. */
static int wait_for_read(struct shared *shared)
{
	long target = __atomic_load_n(&shared->reads, __ATOMIC_ACQUIRE) + 2;
	long deadline = now_ms() + DEADLINE_MS;

	while (__atomic_load_n(&shared->reads, __ATOMIC_ACQUIRE) < target) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

/* Raise the limit @nr times, and wait each time until it was read. */
static int raise_limit(struct shared *shared, long nr)
{
	for (long limit = 1; limit <= nr; limit++) {
		if (install_limit(shared, limit) || wait_for_read(shared))
			return -1;
		if (limit % PURGE_ROUNDS == 0 && write_number(MODULE_DIR "purge", 1))
			return -1;
	}

	return 0;
}

TEST_F_TIMEOUT(ldt, is_never_old, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_LIMITS, NR_LIMITS_LONG);
	struct shared *shared = &self->shared;
	long left;
	int cpu;

	if (!has_ldt())
		SKIP(return, "This kernel has no modify_ldt().");

	/* The reader takes the place of the spinners. */
	cpu = self->lab.spinners[0].cpu;
	spinners_keep(&self->lab, 0);

	self->stack = mmap(NULL, READER_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->stack);
	self->storm = storm_start(0, LONG_MAX);
	ASSERT_GT(self->storm, 0);
	ASSERT_EQ(0, install_limit(shared, 0));
	self->reader = reader_start(shared, self->stack, cpu);
	ASSERT_GT(self->reader, 0);

	left = cpu_left(cpu);
	EXPECT_EQ(0, raise_limit(shared, nr));
	left = cpu_left(cpu) - left;
	EXPECT_EQ(0, storm_stop(self->storm));
	self->storm = -1;
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, storm_wait(self->reader));
	self->reader = -1;

	TH_LOG("cpu %d: %u LDTs replaced, %ld flushes left to it", cpu, shared->published,
	       left);
	TH_LOG("cpu %d: %ld limits read, %ld stale, %ld unreadable", cpu, shared->reads,
	       shared->stale, shared->unreadable);
	EXPECT_GE(shared->reads, nr);
	EXPECT_EQ(0, shared->stale);
	EXPECT_EQ(0, shared->unreadable);
	EXPECT_GE(left, 1);
}

TEST_HARNESS_MAIN
