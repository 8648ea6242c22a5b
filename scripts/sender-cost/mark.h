/* SPDX-License-Identifier: GPL-2.0 */
/* A nop with a number in it, by which the guest's program speaks to the plugin. */
#ifndef SENDER_COST_MARK_H
#define SENDER_COST_MARK_H

/* nopl MARK_MAGIC + number(%rax) */
#define MARK_MAGIC	0x4e5b0000u
#define MARK_MASK	0xffff0000u
#define MARK_SIZE	7

#endif /* SENDER_COST_MARK_H */
