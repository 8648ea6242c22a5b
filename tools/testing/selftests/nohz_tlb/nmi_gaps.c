// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: an NMI uses no stale translation, in whatever gap on the way into the
 * kernel and out of it that it hits: before RCU watches, before the flush, before the
 * request for the flush is cleared, and before user mode.
 *
 * A task enters and leaves the kernel each time with a flush pending, and gets an
 * NMI at about that time, half of the time right after another request, and some of the
 * time after one that came when the task had just left the kernel. The NMI handler reads
 * the pages.
 */
#include "nohz_tlb.h"

/* NMIs are sent in pieces until each gap has been hit so often, or time is up. */
#define NR_HITS			10
#define NR_HITS_LONG		10000
#define NMI_PIECE		500L
#define NMI_DEADLINE_MS		60000
#define NMI_DEADLINE_LONG_MS	3000000

FIXTURE(nmi_gaps) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(nmi_gaps)
{
	if (!may_intrude())
		SKIP(return, "This test sends storms of NMIs, and runs only with NOHZ_TLB_INTRUSIVE=1.");

	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(nmi_gaps)
{
	nohz_tlb_teardown(&self->lab);
}

static const char * const gaps[] = {
	"before_add", "add_to_flush", "flush_to_clear", "exit_add_to_return",
};

struct hits {
	long gap[ARRAY_SIZE(gaps)];
	long served[ARRAY_SIZE(gaps)];	/* with a request to serve */
	long others;
	long lost;
	long failed;
};

/* Add what the module says of the last piece. */
static int add_hits(struct hits *hits)
{
	char name[64];
	long count, served;
	FILE *file;

	file = fopen(MODULE_DIR "nmi_gaps", "r");
	if (!file)
		return -1;

	while (fscanf(file, "%63s %ld %ld", name, &count, &served) == 3) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(gaps); i++) {
			if (!strcmp(name, gaps[i]))
				break;
		}
		if (i < ARRAY_SIZE(gaps)) {
			hits->gap[i] += count;
			hits->served[i] += served;
		} else if (!strcmp(name, "lost")) {
			hits->lost += count;
		} else {
			hits->others += count;
		}
	}
	fclose(file);

	return 0;
}

/* Without a request a hit says nothing. */
static bool hit_all(const struct hits *hits, long enough)
{
	for (size_t i = 0; i < ARRAY_SIZE(gaps); i++) {
		if (hits->served[i] < enough)
			return false;
	}

	return true;
}

static void send_nmis(int cpu, struct hits *hits, long enough)
{
	long deadline = now_ms() + rounds(NMI_DEADLINE_MS, NMI_DEADLINE_LONG_MS);

	while (!hit_all(hits, enough) && now_ms() < deadline) {
		if (write_number(MODULE_DIR "nmi_storm",
				 (long)cpu << STORM_CPU_SHIFT | NMI_PIECE))
			hits->failed++;
		if (add_hits(hits) || hits->failed)
			break;
	}
}

TEST_F_TIMEOUT(nmi_gaps, no_stale_translation, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	struct spinner *spinner = &self->lab.spinners[0];
	long enough = rounds(NR_HITS, NR_HITS_LONG);
	struct hits hits = { };
	bool missed = false;
	long stale, left;

	/* The others would only take time from these two, where CPUs are emulated. */
	spinners_keep(&self->lab, 1);

	left = cpu_left(spinner->cpu);
	ASSERT_EQ(0, write_number(MODULE_DIR "check", 0));
	ASSERT_EQ(0, write_number(MODULE_DIR "nmi_word", (unsigned long)&spinner->page->nmi));
	spinner_ask(spinner, SPINNER_FOLLOW);
	send_nmis(spinner->cpu, &hits, enough);

	ASSERT_EQ(0, spinner_do(spinner, SPINNER_ENTER));
	left = cpu_left(spinner->cpu) - left;
	stale = read_number(MODULE_DIR "check");

	for (size_t i = 0; i < ARRAY_SIZE(gaps); i++) {
		TH_LOG("cpu %d: %ld NMIs in the gap %s, %ld with a request", spinner->cpu,
		       hits.gap[i], gaps[i], hits.served[i]);
		missed |= !hits.served[i];
	}
	TH_LOG("cpu %d: %ld NMIs elsewhere, %ld lost, %ld requests deferred, %ld stale",
	       spinner->cpu, hits.others, hits.lost, left, stale);
	/* A skip would hide these. */
	ASSERT_EQ(0, hits.lost);
	ASSERT_EQ(0, hits.failed);
	ASSERT_GE(left, 1);
	ASSERT_EQ(0, stale);
	if (missed)
		SKIP(return, "NMIs do not hit each gap with a request here, however many are sent.");
}

TEST_HARNESS_MAIN
