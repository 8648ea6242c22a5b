// SPDX-License-Identifier: GPL-2.0
/*
 * What housekeeping CPUs do while isolated CPUs are watched.
 *
 *   loads threads PURGES SECONDS FILE  threads held alive together and
 *                                      released, until FILE, a counter of
 *                                      purges, has risen by PURGES
 *   loads modules COUNT FILE NAME      load module FILE, unload it as NAME
 *   loads bpf COUNT                    attach and detach a socket filter
 *
 * Each prints how much it did. Not a load, but beside one:
 *
 *   loads most NAME FILE               keep in FILE the most that NAME has been in
 *                                      /proc/vmstat, looking every 20 ms
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS	2000
#define STACK	16384

#define VMSTAT		"/proc/vmstat"
#define VMSTAT_SIZE	65536
#define LOOK_US		20000

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *held(void *unused)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return unused;
}

static long counter(const char *file)
{
	FILE *f = fopen(file, "r");
	long val;

	if (!f || fscanf(f, "%ld", &val) != 1)
		err(1, "%s", file);
	fclose(f);
	return val;
}

/*
 * A thread that ends leaves its kernel stack in a small per-CPU cache, so
 * threads that come and go one by one free nothing. Many together do.
 */
static void threads(long purges, long seconds, const char *file)
{
	time_t end = time(NULL) + seconds;
	static pthread_t thread[THREADS];
	long first = counter(file), total = 0;
	pthread_attr_t attr;
	int i, ret;
	char *stacks;

	/* One block of user stacks for all: the kernel's stacks are the load. */
	stacks = mmap(NULL, (size_t)THREADS * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stacks == MAP_FAILED)
		err(1, "user stacks");

	while (counter(file) - first < purges && time(NULL) < end) {
		pthread_mutex_lock(&gate);
		for (i = 0; i < THREADS; i++) {
			pthread_attr_init(&attr);
			pthread_attr_setstack(&attr, stacks + (size_t)i * STACK, STACK);
			ret = pthread_create(&thread[i], &attr, held, NULL);
			if (ret)
				errx(1, "thread %d: %s", i, strerror(ret));
		}
		pthread_mutex_unlock(&gate);
		for (i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		total += THREADS;
	}
	printf("%ld threads\n", total);
}

static void modules(long count, const char *file, const char *name)
{
	long i;
	int fd;

	for (i = 0; i < count; i++) {
		fd = open(file, O_RDONLY);
		if (fd < 0)
			err(1, "%s", file);
		if (syscall(SYS_finit_module, fd, "", 0))
			err(1, "loading %s", file);
		close(fd);
		if (syscall(SYS_delete_module, name, O_NONBLOCK))
			err(1, "unloading %s", name);
	}
	printf("%ld modules\n", count);
}

static void bpf(long count)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 64),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { sizeof(insn) / sizeof(insn[0]), insn };
	long i;
	int fd;

	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		err(1, "socket");
	for (i = 0; i < count; i++) {
		if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
			err(1, "attaching a filter");
		if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){ 0 }, sizeof(int)))
			err(1, "detaching a filter");
	}
	close(fd);
	printf("%ld filters\n", count);
}

static long vmstat(int fd, const char *name)
{
	static char text[VMSTAT_SIZE];
	size_t len = strlen(name);
	char *line = text;
	ssize_t n;

	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		err(1, VMSTAT);
	text[n] = '\0';
	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atol(line + len);
	}
	errx(1, VMSTAT " has no %s", name);
}

/* One process for all looks: new ones would be a load of their own. */
static void most(const char *name, const char *file)
{
	int fd = open(VMSTAT, O_RDONLY), out = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	long now, max = -1;
	char text[24];
	int n;

	if (fd < 0 || out < 0)
		err(1, "%s", fd < 0 ? VMSTAT : file);
	for (;; usleep(LOOK_US)) {
		now = vmstat(fd, name);
		if (now <= max)
			continue;
		max = now;
		n = snprintf(text, sizeof(text), "%ld\n", max);
		if (pwrite(out, text, n, 0) != n)
			err(1, "%s", file);
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "threads"))
		threads(atol(argv[2]), atol(argv[3]), argv[4]);
	else if (argc == 5 && !strcmp(argv[1], "modules"))
		modules(atol(argv[2]), argv[3], argv[4]);
	else if (argc == 3 && !strcmp(argv[1], "bpf"))
		bpf(atol(argv[2]));
	else if (argc == 4 && !strcmp(argv[1], "most"))
		most(argv[2], argv[3]);
	else
		errx(2, "usage: loads threads PURGES SECONDS FILE | modules COUNT FILE NAME | bpf COUNT | most NAME FILE");
	return 0;
}
