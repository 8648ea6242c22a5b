// SPDX-License-Identifier: GPL-2.0
/*
 * One user task that never enters the kernel, and the longest time that
 * somebody else had its CPU.
 *
 *   spinner spin CPU FILE   pins itself to CPU, locks its memory and spins
 *   spinner mark FILE       starts a new measurement
 *   spinner read FILE       prints the longest gap since then, in ns
 *
 * The spinning task and its readers meet in FILE, mapped by both, so that
 * reading does not disturb it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <stdio.h>
#include <x86intrin.h>

struct shared {
	volatile uint64_t asked;	/* measurement that a reader wants */
	volatile uint64_t running;	/* measurement that is being made */
	volatile uint64_t gap;		/* its longest gap so far, in TSC ticks */
	volatile uint64_t tsc;		/* when it was asked for, by the TSC ... */
	volatile uint64_t ns;		/* ... and by the clock */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static struct shared *map(const char *file, int flags)
{
	struct shared *s;
	int fd;

	fd = open(file, O_RDWR | flags, 0600);
	if (fd < 0)
		err(1, "%s", file);
	if (flags & O_CREAT && ftruncate(fd, sizeof(*s)))
		err(1, "%s", file);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		err(1, "mapping %s", file);
	close(fd);
	return s;
}

static void spin(int cpu, const char *file)
{
	struct shared *s = map(file, O_CREAT | O_EXCL);
	uint64_t now, last, gap = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		err(1, "mlockall");

	/* From here on: no system call, no page that is not there. */
	for (last = __rdtsc();; last = now) {
		if (s->asked != s->running) {
			gap = 0;
			s->gap = 0;
			last = __rdtsc();
			s->running = s->asked;
		}
		/* Where emulated CPUs take turns, this passes the turn on. */
		_mm_pause();
		now = __rdtsc();
		if (now > last && now - last > gap) {
			gap = now - last;
			s->gap = gap;
		}
	}
}

/* The task answers within a turn of its loop, unless its CPU is away. */
static void mark(struct shared *s)
{
	int tries = 10000;

	s->asked++;
	while (s->running != s->asked) {
		if (!--tries)
			errx(1, "the spinning task does not answer");
		usleep(1000);
	}
	s->tsc = __rdtsc();
	s->ns = now_ns();
}

static void print_gap(struct shared *s)
{
	uint64_t tsc = __rdtsc() - s->tsc, ns = now_ns() - s->ns;

	if (!tsc)
		errx(1, "the TSC stands still");
	printf("%.0f\n", (double)s->gap * ns / tsc);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "spin"))
		spin(atoi(argv[2]), argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "mark"))
		mark(map(argv[2], 0));
	else if (argc == 3 && !strcmp(argv[1], "read"))
		print_gap(map(argv[2], 0));
	else
		errx(2, "usage: spinner spin CPU FILE | mark FILE | read FILE");
	return 0;
}
