/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nohz_tlb_test.ko has several parts, each of which brings some of the files in
 * debugfs. A part is known to the others by its struct test_part.
 */
#ifndef __NOHZ_TLB_TEST_PART_H
#define __NOHZ_TLB_TEST_PART_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include <asm/tlbflush.h>

struct seq_file;
struct tracepoint;

/* A file holds a number, or what ->show prints. */
struct test_file {
	const char *name;
	int (*get)(u64 *val);
	int (*set)(u64 val);
	int (*show)(struct seq_file *m, void *unused);
};

struct test_probe {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;
	bool registered;
};

/* The arrays end with an entry that has no name, and all of it is optional. */
struct test_part {
	const struct test_file *files;
	struct test_probe *probes;
	int (*init)(void);
	/* Called after a successful ->init(), when there are no files and probes. */
	void (*exit)(void);
};

extern const struct test_part cpus_part;
extern const struct test_part window_part;
extern const struct test_part vmap_part;
extern const struct test_part event_part;
extern const struct test_part wait_part;
extern const struct test_part nmi_part;

int test_left_alloc(struct flush_tlb_left *left);
void test_left_free(struct flush_tlb_left *left);
bool test_is_pending(unsigned int cpu);
unsigned long test_nr_flushes(unsigned int cpu);

u64 window_read(void);
struct page *window_page(void);
void exchange_slot(unsigned int nr);
unsigned long nr_exits_of(unsigned int cpu);
bool exchange_at_exit(unsigned int cpu, unsigned long exits);
void check_slots(void);
bool was_served(void);

struct page **repeat_page(struct page *page, unsigned long nr);
bool has_page_table(unsigned long addr);

#endif /* __NOHZ_TLB_TEST_PART_H */
