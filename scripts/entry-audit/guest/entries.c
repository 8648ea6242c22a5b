// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's program of the entry audit: makes a CPU enter the kernel in every way
 * that it can, and says by marks which way comes next.
 *
 *   entries audit CPU SCALE [mce]    every type of entry, flushes pending or not
 *   entries cost CPU ROUNDS          null system calls, page faults, timer, IPI
 *   entries pending CPU ROUNDS       the same, with a flush pending most times
 *   entries storm CPU ROUNDS         many null system calls, and all the time purges
 *
 * A task on CPU does what this one asks for. It is the task of the kselftests, with
 * commands of its own.
 */
#include <err.h>
#include <termios.h>

#include "nohz_tlb.h"
#include "marks.h"

#define SEND_FILE	DEBUGFS "nohz_tlb_entry/send"
#define FACTS_FILE	DEBUGFS "nohz_tlb_entry/facts"
#define PURGES_FILE	DEBUGFS "nohz_tlb_run/purges"
#define FLUSHED_FILE	DEBUGFS "nohz_tlb_run/flushed"
#define READ_ONLY_IDT	0xfffffe0000000000UL	/* for the kernel, also with PTI */
#define NR_MCES		15
#define MCE_ROUND_MS	5000
#define NMI_PIECE	250L
#define NEW_TASKS	100
#define NEW_TASKS_PIECE	20
#define PAUSES		50000000	/* turns of a loop, for each type of entry */
#define STORM_CALLS	300	/* system calls for each round that was asked for */
#define STORM_FIRST	10UL	/* requests before the first of them */
#define STORM_WAIT_MS	20000
#define SLOW_TIMER_US	40000
#define NOISE		"@noise 0123456789abcdef0123456789abcdef\n"

/* Beyond what the spinners of the kselftests do. */
enum entries_command {
	ENTRIES_BEGIN = 100,
	ENTRIES_END,
	ENTRIES_DWELL,
	ENTRIES_DWELL_EXIT,
	ENTRIES_HURRY,
	ENTRIES_SPIN,			/* in user mode, until asked for something else */
	ENTRIES_DROP,
	ENTRIES_TOUCH,
	ENTRIES_PF_READ,
	ENTRIES_PF_WRITE,
	ENTRIES_PF_READ_PROTECTED,
	ENTRIES_PF_WRITE_PROTECTED,
	ENTRIES_LARGE_LDT,
	ENTRIES_OVERFLOW,
	ENTRIES_X87,
	ENTRIES_CLONE,			/* a new task, on the same CPU */
};

/* Shared with the task. The page comes first, so that the kselftests' code can use it. */
struct entries_page {
	struct spinner_page page;
	uint32_t rounds;
	uint32_t mark;
	uint32_t pause;		/* before each round, in turns of a loop */
	uint32_t cloned;	/* tasks that were new */
};

/* Where a task goes on that has touched what it must not. */
static uint64_t resume_ip;

static void set_mark(enum entry_mark mark)
{
	switch (mark) {
#define ENTRY_MARK_CASE(name, entry)		\
	case MARK_##name:			\
		ENTRY_MARK(MARK_##name);	\
		break;
	ENTRY_MARKS(ENTRY_MARK_CASE)
	default:
		break;
	}
}

static void catch_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if ((sig == SIGSEGV || sig == SIGFPE) && resume_ip) {
		regs[REG_RIP] = resume_ip;
		resume_ip = 0;
	} else {
		spinner_trap(sig, info, context);
	}
	/* The next system call is the return from here. */
	ENTRY_MARK(MARK_rt_sigreturn);
}

static int catch_traps(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGFPE, SIGTRAP, SIGBUS };
	struct sigaction action = {
		.sa_sigaction = catch_trap,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], &action, NULL))
			return -1;
	}

	return 0;
}

static char *scratch;

static void drop_scratch(void)
{
	madvise(scratch, sysconf(_SC_PAGESIZE), MADV_DONTNEED);
}

static void read_scratch(void)
{
	asm volatile("movb (%0), %%al" : : "r" (scratch) : "al", "memory");
}

static void write_scratch(void)
{
	asm volatile("movb $1, (%0)" : : "r" (scratch) : "memory");
}

/* Present, and not for user mode. A signal follows, and leads behind it. */
static void read_protected(void)
{
	asm volatile("leaq 1f(%%rip), %%rax\n\t"
		     "movq %%rax, %0\n\t"
		     "movb (%1), %%al\n\t"
		     "1:"
		     : "=m" (resume_ip) : "r" (READ_ONLY_IDT) : "rax", "memory");
}

/* Stay in user mode for so long that a request comes meanwhile. */
static void pause_for_requests(const struct entries_page *shared)
{
	for (uint32_t turn = shared->pause; turn; turn--)
		asm volatile("" : : : "memory");
}

/* 1 / 0, with that exception of the x87 unmasked. A signal follows, and leads behind it. */
static void divide_x87(void)
{
	static const uint16_t control = 0x037b;

	asm volatile("leaq 1f(%%rip), %%rax\n\t"
		     "movq %%rax, %0\n\t"
		     "fninit\n\t"
		     "fldcw %1\n\t"
		     "fld1\n\t"
		     "fldz\n\t"
		     "fdivrp\n\t"
		     "fwait\n\t"
		     "1: fninit"
		     : "=m" (resume_ip) : "m" (control) : "rax", "memory");
}

/* The lines of a file that begin with @key, with @before before each of them. */
static void say_file(const char *name, const char *before, const char *key)
{
	char line[256];
	FILE *file;

	file = fopen(name, "r");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)))
			printf("%s%s", before, line);
	}
	fclose(file);
	fflush(stdout);
}

/* It stays to the end, so that its stack is where it says. */
static long make_task(struct entries_page *shared)
{
	uint32_t before = shared->cloned;
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL))
			_exit(1);
		say_file(FACTS_FILE, "@", "stack ");
		__atomic_store_n(&shared->cloned, before + 1, __ATOMIC_RELEASE);
		for (;;)
			pause();
	}
	while (pid > 0 && __atomic_load_n(&shared->cloned, __ATOMIC_ACQUIRE) == before)
		sched_yield();

	return pid;
}

static long obey_own(struct entries_page *shared, uint32_t request)
{
	struct spinner_page *page = &shared->page;

	switch ((enum entries_command)page->command) {
	case ENTRIES_BEGIN:
		ENTRY_MARK(MARK_BEGIN);
		break;
	case ENTRIES_END:
		ENTRY_MARK(MARK_END);
		break;
	case ENTRIES_DWELL:
		ENTRY_MARK(MARK_DWELL);
		break;
	case ENTRIES_DWELL_EXIT:
		ENTRY_MARK(MARK_DWELL_EXIT);
		break;
	case ENTRIES_HURRY:
		ENTRY_MARK(MARK_HURRY);
		break;
	case ENTRIES_SPIN:
		while (__atomic_load_n(&page->request, __ATOMIC_ACQUIRE) == request)
			asm volatile("pause" : : : "memory");
		break;
	case ENTRIES_DROP:
		drop_scratch();
		break;
	case ENTRIES_TOUCH:
		ENTRY_MARK(MARK_pf_write_missing);
		write_scratch();
		break;
	case ENTRIES_PF_READ:
		drop_scratch();
		pause_for_requests(shared);
		ENTRY_MARK(MARK_pf_read_missing);
		read_scratch();
		break;
	case ENTRIES_PF_WRITE:
		drop_scratch();
		pause_for_requests(shared);
		ENTRY_MARK(MARK_pf_write_missing);
		write_scratch();
		break;
	case ENTRIES_PF_READ_PROTECTED:
		pause_for_requests(shared);
		ENTRY_MARK(MARK_pf_read_protected);
		read_protected();
		break;
	case ENTRIES_PF_WRITE_PROTECTED:
		/* The page of zeros that reading finds is not to be written. */
		drop_scratch();
		pause_for_requests(shared);
		ENTRY_MARK(MARK_pf_read_missing);
		read_scratch();
		pause_for_requests(shared);
		ENTRY_MARK(MARK_pf_write_protected);
		write_scratch();
		break;
	case ENTRIES_OVERFLOW:
		pause_for_requests(shared);
		asm volatile("int $4");
		break;
	case ENTRIES_X87:
		pause_for_requests(shared);
		divide_x87();
		break;
	case ENTRIES_CLONE:
		return make_task(shared);
	case ENTRIES_LARGE_LDT:
		spinner_set_segment(LDT_ENTRIES - 1, MODIFY_LDT_CONTENTS_DATA);
		break;
	}

	return 0;
}

static void run(struct entries_page *shared)
{
	struct spinner_page *page = &shared->page;
	uint32_t request, done = 0;
	char text[24];

	for (;;) {
		long ret = 0;

		do {
			request = __atomic_load_n(&page->request, __ATOMIC_ACQUIRE);
		} while (request == done);

		for (uint32_t i = 0; i < shared->rounds && ret >= 0; i++) {
			if (page->command >= ENTRIES_BEGIN) {
				ret = obey_own(shared, request);
			} else {
				pause_for_requests(shared);
				set_mark(shared->mark);
				ret = spinner_obey(page, request, text, sizeof(text) - 1);
			}
		}
		page->error = ret < 0 ? errno : 0;

		done = request;
		__atomic_store_n(&page->done, done, __ATOMIC_RELEASE);
	}
}

/* With @prepare the task can do all that the kselftests' can, which needs their module. */
static int start(struct spinner *spinner, int cpu, bool prepare)
{
	struct entries_page *shared;
	cpu_set_t mask;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	spinner->cpu = cpu;
	spinner->page = &shared->page;
	spinner->pid = fork();
	if (spinner->pid)
		return spinner->pid > 0 ? 0 : -1;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	scratch = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || scratch == MAP_FAILED ||
	    (prepare && (spinner_prepare() || catch_traps())) || run_on(&mask) ||
	    mlockall(MCL_CURRENT) || munlock(scratch, sysconf(_SC_PAGESIZE)))
		_exit(1);
	say_file(FACTS_FILE, "@", "");
	run(shared);
	_exit(1);
}

static void die(const char *what)
{
	printf("@error %s: %s\n", what, strerror(errno));
	exit(1);
}

static void ask(struct spinner *spinner, unsigned int command, enum entry_mark mark,
		uint32_t rounds)
{
	struct entries_page *shared = (struct entries_page *)spinner->page;

	shared->mark = mark;
	shared->rounds = rounds;
	spinner_ask(spinner, command);
}

static void must_do(struct spinner *spinner, unsigned int command, enum entry_mark mark,
		    uint32_t rounds, const char *what)
{
	int err;

	ask(spinner, command, mark, rounds);
	err = spinner_wait(spinner);
	if (!err)
		return;
	errno = -err;
	die(what);
}

static void send(int cpu, const char *kind, unsigned int nr)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %d %u", kind, cpu, nr);
	if (write_text(SEND_FILE, text))
		die(kind);
}

/* So much time between them that a purge fits in. */
static void send_slow_timers(int cpu, unsigned int nr)
{
	char text[64];

	snprintf(text, sizeof(text), "timer %d %u %d", cpu, nr, SLOW_TIMER_US);
	if (write_text(SEND_FILE, text))
		die("slow timers");
}

/* Leave a flush to the CPU. */
static void request_flush(void)
{
	if (write_number(MODULE_DIR "exchange", 1 << SLOT_SHIFT))
		die("exchange");
}

static const struct {
	unsigned int command;
	enum entry_mark mark;
	uint32_t rounds;
	const char *what;
} synchronous[] = {
	{ SPINNER_ENTER, MARK_syscall, 20000, "system call" },
	{ SPINNER_READ_INT80, 0, 300, "int 0x80" },
	{ SPINNER_COMPAT, 0, 300, "compat system call" },
	{ SPINNER_SIGRETURN, MARK_rt_sigreturn, 300, "rt_sigreturn" },
	{ ENTRIES_PF_READ, 0, 300, "page fault, read" },
	{ ENTRIES_PF_WRITE, 0, 300, "page fault, write" },
	{ ENTRIES_PF_READ_PROTECTED, 0, 300, "page fault, read, protected" },
	{ ENTRIES_PF_WRITE_PROTECTED, 0, 300, "page fault, write, protected" },
	{ SPINNER_UD, 0, 300, "invalid opcode" },
	{ SPINNER_GP, 0, 300, "general protection" },
	{ SPINNER_DE, 0, 300, "divide error" },
	{ ENTRIES_OVERFLOW, 0, 300, "overflow" },
	{ ENTRIES_X87, 0, 300, "x87 exception" },
	{ SPINNER_BP, 0, 300, "breakpoint" },
	{ SPINNER_DB, MARK_db_single_step, 300, "single step" },
	{ SPINNER_HW_BREAKPOINT, MARK_db_breakpoint, 300, "hardware breakpoint" },
};

/* An iret that faults is on the way out, where requests have to come. */
static const struct {
	unsigned int command;
	const char *what;
} irets[] = {
	{ SPINNER_IRET_SS, "iret to a stack segment that is not there" },
	{ SPINNER_IRET_CS, "iret to a code segment that is not there" },
};

static const char * const sent[] = {
	"timer", "reschedule", "call_single", "call_many", "irq_work",
};

/* Once with nothing pending, once with others asking for flushes all the time. */
static void all_synchronous(struct spinner *spinner, uint32_t scale)
{
	for (int pending = 0; pending < 2; pending++) {
		struct entries_page *shared = (struct entries_page *)spinner->page;
		pid_t storm = 0;

		if (pending)
			storm = storm_start(0, LONG_MAX);
		for (size_t i = 0; i < ARRAY_SIZE(synchronous); i++) {
			shared->pause = pending ? PAUSES / (synchronous[i].rounds * scale) : 0;
			must_do(spinner, synchronous[i].command, synchronous[i].mark,
				synchronous[i].rounds * scale, synchronous[i].what);
		}
		shared->pause = 0;
		/* All of them stay, so that scale makes no more of them. */
		for (int piece = 0; piece < NEW_TASKS / NEW_TASKS_PIECE; piece++)
			must_do(spinner, ENTRIES_CLONE, 0, NEW_TASKS_PIECE, "new tasks");
		must_do(spinner, pending ? ENTRIES_DWELL_EXIT : ENTRIES_HURRY, 0, 1, "dwelling");
		for (size_t i = 0; i < ARRAY_SIZE(irets); i++)
			must_do(spinner, irets[i].command, 0, 300 * scale, irets[i].what);
		must_do(spinner, ENTRIES_HURRY, 0, 1, "the end of dwelling");
		if (pending && storm_stop(storm))
			die("requests for flushes");
	}
}

static void all_interrupts(struct spinner *spinner, uint32_t scale)
{
	pid_t storm;

	ask(spinner, ENTRIES_SPIN, 0, 1);
	storm = storm_start(0, LONG_MAX);
	send(spinner->cpu, "timer", 300 * scale);
	if (storm_stop(storm))
		die("requests for flushes");
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		send(spinner->cpu, sent[i], 300 * scale);
		for (uint32_t round = 0; round < 50 * scale; round++) {
			request_flush();
			send(spinner->cpu, sent[i], 1);
		}
	}
	/* The line that this goes out by interrupts the CPU. */
	for (uint32_t round = 0; round < 100 * scale; round++) {
		if (round % 2)
			request_flush();
		printf(NOISE);
		fflush(stdout);
		tcdrain(STDOUT_FILENO);
	}
	must_do(spinner, SPINNER_ENTER, 0, 1, "the end of the interrupts");
}

static void all_nmis(struct spinner *spinner, uint32_t scale)
{
	long number = (long)spinner->cpu << STORM_CPU_SHIFT | NMI_PIECE;

	if (write_number(MODULE_DIR "nmi_word", (unsigned long)&spinner->page->nmi))
		die("nmi_word");
	ask(spinner, SPINNER_FOLLOW, 0, 1);
	if (write_number(MODULE_DIR "nmi_storm", number))
		die("NMIs in user mode");
	must_do(spinner, ENTRIES_DWELL, 0, 1, "dwelling");
	ask(spinner, SPINNER_FOLLOW, 0, 1);
	for (uint32_t piece = 0; piece < 12 * scale; piece++) {
		if (write_number(MODULE_DIR "nmi_storm", number))
			die("NMIs in the gaps");
	}
	must_do(spinner, ENTRIES_HURRY, 0, 1, "the end of dwelling");
}

/* Of a task that does @command meanwhile. */
static void all_mces(struct spinner *spinner, unsigned int command)
{
	ask(spinner, command, 0, 1);
	for (int round = 0; round < NR_MCES; round++) {
		long before = nr_interrupts("MCE:", spinner->cpu);

		if (round % 2)
			request_flush();
		if (raise_machine_check(spinner->cpu))
			die("/dev/kmsg");
		if (!machine_check_came(spinner->cpu, before, MCE_ROUND_MS))
			die("a machine check does not come");
	}
	must_do(spinner, SPINNER_ENTER, 0, 1, "the end of the machine checks");
}

/* An LDT of more than a page lies in the vmalloc area, and iret reads it. */
static void large_ldt(struct spinner *spinner, uint32_t scale)
{
	must_do(spinner, ENTRIES_LARGE_LDT, 0, 1, "a large LDT");
	must_do(spinner, SPINNER_IRET_SS, 0, 100 * scale, "iret with a large LDT");
	must_do(spinner, SPINNER_IRET_CS, 0, 100 * scale, "iret with a large LDT");
}

static void audit(int cpu, uint32_t scale, bool mce)
{
	struct spinner spinner;

	if (start(&spinner, cpu, true))
		die("the task does not start");
	must_do(&spinner, SPINNER_WATCH, 0, 1, "a hardware breakpoint");
	must_do(&spinner, ENTRIES_BEGIN, 0, 1, "the beginning");
	all_synchronous(&spinner, scale);
	all_interrupts(&spinner, scale);
	all_nmis(&spinner, scale);
	if (mce) {
		all_mces(&spinner, ENTRIES_SPIN);
		/* Some of these come while the plugin stays in a gap. */
		must_do(&spinner, ENTRIES_DWELL, 0, 1, "dwelling");
		all_mces(&spinner, SPINNER_STORM);
		must_do(&spinner, ENTRIES_HURRY, 0, 1, "the end of dwelling");
	}
	large_ldt(&spinner, scale);
	must_do(&spinner, ENTRIES_END, 0, 1, "the end");
	/* While the tasks and all that they have is still there. */
	say_file("/proc/vmallocinfo", "@area_of ", "");
}

static void cost(int cpu, uint32_t rounds)
{
	struct spinner spinner;

	if (start(&spinner, cpu, false))
		die("the task does not start");
	/* Once before, so that what happens only once is over. */
	for (int pass = 0; pass < 2; pass++) {
		must_do(&spinner, SPINNER_ENTER, MARK_syscall, rounds, "system call");
		must_do(&spinner, ENTRIES_PF_WRITE, 0, rounds, "page fault");
		ask(&spinner, ENTRIES_SPIN, 0, 1);
		send(cpu, "timer", rounds);
		send(cpu, "call_single", rounds);
		must_do(&spinner, pass ? ENTRIES_END : ENTRIES_BEGIN, 0, 1, "begin and end");
	}
}

/* Make purges, counted in @requests, until storm_stop(). */
static pid_t start_requests(volatile unsigned long *requests)
{
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL))
			_exit(1);
		while (!write_number(PURGES_FILE, 1))
			++*requests;
		_exit(1);
	}
	for (int ms = 0; *requests < STORM_FIRST; ms++) {
		if (ms == STORM_WAIT_MS)
			die("no purges");
		usleep(1000);
	}

	return pid;
}

/*
 * What the kernel says was left to CPUs, of which only this one is in user mode, and the
 * flushes that it has done at entries.
 */
static void read_stats(int cpu, unsigned long *deferred, unsigned long *flushed)
{
	FILE *file = fopen("/proc/vmstat", "r");
	char line[128];
	int nr;

	*deferred = *flushed = 0;
	if (!file)
		die("/proc/vmstat");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_tlb_deferred %lu", deferred) == 1)
			break;
	}
	fclose(file);

	file = fopen(FLUSHED_FILE, "r");
	if (!file)
		die(FLUSHED_FILE);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%d %lu", &nr, flushed) == 2 && nr == cpu)
			break;
	}
	fclose(file);
}

static volatile unsigned long *new_counter(void)
{
	void *counter = mmap(NULL, sizeof(unsigned long), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (counter == MAP_FAILED)
		die("a counter");
	return counter;
}

/* Purge, which leaves a flush to the CPU. It is over when this returns. */
static void leave_flush(void)
{
	if (write_number(PURGES_FILE, 1))
		die("a purge");
}

static void cost_pending(int cpu, uint32_t rounds)
{
	volatile unsigned long *requests = new_counter();
	struct spinner spinner;
	uint32_t round;
	pid_t storm;

	if (start(&spinner, cpu, false))
		die("the task does not start");
	must_do(&spinner, ENTRIES_BEGIN, 0, 1, "the beginning");
	/* Between two commands the task waits in user mode. */
	for (round = 0; round < rounds; round++) {
		leave_flush();
		must_do(&spinner, SPINNER_ENTER, MARK_syscall, 1, "system call");
	}
	for (round = 0; round < rounds; round++) {
		must_do(&spinner, ENTRIES_DROP, 0, 1, "madvise");
		leave_flush();
		must_do(&spinner, ENTRIES_TOUCH, 0, 1, "page fault");
	}
	ask(&spinner, ENTRIES_SPIN, 0, 1);
	storm = start_requests(requests);
	send_slow_timers(cpu, rounds);
	if (storm_stop(storm))
		die("purges");
	for (round = 0; round < rounds; round++) {
		leave_flush();
		send(cpu, "call_single", 1);
	}
	must_do(&spinner, ENTRIES_END, 0, 1, "the end");
}

static void cost_storm(int cpu, uint32_t rounds)
{
	volatile unsigned long *requests = new_counter();
	unsigned long before, deferred[2], flushed[2];
	struct spinner spinner;
	pid_t storm;

	if (start(&spinner, cpu, false))
		die("the task does not start");
	must_do(&spinner, SPINNER_ENTER, MARK_syscall, rounds, "system call");
	storm = start_requests(requests);
	must_do(&spinner, ENTRIES_BEGIN, 0, 1, "the beginning");
	read_stats(cpu, &deferred[0], &flushed[0]);
	before = *requests;
	must_do(&spinner, SPINNER_ENTER, MARK_syscall, STORM_CALLS * rounds, "system call");
	before = *requests - before;
	read_stats(cpu, &deferred[1], &flushed[1]);
	must_do(&spinner, ENTRIES_END, 0, 1, "the end");
	if (storm_stop(storm))
		die("purges");
	printf("@requests %lu %lu %lu\n", before, deferred[1] - deferred[0],
	       flushed[1] - flushed[0]);
}

int main(int argc, char **argv)
{
	int cpu = argc > 2 ? atoi(argv[2]) : 0;
	int number = argc > 3 ? atoi(argv[3]) : 0;

	if (number < 1)
		errx(2, "usage: entries audit CPU SCALE [mce] | cost|pending|storm CPU ROUNDS");
	if (!strcmp(argv[1], "audit"))
		audit(cpu, number, argc > 4);
	else if (!strcmp(argv[1], "cost"))
		cost(cpu, number);
	else if (!strcmp(argv[1], "pending"))
		cost_pending(cpu, number);
	else if (!strcmp(argv[1], "storm"))
		cost_storm(cpu, number);
	else
		errx(2, "%s is no mode", argv[1]);
	printf("@done\n");

	return 0;
}
