// SPDX-License-Identifier: GPL-2.0-only
/*
 * The promise: the boot parameters and the files in debugfs take what they are
 * said to take and nothing else, and tell what is. The kernel log says what was
 * made of it at boot. Once flushes are not left to CPUs any more, none is pending and
 * no address waits for one.
 */
#include <ctype.h>

#include "nohz_tlb.h"

#define PARAMETER	"nohz_tlb"
#define WAIT_PARAMETER	"nohz_tlb_wait"
#define LOG_OFF		"nohz_tlb: off: "
#define NR_FLUSHES	100
#define NR_SWITCHES	20
#define NR_SWITCHES_LONG	500
/* How many purges a storm makes with one write. */
#define NR_STORM_PURGES	100

#define KB	(1L << 10)
#define MB	(1L << 20)
#define GB	(1L << 30)

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

/* The value that the boot parameter @name was given last: false if there is none. */
static bool boot_parameter(const char *name, char *value, size_t size)
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
		if (strncmp(word, name, strlen(name)))
			continue;
		word += strlen(name);
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

	given = boot_parameter(PARAMETER, value, sizeof(value));
	was_off = is_logged(LOG_OFF "nohz_tlb=off on the command line");
	TH_LOG("boot parameter: %s%s, at boot it was %s", given ? PARAMETER "=" : "none",
	       given ? value : "", was_off ? "off" : "on");
	EXPECT_EQ(!strcmp(value, "off"), was_off);

	snprintf(warning, sizeof(warning),
		 "nohz_tlb: nohz_tlb=%s is neither on nor off, using the default: on", value);
	EXPECT_EQ(strcmp(value, "on") && strcmp(value, "off"), is_logged(warning));
}

/* What the file takes, and what it makes of that. */
TEST_F_TIMEOUT(switching, wait_values, TEST_TIMEOUT_S)
{
	static const char * const bad[] = {
		"", "0", "many", "-1", "1 M", "4095", "1E", "1Mb",
	};
	static const struct {
		const char *text;
		long size;
	} good[] = {
		{ "4096", 4 * KB }, { "64k", 64 * KB }, { "1M", MB }, { "4G", 4 * GB },
		{ "0x200000", 2 * MB }, { " 1G\n", GB }, { "8191", 4 * KB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, write_text(WAIT_FILE, good[i].text));
		EXPECT_EQ(good[i].size, read_number(WAIT_FILE));
	}
	ASSERT_EQ(0, write_text(WAIT_FILE, "4G"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, write_text(WAIT_FILE, bad[i])) {
			TH_LOG("it takes '%s'", bad[i]);
		}
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(4 * GB, read_number(WAIT_FILE));
	}
}

/* A size as the kernel reads it: -1 if it is none. */
static long parse_size(const char *text)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	char *end;
	long size;

	size = strtol(text, &end, 0);
	unit = *end ? strchr(units, toupper(*end)) : NULL;
	if (unit) {
		size <<= 10 * (unit - units + 1);
		end++;
	}

	return end == text || *end ? -1 : size;
}

/* What the file said before the set-up of this test changed it. */
static long wait_at_start(struct nohz_tlb *lab)
{
	const struct undo *undo = lab->undo;

	for (unsigned int i = 0; i < undo->nr; i++) {
		if (!strcmp(undo->entries[i].path, WAIT_FILE))
			return strtol(undo->entries[i].text, NULL, 10);
	}

	return -1;
}

/* The default is a multiple of what the kernel frees lazily, which goes by CPUs. */
static long default_wait(void)
{
	long purges = read_number(MODULE_DIR "kasan_vmalloc") == 1 ? 8 : 64;
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int log = 0;

	for (; nr_cpus; nr_cpus >>= 1)
		log++;

	return purges * log * 32 * MB;
}

TEST_F_TIMEOUT(switching, wait_parameter, TEST_TIMEOUT_S)
{
	char value[256] = "", warning[512];
	long page_size = sysconf(_SC_PAGESIZE);
	long size, expected, vmalloc;
	bool given, bad;

	if (!log_is_complete())
		SKIP(return, "The kernel log does not go back to the boot any more.");

	/* No file says what the vmalloc area has. It takes nothing larger than that. */
	for (vmalloc = 1024 * GB; !write_number(WAIT_FILE, vmalloc); vmalloc *= 2)
		;
	given = boot_parameter(WAIT_PARAMETER, value, sizeof(value));
	size = parse_size(value);
	bad = given && (size < page_size || size >= vmalloc);
	expected = given && !bad ? size / page_size * page_size : default_wait();
	TH_LOG("boot parameter: %s%s, after the boot %ld bytes may wait",
	       given ? WAIT_PARAMETER "=" : "none", value, wait_at_start(&self->lab));
	EXPECT_EQ(expected, wait_at_start(&self->lab));

	snprintf(warning, sizeof(warning),
		 "nohz_tlb: " WAIT_PARAMETER "=%s is no size that the vmalloc area has room for, "
		 "using the default", value);
	EXPECT_EQ(bad, is_logged(warning));
}

/*
 * Where static keys are code that is patched, the patching interrupts all CPUs
 * before the drain looks at them. So it is left open which of the two interrupts
 * made a CPU flush.
 */
TEST_F_TIMEOUT(switching, off_leaves_nothing_pending, TEST_TIMEOUT_S)
{
	long flushed[MAX_SPINNERS], left[MAX_SPINNERS];
	long waited, waiting, pending;

	for (int i = 0; i < self->lab.nr_spinners; i++)
		flushed[i] = cpu_flushed(self->lab.spinners[i].cpu);
	ASSERT_EQ(0, spinners_leave_flush(&self->lab, MODULE_DIR "purge"));
	waited = vm_event("nr_vmap_waiting");
	ASSERT_EQ(0, write_text(SWITCH_FILE, "0"));
	waiting = vm_event("nr_vmap_waiting");
	pending = count_pending(&self->lab);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		flushed[i] = cpu_flushed(self->lab.spinners[i].cpu) - flushed[i];
		left[i] = cpu_left(self->lab.spinners[i].cpu);
	}
	ASSERT_EQ(0, write_number(MODULE_DIR "flush", NR_FLUSHES));

	TH_LOG("%ld CPUs with a flush pending, %ld pages waited, %ld still do", pending,
	       waited, waiting);
	EXPECT_EQ(0, pending);
	EXPECT_GT(waited, 0);
	EXPECT_EQ(0, waiting);
	for (int i = 0; i < self->lab.nr_spinners; i++) {
		int cpu = self->lab.spinners[i].cpu;

		left[i] = cpu_left(cpu) - left[i];
		TH_LOG("cpu %d: %ld flushes, %ld more deferred", cpu, flushed[i], left[i]);
		EXPECT_GE(flushed[i], 1);
		EXPECT_EQ(0, left[i]);
	}
}

/* Wait until one more flush was left to @cpu. */
static int wait_left(int cpu)
{
	long deadline = now_ms() + DEADLINE_MS;
	long before = cpu_left(cpu);

	while (cpu_left(cpu) == before) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}

	return 0;
}

/* The same while others are in the middle of a purge, or of a flush of their own. */
TEST_F_TIMEOUT(switching, off_waits_for_flushes, rounds(TEST_TIMEOUT_S, LONG_TIMEOUT_S))
{
	long nr = rounds(NR_SWITCHES, NR_SWITCHES_LONG);
	long waiting = 0, pending = 0;
	pid_t storms[2];
	long round;

	storms[0] = storm_write(MODULE_DIR "purge", NR_STORM_PURGES, LONG_MAX);
	storms[1] = storm_start(0, LONG_MAX);
	for (round = 0; round < nr; round++) {
		if (write_text(SWITCH_FILE, "1") || wait_left(self->lab.spinners[0].cpu) ||
		    write_text(SWITCH_FILE, "0"))
			break;
		waiting += vm_event("nr_vmap_waiting");
		pending += count_pending(&self->lab);
	}
	EXPECT_EQ(0, storm_stop(storms[0]));
	EXPECT_EQ(0, storm_stop(storms[1]));
	ASSERT_EQ(nr, round);

	TH_LOG("switched off %ld times, %ld CPUs with a flush pending, %ld pages waiting", nr,
	       pending, waiting);
	EXPECT_EQ(0, pending);
	EXPECT_EQ(0, waiting);
}

/* Whatever this machine has, the log, the switch and the file of CPUs agree. */
TEST(availability)
{
	char value[256] = "on", message[512], list[256] = "";
	struct nohz_tlb lab = { };
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
	boot_parameter(PARAMETER, value, sizeof(value));
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

	/* Where it is undone what the test before this one did. */
	ASSERT_EQ(0, guard_start(&lab));
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
		EXPECT_EQ(0, change_number(&lab, SWITCH_FILE, 1));
		EXPECT_EQ(1, read_number(SWITCH_FILE));
	}
	guard_end(&lab);
}

TEST_HARNESS_MAIN
