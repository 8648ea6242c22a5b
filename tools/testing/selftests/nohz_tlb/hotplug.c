// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: an isolated CPU that goes offline and comes back is treated as
 * before. While it is offline no flush is left to it, afterwards it is left alone
 * and reads no old page, and its counters go on from where they were.
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

struct counters {
	long deferred;
	long flushed;
	long drained;
};

/*
 * What was seen while the CPU went and came: flushes left to it, reads of an old
 * page, and counters that went down.
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
	long delay;
	long runtime;
};

FIXTURE_SETUP(hotplug)
{
	self->cpu = -1;
	self->delay = -1;
	self->runtime = -1;
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

static long get_fair_server(int cpu)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), FAIR_SERVER, cpu);
	return read_number(path);
}

static int set_fair_servers(struct nohz_tlb *lab, long runtime)
{
	char path[PATH_MAX];
	int err = 0;

	for (int i = 0; i < lab->nr_spinners && !err; i++) {
		snprintf(path, sizeof(path), FAIR_SERVER, lab->spinners[i].cpu);
		err = write_number(path, runtime);
	}

	return err;
}

FIXTURE_TEARDOWN(hotplug)
{
	/* A test that failed may have left it offline. */
	if (self->cpu >= 0 && !is_online(self->cpu))
		set_online(self->cpu, true);
	if (self->runtime >= 0)
		set_fair_servers(&self->lab, self->runtime);
	if (self->delay >= 0) {
		write_text(PM_TEST, "none");
		write_number(PM_TEST_DELAY, self->delay);
	}
	nohz_tlb_teardown(&self->lab);
}

static void get_counters(int cpu, struct counters *counters)
{
	counters->deferred = cpu_stat(cpu, "deferred");
	counters->flushed = cpu_stat(cpu, "flushed");
	counters->drained = cpu_stat(cpu, "drained");
}

static long went_down(const struct counters *before, const struct counters *after)
{
	return (after->deferred < before->deferred) + (after->flushed < before->flushed) +
	       (after->drained < before->drained);
}

/*
 * Take @cpu, where the only spinner is, offline and back, and add what was seen:
 * 0, or -1 if that fails.
 */
static int replug(struct nohz_tlb *lab, int cpu, struct outcome *outcome)
{
	struct counters before, offline, online, after;
	unsigned long next;
	cpu_set_t mask;
	long stale;

	get_counters(cpu, &before);
	if (spinner_do(&lab->spinners[0], SPINNER_READ))
		return -1;
	next = !lab->spinners[0].page->value;
	spinners_keep(lab, 0);
	if (set_online(cpu, false))
		return -1;

	get_counters(cpu, &offline);
	if (write_number(MODULE_DIR "window", next) ||
	    write_number(MODULE_DIR "flush", NR_FLUSHES))
		return -1;
	outcome->left_offline += cpu_stat(cpu, "deferred") - offline.deferred;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	if (set_online(cpu, true) || spinners_start(lab, &mask))
		return -1;

	get_counters(cpu, &online);
	if (spinner_do(&lab->spinners[0], SPINNER_READ))
		return -1;
	outcome->stale += lab->spinners[0].page->value != next;
	stale = count_stale(&lab->spinners[0], MODULE_DIR "window", SPINNER_READ,
			    NR_READS);
	if (stale < 0)
		return -1;
	get_counters(cpu, &after);

	outcome->replugs++;
	outcome->left_online += after.deferred - online.deferred;
	outcome->stale += stale;
	outcome->backwards += went_down(&before, &offline) +
			      went_down(&offline, &online) + went_down(&online, &after);
	return 0;
}

/* One flush is left to the CPU, and then it enters the kernel once. */
static int flush_once(struct spinner *spinner, struct counters *risen)
{
	struct counters before;

	if (spinner_do(spinner, SPINNER_ENTER))
		return -1;
	get_counters(spinner->cpu, &before);
	if (write_number(MODULE_DIR "flush", 1) || spinner_do(spinner, SPINNER_ENTER))
		return -1;
	get_counters(spinner->cpu, risen);

	risen->deferred -= before.deferred;
	risen->flushed -= before.flushed;
	risen->drained -= before.drained;
	return 0;
}

TEST_F_TIMEOUT(hotplug, offline_and_back, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_REPLUGS, NR_REPLUGS_LONG);
	struct outcome outcome = { };
	struct counters counters;
	struct spinner *spinner;
	int err = 0;
	pid_t storm;

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
	TH_LOG("cpu %d: %ld flushes left to it online, %ld stale, %ld counters went down",
	       self->cpu, outcome.left_online, outcome.stale, outcome.backwards);
	EXPECT_EQ(0, outcome.left_offline);
	EXPECT_GE(outcome.left_online, nr);
	EXPECT_EQ(0, outcome.stale);
	EXPECT_EQ(0, read_number(MODULE_DIR "check"));
	EXPECT_EQ(0, outcome.backwards);

	/* Now that nobody is about to count a flush that the CPU has done already. */
	spinner = &self->lab.spinners[0];
	get_counters(self->cpu, &counters);
	EXPECT_LE(counters.flushed, cpu_stat(self->cpu, "deferred"));

	ASSERT_TRUE(spinners_quiet(&self->lab));
	for (int try = 1; try <= NR_TRIES; try++) {
		ASSERT_EQ(0, flush_once(spinner, &counters));
		if (counters.deferred == 1 && counters.flushed == 1)
			break;
	}
	TH_LOG("cpu %d: %ld request, %ld flushes, %ld drains", self->cpu,
	       counters.deferred, counters.flushed, counters.drained);
	EXPECT_EQ(1, counters.deferred);
	EXPECT_EQ(1, counters.flushed);
	EXPECT_EQ(0, counters.drained);
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
	struct counters before[MAX_SPINNERS], after;
	struct received received[MAX_SPINNERS];
	unsigned long next;
	long stale;
	int err;

	if (!can_test_suspend())
		SKIP(return, "This kernel or machine cannot go half the way to suspend to RAM.");

	for (int i = 0; i < self->lab.nr_spinners; i++)
		get_counters(self->lab.spinners[i].cpu, &before[i]);

	self->delay = read_number(PM_TEST_DELAY);
	ASSERT_EQ(0, write_number(PM_TEST_DELAY, 0));
	ASSERT_EQ(0, write_text(PM_TEST, "processors"));
	ASSERT_EQ(0, write_text(TRACE_DIR "events/power/suspend_resume/enable", "1"));

	/*
	 * CPUs that are isolated together have one scheduling domain. Without
	 * CONFIG_CPUSETS the scheduler goes on counting what it has reserved there
	 * for CPUs that are offline, which are these servers, and does not let the
	 * last CPU go as long as there is anything.
	 */
	self->runtime = get_fair_server(self->cpu);
	if (self->runtime >= 0)
		ASSERT_EQ(0, set_fair_servers(&self->lab, 0));

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
		get_counters(cpu, &after);

		TH_LOG("cpu %d: %d reads after a suspend, %ld flushes left to it, %ld stale",
		       cpu, NR_READS, after.deferred - before[i].deferred, stale);
		EXPECT_EQ(0, stale);
		/* Its tick may be on for a while, so that some came as interrupts. */
		EXPECT_GE(after.deferred - before[i].deferred, NR_READS / 2);
		EXPECT_EQ(0, went_down(&before[i], &after));
	}
}

TEST_HARNESS_MAIN
