// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU TCG plugin that sees what a CPU executes and touches on its way into the
 * kernel and on its way out of it.
 *
 *   -plugin audit.so,points=FILE,out=FILE,cpus=LIST[,dwell=MICROSECONDS]
 *
 * points  what is where in the kernel, written by scripts/entry-audit/points
 * out     what was seen, written when QEMU ends
 * cpus    the CPUs to watch, such as 3 or 1:3
 * dwell   how long to stay in a gap, see MARK_DWELL
 *
 * A window begins with the first instruction of the kernel after user mode. On the
 * way in it ends at the flush point: with the locked addition that makes RCU watch
 * the CPU if that finds no flush pending, else with the flush. The second window of
 * an excursion begins with the locked addition on the way out and ends at the first
 * instruction of user mode. NMIs, machine checks and debug exceptions that come in
 * between have windows of their own. So has the first way out of a new task, whatever
 * entry has led to it.
 *
 * Callbacks come before the instruction that they are for. A plugin sees the accesses of
 * instructions: those of locked ones, and the frame and the descriptors that iret reads.
 * It is not told what the CPU does by itself when it delivers an exception: the frame that it
 * pushes, the descriptors that it reads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu_plugin_api.h"
#include "marks.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MAX_CPUS	64
#define MAX_POINTS	4096
#define MAX_RANGES	64
#define MAX_TYPES	256
#define MAX_DEPTH	16
#define MAX_ACCESSES	8192
#define MAX_NAME	64
#define MAX_PAGES	256
#define PAGE_SHIFT	12
#define FIRST_BUCKETS	4096

/* Its handler passes an iret that faults on to this entry point, by an iret. */
#define DOUBLE_FAULT	"asm_exc_double_fault"
#define DOUBLE_FAULT_TO	"asm_exc_general_protection"

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* Places in the kernel that mean something. */
enum point_kind {
	POINT_NONE,
	POINT_ENTRY,		/* first instruction of an entry */
	POINT_WATCH,		/* makes RCU watch the CPU: a flush point */
	POINT_UNWATCH,		/* the addition on the way out */
	POINT_FLUSH_CALL,	/* a flush is pending */
	POINT_FLUSH,		/* flushes, if one is pending */
	POINT_CLEAR,		/* clears the request */
	POINT_IRET,
	POINT_IRET_NESTED,	/* of an NMI that has hit an NMI, and does nothing */
	POINT_SYSRET,
	POINT_IDLE_ENTER,
	POINT_IDLE_EXIT,
	POINT_SWITCH,		/* to another task */
	POINT_NEW_TASK,		/* the first instruction of one */
	NR_POINT_KINDS
};

static const char * const point_names[NR_POINT_KINDS] = {
	[POINT_NONE]		= "none",
	[POINT_ENTRY]		= "entry",
	[POINT_WATCH]		= "watch",
	[POINT_UNWATCH]		= "unwatch",
	[POINT_FLUSH_CALL]	= "flush_call",
	[POINT_FLUSH]		= "flush",
	[POINT_CLEAR]		= "clear",
	[POINT_IRET]		= "iret",
	[POINT_IRET_NESTED]	= "iret_nested",
	[POINT_SYSRET]		= "sysret",
	[POINT_IDLE_ENTER]	= "idle_enter",
	[POINT_IDLE_EXIT]	= "idle_exit",
	[POINT_SWITCH]		= "switch",
	[POINT_NEW_TASK]	= "new_task",
};

/* @start to @end: the function that it is in. */
struct point {
	enum point_kind kind;
	uint64_t addr, start, end;
	char name[MAX_NAME];
	/* An exception that may hit where interrupts are off. */
	bool paranoid;
	/* An exception that iret may raise. */
	bool of_iret;
};

static struct point points[MAX_POINTS];
static unsigned int nr_points;

/* Text that is not instrumented. */
static struct range {
	uint64_t start, end;
} ranges[MAX_RANGES];
static unsigned int nr_ranges;

/*
 * What the callbacks need to know of an instruction, in the number that they get:
 * kernel text is within 2 GB of the top, so the lower half of the address is
 * enough.
 */
#define INSN_ADDR(insn)		(0xffffffff00000000ULL | (uint32_t)(insn))
#define INSN_POINT_SHIFT	32
#define INSN_POINT_MASK		0xffffULL
#define INSN_QUIET		(1ULL << 48)	/* cannot be instrumented */
#define INSN_REP		(1ULL << 49)
#define INSN_STRANGE		(1ULL << 50)	/* not where kernel text is */

/* Where a CPU is between user mode and the kernel. */
enum mode {
	MODE_USER,
	MODE_ENTER,	/* from the first instruction to the addition */
	MODE_ADDED,	/* behind it, a flush may be pending */
	MODE_PENDING,	/* one is */
	MODE_FLUSHED,	/* and was done, but not cleared */
	MODE_SAFE,
	MODE_LEAVE,	/* from the addition on the way out to user mode */
	MODE_IDLE,
	NR_MODES
};

enum zone {
	ZONE_ENTER,
	ZONE_LEAVE,
};

static const char * const zone_names[] = {
	[ZONE_ENTER]	= "enter",
	[ZONE_LEAVE]	= "leave",
};

/*
 * What an entry interrupted. An iret that faults is in MODE_LEAVE as well, and its
 * context is "iret".
 */
static const char * const context_names[] = {
	[MODE_USER]	= "user",
	[MODE_ENTER]	= "before_add",
	[MODE_ADDED]	= "add_to_flush",
	[MODE_PENDING]	= "add_to_flush",
	[MODE_FLUSHED]	= "flush_to_clear",
	[MODE_SAFE]	= "kernel",
	[MODE_LEAVE]	= "exit",
	[MODE_IDLE]	= "idle",
};

struct type {
	const struct point *entry;
	enum entry_mark mark;
	const char *context;
	unsigned long windows;	/* ways in */
	unsigned long pending;	/* those that had a flush to do */
	unsigned long exits;
	unsigned int max_enter;
	unsigned int max_leave;
};

struct access {
	uint32_t insn;
	bool is_data;
	bool store;
	uint64_t data;
};

/* An entry that the CPU has not left. */
struct level {
	enum mode mode;
	unsigned int type;
	const struct point *entry;
	const struct point *add;
	bool own_window;	/* what was interrupted was no safe place */
	bool behind_add;	/* it was behind its addition, so this one has none */
	bool must_flush;	/* and had a flush to do */
	bool cleared;		/* an entry in between has done that */
	bool unflushed;		/* or did not, and ran code that may be instrumented */
	unsigned int insns;
	unsigned int nr;
	struct access *accesses;
};

/* A table that counts things that are named by two numbers. */
struct counter {
	uint64_t key[2];
	uint64_t count;
};

struct table {
	struct counter *buckets;
	size_t size, used;
};

static struct cpu {
	bool watched;
	bool recording;
	enum entry_mark dwelling;	/* MARK_DWELL, MARK_DWELL_EXIT or none */
	enum mode dwell_mode;	/* in which gap to stay during this excursion */
	unsigned long interrupted[NR_MODES];
	uint64_t last;		/* the last instruction, as callbacks get it */
	enum entry_mark mark;
	unsigned int depth;
	struct level levels[MAX_DEPTH];
	struct type types[MAX_TYPES];
	unsigned int nr_types;
	struct table seen;	/* instructions and accesses, by type and zone */
	struct table costs;	/* excursions, by type, what is counted, and how many */
	struct table errors;
	/* The excursion that goes on. */
	const struct point *new_task;	/* it is in a task that has not been in user mode */
	unsigned int insns;
	unsigned int insns_in;	/* before the first that may be instrumented */
	unsigned int insns_out;	/* behind the last one */
	bool flushed;		/* it had a flush to do */
	unsigned int nr_pages;	/* different ones that the kernel used since then */
	uint64_t pages[MAX_PAGES];
} *cpus;

static const char *out_name;
static unsigned int dwell_us = 300;

enum error {
	ERROR_UNKNOWN_ENTRY,
	ERROR_NO_ADD,
	ERROR_INSTRUMENTABLE,
	ERROR_INSTRUMENTABLE_EXIT,
	ERROR_EXCEPTION,
	ERROR_NO_FLUSH,
	ERROR_LATE_FLUSH,
	ERROR_LOST,
	ERROR_NO_EXIT_ADD,
	ERROR_STRANGE_TEXT,
	ERROR_OVERFLOW,
	ERROR_DEPTH,
	NR_ERRORS
};

static const char * const error_texts[] = {
	[ERROR_UNKNOWN_ENTRY]		= "an entry at a place that is no known entry point",
	[ERROR_NO_ADD]			= "back without a flush point on the way in",
	[ERROR_INSTRUMENTABLE]		= "code that may be instrumented before the flush point",
	[ERROR_INSTRUMENTABLE_EXIT]	= "code that may be instrumented after the addition on the way out",
	[ERROR_EXCEPTION]		= "an exception where none may come",
	[ERROR_NO_FLUSH]		= "a flush was pending, and code that may be instrumented came first",
	[ERROR_LATE_FLUSH]		= "a flush where none may be pending any more",
	[ERROR_LOST]			= "an entry that was never left",
	[ERROR_NO_EXIT_ADD]		= "to user mode without an addition on the way out",
	[ERROR_STRANGE_TEXT]		= "code outside of the kernel's text",
	[ERROR_OVERFLOW]		= "a window with too many accesses to record",
	[ERROR_DEPTH]			= "too many entries within entries",
};

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "audit: out of memory\n");
		exit(1);
	}
	return memory;
}

static struct counter *table_find(struct table *table, uint64_t a, uint64_t b)
{
	uint64_t hash = (a * 0x9e3779b97f4a7c15ULL ^ b) * 0xff51afd7ed558ccdULL;
	size_t i = hash >> 20 & (table->size - 1);

	while (table->buckets[i].count &&
	       (table->buckets[i].key[0] != a || table->buckets[i].key[1] != b))
		i = (i + 1) & (table->size - 1);

	return &table->buckets[i];
}

static void table_add(struct table *table, uint64_t a, uint64_t b, uint64_t count)
{
	struct counter *counter;

	if (table->used * 2 >= table->size) {
		struct table old = *table;

		table->size = old.size ? old.size * 2 : FIRST_BUCKETS;
		table->used = 0;
		table->buckets = must(calloc(table->size, sizeof(*table->buckets)));
		for (size_t i = 0; i < old.size; i++) {
			if (old.buckets[i].count)
				table_add(table, old.buckets[i].key[0],
					  old.buckets[i].key[1], old.buckets[i].count);
		}
		free(old.buckets);
	}

	counter = table_find(table, a, b);
	table->used += !counter->count;
	counter->key[0] = a;
	counter->key[1] = b;
	counter->count += count;
}

/* Counted for the type of the entry that the CPU is in, or was in last. */
static void error(struct cpu *cpu, enum error what, uint64_t addr)
{
	uint64_t type = cpu->levels[cpu->depth].type;

	if (cpu->recording)
		table_add(&cpu->errors, type << 32 | what, addr, 1);
}

static unsigned int find_type(struct cpu *cpu, const struct point *entry,
			      enum entry_mark mark, const char *context)
{
	struct type *type;
	unsigned int i;

	for (i = 0; i < cpu->nr_types; i++) {
		type = &cpu->types[i];
		if (!strcmp(type->entry->name, entry->name) && type->mark == mark &&
		    !strcmp(type->context, context))
			return i;
	}

	if (cpu->nr_types == MAX_TYPES) {
		fprintf(stderr, "audit: more than %d types of entries\n", MAX_TYPES);
		exit(1);
	}
	type = &cpu->types[cpu->nr_types];
	type->entry = entry;
	type->mark = mark;
	type->context = context;

	return cpu->nr_types++;
}

/* Accesses are counted by type, zone, kind and instruction, and by address. */
#define SEEN_KEY(type, zone, access)						\
	((uint64_t)(type) << 40 | (uint64_t)(zone) << 36 |			\
	 (uint64_t)(access)->is_data << 33 | (uint64_t)(access)->store << 32 |	\
	 (access)->insn)

static void window_close(struct cpu *cpu, struct level *level, enum zone zone,
			 bool pending)
{
	struct type *type = &cpu->types[level->type];
	unsigned int *max = zone == ZONE_ENTER ? &type->max_enter : &type->max_leave;
	unsigned int i;

	if (cpu->recording) {
		if (zone == ZONE_ENTER) {
			type->windows++;
			type->pending += pending;
		} else {
			type->exits++;
		}
		if (level->insns > *max)
			*max = level->insns;
		for (i = 0; i < level->nr; i++)
			table_add(&cpu->seen, SEEN_KEY(level->type, zone, &level->accesses[i]),
				  level->accesses[i].data, 1);
	}
	level->insns = 0;
	level->nr = 0;
}

static bool in_danger(enum mode mode)
{
	return mode == MODE_ENTER || mode == MODE_ADDED || mode == MODE_PENDING ||
	       mode == MODE_LEAVE;
}

static void record(struct cpu *cpu, struct level *level, struct access access)
{
	if (level->nr == MAX_ACCESSES) {
		error(cpu, ERROR_OVERFLOW, INSN_ADDR(access.insn));
		return;
	}
	level->accesses[level->nr++] = access;
}

/* The entry point counts under the name of the mark if that is its reason. */
static enum entry_mark take_mark(struct cpu *cpu, const struct point *entry)
{
	static const char * const entries[NR_MARKS] = {
#define ENTRY_MARK_ENTRY(name, entry) [MARK_##name] = entry,
		ENTRY_MARKS(ENTRY_MARK_ENTRY)
	};
	enum entry_mark mark = cpu->mark;

	if (mark < MARK_FIRST_TYPE || strcmp(entries[mark], entry->name))
		return MARK_NONE;

	cpu->mark = MARK_NONE;
	return mark;
}

static void level_open(struct cpu *cpu, const struct point *entry, const char *context)
{
	struct level *level = &cpu->levels[cpu->depth];

	level->mode = MODE_ENTER;
	level->entry = entry;
	level->add = NULL;
	level->behind_add = false;
	level->must_flush = false;
	level->cleared = false;
	level->unflushed = false;
	level->insns = 0;
	level->nr = 0;
	level->type = find_type(cpu, entry, take_mark(cpu, entry), context);
}

/* What is counted of an excursion: beside instructions, pages if it had a flush to do. */
enum cost {
	COST_ENTRY_EXIT,
	COST_EXCURSION,
	COST_PENDING_ENTRY_EXIT,
	COST_PENDING_EXCURSION,
	COST_PENDING_PAGES,
};

static const char * const cost_names[] = {
	[COST_ENTRY_EXIT]		= "entry+exit",
	[COST_EXCURSION]		= "excursion",
	[COST_PENDING_ENTRY_EXIT]	= "pending:entry+exit",
	[COST_PENDING_EXCURSION]	= "pending:excursion",
	[COST_PENDING_PAGES]		= "pending:pages",
};

static void count_excursion(struct cpu *cpu, const struct level *level)
{
	uint64_t type = (uint64_t)level->type << 32;
	bool flushed = cpu->flushed;

	table_add(&cpu->costs, type | (flushed ? COST_PENDING_ENTRY_EXIT : COST_ENTRY_EXIT),
		  cpu->insns_in + cpu->insns - cpu->insns_out, 1);
	table_add(&cpu->costs, type | (flushed ? COST_PENDING_EXCURSION : COST_EXCURSION),
		  cpu->insns, 1);
	if (flushed)
		table_add(&cpu->costs, type | COST_PENDING_PAGES, cpu->nr_pages, 1);
}

/*
 * The CPU has no translation of @addr any more if it has not used that page since. Pages
 * beyond MAX_PAGES are not counted.
 */
static void use_page(struct cpu *cpu, uint64_t addr)
{
	unsigned int i = cpu->nr_pages;

	while (i && cpu->pages[i - 1] != addr >> PAGE_SHIFT)
		i--;
	if (!i && cpu->nr_pages < MAX_PAGES)
		cpu->pages[cpu->nr_pages++] = addr >> PAGE_SHIFT;
}

/* The CPU has reached user mode. */
static void end_excursion(struct cpu *cpu)
{
	struct level *level = &cpu->levels[0], *inner;

	/*
	 * Levels that interrupted a safe place and were never left belong to tasks that
	 * went to sleep in them.
	 */
	for (; cpu->depth; cpu->depth--) {
		inner = &cpu->levels[cpu->depth];
		if (inner->own_window && inner->mode != MODE_SAFE)
			error(cpu, ERROR_LOST, inner->entry->addr);
	}
	switch (level->mode) {
	case MODE_LEAVE:
		window_close(cpu, level, ZONE_LEAVE, false);
		break;
	case MODE_SAFE:
		error(cpu, ERROR_NO_EXIT_ADD, level->entry->addr);
		break;
	default:
		error(cpu, ERROR_NO_ADD, level->entry->addr);
		window_close(cpu, level, ZONE_ENTER, false);
		break;
	}
	count_excursion(cpu, level);
	level->mode = MODE_USER;
}

/* The gap in which the fewest entries have come so far. */
static enum mode choose_dwell(const struct cpu *cpu)
{
	static const enum mode gaps[] = { MODE_ENTER, MODE_ADDED, MODE_FLUSHED, MODE_LEAVE };
	enum mode best = gaps[0];

	for (size_t i = 1; i < ARRAY_SIZE(gaps); i++) {
		if (cpu->interrupted[gaps[i]] < cpu->interrupted[best])
			best = gaps[i];
	}

	return best;
}

static void begin_excursion(struct cpu *cpu, const struct point *point, uint64_t addr)
{
	static const struct point unknown = { .name = "unknown" };
	bool known = point->kind == POINT_ENTRY;

	cpu->new_task = NULL;
	cpu->insns = 0;
	cpu->insns_in = 0;
	cpu->insns_out = 0;
	cpu->flushed = false;
	cpu->nr_pages = 0;
	level_open(cpu, known ? point : &unknown, context_names[MODE_USER]);
	if (!known)
		error(cpu, ERROR_UNKNOWN_ENTRY, addr);
	if (cpu->dwelling)
		cpu->dwell_mode = cpu->dwelling == MARK_DWELL ? choose_dwell(cpu) : MODE_LEAVE;
}

/* An entry from kernel mode, after the instruction @last. */
static void begin_nested(struct cpu *cpu, const struct point *entry,
			 const struct point *last)
{
	struct level *outer = &cpu->levels[cpu->depth], *inner;
	enum mode from = outer->mode;

	if (last->kind == POINT_IRET && from == MODE_ENTER &&
	    !strcmp(outer->entry->name, DOUBLE_FAULT) && !strcmp(entry->name, DOUBLE_FAULT_TO))
		return;

	if (from == MODE_LEAVE && !cpu->depth && last->kind == POINT_IRET && entry->of_iret) {
		/* An iret that faults: the entry is treated as one from user mode. */
		window_close(cpu, outer, ZONE_LEAVE, false);
		level_open(cpu, entry, "iret");
		return;
	}
	if (in_danger(from) && !entry->paranoid)
		error(cpu, ERROR_EXCEPTION, entry->addr);
	if (cpu->depth + 1 == MAX_DEPTH) {
		/* In safe places nothing depends on the number. */
		if (in_danger(from))
			error(cpu, ERROR_DEPTH, entry->addr);
		return;
	}

	inner = &cpu->levels[++cpu->depth];
	inner->own_window = in_danger(from) || from == MODE_FLUSHED;
	inner->entry = entry;
	inner->mode = from;
	inner->type = outer->type;
	if (inner->own_window) {
		level_open(cpu, entry, context_names[from]);
		inner->behind_add = from != MODE_ENTER && from != MODE_LEAVE;
		inner->must_flush = (from == MODE_PENDING || from == MODE_FLUSHED) &&
				    !outer->cleared;
	}
	/* One gap, whether its flush is known to be pending or not. */
	cpu->interrupted[from == MODE_PENDING ? MODE_ADDED : from]++;
}

/*
 * The addition on the way out. Levels that interrupted a safe place were not left by
 * iret, but for another task: the way out is that of the whole excursion.
 */
static struct level *begin_leave(struct cpu *cpu)
{
	struct level *level;

	while (cpu->depth && !cpu->levels[cpu->depth].own_window)
		cpu->depth--;
	level = &cpu->levels[cpu->depth];
	level->mode = MODE_LEAVE;
	if (!cpu->depth && cpu->new_task)
		level->type = find_type(cpu, cpu->new_task, MARK_NONE, context_names[MODE_USER]);

	return level;
}

static void flushed(struct cpu *cpu, struct level *level)
{
	window_close(cpu, level, ZONE_ENTER, true);
	level->mode = MODE_FLUSHED;
	cpu->flushed = true;
	cpu->nr_pages = 0;
}

/* Record an instruction, after what it being there says of those before it. */
static void step(struct cpu *cpu, struct level *level, const struct point *point,
		 uint64_t insn)
{
	bool quiet = insn & INSN_QUIET;
	uint64_t addr = INSN_ADDR(insn);

	if (point->kind == POINT_FLUSH_CALL) {
		/* In a gap behind the addition an NMI adds nothing, but flushes if need be. */
		if (level->mode == MODE_ADDED ||
		    (level->mode == MODE_ENTER && level->behind_add)) {
			level->mode = MODE_PENDING;
			if (level->unflushed)
				error(cpu, ERROR_NO_FLUSH, addr);
		} else {
			/* In part core this is where it belongs. */
			error(cpu, ERROR_LATE_FLUSH, addr);
			cpu->flushed = true;
			cpu->nr_pages = 0;
		}
	} else if (level->mode == MODE_ADDED &&
		   (addr < level->add->start || addr >= level->add->end)) {
		/* Nothing was pending. */
		window_close(cpu, level, ZONE_ENTER, false);
		level->mode = MODE_SAFE;
	} else if (level->mode == MODE_ENTER && level->behind_add && !quiet) {
		/* Nothing was pending, or so it says. */
		if (level->must_flush)
			error(cpu, ERROR_NO_FLUSH, addr);
		else if (!cpu->levels[cpu->depth - 1].cleared)
			cpu->levels[cpu->depth - 1].unflushed = true;
		window_close(cpu, level, ZONE_ENTER, false);
		level->mode = MODE_SAFE;
	}

	if (!in_danger(level->mode))
		return;
	level->insns++;
	record(cpu, level, (struct access) { .insn = addr });
	if (insn & INSN_STRANGE)
		error(cpu, ERROR_STRANGE_TEXT, addr);
	if (!quiet) {
		bool leaving = level->mode == MODE_LEAVE;

		error(cpu, leaving ? ERROR_INSTRUMENTABLE_EXIT : ERROR_INSTRUMENTABLE, addr);
		window_close(cpu, level, leaving ? ZONE_LEAVE : ZONE_ENTER, false);
		level->mode = MODE_SAFE;
	}
}

/* What an instruction has done, seen from the next one, whatever that is. */
static void leave_point(struct cpu *cpu, struct level *level, const struct point *point)
{
	unsigned int i;

	switch (point->kind) {
	case POINT_WATCH:
		/* An NMI that came meanwhile is handled without a way in of its own. */
		if (level->mode == MODE_LEAVE && cpu->depth) {
			window_close(cpu, level, ZONE_LEAVE, false);
			level->mode = MODE_ENTER;
		}
		if (level->mode == MODE_ENTER) {
			level->mode = MODE_ADDED;
			level->add = point;
			/* What an NMI before the addition has done is not for this request. */
			level->cleared = false;
		}
		break;
	case POINT_FLUSH:
		if (level->mode == MODE_PENDING)
			flushed(cpu, level);
		break;
	case POINT_CLEAR:
		if (level->mode == MODE_FLUSHED)
			level->mode = MODE_SAFE;
		for (i = 0; i < cpu->depth; i++)
			cpu->levels[i].cleared = true;
		break;
	default:
		break;
	}
}

static const struct point *insn_point(uint64_t insn)
{
	return &points[insn >> INSN_POINT_SHIFT & INSN_POINT_MASK];
}

/* Back from an entry that came in kernel mode. */
static void leave_level(struct cpu *cpu, struct level *level, const struct point *last)
{
	if (level->mode == MODE_LEAVE) {
		window_close(cpu, level, ZONE_LEAVE, false);
	} else if (in_danger(level->mode)) {
		if (last->kind != POINT_IRET_NESTED)
			error(cpu, ERROR_NO_ADD, level->entry->addr);
		window_close(cpu, level, ZONE_ENTER, false);
	}
	cpu->depth--;
}

/*
 * Find out what @point begins or goes on with, after @last. Interrupts that come as soon
 * as user mode is reached leave no instruction of user mode to be seen in between.
 */
static void begin(struct cpu *cpu, const struct point *point, const struct point *last,
		  uint64_t addr)
{
	struct level *level = &cpu->levels[cpu->depth];
	bool is_entry = point->kind == POINT_ENTRY;

	if (cpu->depth && (last->kind == POINT_IRET_NESTED ||
			   (last->kind == POINT_IRET &&
			    (is_entry || addr < level->entry->start ||
			     addr >= level->entry->end)))) {
		leave_level(cpu, level, last);
		level = &cpu->levels[cpu->depth];
	} else if (!cpu->depth && level->mode == MODE_LEAVE && is_entry &&
		   (last->kind == POINT_SYSRET ||
		    (last->kind == POINT_IRET && !point->of_iret))) {
		end_excursion(cpu);
	}

	if (!cpu->depth && level->mode == MODE_USER)
		begin_excursion(cpu, point, addr);
	else if (is_entry)
		begin_nested(cpu, point, last);
}

static void kernel_insn(unsigned int vcpu, void *userdata)
{
	uint64_t insn = (uintptr_t)userdata, last;
	struct cpu *cpu = &cpus[vcpu];
	const struct point *point;
	struct level *level;

	if (!cpu->recording)
		return;

	last = cpu->last;
	/* A string instruction comes here for each of its elements. */
	if (insn == last && insn & INSN_REP)
		return;
	cpu->last = insn;

	point = insn_point(insn);
	level = &cpu->levels[cpu->depth];
	/* Something behind the last instruction: what that has done counts now. */
	leave_point(cpu, level, insn_point(last));
	begin(cpu, point, insn_point(last), INSN_ADDR(insn));
	level = &cpu->levels[cpu->depth];

	if (point->kind == POINT_IDLE_ENTER && level->mode == MODE_SAFE)
		level->mode = MODE_IDLE;
	else if (point->kind == POINT_IDLE_EXIT && level->mode == MODE_IDLE)
		level->mode = MODE_SAFE;
	else if (point->kind == POINT_SWITCH)
		cpu->new_task = NULL;
	else if (point->kind == POINT_NEW_TASK)
		cpu->new_task = point;
	else if (point->kind == POINT_UNWATCH && level->mode == MODE_SAFE)
		level = begin_leave(cpu);
	step(cpu, level, point, insn);

	if (!(insn & INSN_QUIET)) {
		if (!cpu->insns_in)
			cpu->insns_in = cpu->insns;
		cpu->insns_out = cpu->insns + 1;
	}
	cpu->insns++;
	if (cpu->flushed)
		use_page(cpu, INSN_ADDR(insn));

	/* Behind the addition on the way out, where requests come. */
	if (cpu->dwelling && level->mode == cpu->dwell_mode && point->kind != POINT_UNWATCH) {
		cpu->dwell_mode = MODE_USER;
		usleep(dwell_us);
	}
}

static void kernel_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
			  void *userdata)
{
	struct cpu *cpu = &cpus[vcpu];
	struct level *level = &cpu->levels[cpu->depth];

	/*
	 * QEMU 7.2 goes on calling this for an iret that is long over, when it delivers
	 * the next exception.
	 */
	if (!cpu->recording || (uint32_t)(uintptr_t)userdata != (uint32_t)cpu->last)
		return;
	/* What is in user mode's half has other translations. */
	if (cpu->flushed && vaddr >> 63)
		use_page(cpu, vaddr);
	if (!in_danger(level->mode))
		return;
	record(cpu, level, (struct access) {
		.insn = (uint32_t)(uintptr_t)userdata, .is_data = true,
		.store = qemu_plugin_mem_is_store(info), .data = vaddr,
	});
}

/* The first instruction of each block of user mode code. */
static void user_block(unsigned int vcpu, void *userdata)
{
	struct cpu *cpu = &cpus[vcpu];
	const struct point *last = insn_point(cpu->last);

	(void)userdata;
	if (!cpu->recording || cpu->levels[0].mode == MODE_USER)
		return;

	cpu->last = 0;
	leave_point(cpu, &cpu->levels[cpu->depth], last);
	end_excursion(cpu);
}

static void user_mark(unsigned int vcpu, void *userdata)
{
	enum entry_mark mark = (uintptr_t)userdata;
	struct cpu *cpu = &cpus[vcpu];

	if (!cpu->watched)
		return;

	switch (mark) {
	case MARK_BEGIN:
		cpu->recording = true;
		cpu->levels[0].mode = MODE_USER;
		cpu->depth = 0;
		cpu->last = 0;
		break;
	case MARK_END:
		cpu->recording = false;
		break;
	case MARK_DWELL:
	case MARK_DWELL_EXIT:
		cpu->dwelling = mark;
		break;
	case MARK_HURRY:
		cpu->dwelling = MARK_NONE;
		break;
	default:
		cpu->mark = mark;
		break;
	}
}

static size_t insn_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t len)
{
	size_t size = qemu_plugin_insn_size(insn);

	if (size > len)
		size = len;
#if QEMU_PLUGIN_VERSION < 3
	memcpy(bytes, qemu_plugin_insn_data(insn), size);
	return size;
#else
	return qemu_plugin_insn_data(insn, bytes, size);
#endif
}

/* The number in a mark, or NR_MARKS if @insn is none. */
static enum entry_mark find_mark(const struct qemu_plugin_insn *insn)
{
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x80 };
	uint8_t bytes[MARK_SIZE];
	uint32_t number;

	if (qemu_plugin_insn_size(insn) != MARK_SIZE ||
	    insn_bytes(insn, bytes, sizeof(bytes)) != MARK_SIZE ||
	    memcmp(bytes, nop, sizeof(nop)))
		return NR_MARKS;

	memcpy(&number, bytes + sizeof(nop), sizeof(number));
	return number - MARK_MAGIC < NR_MARKS ? number - MARK_MAGIC : NR_MARKS;
}

/* Whether @insn is movs, stos, lods, scas, cmps, ins or outs with a prefix rep. */
static bool is_rep(const struct qemu_plugin_insn *insn)
{
	uint8_t bytes[4] = { };
	size_t len = insn_bytes(insn, bytes, sizeof(bytes));
	size_t i = 1;

	if (len < 2 || (bytes[0] & 0xfe) != 0xf2)
		return false;
	/* A prefix of 64-bit operands. */
	if ((bytes[i] & 0xf0) == 0x40)
		i++;
	return (bytes[i] & 0xfc) == 0xa4 || (bytes[i] >= 0xaa && bytes[i] <= 0xaf) ||
	       (bytes[i] & 0xfc) == 0x6c;
}

static uint64_t describe(const struct qemu_plugin_insn *insn)
{
	uint64_t addr = qemu_plugin_insn_vaddr(insn);
	uint64_t result = (uint32_t)addr;
	unsigned int i;

	if (addr != INSN_ADDR(addr))
		result |= INSN_STRANGE;
	for (i = 1; i < nr_points; i++) {
		if (points[i].addr == addr) {
			result |= (uint64_t)i << INSN_POINT_SHIFT;
			break;
		}
	}
	for (i = 0; i < nr_ranges; i++) {
		if (addr >= ranges[i].start && addr < ranges[i].end)
			result |= INSN_QUIET;
	}
	if (is_rep(insn))
		result |= INSN_REP;

	return result;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	bool user = qemu_plugin_tb_vaddr(tb) >> 63 == 0;
	size_t n = qemu_plugin_tb_n_insns(tb);
	size_t i;

	(void)id;
	if (user)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, user_block, QEMU_PLUGIN_CB_NO_REGS,
						     NULL);
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		enum entry_mark mark;
		void *data;

		if (!user) {
			data = (void *)(uintptr_t)describe(insn);
			qemu_plugin_register_vcpu_insn_exec_cb(insn, kernel_insn,
							       QEMU_PLUGIN_CB_NO_REGS, data);
			qemu_plugin_register_vcpu_mem_cb(insn, kernel_access,
							 QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, data);
			continue;
		}
		mark = find_mark(insn);
		if (mark != NR_MARKS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, user_mark,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)mark);
	}
}

static void write_types(FILE *out, unsigned int nr, const struct cpu *cpu)
{
	static const char * const names[NR_MARKS] = {
#define ENTRY_MARK_NAME(name, entry) [MARK_##name] = #name,
		ENTRY_MARKS(ENTRY_MARK_NAME)
	};
	unsigned int i;

	for (i = 0; i < cpu->nr_types; i++) {
		const struct type *type = &cpu->types[i];

		fprintf(out, "type %u %u %s %s %s %lu %lu %lu %u %u\n", nr, i,
			type->entry->name, names[type->mark] ?: "-", type->context,
			type->windows, type->pending, type->exits, type->max_enter,
			type->max_leave);
	}
}

static void write_tables(FILE *out, unsigned int nr, const struct cpu *cpu)
{
	const struct counter *counter;
	size_t i;

	for (i = 0; i < cpu->seen.size; i++) {
		counter = &cpu->seen.buckets[i];
		if (!counter->count)
			continue;
		fprintf(out, "%s %u %u %s %016llx %016llx %s %llu\n",
			counter->key[0] >> 33 & 1 ? "data" : "insn", nr,
			(unsigned int)(counter->key[0] >> 40),
			zone_names[counter->key[0] >> 36 & 0xf],
			(unsigned long long)INSN_ADDR(counter->key[0]),
			(unsigned long long)counter->key[1],
			counter->key[0] >> 32 & 1 ? "w" : "r",
			(unsigned long long)counter->count);
	}
	for (i = 0; i < cpu->costs.size; i++) {
		counter = &cpu->costs.buckets[i];
		if (counter->count)
			fprintf(out, "cost %u %u %s %llu %llu\n", nr,
				(unsigned int)(counter->key[0] >> 32),
				cost_names[(uint32_t)counter->key[0]],
				(unsigned long long)counter->key[1],
				(unsigned long long)counter->count);
	}
	for (i = 0; i < cpu->errors.size; i++) {
		counter = &cpu->errors.buckets[i];
		if (counter->count)
			fprintf(out, "error %u %u %016llx %llu %s\n", nr,
				(unsigned int)(counter->key[0] >> 32),
				(unsigned long long)counter->key[1],
				(unsigned long long)counter->count,
				error_texts[(uint32_t)counter->key[0]]);
	}
}

static void finish(qemu_plugin_id_t id, void *userdata)
{
	FILE *out;
	unsigned int i;

	(void)id;
	(void)userdata;
	out = fopen(out_name, "w");
	if (!out) {
		fprintf(stderr, "audit: %s: %s\n", out_name, strerror(errno));
		return;
	}
	for (i = 0; i < MAX_CPUS; i++) {
		if (!cpus[i].watched)
			continue;
		write_types(out, i, &cpus[i]);
		write_tables(out, i, &cpus[i]);
	}
	/* Whoever reads this wants to know that it is whole. */
	fputs("end\n", out);
	if (fclose(out))
		fprintf(stderr, "audit: %s: %s\n", out_name, strerror(errno));
}

static bool one_of(const char *name, const char * const *names)
{
	for (; *names; names++) {
		if (!strcmp(name, *names))
			return true;
	}

	return false;
}

/* Lines of KIND ADDR START END NAME, or of "quiet" START END. */
static int read_points(const char *name)
{
	static const char * const paranoid[] = {
		"asm_exc_nmi", "asm_exc_machine_check", "asm_exc_debug", NULL
	};
	static const char * const of_iret[] = {
		"asm_exc_stack_segment", "asm_exc_segment_not_present",
		"asm_exc_general_protection", DOUBLE_FAULT, NULL
	};
	unsigned long long addr, start, end;
	char line[256], kind[32], symbol[MAX_NAME];
	FILE *file;

	file = fopen(name, "r");
	if (!file) {
		fprintf(stderr, "audit: points=%s: %s\n", name, strerror(errno));
		return -1;
	}

	/* The first one is for instructions that are no point. */
	nr_points = 1;
	while (fgets(line, sizeof(line), file)) {
		struct point *point = &points[nr_points];

		if (sscanf(line, "quiet %llx %llx", &start, &end) == 2 &&
		    nr_ranges < MAX_RANGES) {
			ranges[nr_ranges++] = (struct range) { start, end };
			continue;
		}
		if (sscanf(line, "%31s %llx %llx %llx %63s", kind, &addr, &start, &end,
			   symbol) != 5 || nr_points == MAX_POINTS)
			goto bad;
		for (point->kind = 1; point->kind < NR_POINT_KINDS; point->kind++) {
			if (!strcmp(kind, point_names[point->kind]))
				break;
		}
		if (point->kind == NR_POINT_KINDS)
			goto bad;
		point->addr = addr;
		point->start = start;
		point->end = end;
		strcpy(point->name, symbol);
		point->paranoid = one_of(symbol, paranoid);
		point->of_iret = one_of(symbol, of_iret);
		nr_points++;
	}
	fclose(file);

	return nr_points > 1 && nr_ranges ? 0 : -1;
bad:
	fprintf(stderr, "audit: points=%s: this line is wrong, or one too many: %s", name,
		line);
	fclose(file);
	return -1;
}

static int watch_cpus(const char *list)
{
	char *end;

	do {
		unsigned long nr = strtoul(list, &end, 10);

		if (end == list || nr >= MAX_CPUS || (*end && *end != ':'))
			return -1;
		cpus[nr].watched = true;
		for (unsigned int i = 0; i < MAX_DEPTH; i++)
			cpus[nr].levels[i].accesses =
				must(calloc(MAX_ACCESSES, sizeof(struct access)));
		list = end + 1;
	} while (*end);

	return 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
			char **argv)
{
	bool have_points = false, have_cpus = false;
	int i;

	if (QEMU_PLUGIN_VERSION < info->version.min || QEMU_PLUGIN_VERSION > info->version.cur ||
	    strcmp(info->target_name, "x86_64") || !info->system_emulation) {
		fprintf(stderr, "audit: built for x86_64 system emulation and plugin API %d, and this is %s and API %d to %d\n",
			QEMU_PLUGIN_VERSION, info->target_name, info->version.min,
			info->version.cur);
		return -1;
	}

	cpus = must(calloc(MAX_CPUS, sizeof(*cpus)));
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "points=", 7) && !read_points(argv[i] + 7)) {
			have_points = true;
		} else if (!strncmp(argv[i], "out=", 4)) {
			out_name = argv[i] + 4;
		} else if (!strncmp(argv[i], "cpus=", 5) && !watch_cpus(argv[i] + 5)) {
			have_cpus = true;
		} else if (!strncmp(argv[i], "dwell=", 6)) {
			dwell_us = strtoul(argv[i] + 6, NULL, 10);
		} else {
			fprintf(stderr, "audit: bad argument %s\n", argv[i]);
			return -1;
		}
	}
	if (!have_points || !have_cpus || !out_name) {
		fprintf(stderr, "audit: points=, cpus= and out= are needed\n");
		return -1;
	}

	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);

	return 0;
}
