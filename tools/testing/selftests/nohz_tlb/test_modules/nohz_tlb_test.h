/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What nohz_tlb_test.ko and the tests have to agree about. Included by both, so it
 * includes nothing itself.
 */
#ifndef __NOHZ_TLB_TEST_H
#define __NOHZ_TLB_TEST_H

/* Events at which a CPU reads the window, see the file event. */
enum test_event {
	EVENT_NONE,
	EVENT_PAGE_FAULT,
	EVENT_SIGNAL,
	EVENT_RESCHEDULE,
	EVENT_CALL,
	EVENT_TIMER,
	EVENT_NMI,
	EVENT_BREAKPOINT,
	EVENT_ENTRY,
	NR_EVENTS
};

/* Where the second of two numbers begins that are written as one. */
#define EVENT_CPU_SHIFT	4
#define SLOT_SHIFT	4
#define STORM_CPU_SHIFT	32

/* What the file nmi_word gets the address of. */
struct nmi_word {
	unsigned int go;
	unsigned int came;
};

/* The place of an area in the module area, see the file area_place. */
#define PLACE_IN_MODULES	1024

/* Ways to enter the kernel that the module brings about, see the file entry. */
enum test_entry {
	ENTRY_RESCHEDULE,
	ENTRY_CALL,
	ENTRY_TIMER,
	ENTRY_NMI,
};

#define ENTRY_CPU_SHIFT	4

#endif /* __NOHZ_TLB_TEST_H */
