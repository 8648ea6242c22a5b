// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: addresses that were purged while a CPU owes a flush wait until it has
 * flushed, and no longer than that. They come back at a later purge, at a drain, when
 * deferral is switched off, when too much waits, and before an allocation that may
 * block finds no room. What waits can be seen.
 */
#include "nohz_tlb_wait.h"

#define VMALLOCINFO		"/proc/vmallocinfo"
#define CPU_ONLINE		"/sys/devices/system/cpu/cpu%d/online"
/* A size that nobody else has, which the pools of the vmap nodes have room for. */
#define AREA_PAGES		37
#define GUARD_PAGES		1
#define NR_TRIES		10
/* How often a test begins again because a CPU has entered for a reason of its own. */
#define NR_ATTEMPTS		10
#define NR_POOL_TRIES		8
#define NR_POOL_TRIES_AFTER	256
#define NR_LOOKS		3
#define NR_COUNTED_PURGES	3
#define NR_TURNS		12
/* Purges whose areas wait when each CPU flushes once in two purges. */
#define NR_GENERATIONS_WAIT	4
/* The part of the module area that may wait. */
#define MODULES_PART		8

FIXTURE(waiting) {
	struct nohz_tlb lab;
	struct spinner *spinner;
	long page_size;
	/* What the CPU had flushed when it was left alone. */
	long flushes;
};

FIXTURE_SETUP(waiting)
{
	self->page_size = sysconf(_SC_PAGESIZE);
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
	self->spinner = &self->lab.spinners[0];
}

FIXTURE_TEARDOWN(waiting)
{
	nohz_tlb_teardown(&self->lab);
}

static long nr_waiting(void)
{
	return vm_event("nr_vmap_waiting");
}

/* Pages that /proc/vmallocinfo lists as waiting, in areas of @size or of any size. */
static long listed_waiting(long size)
{
	long page_size = sysconf(_SC_PAGESIZE);
	char line[512];
	long pages = 0;
	FILE *file;
	long found;

	file = fopen(VMALLOCINFO, "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, " waiting vm_area") && sscanf(line, "%*s %ld", &found) == 1 &&
		    (!size || found == size))
			pages += found / page_size;
	}
	fclose(file);

	return pages;
}

/* What the trace says of flushes that may be left to CPUs. */
struct reasons {
	long deferred;
	long limit;
	long immediate;
	long nobody;
	long purges;
	/* How many CPUs each was left to, added up. */
	long left;
};

static int stop_trace(struct reasons *reasons)
{
	char line[512];
	char *field;
	FILE *file;

	memset(reasons, 0, sizeof(*reasons));
	if (write_text(TRACE_DIR "tracing_on", "0"))
		return -1;
	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		reasons->purges += !!strstr(line, "purge_vmap_area_lazy:");
		if (!strstr(line, "nohz_tlb_defer:"))
			continue;
		reasons->deferred += !!strstr(line, "why:deferred");
		reasons->limit += !!strstr(line, "why:limit");
		reasons->immediate += !!strstr(line, "why:immediate");
		reasons->nobody += !!strstr(line, "why:nobody");
		field = strstr(line, "left:");
		for (field = field ? field + strlen("left:") : ""; *field > ' '; field++) {
			char digit[] = { *field, '\0' };

			reasons->left += __builtin_popcountl(strtoul(digit, NULL, 16));
		}
	}
	fclose(file);

	return 0;
}

/*
 * Have the CPU read an area at @place, and purge that when the CPU is in user mode
 * again. Leaves the area waiting, and the trace on.
 */
static void make_area_wait(struct __test_metadata *_metadata, FIXTURE_DATA(waiting) *self,
			   unsigned long place)
{
	int cpu = self->spinner->cpu;
	bool owes = false;

	/* Nothing says that the CPU stays in user mode meanwhile. */
	for (int i = 0; i < NR_TRIES && !owes; i++) {
		ASSERT_EQ(0, module_write("area_free", 1));
		ASSERT_EQ(0, drain());
		ASSERT_EQ(0, module_write("area_place", place));
		ASSERT_EQ(0, module_write("area", AREA_PAGES));
		ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_AREA));
		ASSERT_EQ(module_read("area_number"), self->spinner->page->value);
		self->flushes = cpu_flushed(cpu);
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, module_write("area_free", 1));
		ASSERT_EQ(0, lazy_purge());
		owes = cpu_owes(cpu, self->flushes);
	}
	ASSERT_TRUE(owes);
	ASSERT_GT(nr_waiting(), AREA_PAGES);
	ASSERT_EQ(AREA_PAGES + GUARD_PAGES,
		  listed_waiting((AREA_PAGES + GUARD_PAGES) * self->page_size));
}

/* Whether the addresses of the area can be had: 0, or -errno. */
static int area_again(void)
{
	return module_write("area_nowait", AREA_PAGES);
}

/* The addresses are free, and the CPU that owed a flush has done one. */
static void expect_area_back(struct __test_metadata *_metadata, FIXTURE_DATA(waiting) *self)
{
	EXPECT_EQ(self->flushes + 1, cpu_flushed(self->spinner->cpu));
	EXPECT_EQ(0, area_again());
}

/* Whether the CPU still owes the flush that was left to it by make_area_wait(). */
static bool still_owes(FIXTURE_DATA(waiting) *self)
{
	return cpu_owes(self->spinner->cpu, self->flushes);
}

TEST_F_TIMEOUT(waiting, is_not_handed_out, TEST_TIMEOUT_S)
{
	long tries = 0, handed_out = 0;
	bool came_back;

	/* Nobody else owes a flush. */
	spinners_keep(&self->lab, 1);
	for (int attempt = 0; attempt < NR_ATTEMPTS && tries < NR_TRIES; attempt++) {
		make_area_wait(_metadata, self, 0);
		while (tries < NR_TRIES) {
			ASSERT_EQ(0, lazy_purge());
			came_back = !area_again();
			ASSERT_EQ(0, module_write("area_free", 1));
			/* All that was before the CPU had entered. */
			if (!still_owes(self))
				break;
			handed_out += came_back;
			tries++;
		}
	}
	TH_LOG("cpu %d owes a flush: %ld purges and allocations, %ld handed out",
	       self->spinner->cpu, tries, handed_out);
	EXPECT_EQ(NR_TRIES, tries);
	EXPECT_EQ(0, handed_out);

	make_area_wait(_metadata, self, 0);
	ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_ENTER));
	ASSERT_EQ(0, lazy_purge());
	expect_area_back(_metadata, self);
	ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_AREA));
	EXPECT_EQ(module_read("area_number"), self->spinner->page->value);
}

TEST_F_TIMEOUT(waiting, waits_for_every_cpu, TEST_TIMEOUT_S)
{
	struct spinner *other = &self->lab.spinners[1];
	bool owes = false;
	long flushes;
	int err;

	if (self->lab.nr_spinners < 2)
		SKIP(return, "There is only one isolated CPU, and this needs two.");

	spinners_keep(&self->lab, 2);
	for (int attempt = 0; attempt < NR_ATTEMPTS && !owes; attempt++) {
		make_area_wait(_metadata, self, 0);
		flushes = cpu_flushed(other->cpu);
		if (!cpu_owes(other->cpu, flushes))
			continue;
		ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_ENTER));
		ASSERT_EQ(0, module_write("lazy_purge", NR_LOOKS));
		err = area_again();
		owes = cpu_owes(other->cpu, flushes);
	}
	ASSERT_TRUE(owes);
	EXPECT_EQ(-EBUSY, err);

	ASSERT_EQ(0, spinner_do(other, SPINNER_ENTER));
	ASSERT_EQ(0, lazy_purge());
	EXPECT_EQ(0, area_again());
}

/* The same with vmalloc(), and the pools in which areas lie ready for it. */
TEST_F_TIMEOUT(waiting, is_not_handed_out_by_a_pool, TEST_TIMEOUT_S)
{
	int cpu = self->spinner->cpu;
	long tries = 0, handed_out = 0;
	cpu_set_t mask;
	bool came_back;

	/* Each CPU has a pool of its own. */
	CPU_ZERO(&mask);
	CPU_SET(sched_getcpu(), &mask);
	ASSERT_EQ(0, run_on(&mask));

	for (int attempt = 0; attempt < NR_ATTEMPTS && tries < NR_TRIES; attempt++) {
		ASSERT_EQ(0, module_write("pool", AREA_PAGES));
		self->flushes = cpu_flushed(cpu);
		ASSERT_EQ(0, module_write("pool_free", 1));
		ASSERT_EQ(0, lazy_purge());
		while (tries < NR_TRIES) {
			ASSERT_EQ(0, module_write("pool_again", NR_POOL_TRIES));
			came_back = module_read("pool") > 0;
			if (!still_owes(self))
				break;
			handed_out += came_back;
			tries++;
			ASSERT_EQ(0, lazy_purge());
		}
	}
	TH_LOG("cpu %d owes a flush: %ld purges and %ld allocations, %ld handed out", cpu,
	       tries, tries * NR_POOL_TRIES, handed_out);
	EXPECT_EQ(NR_TRIES, tries);
	EXPECT_EQ(0, handed_out);

	for (int i = 0; i < self->lab.nr_spinners; i++)
		ASSERT_EQ(0, spinner_do(&self->lab.spinners[i], SPINNER_ENTER));
	ASSERT_EQ(0, lazy_purge());
	ASSERT_EQ(0, module_write("pool_again", NR_POOL_TRIES_AFTER));
	TH_LOG("after its flush: allocation %ld", module_read("pool"));
	EXPECT_GT(module_read("pool"), 0);
}

TEST_F_TIMEOUT(waiting, comes_back_at_a_drain, TEST_TIMEOUT_S)
{
	make_area_wait(_metadata, self, 0);
	ASSERT_EQ(0, drain());
	expect_area_back(_metadata, self);
	EXPECT_EQ(0, nr_waiting());
	EXPECT_EQ(0, listed_waiting(0));
}

TEST_F_TIMEOUT(waiting, comes_back_when_switched_off, TEST_TIMEOUT_S)
{
	make_area_wait(_metadata, self, 0);
	ASSERT_EQ(0, write_text(SWITCH_FILE, "0"));
	expect_area_back(_metadata, self);
	EXPECT_EQ(0, nr_waiting());

	/* And nothing waits from then on. */
	ASSERT_EQ(0, module_write("area_free", 1));
	ASSERT_EQ(0, lazy_purge());
	EXPECT_EQ(0, nr_waiting());
	EXPECT_EQ(0, area_again());
}

/* How many pages a lazy purge takes. */
static long pages_of_purge(struct __test_metadata *_metadata)
{
	long before = module_read("lazy_purge");

	ASSERT_EQ(0, lazy_purge());
	ASSERT_EQ(0, drain());

	return module_read("lazy_purge") - before;
}

TEST_F_TIMEOUT(waiting, comes_back_at_the_limit_of_pages, TEST_TIMEOUT_S)
{
	struct reasons reasons;
	long pages, waiting;
	bool owes = false;
	int err;

	pages = pages_of_purge(_metadata);
	ASSERT_GT(pages, 0);
	ASSERT_EQ(0, write_number(WAIT_FILE, (2 * pages + pages / 2) * self->page_size));

	for (int attempt = 0; attempt < NR_ATTEMPTS && !owes; attempt++) {
		make_area_wait(_metadata, self, 0);
		ASSERT_EQ(0, lazy_purge());
		err = area_again();
		waiting = nr_waiting();
		owes = still_owes(self);
	}
	ASSERT_TRUE(owes);
	EXPECT_EQ(-EBUSY, err);
	EXPECT_GE(waiting, 2 * pages);
	ASSERT_EQ(0, lazy_purge());
	ASSERT_EQ(0, stop_trace(&reasons));

	TH_LOG("%ld pages a purge: %ld deferred, %ld at the limit, %ld pages waited and %ld wait",
	       pages, reasons.deferred, reasons.limit, waiting, nr_waiting());
	EXPECT_EQ(2, reasons.deferred);
	EXPECT_EQ(1, reasons.limit);
	EXPECT_EQ(0, nr_waiting());
	expect_area_back(_metadata, self);
}

/* Small areas count for more than their pages, as each has an object. */
TEST_F_TIMEOUT(waiting, comes_back_at_the_limit_of_areas, TEST_TIMEOUT_S)
{
	struct reasons reasons;
	long areas;

	/* So much that the pages of a purge may wait, and a quarter of that may be areas. */
	ASSERT_EQ(0, module_write("lazy_small", 1));
	areas = module_read("lazy_small");
	ASSERT_GT(areas, 0);
	ASSERT_EQ(0, write_number(WAIT_FILE, 3 * areas * self->page_size));

	make_area_wait(_metadata, self, 0);
	ASSERT_EQ(0, stop_trace(&reasons));
	EXPECT_EQ(1, reasons.deferred);
	EXPECT_EQ(0, reasons.limit);

	/* The same with as many pages, but many areas. */
	ASSERT_EQ(0, drain());
	ASSERT_EQ(0, area_again());
	self->flushes = cpu_flushed(self->spinner->cpu);
	ASSERT_EQ(0, trace_start());
	ASSERT_EQ(0, module_write("area_free", 1));
	ASSERT_EQ(0, module_write("lazy_small", 1));
	ASSERT_EQ(0, stop_trace(&reasons));

	TH_LOG("%ld areas a purge: %ld deferred, %ld at the limit, %ld pages wait", areas,
	       reasons.deferred, reasons.limit, nr_waiting());
	EXPECT_EQ(0, reasons.deferred);
	EXPECT_EQ(1, reasons.limit);
	EXPECT_EQ(0, nr_waiting());
	expect_area_back(_metadata, self);
}

/* Have what waits in the module area grow until it is more than @max: false if it cannot. */
static bool fill_modules(struct __test_metadata *_metadata, FIXTURE_DATA(waiting) *self,
			 long max, long *pages, long *purges)
{
	long before;
	int err;

	make_area_wait(_metadata, self, PLACE_IN_MODULES);
	*pages = AREA_PAGES + GUARD_PAGES;
	*purges = 0;
	while (*pages <= max) {
		err = area_again();
		if (!still_owes(self))
			return false;
		EXPECT_EQ(-EBUSY, err);

		before = module_read("lazy_purge");
		ASSERT_EQ(0, module_write("lazy_modules", 1));
		ASSERT_GT(module_read("lazy_purge"), before);
		*pages += module_read("lazy_purge") - before;
		++*purges;
	}

	return true;
}

TEST_F_TIMEOUT(waiting, comes_back_at_the_limit_of_the_module_area, TEST_TIMEOUT_S)
{
	struct reasons reasons;
	long max, pages, purges;
	bool filled = false;

	max = module_read("lazy_modules") / MODULES_PART;
	for (int attempt = 0; attempt < NR_ATTEMPTS && !filled; attempt++)
		filled = fill_modules(_metadata, self, max, &pages, &purges);
	ASSERT_TRUE(filled);
	ASSERT_EQ(0, stop_trace(&reasons));

	TH_LOG("%ld of %ld pages in %ld purges: %ld deferred, %ld at the limit, %ld pages wait",
	       pages, max, purges, reasons.deferred, reasons.limit, nr_waiting());
	/* The first was for the vmalloc area, in which much more may wait. */
	EXPECT_EQ(purges, reasons.deferred);
	EXPECT_EQ(1, reasons.limit);
	EXPECT_EQ(0, nr_waiting());
	expect_area_back(_metadata, self);
}

TEST_F_TIMEOUT(waiting, comes_back_before_an_allocation_fails, TEST_TIMEOUT_S)
{
	struct reasons reasons;
	bool owes = false;
	long before, after;
	int err;

	/* One that must not sleep fails, and does nothing for it. */
	for (int attempt = 0; attempt < NR_ATTEMPTS && !owes; attempt++) {
		make_area_wait(_metadata, self, 0);
		before = nr_waiting();
		ASSERT_EQ(0, trace_start());
		err = area_again();
		ASSERT_EQ(0, stop_trace(&reasons));
		after = nr_waiting();
		owes = still_owes(self);
	}
	ASSERT_TRUE(owes);
	EXPECT_EQ(-EBUSY, err);
	EXPECT_EQ(0, reasons.purges);
	EXPECT_EQ(before, after);

	EXPECT_EQ(0, module_write("area", AREA_PAGES));
	EXPECT_EQ(self->flushes + 1, cpu_flushed(self->spinner->cpu));
	EXPECT_EQ(0, nr_waiting());
	ASSERT_EQ(0, spinner_do(self->spinner, SPINNER_AREA));
	EXPECT_EQ(module_read("area_number"), self->spinner->page->value);
}

struct counters {
	long deferred;
	long flushed;
	long drained;
	/* What the CPUs and purges say. */
	long flushes;
	long pending;
	long purged_pages;
};

static void get_counters(struct nohz_tlb *lab, struct counters *counters)
{
	struct cpu_state state;

	memset(counters, 0, sizeof(*counters));
	counters->deferred = vm_event("nr_tlb_deferred");
	counters->flushed = vm_event("nr_tlb_deferred_flush");
	counters->drained = vm_event("nr_tlb_deferred_drain");
	counters->purged_pages = module_read("lazy_purge");
	for (int i = 0; i < lab->nr_spinners; i++) {
		state = cpu_state(lab->spinners[i].cpu);
		counters->flushes += state.flushed;
		counters->pending += state.pending;
	}
}

TEST_F_TIMEOUT(waiting, is_counted, TEST_TIMEOUT_S)
{
	struct counters before, after, drained;
	struct reasons reasons;
	long waiting, listed;

	/* Somebody else may free an area while a purge is under way, but not each time. */
	for (int i = 0; i < NR_TRIES; i++) {
		ASSERT_EQ(0, drain());
		ASSERT_EQ(0, nr_waiting());
		ASSERT_EQ(0, trace_start());
		get_counters(&self->lab, &before);
		ASSERT_EQ(0, module_write("lazy_purge", NR_COUNTED_PURGES));
		get_counters(&self->lab, &after);
		waiting = nr_waiting();
		listed = listed_waiting(0);
		ASSERT_EQ(0, stop_trace(&reasons));
		ASSERT_EQ(0, drain());
		get_counters(&self->lab, &drained);
		if (reasons.deferred == NR_COUNTED_PURGES && !reasons.immediate &&
		    after.flushes == before.flushes &&
		    waiting == after.purged_pages - before.purged_pages)
			break;
	}

	TH_LOG("%ld purges of %ld pages: %ld wait, %ld are listed; left %ld times, drained %ld, flushed %ld",
	       reasons.deferred, after.purged_pages - before.purged_pages, waiting, listed,
	       after.deferred - before.deferred, drained.drained - after.drained,
	       drained.flushed - after.flushed);
	EXPECT_EQ(NR_COUNTED_PURGES, reasons.deferred);
	EXPECT_EQ(after.purged_pages - before.purged_pages, waiting);
	EXPECT_EQ(waiting, listed);
	EXPECT_EQ(reasons.left, after.deferred - before.deferred);
	EXPECT_EQ(NR_COUNTED_PURGES * self->lab.nr_spinners, reasons.left);
	EXPECT_EQ(self->lab.nr_spinners, after.pending);
	EXPECT_EQ(0, after.drained - before.drained);
	EXPECT_EQ(after.flushes - before.flushes, after.flushed - before.flushed);

	/* One flush each, however often they were asked. */
	EXPECT_EQ(after.pending, drained.drained - after.drained);
	EXPECT_EQ(after.pending, drained.flushed - after.flushed);
	EXPECT_EQ(after.pending, drained.flushes - after.flushes);
	EXPECT_EQ(0, drained.pending);
	EXPECT_EQ(0, nr_waiting());
	EXPECT_EQ(0, listed_waiting(0));
}

TEST_F_TIMEOUT(waiting, comes_back_after_its_cpu_went_offline, TEST_TIMEOUT_S)
{
	int cpu = self->spinner->cpu;
	char path[PATH_MAX];

	if (!may_intrude())
		SKIP(return, "This takes a CPU offline, which is done with NOHZ_TLB_INTRUSIVE=1.");

	spinners_keep(&self->lab, 1);
	make_area_wait(_metadata, self, 0);
	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	ASSERT_EQ(0, undo_by_writing(&self->lab, path, "1"));
	ASSERT_EQ(0, write_number(path, 0));
	/* Its task runs elsewhere now. */
	spinners_keep(&self->lab, 0);
	ASSERT_EQ(0, lazy_purge());
	EXPECT_EQ(0, area_again());
	TH_LOG("cpu %d is offline, %ld pages wait", cpu, nr_waiting());
	EXPECT_EQ(0, nr_waiting());
}

/* Purges, before each of which one CPU enters: what waited has to come back. */
struct turns {
	/* The turn after which the area was free, or -1. */
	long back;
	long max_waiting;
};

static void take_turns(struct __test_metadata *_metadata, FIXTURE_DATA(waiting) *self,
		       int nr_cpus, struct turns *turns)
{
	struct spinner *spinner;

	turns->back = -1;
	turns->max_waiting = 0;
	for (int turn = 0; turn < NR_TURNS; turn++) {
		spinner = &self->lab.spinners[turn % nr_cpus];
		ASSERT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
		/* By another owner of flushes, so that the next look finds the bit set. */
		ASSERT_EQ(0, module_write("ask", 1));
		ASSERT_EQ(1, cpu_state(spinner->cpu).pending);
		ASSERT_EQ(0, lazy_purge());
		if (turns->back < 0 && !area_again())
			turns->back = turn;
		turns->max_waiting = MAX(turns->max_waiting, nr_waiting());
	}
}

TEST_F_TIMEOUT(waiting, a_busy_cpu_holds_nothing_back, TEST_TIMEOUT_S)
{
	struct turns turns;
	long pages;

	spinners_keep(&self->lab, 1);
	pages = pages_of_purge(_metadata);
	make_area_wait(_metadata, self, 0);
	take_turns(_metadata, self, 1, &turns);
	TH_LOG("cpu %d enters and is asked again before each of %d purges: back after %ld, at most %ld pages of %ld a purge wait",
	       self->spinner->cpu, NR_TURNS, turns.back + 1, turns.max_waiting, pages);
	EXPECT_GE(turns.back, 0);
	EXPECT_LE(turns.back, 1);
	EXPECT_LE(turns.max_waiting, NR_GENERATIONS_WAIT * pages);
}

TEST_F_TIMEOUT(waiting, cpus_in_turn_hold_nothing_back, TEST_TIMEOUT_S)
{
	struct turns turns;
	long pages;

	if (self->lab.nr_spinners < 2)
		SKIP(return, "There is only one isolated CPU, and this needs two.");

	spinners_keep(&self->lab, 2);
	pages = pages_of_purge(_metadata);
	make_area_wait(_metadata, self, 0);
	take_turns(_metadata, self, 2, &turns);
	TH_LOG("two CPUs enter in turn before %d purges: back after %ld, at most %ld pages of %ld a purge wait",
	       NR_TURNS, turns.back + 1, turns.max_waiting, pages);
	EXPECT_GE(turns.back, 1);
	EXPECT_LE(turns.back, 2);
	EXPECT_LE(turns.max_waiting, NR_GENERATIONS_WAIT * pages);
}

/* What this task has sent, by the trace. */
static int count_sent(long *flushes, long *drains)
{
	char line[512], task[32];
	FILE *file;

	*flushes = 0;
	*drains = 0;
	snprintf(task, sizeof(task), "-%d ", getpid());
	if (write_text(TRACE_DIR "tracing_on", "0"))
		return -1;
	file = fopen(TRACE_DIR "trace", "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, task) || !strstr(line, "csd_queue_cpu:"))
			continue;
		*flushes += trace_is_flush(line);
		*drains += !!strstr(line, "func=nohz_tlb_drain_cpu");
	}
	fclose(file);

	return 0;
}

/*
 * vm_reset_perms() has the direct map flushed together with the area's own addresses. If
 * another purge was faster and has left these waiting, only they come back in that
 * purge, and the direct map's flush is still to be made.
 */
TEST_F_TIMEOUT(waiting, does_not_lose_a_flush_of_the_direct_map, TEST_TIMEOUT_S)
{
	long flushes = 0, drains = 0, came_between = 0;

	if (sysconf(_SC_NPROCESSORS_ONLN) - self->lab.nr_spinners < 2)
		SKIP(return, "There is only one housekeeping CPU, and this needs two.");

	for (int i = 0; i < NR_TRIES && !came_between; i++) {
		ASSERT_EQ(0, drain());
		ASSERT_EQ(0, trace_start());
		ASSERT_EQ(0, module_write("reset_perms", 1));
		ASSERT_EQ(0, count_sent(&flushes, &drains));
		came_between = module_read("reset_perms") == 1 && drains;
	}
	TH_LOG("%ld drains and %ld flushes sent by vfree()", drains, flushes);
	ASSERT_EQ(1, came_between);
	EXPECT_GT(flushes, 0);
}

TEST_HARNESS_MAIN
