// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU TCG plugin that counts what one function of the kernel executes, from its
 * first instruction to its return, and sees where it writes.
 *
 *   -plugin plugin.so,points=FILE,out=FILE
 *
 * points  what is where, written by scripts/sender, as lines of
 *           start ADDR        the first instruction of the function
 *           return ADDR       an instruction that leaves it
 *           schedule ADDR     the first instruction of what it calls when it is done, and
 *                             which may switch to another task
 *           wait FIRST LAST   the instructions of a loop that waits for other CPUs
 *           entry ADDR        the first instruction of an interrupt or an exception
 *           iret ADDR         the last
 * out     a line "call CASE INSTRUCTIONS WAITING INTERRUPTS" for each call, and a line
 *         "store CASE ADDR TIMES" for each address that was written to in calls of that
 *         case, written when QEMU ends; CASE is what the guest's program said last (see
 *         mark.c)
 *
 * Counted by translation blocks, which a branch ends. The first look at what is waited
 * for lies before the loop, and is no part of the wait. What interrupts execute is not
 * counted, nor where they write. A compare-and-exchange counts as a write, also when it
 * fails.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin_api.h"
#include "mark.h"

#define MAX_CPUS	64
#define MAX_POINTS	1024
#define MAX_CALLS	65536
#define MAX_STORES	65536	/* a power of 2 */

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* What a block is, in the upper half of the number that its callback gets. */
#define BLOCK_START	(1ULL << 32)
#define BLOCK_RETURN	(1ULL << 33)
#define BLOCK_WAIT	(1ULL << 34)
#define BLOCK_ENTRY	(1ULL << 35)
#define BLOCK_IRET	(1ULL << 36)
#define BLOCK_SCHEDULE	(1ULL << 37)
#define BLOCK_LENGTH(b)	((b) & 0xffffffff)

#define KERNEL_START	0xffffffff80000000ULL

static struct point {
	uint64_t kind, first, last;
} points[MAX_POINTS];
static unsigned int nr_points;

static struct call {
	unsigned int mark, interrupts;
	uint64_t insns, waiting;
} calls[MAX_CALLS];
static unsigned int nr_calls, nr_lost;

/* By address and case, in the first place behind their hash that is free. */
static struct store {
	uint64_t addr;
	unsigned int mark;
	unsigned long times;
} stores[MAX_STORES];
static unsigned int nr_stores;
static pthread_mutex_t calls_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Each vCPU has a thread of its own, and touches only its own. */
static struct vcpu {
	struct call call;
	int inside, depth;
} vcpus[MAX_CPUS];
static unsigned int mark;
static char *out_name;

static void finish(struct vcpu *cpu)
{
	pthread_mutex_lock(&calls_mutex);
	if (nr_calls < MAX_CALLS)
		calls[nr_calls++] = cpu->call;
	else
		nr_lost++;
	pthread_mutex_unlock(&calls_mutex);
	cpu->inside = 0;
}

static void block_exec(unsigned int nr, void *udata)
{
	uint64_t block = (uint64_t)udata;
	struct vcpu *cpu = &vcpus[nr];

	if (block & BLOCK_START) {
		memset(&cpu->call, 0, sizeof(cpu->call));
		cpu->call.mark = __atomic_load_n(&mark, __ATOMIC_RELAXED);
		cpu->inside = 1;
		cpu->depth = 0;
	}
	if (!cpu->inside)
		return;

	if (block & BLOCK_ENTRY) {
		cpu->call.interrupts += !cpu->depth;
		cpu->depth++;
	}
	if (cpu->depth) {
		cpu->depth -= !!(block & BLOCK_IRET);
		return;
	}
	if (block & BLOCK_SCHEDULE) {
		finish(cpu);
		return;
	}
	if (block & BLOCK_WAIT)
		cpu->call.waiting += BLOCK_LENGTH(block);
	else
		cpu->call.insns += BLOCK_LENGTH(block);
	if (block & BLOCK_RETURN)
		finish(cpu);
}

static void store_exec(unsigned int nr, qemu_plugin_meminfo_t info, uint64_t addr,
		       void *udata)
{
	struct vcpu *cpu = &vcpus[nr];
	struct store *store;
	unsigned int i;

	(void)udata;
	/* QEMU 7.2 calls this for loads, too, whatever was asked for. */
	if (!cpu->inside || cpu->depth || !cpu->call.mark || !qemu_plugin_mem_is_store(info))
		return;

	pthread_mutex_lock(&calls_mutex);
	i = (addr ^ addr >> 16 ^ cpu->call.mark) % MAX_STORES;
	while (stores[i].times && (stores[i].addr != addr || stores[i].mark != cpu->call.mark))
		i = (i + 1) % MAX_STORES;
	store = &stores[i];
	if (store->times || nr_stores < MAX_STORES / 2) {
		nr_stores += !store->times;
		store->addr = addr;
		store->mark = cpu->call.mark;
		store->times++;
	} else {
		nr_lost++;
	}
	pthread_mutex_unlock(&calls_mutex);
}

static void mark_exec(unsigned int nr, void *udata)
{
	(void)nr;
	__atomic_store_n(&mark, (unsigned int)(uint64_t)udata, __ATOMIC_RELAXED);
}

static int insn_mark(const struct qemu_plugin_insn *insn, uint32_t *value)
{
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x80 };
	uint8_t bytes[MARK_SIZE];

	if (qemu_plugin_insn_size(insn) != MARK_SIZE)
		return 0;
#if QEMU_PLUGIN_VERSION < 3
	memcpy(bytes, qemu_plugin_insn_data(insn), MARK_SIZE);
#else
	qemu_plugin_insn_data(insn, bytes, MARK_SIZE);
#endif
	memcpy(value, bytes + sizeof(nop), sizeof(*value));
	return !memcmp(bytes, nop, sizeof(nop)) && (*value & MARK_MASK) == MARK_MAGIC;
}

static void block_trans(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	uint64_t first, last, block;
	const struct point *point;
	uint32_t value;

	(void)id;
	first = qemu_plugin_tb_vaddr(tb);
	if (first < KERNEL_START) {
		for (i = 0; i < n; i++) {
			insn = qemu_plugin_tb_get_insn(tb, i);
			if (insn_mark(insn, &value))
				qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_exec,
					QEMU_PLUGIN_CB_NO_REGS,
					(void *)(uint64_t)(value & ~MARK_MASK));
		}
		return;
	}

	block = n;
	last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, n - 1));
	for (point = points; point < points + nr_points; point++) {
		if (point->kind & (BLOCK_RETURN | BLOCK_IRET) ? point->first == last :
		    point->first <= first && first <= point->last)
			block |= point->kind;
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_exec, QEMU_PLUGIN_CB_NO_REGS,
					     (void *)block);
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		qemu_plugin_register_vcpu_mem_cb(insn, store_exec, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_W, NULL);
	}
}

static void at_exit(qemu_plugin_id_t id, void *udata)
{
	const struct store *store;
	const struct call *call;
	FILE *out;

	(void)id;
	(void)udata;
	out = fopen(out_name, "w");
	if (!out) {
		perror(out_name);
		return;
	}
	for (call = calls; call < calls + nr_calls; call++)
		fprintf(out, "call %u %" PRIu64 " %" PRIu64 " %u\n", call->mark, call->insns,
			call->waiting, call->interrupts);
	for (store = stores; store < stores + MAX_STORES; store++) {
		if (store->times)
			fprintf(out, "store %u %016" PRIx64 " %lu\n", store->mark, store->addr,
				store->times);
	}
	fprintf(out, nr_lost ? "lost %u\n" : "end\n", nr_lost);
	fclose(out);
}

static int read_points(const char *name)
{
	static const struct {
		const char *name;
		uint64_t kind;
	} kinds[] = {
		{ "start", BLOCK_START }, { "return", BLOCK_RETURN },
		{ "wait", BLOCK_WAIT }, { "entry", BLOCK_ENTRY },
		{ "iret", BLOCK_IRET }, { "schedule", BLOCK_SCHEDULE },
	};
	uint64_t first, last;
	char kind[16], line[64];
	unsigned int i;
	FILE *file;
	int n;

	file = fopen(name, "r");
	if (!file) {
		perror(name);
		return -1;
	}
	while (fgets(line, sizeof(line), file) && nr_points < MAX_POINTS) {
		n = sscanf(line, "%15s %" SCNx64 " %" SCNx64, kind, &first, &last);
		for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			if (n >= 2 && !strcmp(kind, kinds[i].name))
				points[nr_points++] = (struct point){ kinds[i].kind, first,
								      n == 3 ? last : first };
		}
	}
	fclose(file);
	return nr_points && nr_points < MAX_POINTS ? 0 : -1;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	const char *points_name = NULL;
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "points=", 7))
			points_name = argv[i] + 7;
		else if (!strncmp(argv[i], "out=", 4))
			out_name = strdup(argv[i] + 4);
	}
	if (!points_name || !out_name || read_points(points_name) ||
	    info->system.max_vcpus > MAX_CPUS) {
		fprintf(stderr, "sender: points= and out= are needed, and at most %d CPUs\n",
			MAX_CPUS);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_trans);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
