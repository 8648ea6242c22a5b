/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the tests of kernel TLB flushes that are left to CPUs: the test module,
 * one task that spins in user mode on each isolated CPU, and counting what reaches
 * them.
 */
#ifndef __SELFTESTS_NOHZ_TLB_H
#define __SELFTESTS_NOHZ_TLB_H

#include <asm/ldt.h>
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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "test_modules/nohz_tlb_test.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define SWITCH_FILE	DEBUGFS "x86/nohz_tlb"
#define WAIT_FILE	DEBUGFS "x86/nohz_tlb_wait"
/* More than any test lets wait. */
#define WAIT_SIZE	"1T"
#define TEST_MODULE	"nohz_tlb_test"
#define MODULE_DIR	DEBUGFS TEST_MODULE "/"
#define DUMMY_MODULE	"nohz_tlb_dummy"
#define TRACEFS		"/sys/kernel/tracing/"
#define TRACE_DIR	TRACEFS "instances/nohz_tlb_test/"

#define X86_EFLAGS_TF	0x100

#define MAX_SPINNERS	CPU_SETSIZE
#define DEADLINE_MS	20000
/* How long an isolated CPU must take no timer interrupt to count as quiet. */
#define QUIET_MS	200
#define TEST_TIMEOUT_S	300
/* For what has a long form, see rounds(). */
#define LONG_TIMEOUT_S	10800
#define SMALL_STACK	65536
#define NR_PAUSES	256
#define PAUSE_LOOPS	64
#define STORM_PIECE	100000L
#define MAX_STORMS	8
/* For each CPU, and what an isolated one may add where the others trace. */
#define TRACE_SIZE_KB	2048
#define TRACE_SPINNER_KB	16
/* What may have to be written back in the end: a file of each CPU, and some more. */
#define MAX_UNDO	(CPU_SETSIZE + 16)
/*
 * The window moves after so many rounds. A TLB has room for few translations of
 * addresses that collide, so at an unlucky one there is never a stale one.
 */
#define MOVE_ROUNDS	10

enum spinner_command {
	SPINNER_ENTER,		/* enter the kernel and come back */
	SPINNER_READ,		/* read through the window in the kernel */
	SPINNER_HOLD,		/* the same, but stay until released */
	SPINNER_PURGE,		/* free areas until they are purged */
	SPINNER_AREA,		/* read the area in the kernel, see area */
	SPINNER_TOUCH,		/* read what is mapped by small pages, see small */
	SPINNER_PAGE_FAULT,	/* touch a page that is not there */
	SPINNER_UD,		/* raise an invalid opcode exception */
	SPINNER_GP,		/* raise a general protection fault */
	SPINNER_DE,		/* divide by zero */
	SPINNER_BP,		/* hit a breakpoint instruction */
	SPINNER_DB,		/* execute an instruction in single step */
	SPINNER_WATCH,		/* set a hardware breakpoint */
	SPINNER_HW_BREAKPOINT,	/* hit it */
	SPINNER_READ_INT80,	/* as SPINNER_READ, by int $0x80 */
	SPINNER_COMPAT,		/* a system call of a 32-bit program, by syscall */
	SPINNER_SIGRETURN,	/* return from a signal that never came */
	SPINNER_IRET_SS,	/* return to a stack segment that is not present */
	SPINNER_IRET_CS,	/* return to a code segment that is not present */
	SPINNER_STORM,		/* enter the kernel until asked for something else */
	SPINNER_FOLLOW,		/* the same, but only when the module wants it */
};

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
	struct nmi_word nmi;
};

struct spinner {
	int cpu;
	pid_t pid;
	struct spinner_page *page;
};

/* What has to be written where in the end. */
struct undo_entry {
	char path[96];
	char text[32];
};

/* Shared with the guard. */
struct undo {
	unsigned int nr;
	struct undo_entry entries[MAX_UNDO];
};

struct nohz_tlb {
	int nr_spinners;
	struct spinner spinners[MAX_SPINNERS];
	/* The process that undoes what the test has changed, and how to tell it to. */
	pid_t guard;
	int guard_pipe;
	struct undo *undo;
	const char *skip;
	const char *failure;
};

static inline bool environment_has(const char *name)
{
	const char *value = getenv(name);

	return value && !strcmp(value, "1");
}

/* How many rounds a test plays: more if the environment has NOHZ_TLB_LONG=1. */
static inline long rounds(long brief, long extended)
{
	return environment_has("NOHZ_TLB_LONG") ? extended : brief;
}

/* Whether a test may do what disturbs the whole machine. */
static inline bool may_intrude(void)
{
	return environment_has("NOHZ_TLB_INTRUSIVE");
}

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

/* What the module's file cpus says about a CPU. */
struct cpu_state {
	long pending;		/* whether a flush is */
	long flushed;		/* flushes that it has done for others */
	long left;		/* flushes that were left to it */
};

/* All -1 if the module knows no such CPU. */
static inline struct cpu_state cpu_state(int cpu)
{
	struct cpu_state state, none = { -1, -1, -1 };
	char line[128];
	FILE *file;
	int row;

	file = fopen(MODULE_DIR "cpus", "r");
	if (!file)
		return none;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%d %ld %ld %ld", &row, &state.pending, &state.flushed,
			   &state.left) == 4 && row == cpu) {
			fclose(file);
			return state;
		}
	}
	fclose(file);

	return none;
}

static inline long cpu_left(int cpu)
{
	return cpu_state(cpu).left;
}

static inline long cpu_flushed(int cpu)
{
	return cpu_state(cpu).flushed;
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

/* What @row of /proc/interrupts, such as "LOC:", has for @cpu: -1 without it. */
static inline long nr_interrupts(const char *row, int cpu)
{
	char line[16384];
	int column = 0, found;
	long value = -1;
	FILE *file;
	char *cur;

	file = fopen("/proc/interrupts", "r");
	if (!file)
		return -1;

	/* The head has the CPUs that are online. */
	if (fgets(line, sizeof(line), file)) {
		for (cur = strstr(line, "CPU"); cur; cur = strstr(cur + 1, "CPU")) {
			found = atoi(cur + strlen("CPU"));
			column += found <= cpu;
		}
	}

	while (fgets(line, sizeof(line), file)) {
		cur = strstr(line, row);
		if (!cur)
			continue;
		cur += strlen(row);
		for (int i = 0; i < column; i++)
			value = strtol(cur, &cur, 10);
	}
	fclose(file);

	return value;
}

/*
 * Have the lab's emulator raise a machine check exception: a deferred error, which
 * kills nobody. It reads this from the console.
 */
static inline int raise_machine_check(int cpu)
{
	char text[128];

	/* Valid, uncorrected, enabled and deferred; restart address valid. */
	snprintf(text, sizeof(text),
		 "nohz_tlb: monitor: mce %d 1 0xb000100000000000 1 0 0\n", cpu);

	return write_text("/dev/kmsg", text);
}

static inline bool machine_check_came(int cpu, long before, long timeout)
{
	long deadline = now_ms() + timeout;

	do {
		if (nr_interrupts("MCE:", cpu) > before)
			return true;
	} while (now_ms() < deadline);

	return false;
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

/* Entries of the spinner's LDT, neither of them present. */
enum {
	LDT_STACK,
	LDT_CODE,
};

#define LDT_SELECTOR(entry)	((entry) << 3 | 7)
/* The kernel's code segments for 64-bit and 32-bit user mode. */
#define USER_CS			0x33
#define USER32_CS		0x23

#define CSGSFS_CS_SHIFT		0
#define CSGSFS_SS_SHIFT		48
#define SELECTOR_MASK		0xffffULL

/* What a spinner is made of. */
struct spinner_self {
	int window;
	int hold;
	int purge;
	int area;
	int small;
	int check;
	int breakpoint;
	char *scratch;		/* a page that may be missing */
	char *low;		/* a page with an address of 32 bits */
	uint64_t watched;	/* where the hardware breakpoint is */
	uint64_t segments;	/* where iret goes to, once it can */
	/* What the next breakpoint instruction wants done to them. */
	int bad_selector;
	int bad_shift;
	/* Where a task that is in 32-bit code has come from, or 0. */
	uint64_t compat_ip;
	uint64_t compat_sp;
	int compat_error;
};

static struct spinner_self spinner_self;

static inline void set_selector(greg_t *regs, int shift, uint64_t selector)
{
	uint64_t segments = regs[REG_CSGSFS];

	regs[REG_CSGSFS] = (segments & ~(SELECTOR_MASK << shift)) | selector << shift;
}

/* Have the return from this signal fault at iret. */
static inline void spinner_break_segments(greg_t *regs)
{
	spinner_self.segments = regs[REG_CSGSFS];
	set_selector(regs, spinner_self.bad_shift, spinner_self.bad_selector);
	spinner_self.bad_selector = 0;
}

/* Leave 32-bit code: SIGILL means that this CPU has no such system calls there. */
static inline void spinner_leave_compat(int sig, greg_t *regs)
{
	spinner_self.compat_error = sig == SIGILL ? EOPNOTSUPP : 0;
	set_selector(regs, CSGSFS_CS_SHIFT, USER_CS);
	regs[REG_RIP] = spinner_self.compat_ip;
	regs[REG_RSP] = spinner_self.compat_sp;
	spinner_self.compat_ip = 0;
}

/* Go on behind the instruction that trapped: hlt has 1 byte, ud2 and div have 2. */
static inline void spinner_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	static const uint8_t hlt = 0xf4;

	if (spinner_self.compat_ip) {
		spinner_leave_compat(sig, regs);
		return;
	}

	regs[REG_EFL] &= ~X86_EFLAGS_TF;
	/* Breakpoint and single step are traps, which have passed it already. */
	if (sig == SIGTRAP && spinner_self.bad_selector) {
		spinner_break_segments(regs);
	} else if (spinner_self.segments) {
		regs[REG_CSGSFS] = spinner_self.segments;
		spinner_self.segments = 0;
	} else if (sig == SIGILL || sig == SIGFPE) {
		regs[REG_RIP] += 2;
	} else if (sig == SIGSEGV && *(uint8_t *)regs[REG_RIP] == hlt) {
		regs[REG_RIP] += 1;
	}
}

/* On a stack of their own, because the task may have no usable one. */
static inline int spinner_catch_traps(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGFPE, SIGTRAP, SIGBUS };
	struct sigaction action = {
		.sa_sigaction = spinner_trap,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	stack_t stack = { .ss_size = SMALL_STACK };

	stack.ss_sp = malloc(SMALL_STACK);
	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		return -1;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], &action, NULL))
			return -1;
	}

	return 0;
}

static inline bool has_ldt(void)
{
	struct user_desc none = { };

	/* Reading an LDT that has never been written gives nothing, and no error. */
	return syscall(SYS_modify_ldt, 0, &none, sizeof(none)) >= 0;
}

/* Kernels without modify_ldt() have no such iret either. */
static inline void spinner_set_segment(int entry, int contents)
{
	struct user_desc segment = {
		.entry_number = entry,
		.limit = UINT16_MAX,
		.seg_32bit = 1,
		.contents = contents,
		.seg_not_present = 1,
	};

	syscall(SYS_modify_ldt, 1, &segment, sizeof(segment));
}

static inline int spinner_prepare(void)
{
	long page_size = sysconf(_SC_PAGESIZE);
	struct spinner_self *self = &spinner_self;

	self->window = open(MODULE_DIR "window", O_RDONLY);
	self->hold = open(MODULE_DIR "hold", O_RDONLY);
	self->purge = open(MODULE_DIR "purge", O_WRONLY);
	self->area = open(MODULE_DIR "area", O_RDONLY);
	self->small = open(MODULE_DIR "small", O_RDONLY);
	self->check = open(MODULE_DIR "check", O_RDONLY);
	self->breakpoint = open(MODULE_DIR "breakpoint", O_WRONLY);
	if (self->window < 0 || self->hold < 0 || self->purge < 0 || self->area < 0 ||
	    self->small < 0 || self->check < 0 || self->breakpoint < 0)
		return -1;

	spinner_set_segment(LDT_STACK, MODIFY_LDT_CONTENTS_DATA);
	spinner_set_segment(LDT_CODE, MODIFY_LDT_CONTENTS_CODE);

	self->low = mmap(NULL, page_size, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (self->low == MAP_FAILED || spinner_catch_traps() || mlockall(MCL_CURRENT))
		return -1;

	/* Not locked, so that it can be taken away. */
	self->scratch = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return self->scratch == MAP_FAILED ? -1 : 0;
}

/* pread() of the window by the system call table of 32-bit programs. */
static inline long spinner_read_int80(void)
{
	static const long ia32_pread64 = 180;
	long ret = ia32_pread64;

	asm volatile("int $0x80"
		     : "+a" (ret)
		     : "b" ((long)spinner_self.window), "c" (spinner_self.low),
		       "d" (sizeof(long)), "S" (0L), "D" (0L)
		     : "r8", "r9", "r10", "r11", "cc", "memory");

	/* The upper half is not the return value's. */
	ret = (int)ret;
	if (ret < 0) {
		errno = -ret;
		return -1;
	}

	return ret;
}

/*
 * The kernel returns to the vDSO of 32-bit programs, which this one does not have,
 * so a signal follows and leads back. The system call itself may well fail.
 */
static inline long spinner_compat(void)
{
	struct spinner_self *self = &spinner_self;
	static const uint8_t syscall_insn[] = { 0x0f, 0x05 };
	struct {
		uint32_t offset;
		uint16_t selector;
	} target = { (uintptr_t)self->low, USER32_CS };
	void *pointer = &target;
	long ax = 0;

	memcpy(self->low, syscall_insn, sizeof(syscall_insn));
	asm volatile("leaq -128(%%rsp), %%rsp\n\t"
		     "pushq %%rbp\n\t"
		     "movq %%rsp, %[sp]\n\t"
		     "leaq 1f(%%rip), %%rcx\n\t"
		     "movq %%rcx, %[ip]\n\t"
		     "ljmp *(%[target])\n\t"
		     "1: popq %%rbp\n\t"
		     "leaq 128(%%rsp), %%rsp"
		     : [sp] "=m" (self->compat_sp), [ip] "=m" (self->compat_ip),
		       [target] "+d" (pointer), "+a" (ax)
		     :
		     : "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "cc", "memory");

	errno = self->compat_error;
	return errno ? -1 : 0;
}

/* Without a stack the frame cannot be read, and the signal for that follows. */
static inline void spinner_sigreturn(void)
{
	long ax = SYS_rt_sigreturn;

	asm volatile("movq %%rsp, %%rbx\n\t"
		     "xorl %%esp, %%esp\n\t"
		     "syscall\n\t"
		     "movq %%rbx, %%rsp"
		     : "+a" (ax) : : "rbx", "rcx", "r11", "cc", "memory");
}

static inline void spinner_iret(int entry, int shift)
{
	spinner_self.bad_selector = LDT_SELECTOR(entry);
	spinner_self.bad_shift = shift;
	asm volatile("int3" : : : "memory");
}

/* Enter the kernel again and again, after a pause that varies. */
static inline long spinner_storm(struct spinner_page *page, uint32_t request)
{
	unsigned int turn;
	char text[24];

	for (turn = 1; __atomic_load_n(&page->request, __ATOMIC_ACQUIRE) == request; turn++) {
		for (unsigned int pause = turn % NR_PAUSES * PAUSE_LOOPS; pause; pause--)
			asm volatile("" : : : "memory");
		if (turn % 4)
			syscall(SYS_getppid);
		else if (pread(spinner_self.check, text, sizeof(text), 0) < 0)
			return -1;
	}

	return turn;
}

/* Enter the kernel whenever the module says so, see its file nmi_word. */
static inline long spinner_follow(struct spinner_page *page, uint32_t request)
{
	uint32_t go;

	do {
		go = __atomic_load_n(&page->nmi.go, __ATOMIC_ACQUIRE);
		if (go == page->nmi.came)
			continue;
		syscall(SYS_getppid);
		__atomic_store_n(&page->nmi.came, go, __ATOMIC_RELEASE);
	} while (__atomic_load_n(&page->request, __ATOMIC_ACQUIRE) == request);

	return 0;
}

/* Do what is asked for: negative with errno set if that fails. */
static inline long spinner_obey(struct spinner_page *page, uint32_t request, char *text,
				size_t size)
{
	struct spinner_self *self = &spinner_self;
	long ret = 0;

	switch (page->command) {
	case SPINNER_ENTER:
		return syscall(SYS_getppid);
	case SPINNER_READ:
		/* For a page fault, should one follow. */
		madvise(self->scratch, sysconf(_SC_PAGESIZE), MADV_DONTNEED);
		return pread(self->window, text, size, 0);
	case SPINNER_HOLD:
		return pread(self->hold, text, size, 0);
	case SPINNER_PURGE:
		return pwrite(self->purge, "1", 1, 0);
	case SPINNER_AREA:
		madvise(self->scratch, sysconf(_SC_PAGESIZE), MADV_DONTNEED);
		return pread(self->area, text, size, 0);
	case SPINNER_TOUCH:
		return pread(self->small, text, size, 0);
	case SPINNER_PAGE_FAULT:
		asm volatile("movb $1, (%0)" : : "r" (self->scratch) : "memory");
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
		asm volatile("leaq -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; "
			     "leaq 128(%%rsp), %%rsp"
			     : : "i" (X86_EFLAGS_TF) : "cc", "memory");
		break;
	case SPINNER_WATCH:
		snprintf(text, size, "%lu", (unsigned long)&self->watched);
		return pwrite(self->breakpoint, text, strlen(text), 0);
	case SPINNER_HW_BREAKPOINT:
		__atomic_store_n(&self->watched, request, __ATOMIC_RELAXED);
		break;
	case SPINNER_READ_INT80:
		ret = spinner_read_int80();
		if (ret > 0)
			memcpy(text, self->low, ret);
		break;
	case SPINNER_COMPAT:
		return spinner_compat();
	case SPINNER_SIGRETURN:
		spinner_sigreturn();
		break;
	case SPINNER_IRET_SS:
		spinner_iret(LDT_STACK, CSGSFS_SS_SHIFT);
		break;
	case SPINNER_IRET_CS:
		spinner_iret(LDT_CODE, CSGSFS_CS_SHIFT);
		break;
	case SPINNER_STORM:
		return spinner_storm(page, request);
	case SPINNER_FOLLOW:
		return spinner_follow(page, request);
	}

	return ret;
}

static inline void spinner_run(struct spinner_page *page)
{
	uint32_t request, done = 0;
	char text[24];
	long ret;

	for (;;) {
		do {
			request = __atomic_load_n(&page->request, __ATOMIC_ACQUIRE);
		} while (request == done);

		memset(text, 0, sizeof(text));
		ret = spinner_obey(page, request, text, sizeof(text) - 1);
		page->error = ret < 0 ? errno : 0;
		page->value = strtoul(text, NULL, 10);

		done = request;
		__atomic_store_n(&page->done, done, __ATOMIC_RELEASE);
	}
}

static inline int spinner_start(struct spinner *spinner, int cpu)
{
	pid_t parent = getpid();
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
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    spinner_prepare() || run_on(&mask))
		_exit(1);

	spinner_run(spinner->page);
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

/* Have the window lie elsewhere in every so many rounds: 0, or -1. */
static inline int move_window(int round)
{
	return round % MOVE_ROUNDS ? 0 : write_number(MODULE_DIR "window_move", 1);
}

/*
 * Play @nr rounds: have the spinner read the window, put the other page behind it
 * by a write to @replace, and have the spinner read it again, by @command. How many
 * of these found the old page, or -1.
 */
static inline long count_stale(struct spinner *spinner, const char *replace,
			       enum spinner_command command, int nr)
{
	unsigned long next;
	long stale = 0;

	for (int round = 0; round < nr; round++) {
		if (move_window(round) || spinner_do(spinner, SPINNER_READ))
			return -1;
		next = !spinner->page->value;
		if (write_number(replace, next) || spinner_do(spinner, command))
			return -1;
		stale += spinner->page->value != next;
	}

	return stale;
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

/*
 * Wait until each isolated CPU was without timer interrupts for a moment. Not all at
 * the same moment: where there are many, one of them always has some stray timer.
 */
static inline bool spinners_quiet(struct nohz_tlb *self)
{
	bool quiet[MAX_SPINNERS] = { };
	long deadline = now_ms() + DEADLINE_MS;
	long before[MAX_SPINNERS];
	int left;

	do {
		left = 0;
		for (int i = 0; i < self->nr_spinners; i++)
			before[i] = nr_interrupts("LOC:", self->spinners[i].cpu);
		sleep_ms(QUIET_MS);
		for (int i = 0; i < self->nr_spinners; i++) {
			if (nr_interrupts("LOC:", self->spinners[i].cpu) == before[i])
				quiet[i] = true;
			left += !quiet[i];
		}
		if (!left)
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

/* Stop all spinners but the first @keep. */
static inline void spinners_keep(struct nohz_tlb *self, int keep)
{
	for (int i = keep; i < self->nr_spinners; i++) {
		kill(self->spinners[i].pid, SIGKILL);
		waitpid(self->spinners[i].pid, NULL, 0);
		munmap(self->spinners[i].page, sizeof(*self->spinners[i].page));
	}
	self->nr_spinners = MIN(self->nr_spinners, keep);
}

/* Whether each vfree() and the like flushes by itself, because of debug_pagealloc. */
static inline bool vfree_flushes(void)
{
	return read_number(MODULE_DIR "debug_pagealloc") == 1;
}

/* Whether each purge flushes more by itself, because KASAN unmaps its shadow of the area. */
static inline bool purge_flushes_shadow(void)
{
	return read_number(MODULE_DIR "kasan_vmalloc") == 1;
}

/*
 * Leave a flush to each spinner by writes of 1 to @file of the module: 0, or -1 if some
 * are never in user mode for it.
 */
static inline int spinners_leave_flush(struct nohz_tlb *lab, const char *file)
{
	long deadline = now_ms() + DEADLINE_MS;
	long before[MAX_SPINNERS];
	int missing;

	for (int i = 0; i < lab->nr_spinners; i++)
		before[i] = cpu_left(lab->spinners[i].cpu);
	do {
		if (write_number(file, 1))
			return -1;
		missing = 0;
		for (int i = 0; i < lab->nr_spinners; i++)
			missing += cpu_left(lab->spinners[i].cpu) == before[i];
		if (!missing)
			return 0;
	} while (now_ms() < deadline);

	return -1;
}

/* How many spinners have a flush pending. */
static inline long count_pending(struct nohz_tlb *lab)
{
	long pending = 0;

	for (int i = 0; i < lab->nr_spinners; i++)
		pending += cpu_state(lab->spinners[i].cpu).pending == 1;

	return pending;
}

static inline int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* Load a module that lies beside the test program, with @params: 0, or -errno. */
static inline int module_load(const char *name, const char *params)
{
	char program[PATH_MAX] = "", path[PATH_MAX + 64];
	int ret, fd;

	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/test_modules/%s.ko", dirname(program), name);

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	/* A test that was killed may have left it, in whatever state. */
	if (ret == -EEXIST && !module_unload(name))
		ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	/* A missing symbol is not a missing module. */
	if (ret == -ENOENT)
		ret = -ENXIO;
	close(fd);

	return ret;
}

/* Write the CPUs of the spinners to @text, as a filter that @field is one of them. */
static inline void trace_filter(const struct nohz_tlb *self, const char *field,
				char *text, size_t size)
{
	size_t len = snprintf(text, size, "%s & CPUS{", field);

	for (int i = 0; i < self->nr_spinners && len < size; i++)
		len += snprintf(text + len, size - len, "%s%d", i ? "," : "",
				self->spinners[i].cpu);
	if (len < size)
		snprintf(text + len, size - len, "}");
}

/* Have traced the events @event, where @field is the CPU of a spinner. */
static inline int trace_spinners(const struct nohz_tlb *self, const char *event,
				 const char *field)
{
	char path[PATH_MAX], filter[CPU_SETSIZE * 5 + 16];

	trace_filter(self, field, filter, sizeof(filter));
	snprintf(path, sizeof(path), TRACE_DIR "events/%s/filter", event);
	if (write_text(path, filter))
		return -1;
	snprintf(path, sizeof(path), TRACE_DIR "events/%s/enable", event);

	return write_text(path, "1");
}

/* The buffers have room for what a test sends, however many CPUs there are. */
static inline int trace_set_sizes(const struct nohz_tlb *self, const cpu_set_t *housekeeping)
{
	long size = TRACE_SIZE_KB + TRACE_SPINNER_KB * self->nr_spinners;
	char path[PATH_MAX];

	if (write_number(TRACE_DIR "buffer_size_kb", TRACE_SIZE_KB))
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		snprintf(path, sizeof(path), TRACE_DIR "per_cpu/cpu%d/buffer_size_kb", cpu);
		if (CPU_ISSET(cpu, housekeeping) && write_number(path, size))
			return -1;
	}

	return 0;
}

/*
 * Have traced what other CPUs send to the spinners and when spinners enter the
 * kernel, and all flushes that may be left to them. Enabling events patches code, which
 * interrupts all CPUs and may start their ticks, so this comes first.
 */
static inline int trace_setup(struct nohz_tlb *self, const cpu_set_t *housekeeping)
{
	if (mkdir(TRACE_DIR, 0700) && errno != EEXIST)
		return -1;

	if (write_text(TRACE_DIR "tracing_on", "0") ||
	    trace_set_sizes(self, housekeeping) ||
	    trace_spinners(self, "csd/csd_queue_cpu", "cpu") ||
	    trace_spinners(self, "irq_vectors", "CPU") ||
	    trace_spinners(self, "context_tracking/user_exit", "CPU") ||
	    write_text(TRACE_DIR "events/tlb/nohz_tlb_defer/enable", "1"))
		return -1;

	return write_text(TRACE_DIR "events/vmalloc/purge_vmap_area_lazy/enable", "1");
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
	long immediate;		/* those of them that nobody could leave to the CPU */
	long drains;		/* callbacks that make the CPU flush what was left to it */
	long others;		/* other callbacks */
	long interrupts;	/* interrupts that bring no callbacks */
	long entries;		/* entries to the kernel, whatever the reason */
	long purges;		/* purges that this CPU made */
	/* The same for all CPUs. */
	long all_purges;	/* purges that took areas off the lazy lists */
	long empty_purges;	/* purges that found nothing there */
	long deferrable;	/* flushes that could be left to CPUs */
};

/* The callbacks that a CPU sent to each spinner since its last deferrable flush. */
struct sender {
	bool sent_to[MAX_SPINNERS];
};

/* The CPU that @line of the trace is from, or -1. */
static inline int trace_cpu(const char *line)
{
	const char *field = strchr(line, '[');
	int cpu;

	return field && sscanf(field, "[%d]", &cpu) == 1 ? cpu : -1;
}

/* The CPU that a callback is queued for, or -1. */
static inline int trace_target(const char *line)
{
	const char *field = strstr(line, "csd_queue_cpu: cpu=");

	return field ? atoi(strchr(field, '=') + 1) : -1;
}

static inline bool trace_is_flush(const char *line)
{
	return strstr(line, "func=do_flush_tlb_all") || strstr(line, "func=do_kernel_range_flush");
}

static inline void trace_count_purge(const char *line, int cpu, struct received *received)
{
	if (!strstr(line, "purge_vmap_area_lazy: "))
		return;

	if (strstr(line, "num_purged=0")) {
		received->empty_purges++;
	} else {
		received->all_purges++;
		received->purges += trace_cpu(line) == cpu;
	}
}

static inline void trace_count_line(const char *line, int cpu, struct received *received)
{
	int target = trace_target(line);

	if (target >= 0) {
		if (target != cpu)
			return;
		if (trace_is_flush(line)) {
			received->flushes++;
			/* Until trace_tell_apart() knows better. */
			received->immediate++;
		} else if (strstr(line, "func=nohz_tlb_drain_cpu")) {
			received->drains++;
		} else {
			received->others++;
		}
		return;
	}

	trace_count_purge(line, cpu, received);
	if (strstr(line, "nohz_tlb_defer:"))
		received->deferrable++;
	if (trace_cpu(line) != cpu)
		return;
	if (strstr(line, "user_exit:"))
		received->entries++;
	else if (strstr(line, "_entry: vector=") && !strstr(line, "call_function"))
		received->interrupts++;
}

/* Whether @cpu is in a mask as the trace prints it: words of 32 bits, highest first. */
static inline bool trace_mask_has(const char *mask, int cpu)
{
	const char *end = mask + strcspn(mask, " \n");
	int nr_words = 1, skip;

	for (const char *cur = mask; cur < end; cur++)
		nr_words += *cur == ',';
	skip = nr_words - 1 - cpu / 32;
	if (skip < 0)
		return false;
	while (skip--)
		mask = strchr(mask, ',') + 1;

	return strtoul(mask, NULL, 16) >> cpu % 32 & 1;
}

/*
 * A deferrable flush says in the end whom it was left to. What its CPU sent to the
 * others before that was part of it.
 */
static inline void trace_tell_apart(const struct nohz_tlb *self, const char *line,
				    struct sender *sender, struct received *received)
{
	int target = trace_target(line);
	const char *left;

	if (target >= 0 && trace_is_flush(line)) {
		for (int i = 0; i < self->nr_spinners; i++) {
			if (self->spinners[i].cpu == target)
				sender->sent_to[i] = true;
		}
		return;
	}

	left = strstr(line, "nohz_tlb_defer:");
	left = left ? strstr(left, "left:") : NULL;
	if (!left)
		return;
	left += strlen("left:");
	for (int i = 0; i < self->nr_spinners; i++) {
		if (sender->sent_to[i] && !trace_mask_has(left, self->spinners[i].cpu))
			received[i].immediate--;
	}
	memset(sender, 0, sizeof(*sender));
}

/* Stop the trace and count: 0, or -1 if the trace is missing or has lost events. */
static inline int trace_count(struct nohz_tlb *self, struct received *received)
{
	int nr_cpus = sysconf(_SC_NPROCESSORS_CONF);
	char path[PATH_MAX], line[1024];
	struct sender *senders;
	long lost;
	FILE *file;
	int cpu;

	memset(received, 0, sizeof(*received) * self->nr_spinners);
	if (write_text(TRACE_DIR "tracing_on", "0"))
		return -1;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
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

	senders = calloc(nr_cpus, sizeof(*senders));
	if (!senders)
		return -1;
	file = fopen(TRACE_DIR "trace", "r");
	if (!file) {
		free(senders);
		return -1;
	}
	while (fgets(line, sizeof(line), file)) {
		for (int i = 0; i < self->nr_spinners; i++)
			trace_count_line(line, self->spinners[i].cpu, &received[i]);
		cpu = trace_cpu(line);
		if (cpu >= 0 && cpu < nr_cpus)
			trace_tell_apart(self, line, &senders[cpu], received);
	}
	fclose(file);
	free(senders);

	return 0;
}

/* Whether a spinner got anything but drains, since the trace was started. */
static inline bool spinners_disturbed(const struct nohz_tlb *self,
				      const struct received *received)
{
	for (int i = 0; i < self->nr_spinners; i++) {
		if (received[i].flushes || received[i].others || received[i].interrupts)
			return true;
	}

	return false;
}

/* Of this test, so that its end is theirs too. */
static pid_t storm_pids[MAX_STORMS];

/*
 * Start a process that writes @value to @file of the module, @nr times, on the CPUs of
 * its parent: its id, or -1.
 */
static inline pid_t storm_write(const char *file, unsigned long value, long nr)
{
	pid_t parent = getpid();
	pid_t pid;
	int i;

	for (i = 0; i < MAX_STORMS && storm_pids[i]; i++)
		;
	if (i == MAX_STORMS)
		return -1;

	pid = fork();
	if (pid > 0)
		storm_pids[i] = pid;
	if (pid)
		return pid;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	while (nr--) {
		if (write_number(file, value))
			_exit(1);
	}
	_exit(0);
}

/* The same with @nr exchanges in @slot, see the module's file exchange. */
static inline pid_t storm_start(int slot, long nr)
{
	long piece = MIN(nr, STORM_PIECE);

	return storm_write(MODULE_DIR "exchange", piece << SLOT_SHIFT | slot, nr / piece);
}

/* Wait until a storm is over: 0 if it has done all it should. */
static inline int storm_wait(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	for (int i = 0; i < MAX_STORMS; i++) {
		if (storm_pids[i] == pid)
			storm_pids[i] = 0;
	}

	return status;
}

/* End a storm before it is over: 0 if it was still going on. */
static inline int storm_stop(pid_t pid)
{
	int status;

	/* As a process id, -1 is everybody. */
	if (pid < 0)
		return -1;

	kill(pid, SIGKILL);
	status = storm_wait(pid);

	return status >= 0 && WIFSIGNALED(status) ? 0 : -1;
}

/*
 * A test may be killed, which must not leave the machine changed. So whatever a test
 * changes is undone by another process, when the test asks for it or is gone.
 */

/* Have @text written to @path in the end, and what comes later before it: 0, or -1. */
static inline int undo_by_writing(struct nohz_tlb *self, const char *path, const char *text)
{
	struct undo *undo = self->undo;
	struct undo_entry *entry = &undo->entries[undo->nr];

	if (undo->nr == MAX_UNDO || strlen(path) >= sizeof(entry->path) ||
	    strlen(text) >= sizeof(entry->text))
		return -1;
	strcpy(entry->path, path);
	strcpy(entry->text, text);
	__atomic_store_n(&undo->nr, undo->nr + 1, __ATOMIC_RELEASE);

	return 0;
}

/* Write @number to @path until the end, when the file gets back what it holds now. */
static inline int change_number(struct nohz_tlb *self, const char *path, unsigned long number)
{
	long old = read_number(path);
	char text[24];

	snprintf(text, sizeof(text), "%ld", old);
	if (old < 0 || undo_by_writing(self, path, text))
		return -1;

	return write_number(path, number);
}

/* A module is in use until the tasks are gone that have its files open. */
static inline void undo_module(const char *name)
{
	long deadline = now_ms() + DEADLINE_MS;

	while (module_unload(name) == -EAGAIN && now_ms() < deadline)
		sleep_ms(1);
}

static inline void undo_all(const struct undo *undo)
{
	for (int i = __atomic_load_n(&undo->nr, __ATOMIC_ACQUIRE) - 1; i >= 0; i--)
		write_text(undo->entries[i].path, undo->entries[i].text);
	if (!access(TRACE_DIR, F_OK)) {
		write_text(TRACE_DIR "tracing_on", "0");
		write_text(TRACE_DIR "events/enable", "0");
		rmdir(TRACE_DIR);
	}
	undo_module(DUMMY_MODULE);
	undo_module(TEST_MODULE);
}

/* Not with the group of the test, which is killed when the test takes too long. */
static inline void guard_run(const struct undo *undo, int pipe)
{
	int null = open("/dev/null", O_RDWR);
	char word;

	setsid();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	while (read(pipe, &word, sizeof(word)) < 0 && errno == EINTR)
		;
	undo_all(undo);
}

/* Waits for the guard of the test before this one. */
static inline int guard_start(struct nohz_tlb *self)
{
	long deadline = now_ms() + DEADLINE_MS;
	int lock, ends[2];

	lock = open(SWITCH_FILE, O_RDONLY | O_CLOEXEC);
	if (lock < 0)
		return -1;
	while (flock(lock, LOCK_EX | LOCK_NB)) {
		if (now_ms() > deadline)
			return -1;
		sleep_ms(10);
	}

	self->undo = mmap(NULL, sizeof(*self->undo), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (self->undo == MAP_FAILED || pipe2(ends, O_CLOEXEC))
		return -1;
	self->guard = fork();
	if (!self->guard) {
		close(ends[1]);
		guard_run(self->undo, ends[0]);
		/* The lock goes with the last one who has it open. */
		_exit(0);
	}
	close(ends[0]);
	close(lock);
	self->guard_pipe = ends[1];

	return self->guard < 0 ? -1 : 0;
}

static inline void guard_end(struct nohz_tlb *self)
{
	if (self->guard <= 0)
		return;
	/* Children have this end open, too. */
	if (write(self->guard_pipe, "", 1) != 1)
		kill(self->guard, SIGKILL);
	waitpid(self->guard, NULL, 0);
	close(self->guard_pipe);
	munmap(self->undo, sizeof(*self->undo));
	self->guard = 0;
}

static inline void nohz_tlb_teardown(struct nohz_tlb *self)
{
	for (int i = 0; i < MAX_STORMS; i++) {
		if (storm_pids[i])
			storm_stop(storm_pids[i]);
	}
	spinners_keep(self, 0);
	guard_end(self);
}

/* Fill @isolated and @housekeeping with CPUs that the tests may use. */
static inline void choose_cpus(cpu_set_t *isolated, cpu_set_t *housekeeping)
{
	cpu_set_t online, allowed, one;

	read_cpulist("/sys/devices/system/cpu/nohz_full", isolated);
	read_cpulist("/sys/devices/system/cpu/online", &online);
	CPU_AND(isolated, isolated, &online);

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		CPU_ZERO(&allowed);
	*housekeeping = allowed;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, isolated))
			continue;
		CPU_CLR(cpu, housekeeping);
		/* A cpuset may keep this task away from it. */
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (run_on(&one))
			CPU_CLR(cpu, isolated);
	}
	run_on(&allowed);
}

/* Why the tests cannot run here, or NULL. */
static inline const char *nohz_tlb_missing(cpu_set_t *isolated, cpu_set_t *housekeeping)
{
	if (geteuid())
		return "This test loads a module and needs root.";
	if (access(SWITCH_FILE, F_OK))
		return "x86/nohz_tlb is missing: no CONFIG_NO_HZ_FULL_TLB, or no debugfs.";
	if (read_number(SWITCH_FILE) < 0)
		return "x86/nohz_tlb cannot be read, as with kernel lockdown.";
	if (access(TRACEFS "events/csd", F_OK))
		return "The events of tracefs are not at /sys/kernel/tracing.";

	choose_cpus(isolated, housekeeping);
	if (!CPU_COUNT(isolated))
		return "There is no online CPU in nohz_full= that this task may use.";
	if (!CPU_COUNT(housekeeping))
		return "There is no housekeeping CPU that this task may use.";

	return NULL;
}

/* With KASAN the shadow of what waits is memory, and does not go either. */
static inline int nohz_tlb_raise_limit(struct nohz_tlb *self)
{
	char old[24];

	snprintf(old, sizeof(old), "%ld", read_number(WAIT_FILE));
	if (undo_by_writing(self, WAIT_FILE, old))
		return -1;

	return purge_flushes_shadow() ? 0 : write_text(WAIT_FILE, WAIT_SIZE);
}

/* What has to be there for a test. */
static inline void nohz_tlb_prepare(struct nohz_tlb *self, const cpu_set_t *isolated,
				    const cpu_set_t *housekeeping)
{
	int err;

	if (change_number(self, SWITCH_FILE, 1)) {
		self->skip = "This machine leaves no flush to a CPU, the kernel log says why.";
		return;
	}

	err = module_load(TEST_MODULE, "");
	if (err == -ENOENT)
		self->skip = "The test module nohz_tlb_test.ko has not been built.";
	else if (err == -EPERM || err == -EKEYREJECTED || err == -ENOEXEC)
		self->skip = "This kernel refuses nohz_tlb_test.ko (its version or signature).";
	else if (err)
		self->failure = "The test module does not load, the kernel log says why.";
	else if (nohz_tlb_raise_limit(self))
		self->failure = "The limit of what may wait cannot be set.";
	else if (spinners_start(self, isolated))
		self->failure = "A task does not start on an isolated CPU.";
	else if (trace_setup(self, housekeeping))
		self->failure = "The trace events that the tests need are not there.";
	else if (write_number(MODULE_DIR "drain", 1))
		self->failure = "The test module cannot drain.";
	else if (!spinners_quiet(self))
		self->skip = "An isolated CPU takes timer interrupts all the time.";
}

/*
 * The set-up of every test: module, switch on, this task on a housekeeping CPU, a
 * spinner on each isolated CPU, nothing pending and nothing waiting. Leaves a sentence
 * in ->skip if the test cannot run here, or in ->failure.
 */
static inline void nohz_tlb_setup(struct nohz_tlb *self)
{
	cpu_set_t isolated, housekeeping;

	self->skip = nohz_tlb_missing(&isolated, &housekeeping);
	if (self->skip)
		return;

	if (run_on(&housekeeping))
		self->failure = "This task cannot move to a housekeeping CPU.";
	else if (guard_start(self))
		self->failure = "Another test runs, or has not undone what it did.";
	else
		nohz_tlb_prepare(self, &isolated, &housekeeping);

	if (self->skip || self->failure)
		nohz_tlb_teardown(self);
}

/* Whether this kernel has system calls of 32-bit programs. */
static inline bool int80_works(void)
{
	static const long ia32_getpid = 20;
	long ret = ia32_getpid;
	int status = 0;
	pid_t pid;

	pid = fork();
	if (!pid) {
		asm volatile("int $0x80" : "+a" (ret) : : "r8", "r9", "r10", "r11", "memory");
		_exit(ret != getpid());
	}
	waitpid(pid, &status, 0);

	return pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Wait for what the CPU read at the event: -1 if the event does not come. */
static inline long event_result(void)
{
	long deadline = now_ms() + DEADLINE_MS;
	long value;

	do {
		value = read_number(MODULE_DIR "event");
	} while (value < 0 && errno == EAGAIN && now_ms() < deadline);

	return value;
}

#endif /* __SELFTESTS_NOHZ_TLB_H */
