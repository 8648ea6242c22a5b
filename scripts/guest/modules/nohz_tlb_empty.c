// SPDX-License-Identifier: GPL-2.0
/* A module that does nothing: loading and unloading it is the load. */
#include <linux/init.h>
#include <linux/module.h>

static int __init nohz_tlb_empty_init(void)
{
	return 0;
}

static void __exit nohz_tlb_empty_exit(void)
{
}

module_init(nohz_tlb_empty_init);
module_exit(nohz_tlb_empty_exit);
MODULE_DESCRIPTION("Empty module of the nohz_tlb lab");
MODULE_LICENSE("GPL");
