// SPDX-License-Identifier: GPL-2.0
/*
 * What entering the kernel costs on an isolated CPU of a real machine.
 *
 *   host OPERATION REQUESTS ROUNDS CPU OTHER FLUSH
 *
 * OPERATION  getppid, or fault: the first touch of a page
 * REQUESTS   none, each: one flush is asked for before each operation, while this task
 *            waits in user mode, or storm: flushes are asked for all the time
 * CPU        the isolated CPU;  OTHER  the one that asks for flushes
 * FLUSH      nohz_tlb_test/flush in debugfs
 *
 * Prints "MEDIAN P99 CYCLES REQUESTS": ns of an operation, cycles in the kernel for each
 * round (an interrupt in between is part of them; - without such a counter), and how many
 * flushes were asked for.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define NR_BUCKETS	(1 << 20)
#define NR_PAGES	4096UL
#define PAGE		4096UL
#define STORM_BATCH	"1000"

static uint32_t buckets[NR_BUCKETS];
static atomic_ulong asked, done;
static atomic_bool ready, over;
static unsigned long nr_requests;
static bool each, storm;
static int flush, other;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

static void ask(const char *number)
{
	if (pwrite(flush, number, strlen(number), 0) < 0)
		err(1, "asking for a flush");
	nr_requests += strtoul(number, NULL, 10);
}

static void *asker(void *unused)
{
	unsigned long seen = 0;

	(void)unused;
	pin(other);
	while (!over) {
		ready = true;
		if (storm) {
			ask(STORM_BATCH);
		} else if (asked != seen) {
			ask("1");
			done = ++seen;
		}
	}
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t ticks(void)
{
	unsigned int unused;

	return __rdtscp(&unused);
}

static int open_cycles(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.disabled = 1,
		.exclude_user = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* The bucket, in ticks, below which @share of @n operations are. */
static unsigned int quantile(unsigned long n, double share)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < NR_BUCKETS - 1 && sum <= n * share; i++)
		sum += buckets[i];
	return i ? i - 1 : 0;
}

int main(int argc, char **argv)
{
	unsigned long i, rounds;
	uint64_t start, end, ns, tsc, cycles = 0;
	pthread_t thread;
	int counter, fault;
	double tick_ns;
	char *pages;

	if (argc != 7)
		errx(2, "usage: host getppid|fault none|each|storm ROUNDS CPU OTHER FLUSH");
	fault = !strcmp(argv[1], "fault");
	each = !strcmp(argv[2], "each");
	storm = !strcmp(argv[2], "storm");
	rounds = strtoul(argv[3], NULL, 10);
	other = atoi(argv[5]);
	flush = open(argv[6], O_WRONLY);
	if (flush < 0)
		err(1, "%s", argv[6]);
	pages = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		err(1, "mmap");
	/* A fault is to bring one page. */
	madvise(pages, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	memset(buckets, 0, sizeof(buckets));

	if ((each || storm) && pthread_create(&thread, NULL, asker, NULL))
		errx(1, "no thread");
	pin(atoi(argv[4]));
	counter = open_cycles();
	if (counter >= 0)
		ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);

	while ((each || storm) && !ready)
		_mm_pause();
	ns = now_ns();
	tsc = ticks();
	for (i = 0; i < rounds; i++) {
		if (fault && i % NR_PAGES == 0)
			madvise(pages, NR_PAGES * PAGE, MADV_DONTNEED);
		if (each) {
			asked++;
			while (done != asked)
				_mm_pause();
		}
		start = ticks();
		if (fault)
			*(volatile char *)(pages + i % NR_PAGES * PAGE) = 1;
		else
			syscall(SYS_getppid);
		end = ticks() - start;
		buckets[end < NR_BUCKETS ? end : NR_BUCKETS - 1]++;
	}
	tick_ns = (double)(now_ns() - ns) / (ticks() - tsc);

	if (counter >= 0 && (ioctl(counter, PERF_EVENT_IOC_DISABLE, 0) ||
			     read(counter, &cycles, sizeof(cycles)) != sizeof(cycles)))
		err(1, "reading the cycles");
	over = true;
	if (each || storm)
		pthread_join(thread, NULL);

	printf("%.0f %.0f ", quantile(rounds, .5) * tick_ns, quantile(rounds, .99) * tick_ns);
	if (counter >= 0)
		printf("%.0f", (double)cycles / rounds);
	else
		printf("-");
	printf(" %lu\n", nr_requests);
	return 0;
}
