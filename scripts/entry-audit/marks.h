/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest's program says to the plugin, by instructions that do nothing: a
 * nop with a number in it, in user mode.
 *
 * An entry that the CPU makes for the reason in its mark is counted under the
 * mark's name, because a plugin sees neither error codes nor registers. An entry
 * that comes in between for another reason is counted under its own.
 */
#ifndef ENTRY_AUDIT_MARKS_H
#define ENTRY_AUDIT_MARKS_H

/* The name of the type, and the entry point that an entry of this type uses. */
#define ENTRY_MARKS(X)						\
	X(syscall,		"entry_SYSCALL_64")		\
	X(rt_sigreturn,		"entry_SYSCALL_64")		\
	X(pf_read_missing,	"asm_exc_page_fault")		\
	X(pf_write_missing,	"asm_exc_page_fault")		\
	X(pf_read_protected,	"asm_exc_page_fault")		\
	X(pf_write_protected,	"asm_exc_page_fault")		\
	X(db_single_step,	"asm_exc_debug")		\
	X(db_breakpoint,	"asm_exc_debug")

enum entry_mark {
	MARK_NONE,
	/* From here on what the CPU does is recorded. */
	MARK_BEGIN,
	MARK_END,
	/* The plugin stays in a gap for a while, so that an NMI can hit it. */
	MARK_DWELL,
	/* In the one on the way out, each time. */
	MARK_DWELL_EXIT,
	MARK_HURRY,
	MARK_FIRST_TYPE,
	MARK_BEFORE_TYPES = MARK_FIRST_TYPE - 1,
#define ENTRY_MARK_ENUM(name, entry) MARK_##name,
	ENTRY_MARKS(ENTRY_MARK_ENUM)
	NR_MARKS
};

/* nopl MARK_MAGIC + mark(%rax) */
#define MARK_MAGIC	0x4e5a0000
#define MARK_SIZE	7

#define ENTRY_MARK(mark)						\
	asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0"		\
		     : : "i" (MARK_MAGIC + (mark)) : "memory")

#endif /* ENTRY_AUDIT_MARKS_H */
