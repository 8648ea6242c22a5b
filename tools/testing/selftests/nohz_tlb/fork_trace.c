// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: nothing can be hooked into the first way out of a new task, where it
 * would run behind the last change of the CPU's state.
 */
#include <ctype.h>

#include "nohz_tlb.h"

#define INSTANCE	TRACEFS "instances/nohz_tlb_fork/"
#define KPROBES		TRACEFS "kprobe_events"
#define BLACKLIST	DEBUGFS "kprobes/blacklist"
#define WAY_OUT		"ret_from_fork"
#define STUB		WAY_OUT "_asm"
/* An ordinary function that each new task calls before. */
#define NEIGHBOUR	"schedule_tail"
#define NR_TASKS	20

FIXTURE(fork_trace) {
	bool instance;
};

FIXTURE_SETUP(fork_trace)
{
	if (geteuid())
		SKIP(return, "This test sets up traces and needs root.");
	if (access(TRACEFS "trace", F_OK))
		SKIP(return, "There is no tracefs at /sys/kernel/tracing.");
}

FIXTURE_TEARDOWN(fork_trace)
{
	if (!self->instance)
		return;
	write_text(INSTANCE "current_tracer", "nop");
	rmdir(INSTANCE);
}

/* As write_text(), but without O_TRUNC, which empties these files first. */
static int append_text(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	ssize_t ret;
	int saved;
	int fd;

	fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0)
		return -1;

	ret = write(fd, text, len);
	saved = errno;
	close(fd);
	errno = saved;

	return ret == len ? 0 : -1;
}

/* How many lines of @path have @text as a word. */
static long count_lines(const char *path, const char *text)
{
	size_t len = strlen(text);
	char line[512];
	long nr = 0;
	FILE *file;
	char *cur;

	file = fopen(path, "r");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		for (cur = strstr(line, text); cur; cur = strstr(cur + 1, text)) {
			if ((cur == line || isspace(cur[-1])) && isspace(cur[len])) {
				nr++;
				break;
			}
		}
	}
	fclose(file);

	return nr;
}

/* Make tasks, each of which leaves the kernel once before it ends: how many did. */
static int make_tasks(void)
{
	int status, nr = 0;

	for (int i = 0; i < NR_TASKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		nr += pid > 0 && waitpid(pid, &status, 0) == pid && !status;
	}

	return nr;
}

/* The function graph tracer takes the same functions. */
TEST_F(fork_trace, is_no_traceable_function)
{
	static const char list[] = TRACEFS "available_filter_functions";

	if (access(list, F_OK))
		SKIP(return, "This kernel has no function tracer.");

	ASSERT_EQ(1, count_lines(list, NEIGHBOUR));
	EXPECT_EQ(0, count_lines(list, WAY_OUT));

	ASSERT_EQ(0, mkdir(INSTANCE, 0700));
	self->instance = true;
	ASSERT_EQ(0, write_text(INSTANCE "set_ftrace_filter", NEIGHBOUR));
	EXPECT_EQ(-1, append_text(INSTANCE "set_ftrace_filter", WAY_OUT));
	ASSERT_EQ(0, write_text(INSTANCE "current_tracer", "function"));
	ASSERT_EQ(NR_TASKS, make_tasks());

	TH_LOG("%d new tasks: %ld traces of " NEIGHBOUR ", %ld of " WAY_OUT, NR_TASKS,
	       count_lines(INSTANCE "trace", NEIGHBOUR),
	       count_lines(INSTANCE "trace", WAY_OUT));
	EXPECT_LE(NR_TASKS, count_lines(INSTANCE "trace", NEIGHBOUR));
	EXPECT_EQ(0, count_lines(INSTANCE "trace", WAY_OUT));
}

/* Set a probe, and remove it again: 0, or -1 with errno set. */
static int try_kprobe(const char *kind, const char *symbol)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:nohz_tlb/fork_trace %s", kind, symbol);
	if (append_text(KPROBES, text))
		return -1;

	return append_text(KPROBES, "-:nohz_tlb/fork_trace");
}

TEST_F(fork_trace, takes_no_probe)
{
	static const char * const kinds[] = { "p", "r" };
	static const char * const symbols[] = { WAY_OUT, STUB };

	if (access(KPROBES, F_OK))
		SKIP(return, "This kernel has no kprobe events.");

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, try_kprobe(kinds[i], NEIGHBOUR));
		for (size_t j = 0; j < ARRAY_SIZE(symbols); j++) {
			EXPECT_EQ(-1, try_kprobe(kinds[i], symbols[j])) {
				TH_LOG("%s takes a probe of kind %s", symbols[j], kinds[i]);
			}
			EXPECT_EQ(EINVAL, errno);
		}
	}
}

/* Probe events refuse what cannot be traced; a module that sets probes asks this list. */
TEST_F(fork_trace, is_on_the_blacklist)
{
	if (access(BLACKLIST, F_OK))
		SKIP(return, "The list of what takes no kprobe is not in debugfs.");

	EXPECT_EQ(1, count_lines(BLACKLIST, WAY_OUT));
	EXPECT_EQ(1, count_lines(BLACKLIST, STUB));
	EXPECT_EQ(0, count_lines(BLACKLIST, NEIGHBOUR));
}

TEST_HARNESS_MAIN
