// SPDX-License-Identifier: GPL-2.0
/* A task that stays in user mode. */
#include <err.h>
#include <sys/mman.h>

int main(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		err(1, "mlockall");
	for (;;)
		asm volatile("pause");
}
