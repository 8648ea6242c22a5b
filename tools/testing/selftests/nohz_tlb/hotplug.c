// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: an isolated CPU that goes offline and comes back is treated as
 * before. While it is offline no flush is left to it, afterwards it is left alone
 * and reads no old page, and the number of its flushes goes on from where it was.
 */
#include "nohz_tlb.h"

#define NR_REPLUGS		10
#define NR_REPLUGS_LONG		100
/* Flushes while the CPU is offline, besides those of the storm. */
#define NR_FLUSHES		100
#define NR_READS		10
/* Attempts, if somebody else flushed in between. */
#define NR_TRIES		10

#define PM_TEST			"/sys/power/pm_test"
#define PM_TEST_DELAY		"/sys/module/suspend/parameters/pm_test_delay"
#define FAIR_SERVER		DEBUGFS "sched/fair_server/cpu%d/runtime"

/*
 * What was seen while the CPU went and came: flushes left to it, reads of an old
 * page, and how often the number of its flushes went down.
 */
struct outcome {
	long replugs;
	long left_offline;
	long left_online;
	long stale;
	long backwards;
};

FIXTURE(hotplug) {
	struct nohz_tlb lab;
	int cpu;
};

FIXTURE_SETUP(hotplug)
{
	if (!may_intrude())
		SKIP(return,
		     "This test takes CPUs offline or suspends, and runs only with NOHZ_TLB_INTRUSIVE=1.");

	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
	self->cpu = self->lab.spinners[0].cpu;
}

static void online_file(int cpu, char *path, size_t size)
{
	snprintf(path, size, "/sys/devices/system/cpu/cpu%d/online", cpu);
}

static bool is_online(int cpu)
{
	char path[PATH_MAX];

	online_file(cpu, path, sizeof(path));
	return read_number(path) == 1;
}

static int set_online(int cpu, bool online)
{
	char path[PATH_MAX];

	online_file(cpu, path, sizeof(path));
	if (write_number(path, online))
		return -1;

	return is_online(cpu) == online ? 0 : -1;
}

/* Have the servers of all spinners' CPUs run for no time, if there are any. */
static int stop_fair_servers(struct nohz_tlb *lab)
{
	char path[PATH_MAX];
	int err = 0;

	for (int i = 0; i < lab->nr_spinners && !err; i++) {
		snprintf(path, sizeof(path), FAIR_SERVER, lab->spinners[i].cpu);
		if (!access(path, F_OK))
			err = change_number(lab, path, 0);
	}

	return err;
}

FIXTURE_TEARDOWN(hotplug)
{
	nohz_tlb_teardown(&self->lab);
}

/*
 * Take @cpu, where the only spinner is, offline and back, and add what was seen:
 * 0, or -1 if that fails.
 */
static int replug(struct nohz_tlb *lab, int cpu, struct outcome *outcome)
{
	struct cpu_state before, offline, online, after;
	unsigned long next;
	cpu_set_t mask;
	long stale;

	before = cpu_state(cpu);
	if (spinner_do(&lab->spinners[0], SPINNER_READ))
		return -1;
	next = !lab->spinners[0].page->value;
	spinners_keep(lab, 0);
	if (set_online(cpu, false))
		return -1;

	offline = cpu_state(cpu);
	if (write_number(MODULE_DIR "window", next) ||
	    write_number(MODULE_DIR "flush", NR_FLUSHES))
		return -1;
	outcome->left_offline += cpu_left(cpu) - offline.left;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	if (set_online(cpu, true) || spinners_start(lab, &mask))
		return -1;

	online = cpu_state(cpu);
	if (spinner_do(&lab->spinners[0], SPINNER_READ))
		return -1;
	outcome->stale += lab->spinners[0].page->value != next;
	stale = count_stale(&lab->spinners[0], MODULE_DIR "window", SPINNER_READ,
			    NR_READS);
	if (stale < 0)
		return -1;
	after = cpu_state(cpu);

	outcome->replugs++;
	outcome->left_online += after.left - online.left;
	outcome->stale += stale;
	outcome->backwards += (offline.flushed < before.flushed) +
			      (online.flushed < offline.flushed) +
			      (after.flushed < online.flushed);
	return 0;
}

/* One flush is left to the CPU, and then it enters the kernel once. */
static int flush_once(struct spinner *spinner, struct cpu_state *risen)
{
	struct cpu_state before;

	if (spinner_do(spinner, SPINNER_ENTER))
		return -1;
	before = cpu_state(spinner->cpu);
	if (write_number(MODULE_DIR "flush", 1) || spinner_do(spinner, SPINNER_ENTER))
		return -1;
	*risen = cpu_state(spinner->cpu);

	risen->left -= before.left;
	risen->flushed -= before.flushed;
	return 0;
}

TEST_F_TIMEOUT(hotplug, offline_and_back, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_REPLUGS, NR_REPLUGS_LONG);
	struct outcome outcome = { };
	struct cpu_state risen;
	char path[PATH_MAX];
	int err = 0;
	pid_t storm;

	online_file(self->cpu, path, sizeof(path));
	ASSERT_EQ(0, undo_by_writing(&self->lab, path, "1"));
	spinners_keep(&self->lab, 1);
	ASSERT_EQ(0, write_number(MODULE_DIR "check", 0));
	storm = storm_start(0, LONG_MAX);
	ASSERT_GT(storm, 0);
	while (!err && outcome.replugs < nr)
		err = replug(&self->lab, self->cpu, &outcome);
	EXPECT_EQ(0, storm_stop(storm));
	ASSERT_EQ(0, err);

	TH_LOG("cpu %d: %ld times offline and back, %ld flushes left to it offline",
	       self->cpu, outcome.replugs, outcome.left_offline);
	TH_LOG("cpu %d: %ld flushes left to it online, %ld stale, %ld times fewer flushes done",
	       self->cpu, outcome.left_online, outcome.stale, outcome.backwards);
	EXPECT_EQ(0, outcome.left_offline);
	EXPECT_GE(outcome.left_online, nr);
	EXPECT_EQ(0, outcome.stale);
	EXPECT_EQ(0, read_number(MODULE_DIR "check"));
	EXPECT_EQ(0, outcome.backwards);

	ASSERT_TRUE(spinners_quiet(&self->lab));
	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, flush_once(&self->lab.spinners[0], &risen));
		if (risen.left == 1 && risen.flushed == 1)
			break;
	}
	TH_LOG("cpu %d: %ld request, %ld flushes", self->cpu, risen.left, risen.flushed);
	EXPECT_EQ(1, risen.left);
	EXPECT_EQ(1, risen.flushed);
}

/* Whether the kernel can be asked to go half the way to suspend to RAM. */
static bool can_test_suspend(void)
{
	char modes[64] = "";
	FILE *file;

	file = fopen("/sys/power/mem_sleep", "r");
	if (!file)
		return false;
	if (!fgets(modes, sizeof(modes), file))
		modes[0] = '\0';
	fclose(file);

	return strstr(modes, "[deep]") && !access(PM_TEST, W_OK) &&
	       read_number(PM_TEST_DELAY) >= 0;
}

/* How often the trace has @cpu go down for a suspend: -1 if there is no trace. */
static long count_downs(int cpu)
{
	char line[512], event[64];
	long downs = 0;
	FILE *file;

	snprintf(event, sizeof(event), "suspend_resume: CPU_OFF[%d] begin", cpu);
	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		downs += !!strstr(line, event);
	fclose(file);

	return downs;
}

/* A task loses its CPUs when the last of them goes, and does not get them back. */
static int spinner_return(struct spinner *spinner)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(spinner->cpu, &mask);
	if (sched_setaffinity(spinner->pid, sizeof(mask), &mask))
		return -1;

	return spinner_do(spinner, SPINNER_ENTER);
}

TEST_F_TIMEOUT(hotplug, suspend, TEST_TIMEOUT_S)
{
	struct cpu_state before[MAX_SPINNERS], after;
	struct received received[MAX_SPINNERS];
	unsigned long next;
	long stale;
	int err;

	if (!can_test_suspend())
		SKIP(return, "This kernel or machine cannot go half the way to suspend to RAM.");

	for (int i = 0; i < self->lab.nr_spinners; i++)
		before[i] = cpu_state(self->lab.spinners[i].cpu);

	ASSERT_EQ(0, change_number(&self->lab, PM_TEST_DELAY, 0));
	ASSERT_EQ(0, undo_by_writing(&self->lab, PM_TEST, "none"));
	ASSERT_EQ(0, write_text(PM_TEST, "processors"));
	ASSERT_EQ(0, write_text(TRACE_DIR "events/power/suspend_resume/enable", "1"));

	/*
	 * CPUs that are isolated together have one scheduling domain. Without
	 * CONFIG_CPUSETS the scheduler goes on counting what it has reserved there
	 * for CPUs that are offline, which are these servers, and does not let the
	 * last CPU go as long as there is anything.
	 */
	ASSERT_EQ(0, stop_fair_servers(&self->lab));

	/* With a flush pending on each isolated CPU, and an old page in its TLB. */
	ASSERT_EQ(0, trace_start());
	for (int i = 0; i < self->lab.nr_spinners; i++)
		ASSERT_EQ(0, spinner_do(&self->lab.spinners[i], SPINNER_READ));
	next = !self->lab.spinners[0].page->value;
	ASSERT_EQ(0, write_number(MODULE_DIR "window", next));
	err = write_text("/sys/power/state", "mem") ? errno : 0;
	ASSERT_EQ(0, trace_count(&self->lab, received));
	if (err == EBUSY)
		SKIP(return,
		     "A CPU is too busy to go offline. Without CONFIG_CPUSETS this works once.");
	ASSERT_EQ(0, err);

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		struct spinner *spinner = &self->lab.spinners[i];
		int cpu = spinner->cpu;

		ASSERT_EQ(1, count_downs(cpu));
		ASSERT_TRUE(is_online(cpu));
		ASSERT_EQ(0, spinner_return(spinner));
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_READ));
		if (!i)
			EXPECT_EQ(next, spinner->page->value);
		stale = count_stale(spinner, MODULE_DIR "window", SPINNER_READ, NR_READS);
		after = cpu_state(cpu);

		TH_LOG("cpu %d: %d reads after a suspend, %ld flushes left to it, %ld stale",
		       cpu, NR_READS, after.left - before[i].left, stale);
		EXPECT_EQ(0, stale);
		/* Its tick may be on for a while, so that some came as interrupts. */
		EXPECT_GE(after.left - before[i].left, NR_READS / 2);
		EXPECT_GE(after.flushed, before[i].flushed);
	}
}

TEST_HARNESS_MAIN
