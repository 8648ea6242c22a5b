/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the tests of deferred kernel TLB flushes: the test module, one task
 * that spins in user mode on each isolated CPU, and counting what reaches them.
 */
#ifndef __SELFTESTS_NOHZ_TLB_H
#define __SELFTESTS_NOHZ_TLB_H

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "kselftest_harness.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define SWITCH_FILE	DEBUGFS "x86/nohz_tlb"
#define STATS_FILE	DEBUGFS "x86/nohz_tlb_stats"
#define MODULE_DIR	DEBUGFS "nohz_tlb_test/"
#define TRACEFS		"/sys/kernel/tracing/"
#define TRACE_DIR	TRACEFS "instances/nohz_tlb_test/"

#define X86_EFLAGS_TF	0x100

#define MAX_SPINNERS	64
#define DEADLINE_MS	20000
/* How long an isolated CPU must take no timer interrupt to count as quiet. */
#define QUIET_MS	200
#define TEST_TIMEOUT_S	120

enum spinner_command {
	SPINNER_ENTER,		/* enter the kernel and come back */
	SPINNER_READ,		/* read through the window in the kernel */
	SPINNER_HOLD,		/* the same, but stay until released */
	SPINNER_PURGE,		/* free areas until they are purged */
	SPINNER_PAGE_FAULT,	/* touch a page that is not there */
	SPINNER_UD,		/* raise an invalid opcode exception */
	SPINNER_GP,		/* raise a general protection fault */
	SPINNER_DE,		/* divide by zero */
	SPINNER_BP,		/* hit a breakpoint instruction */
	SPINNER_DB,		/* execute an instruction in single step */
};

/* Events at which a CPU reads the window, as in the test module. */
enum test_event {
	EVENT_NONE,
	EVENT_PAGE_FAULT,
	EVENT_SIGNAL,
	EVENT_RESCHEDULE,
	EVENT_CALL,
	EVENT_TIMER,
	EVENT_NMI,
};

#define EVENT_CPU_SHIFT	4

/*
 * Shared between the test and a spinner, so that a spinner is told what to do,
 * and tells what it saw, without a system call on either side.
 */
struct spinner_page {
	uint32_t request;
	uint32_t done;
	uint32_t command;
	int32_t error;
	uint64_t value;
};

struct spinner {
	int cpu;
	pid_t pid;
	struct spinner_page *page;
};

struct nohz_tlb {
	int nr_spinners;
	struct spinner spinners[MAX_SPINNERS];
	bool module_loaded;
	bool trace_dir;
	bool was_off;
	const char *skip;
	const char *failure;
};

static inline long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Write @text to @path: 0, or -1 with errno set. */
static inline int write_text(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	ssize_t ret;
	int saved;
	int fd;

	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return -1;

	ret = write(fd, text, len);
	saved = errno;
	close(fd);
	errno = saved;

	return ret == len ? 0 : -1;
}

static inline int write_number(const char *path, unsigned long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", number);
	return write_text(path, text);
}

/* Read a file that holds one number: -1 if that fails. */
static inline long read_number(const char *path)
{
	char text[24] = "";
	ssize_t ret;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;

	ret = read(fd, text, sizeof(text) - 1);
	close(fd);

	return ret > 0 ? strtol(text, NULL, 10) : -1;
}

/* Fill @mask from a list such as 2-3,7. Anything else counts as no CPU. */
static inline void read_cpulist(const char *path, cpu_set_t *mask)
{
	char text[1024] = "";
	char *cur = text;
	FILE *file;

	CPU_ZERO(mask);
	file = fopen(path, "r");
	if (!file)
		return;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);

	while (*cur >= '0' && *cur <= '9') {
		long first = strtol(cur, &cur, 10);
		long last = first;

		if (*cur == '-')
			last = strtol(cur + 1, &cur, 10);
		for (; first <= last && first < CPU_SETSIZE; first++)
			CPU_SET(first, mask);
		if (*cur == ',')
			cur++;
	}
}

static inline int run_on(const cpu_set_t *mask)
{
	return sched_setaffinity(0, sizeof(*mask), mask);
}

/* The counter @column of @cpu in x86/nohz_tlb_stats: -1 if there is none. */
static inline long cpu_stat(int cpu, const char *column)
{
	long deferred, flushed, drained;
	long value = -1;
	char line[128];
	FILE *file;
	int row;

	file = fopen(STATS_FILE, "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%d %ld %ld %ld", &row, &deferred, &flushed,
			   &drained) != 4 || row != cpu)
			continue;
		if (!strcmp(column, "deferred"))
			value = deferred;
		else if (!strcmp(column, "flushed"))
			value = flushed;
		else if (!strcmp(column, "drained"))
			value = drained;
	}
	fclose(file);

	return value;
}

/* The counter @name of /proc/vmstat: -1 if there is none. */
static inline long vm_event(const char *name)
{
	long value = -1;
	char field[64];
	FILE *file;
	long number;

	file = fopen("/proc/vmstat", "r");
	if (!file)
		return -1;

	while (fscanf(file, "%63s %ld", field, &number) == 2) {
		if (!strcmp(field, name))
			value = number;
	}
	fclose(file);

	return value;
}

/* Local timer interrupts that @cpu took since boot: -1 if that is unknown. */
static inline long timer_interrupts(int cpu)
{
	char line[4096];
	long value = -1;
	FILE *file;
	char *cur;

	file = fopen("/proc/interrupts", "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		cur = strstr(line, "LOC:");
		if (!cur)
			continue;
		cur += strlen("LOC:");
		for (int i = 0; i <= cpu; i++)
			value = strtol(cur, &cur, 10);
	}
	fclose(file);

	return value;
}

static inline bool cpu_has_flag(const char *flag)
{
	bool found = false;
	char line[8192];
	FILE *file;

	file = fopen("/proc/cpuinfo", "r");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "flags", 5) && strstr(line, flag);
	fclose(file);

	return found;
}

/*
 * Whether each write to CR3 drops all kernel translations: with PTI they are not
 * global, and only PCIDs keep them. QEMU's own emulation ignores PCIDs.
 */
static inline bool cr3_writes_flush_kernel(void)
{
	unsigned int eax, signature[3];
	char name[13] = "";

	__cpuid(0x40000000, eax, signature[0], signature[1], signature[2]);
	memcpy(name, signature, sizeof(signature));

	return cpu_has_flag(" pti ") &&
	       (!cpu_has_flag(" pcid ") || !strcmp(name, "TCGTCGTCGTCG"));
}

/* Go on behind the instruction that trapped: hlt has 1 byte, ud2 and div have 2. */
static inline void spinner_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	regs[REG_EFL] &= ~X86_EFLAGS_TF;
	/* Breakpoint and single step are traps, which have passed it already. */
	if (sig == SIGSEGV)
		regs[REG_RIP] += 1;
	else if (sig == SIGILL || sig == SIGFPE)
		regs[REG_RIP] += 2;
}

static inline int spinner_catch_traps(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGFPE, SIGTRAP };
	struct sigaction action = {
		.sa_sigaction = spinner_trap,
		.sa_flags = SA_SIGINFO,
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], &action, NULL))
			return -1;
	}

	return 0;
}

static inline void spinner_run(struct spinner_page *page, int window, int hold,
			       int purge)
{
	long page_size = sysconf(_SC_PAGESIZE);
	uint32_t request, done = 0;
	char text[24] = "";
	ssize_t ret = 0;
	char *scratch;

	scratch = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		return;

	for (;;) {
		do {
			request = __atomic_load_n(&page->request, __ATOMIC_ACQUIRE);
		} while (request == done);

		switch (page->command) {
		case SPINNER_ENTER:
			ret = syscall(SYS_getppid);
			break;
		case SPINNER_READ:
			/* For a page fault, should one follow. */
			madvise(scratch, page_size, MADV_DONTNEED);
			ret = pread(window, text, sizeof(text) - 1, 0);
			break;
		case SPINNER_HOLD:
			ret = pread(hold, text, sizeof(text) - 1, 0);
			break;
		case SPINNER_PURGE:
			ret = pwrite(purge, "1", 1, 0);
			break;
		case SPINNER_PAGE_FAULT:
			asm volatile("movb $1, (%0)" : : "r" (scratch) : "memory");
			break;
		case SPINNER_UD:
			asm volatile("ud2");
			break;
		case SPINNER_GP:
			asm volatile("hlt");
			break;
		case SPINNER_DE:
			asm volatile("div %%ecx" : : "a" (1), "d" (0), "c" (0) : "cc");
			break;
		case SPINNER_BP:
			asm volatile("int3");
			break;
		case SPINNER_DB:
			asm volatile("pushfq; orq %0, (%%rsp); popfq; nop"
				     : : "i" (X86_EFLAGS_TF) : "cc", "memory");
			break;
		}
		page->error = ret < 0 ? errno : 0;
		page->value = strtoul(text, NULL, 10);

		done = request;
		__atomic_store_n(&page->done, done, __ATOMIC_RELEASE);
	}
}

static inline int spinner_start(struct spinner *spinner, int cpu)
{
	pid_t parent = getpid();
	int window, hold, purge;
	cpu_set_t mask;

	spinner->cpu = cpu;
	spinner->page = mmap(NULL, sizeof(*spinner->page), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (spinner->page == MAP_FAILED)
		return -1;

	spinner->pid = fork();
	if (spinner->pid)
		return spinner->pid > 0 ? 0 : -1;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	window = open(MODULE_DIR "window", O_RDONLY);
	hold = open(MODULE_DIR "hold", O_RDONLY);
	purge = open(MODULE_DIR "purge", O_WRONLY);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    window < 0 || hold < 0 || purge < 0 ||
	    spinner_catch_traps() || mlockall(MCL_CURRENT) || run_on(&mask))
		_exit(1);

	spinner_run(spinner->page, window, hold, purge);
	_exit(1);
}

static inline void spinner_ask(struct spinner *spinner, enum spinner_command command)
{
	spinner->page->command = command;
	__atomic_add_fetch(&spinner->page->request, 1, __ATOMIC_RELEASE);
}

/* Wait until the spinner has done what it was asked for: 0, or -errno. */
static inline int spinner_wait(struct spinner *spinner)
{
	long deadline = now_ms() + DEADLINE_MS;

	while (__atomic_load_n(&spinner->page->done, __ATOMIC_ACQUIRE) !=
	       spinner->page->request) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return -spinner->page->error;
}

static inline int spinner_do(struct spinner *spinner, enum spinner_command command)
{
	spinner_ask(spinner, command);
	return spinner_wait(spinner);
}

/* The same @times times. */
static inline int spinner_repeat(struct spinner *spinner, enum spinner_command command,
				 int times)
{
	int err = 0;

	while (times-- && !err)
		err = spinner_do(spinner, command);

	return err;
}

/* Have the spinner stay in the kernel until it is released: 0, or -errno. */
static inline int spinner_hold(struct spinner *spinner)
{
	long deadline = now_ms() + DEADLINE_MS;

	spinner_ask(spinner, SPINNER_HOLD);
	while (read_number(MODULE_DIR "held") != 1) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

static inline int spinner_release(struct spinner *spinner)
{
	if (write_number(MODULE_DIR "release", 1))
		return -errno;

	return spinner_wait(spinner);
}

/* Wait until no isolated CPU takes timer interrupts any more. */
static inline bool spinners_quiet(struct nohz_tlb *self)
{
	long deadline = now_ms() + DEADLINE_MS;
	long before, after;

	do {
		before = 0;
		after = 0;
		for (int i = 0; i < self->nr_spinners; i++)
			before += timer_interrupts(self->spinners[i].cpu);
		sleep_ms(QUIET_MS);
		for (int i = 0; i < self->nr_spinners; i++)
			after += timer_interrupts(self->spinners[i].cpu);
		if (before == after)
			return true;
	} while (now_ms() < deadline);

	return false;
}

static inline int spinners_start(struct nohz_tlb *self, const cpu_set_t *isolated)
{
	struct spinner *spinner = self->spinners;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, isolated) || self->nr_spinners == MAX_SPINNERS)
			continue;
		if (spinner_start(spinner, cpu))
			return -1;
		self->nr_spinners++;
		if (spinner_do(spinner++, SPINNER_ENTER))
			return -1;
	}

	return 0;
}

static inline void spinners_stop(struct nohz_tlb *self)
{
	for (int i = 0; i < self->nr_spinners; i++) {
		kill(self->spinners[i].pid, SIGKILL);
		waitpid(self->spinners[i].pid, NULL, 0);
		munmap(self->spinners[i].page, sizeof(*self->spinners[i].page));
	}
	self->nr_spinners = 0;
}

/* Load the module that lies beside the test program: 0, or -errno. */
static inline int module_load(void)
{
	char path[PATH_MAX + 64] = "";
	int ret, fd;

	if (readlink("/proc/self/exe", path, PATH_MAX) < 0)
		return -errno;
	dirname(path);
	strcat(path, "/test_modules/nohz_tlb_test.ko");

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);

	/* A test that was killed may have left it. */
	return ret == -EEXIST ? 0 : ret;
}

/*
 * Have traced what other CPUs send to the spinners and when spinners enter the
 * kernel. Enabling events patches code, which interrupts all CPUs and may start
 * their ticks, so this comes first.
 */
static inline int trace_setup(struct nohz_tlb *self)
{
	if (mkdir(TRACE_DIR, 0700) && errno != EEXIST)
		return -1;
	self->trace_dir = true;

	if (write_text(TRACE_DIR "tracing_on", "0") ||
	    write_text(TRACE_DIR "buffer_size_kb", "2048") ||
	    write_text(TRACE_DIR "events/csd/csd_queue_cpu/enable", "1") ||
	    write_text(TRACE_DIR "events/tlb/nohz_tlb_defer/enable", "1") ||
	    write_text(TRACE_DIR "events/vmalloc/purge_vmap_area_lazy/enable", "1") ||
	    write_text(TRACE_DIR "events/irq_vectors/enable", "1"))
		return -1;

	return write_text(TRACE_DIR "events/context_tracking/user_exit/enable", "1");
}

static inline int trace_start(void)
{
	if (write_text(TRACE_DIR "trace", ""))
		return -1;

	return write_text(TRACE_DIR "tracing_on", "1");
}

/* What the trace says about one isolated CPU. */
struct received {
	long flushes;		/* callbacks that flush kernel ranges */
	long immediate;		/* those of them that nobody could defer */
	long drains;		/* callbacks that only make the CPU enter */
	long others;		/* other callbacks */
	long interrupts;	/* interrupts that bring no callbacks */
	long entries;		/* entries to the kernel, whatever the reason */
	long purges;		/* purges that this CPU made */
	long deferrable;	/* deferrable flushes, the same for all CPUs */
};

static inline void trace_count_line(const char *line, int cpu, struct received *received)
{
	const char *field;
	int on = -1;

	field = strstr(line, "csd_queue_cpu: cpu=");
	if (field) {
		if (atoi(strchr(field, '=') + 1) != cpu)
			return;
		if (strstr(field, "func=do_flush_tlb_all") ||
		    strstr(field, "func=do_kernel_range_flush")) {
			received->flushes++;
			if (!strstr(field, "callsite=flush_tlb_kernel_range_deferrable"))
				received->immediate++;
		} else if (strstr(field, "func=do_kernel_flush_drain")) {
			received->drains++;
		} else {
			received->others++;
		}
		return;
	}

	if (strstr(line, "nohz_tlb_defer:")) {
		received->deferrable++;
		return;
	}

	field = strchr(line, '[');
	if (!field || sscanf(field, "[%d]", &on) != 1 || on != cpu)
		return;
	if (strstr(line, "user_exit:"))
		received->entries++;
	else if (strstr(line, "purge_vmap_area_lazy:") && !strstr(line, "num_purged=0"))
		received->purges++;
	else if (strstr(line, "_entry: vector=") && !strstr(line, "call_function"))
		received->interrupts++;
}

/* Stop the trace and count: 0, or -1 if the trace is missing or has lost events. */
static inline int trace_count(struct nohz_tlb *self, struct received *received)
{
	char path[PATH_MAX], line[512];
	long lost;
	FILE *file;

	memset(received, 0, sizeof(*received) * self->nr_spinners);
	if (write_text(TRACE_DIR "tracing_on", "0"))
		return -1;

	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path), TRACE_DIR "per_cpu/cpu%d/stats", cpu);
		file = fopen(path, "r");
		if (!file)
			continue;
		while (fgets(line, sizeof(line), file)) {
			if ((sscanf(line, "overrun: %ld", &lost) == 1 ||
			     sscanf(line, "commit overrun: %ld", &lost) == 1 ||
			     sscanf(line, "dropped events: %ld", &lost) == 1) && lost) {
				fclose(file);
				return -1;
			}
		}
		fclose(file);
	}

	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		for (int i = 0; i < self->nr_spinners; i++)
			trace_count_line(line, self->spinners[i].cpu, &received[i]);
	}
	fclose(file);

	return 0;
}

static inline void nohz_tlb_teardown(struct nohz_tlb *self)
{
	spinners_stop(self);
	if (self->trace_dir) {
		write_text(TRACE_DIR "tracing_on", "0");
		write_text(TRACE_DIR "events/enable", "0");
		rmdir(TRACE_DIR);
		self->trace_dir = false;
	}
	write_text(SWITCH_FILE, self->was_off ? "0" : "1");
	if (self->module_loaded) {
		syscall(SYS_delete_module, "nohz_tlb_test", O_NONBLOCK);
		self->module_loaded = false;
	}
}

/* Fill @isolated and @housekeeping with CPUs that the tests may use. */
static inline void choose_cpus(cpu_set_t *isolated, cpu_set_t *housekeeping)
{
	cpu_set_t online;

	read_cpulist("/sys/devices/system/cpu/nohz_full", isolated);
	read_cpulist("/sys/devices/system/cpu/online", &online);
	CPU_AND(isolated, isolated, &online);

	if (sched_getaffinity(0, sizeof(*housekeeping), housekeeping))
		CPU_ZERO(housekeeping);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, isolated))
			CPU_CLR(cpu, housekeeping);
	}
}

/* Why the tests cannot run here, or NULL. Leaves the feature switched on. */
static inline const char *nohz_tlb_missing(struct nohz_tlb *self, cpu_set_t *isolated,
					   cpu_set_t *housekeeping)
{
	if (geteuid())
		return "This test loads a module and needs root.";
	if (access(SWITCH_FILE, F_OK))
		return "x86/nohz_tlb is missing: no CONFIG_NO_HZ_FULL_TLB, or no debugfs.";

	choose_cpus(isolated, housekeeping);
	if (!CPU_COUNT(isolated))
		return "There is no online CPU in nohz_full=.";
	if (!CPU_COUNT(housekeeping))
		return "There is no housekeeping CPU that this task may use.";

	self->was_off = read_number(SWITCH_FILE) == 0;
	if (write_text(SWITCH_FILE, "1"))
		return "This machine cannot defer flushes, the kernel log says why (nohz_tlb:).";

	return NULL;
}

/*
 * The set-up of every test: module, switch on, this task on a housekeeping CPU, a
 * spinner on each isolated CPU, nothing pending. Leaves a sentence in ->skip if
 * the test cannot run here, or in ->failure.
 */
static inline void nohz_tlb_setup(struct nohz_tlb *self)
{
	cpu_set_t isolated, housekeeping;
	int err;

	self->skip = nohz_tlb_missing(self, &isolated, &housekeeping);
	if (self->skip)
		return;

	err = module_load();
	self->module_loaded = !err;
	if (err == -ENOENT)
		self->skip = "The test module nohz_tlb_test.ko has not been built.";
	else if (err)
		self->failure = "The test module does not load, the kernel log says why.";
	else if (trace_setup(self))
		self->failure = "The trace events that the tests need are not there.";
	else if (run_on(&housekeeping))
		self->failure = "This task cannot move to a housekeeping CPU.";
	else if (spinners_start(self, &isolated))
		self->failure = "A task does not start on an isolated CPU.";
	else if (write_number(MODULE_DIR "drain", 1))
		self->failure = "The test module cannot drain.";
	else if (!spinners_quiet(self))
		self->failure = "An isolated CPU goes on taking timer interrupts.";

	if (self->skip || self->failure)
		nohz_tlb_teardown(self);
}

#endif /* __SELFTESTS_NOHZ_TLB_H */
