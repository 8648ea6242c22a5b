// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: the boot parameter and the switch in debugfs take what they are
 * said to take and nothing else, and tell what is. The kernel log says what was
 * made of it at boot. Once flushes are not deferred any more, none is pending.
 */
#include "nohz_tlb.h"

#define PARAMETER	"nohz_tlb"
#define LOG_OFF		"nohz_tlb: off: "
#define NR_FLUSHES	100
#define NR_SWITCHES	20
#define NR_SWITCHES_LONG	500
#define NR_STORMS	2

FIXTURE(switching) {
	struct nohz_tlb lab;
};

FIXTURE_SETUP(switching)
{
	nohz_tlb_setup(&self->lab);
	if (self->lab.skip)
		SKIP(return, "%s", self->lab.skip);
	ASSERT_EQ(NULL, self->lab.failure) {
		TH_LOG("%s", self->lab.failure);
	}
}

FIXTURE_TEARDOWN(switching)
{
	nohz_tlb_teardown(&self->lab);
}

/* Whether the kernel has said @text since it was booted. */
static bool is_logged(const char *text)
{
	bool found = false;
	char record[8192];
	ssize_t len;
	int fd;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return false;

	do {
		len = read(fd, record, sizeof(record) - 1);
		if (len > 0) {
			record[len] = '\0';
			found = strstr(record, text);
		}
		/* EPIPE says that the record was overwritten, and the next one follows. */
	} while (!found && (len > 0 || (len < 0 && errno == EPIPE)));
	close(fd);

	return found;
}

/* The first word about the CPUs of this boot comes before all that is looked for. */
static bool log_is_complete(void)
{
	return is_logged("Linux version ");
}

/* Whether all CPUs are tracked, as if each were in nohz_full=. The module knows. */
static bool all_are_tracked(void)
{
	bool all;

	if (module_load(TEST_MODULE, ""))
		return false;
	all = read_number(MODULE_DIR "tracks_all") == 1;
	module_unload(TEST_MODULE);

	return all;
}

/* The value that the boot parameter was given last: false if there is none. */
static bool boot_parameter(char *value, size_t size)
{
	char line[4096] = "";
	bool found = false;
	FILE *file;

	file = fopen("/proc/cmdline", "r");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);

	for (char *word = strtok(line, "\n "); word; word = strtok(NULL, "\n ")) {
		if (!strcmp(word, "--"))
			break;
		if (strncmp(word, PARAMETER, strlen(PARAMETER)))
			continue;
		word += strlen(PARAMETER);
		if (*word && *word != '=')
			continue;
		snprintf(value, size, "%s", *word ? word + 1 : "");
		found = true;
	}

	return found;
}

TEST_F_TIMEOUT(switching, values, TEST_TIMEOUT_S)
{
	static const char * const bad[] = { "2", "maybe", "-1" };
	static const char * const off[] = { "0", "n", "off" };
	static const char * const on[] = { "1", "y", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		EXPECT_EQ(0, write_text(SWITCH_FILE, off[i]));
		EXPECT_EQ(0, read_number(SWITCH_FILE));
		EXPECT_EQ(0, write_text(SWITCH_FILE, on[i]));
		EXPECT_EQ(1, read_number(SWITCH_FILE));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, write_text(SWITCH_FILE, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(1, read_number(SWITCH_FILE));
	}
}

TEST_F_TIMEOUT(switching, boot_parameter, TEST_TIMEOUT_S)
{
	char value[256] = "on", warning[512];
	bool given, was_off;

	if (!log_is_complete())
		SKIP(return, "The kernel log does not go back to the boot any more.");

	given = boot_parameter(value, sizeof(value));
	was_off = is_logged(LOG_OFF "nohz_tlb=off on the command line");
	TH_LOG("boot parameter: %s%s, at boot it was %s", given ? PARAMETER "=" : "none",
	       given ? value : "", was_off ? "off" : "on");
	EXPECT_EQ(!strcmp(value, "off"), was_off);

	snprintf(warning, sizeof(warning),
		 "nohz_tlb: nohz_tlb=%s is neither on nor off, using the default: on", value);
	EXPECT_EQ(strcmp(value, "on") && strcmp(value, "off"), is_logged(warning));
}

/*
 * Where static keys are code that is patched, the patching interrupts all CPUs
 * before the drain looks at them. So it is left open which of the two interrupts
 * made a CPU flush.
 */
TEST_F_TIMEOUT(switching, off_leaves_nothing_pending, TEST_TIMEOUT_S)
{
	long flushed[MAX_SPINNERS], drained[MAX_SPINNERS], deferred[MAX_SPINNERS];
	long pending;

	for (int i = 0; i < self->lab.nr_spinners; i++) {
		flushed[i] = cpu_stat(self->lab.spinners[i].cpu, "flushed");
		drained[i] = cpu_stat(self->lab.spinners[i].cpu, "drained");
	}
	ASSERT_EQ(0, spinners_leave_flush(&self->lab));
	ASSERT_EQ(0, write_text(SWITCH_FILE, "0"));
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		flushed[i] = cpu_stat(self->lab.spinners[i].cpu, "flushed") - flushed[i];
		drained[i] = cpu_stat(self->lab.spinners[i].cpu, "drained") - drained[i];
		deferred[i] = cpu_stat(self->lab.spinners[i].cpu, "deferred");
	}
	pending = count_pending(&self->lab);
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_FLUSHES));

	TH_LOG("%ld CPUs with a flush pending", pending);
	EXPECT_EQ(0, pending);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		int cpu = self->lab.spinners[i].cpu;

		deferred[i] = cpu_stat(cpu, "deferred") - deferred[i];
		TH_LOG("cpu %d: %ld flushes, %ld drains, %ld more deferred", cpu,
		       flushed[i], drained[i], deferred[i]);
		EXPECT_GE(flushed[i], 1);
		EXPECT_EQ(0, deferred[i]);
	}
}

/* Wait until one more flush was left to @cpu. */
static int wait_deferred(int cpu)
{
	long deadline = now_ms() + DEADLINE_MS;
	long before = cpu_stat(cpu, "deferred");

	while (cpu_stat(cpu, "deferred") == before) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

/* Switch on, and off again: how many CPUs have a flush pending then, or -1. */
static long switch_on_and_off(struct nohz_tlb *lab)
{
	if (write_text(SWITCH_FILE, "1") || wait_deferred(lab->spinners[0].cpu) ||
	    write_text(SWITCH_FILE, "0"))
		return -1;

	return count_pending(lab);
}

/* The same while others are in the middle of a flush. */
TEST_F_TIMEOUT(switching, off_waits_for_flushes, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_SWITCHES, NR_SWITCHES_LONG);
	pid_t storms[NR_STORMS];
	long pending, sum = 0;

	for (int i = 0; i < NR_STORMS; i++)
		storms[i] = storm_start(i, LONG_MAX);
	for (long round = 0; round < nr; round++) {
		pending = switch_on_and_off(&self->lab);
		if (pending < 0)
			break;
		sum += pending;
	}
	for (int i = 0; i < NR_STORMS; i++)
		EXPECT_EQ(0, storm_stop(storms[i]));
	ASSERT_GE(pending, 0);

	TH_LOG("switched off %ld times, %ld CPUs with a flush pending", nr, sum);
	EXPECT_EQ(0, sum);
}

/* Whatever this machine has, the log, the switch and the file of CPUs agree. */
TEST(availability)
{
	char value[256] = "on", message[512], list[256] = "";
	bool obstacle;
	FILE *file;
	long state;

	if (geteuid())
		SKIP(return, "The switch can be read and written by root only.");
	if (access(SWITCH_FILE, F_OK))
		SKIP(return, "x86/nohz_tlb is missing: no CONFIG_NO_HZ_FULL_TLB, or no debugfs.");
	if (read_number(SWITCH_FILE) < 0)
		SKIP(return, "x86/nohz_tlb cannot be read, as with kernel lockdown.");
	if (!log_is_complete())
		SKIP(return, "The kernel log does not go back to the boot any more.");

	file = fopen(all_are_tracked() ? "/sys/devices/system/cpu/possible" :
					 "/sys/devices/system/cpu/nohz_full", "r");
	ASSERT_NE(NULL, file);
	if (fgets(list, sizeof(list), file))
		list[strcspn(list, "\n")] = '\0';
	fclose(file);

	/* These two are looked for before the CPUs. */
	obstacle = is_logged(LOG_OFF "Xen PV guests") || is_logged(LOG_OFF "INVLPGB");
	boot_parameter(value, sizeof(value));
	if (!list[0])
		snprintf(message, sizeof(message), LOG_OFF "there is no CPU in nohz_full=");
	else if (!strcmp(value, "off"))
		snprintf(message, sizeof(message), LOG_OFF "nohz_tlb=off on the command line");
	else
		snprintf(message, sizeof(message),
			 "nohz_tlb: on: kernel TLB flushes of CPUs %s in user mode are deferred",
			 list);
	if (!obstacle)
		EXPECT_TRUE(is_logged(message));

	state = read_number(SWITCH_FILE);
	TH_LOG("CPUs that may defer: %s, switch: %ld", list[0] ? list : "none", state);
	if (obstacle || !list[0]) {
		EXPECT_EQ(0, state);
		EXPECT_EQ(-1, write_text(SWITCH_FILE, "1"));
		EXPECT_EQ(EOPNOTSUPP, errno);
		EXPECT_EQ(0, read_number(SWITCH_FILE));
		EXPECT_EQ(0, write_text(SWITCH_FILE, "0"));
		EXPECT_EQ(0, read_number(SWITCH_FILE));
	} else {
		EXPECT_EQ(0, write_text(SWITCH_FILE, "1"));
		EXPECT_EQ(1, read_number(SWITCH_FILE));
		EXPECT_EQ(0, write_number(SWITCH_FILE, state));
	}
}

TEST_HARNESS_MAIN
