// SPDX-License-Identifier: GPL-2.0
/* mark NUMBER: what the plugin counts from here on belongs to this case, 0 to 3. */
#include <err.h>
#include <stdlib.h>

#include "mark.h"

#define MARK(number)							\
	asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0"		\
		     : : "i" (MARK_MAGIC + (number)) : "memory")

int main(int argc, char **argv)
{
	switch (argc == 2 ? atoi(argv[1]) : -1) {
	case 0: MARK(0); break;
	case 1: MARK(1); break;
	case 2: MARK(2); break;
	case 3: MARK(3); break;
	default: errx(2, "usage: mark 0|1|2|3");
	}
	return 0;
}
