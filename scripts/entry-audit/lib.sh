# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # common.sh has set these
# What scripts/audit, scripts/cost and scripts/sender share: plugins, the guest's
# programs, a boot with both. Sourced after common.sh, never run.

entry_audit=$scripts/entry-audit

# The version of the plugin interface that the installed QEMU has.
plugin_api()
{
	local said major minor

	said=$(qemu-system-x86_64 --version | head -n 1)
	[[ $said =~ version\ ([0-9]+)\.([0-9]+) ]] || die "this is no version of QEMU: $said"
	major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
	if ((major > 9 || (major == 9 && minor >= 2))); then
		echo 4
	elif ((major == 9)); then
		echo $((minor + 2))
	elif ((major >= 5)); then
		echo 1
	else
		die "QEMU $major.$minor is too old for plugins that see memory accesses"
	fi
}

# build_plugin SOURCE OUT
build_plugin()
{
	gcc -O2 -Wall -Wextra -Werror -shared -fPIC "-DQEMU_PLUGIN_VERSION=$(plugin_api)" -I "$entry_audit" \
		-o "$2" "$1" 2>"$logs/entry-audit.log" ||
		die "the plugin does not compile: $(grep -m1 error "$logs/entry-audit.log")"
}

# build_program TREE DIR: DIR/entries, which shares the spinners of TREE's kselftests, or of
# those here, where TREE has none.
build_program()
{
	local selftests=$1/tools/testing/selftests ours=$1/tools/testing/selftests/nohz_tlb

	[[ -f $ours/nohz_tlb.h ]] || ours=$top/tools/testing/selftests/nohz_tlb
	gcc -static -O2 -Wall -Werror -Wno-unused-function -pthread -D_GNU_SOURCE \
		-I "$entry_audit" -I "$selftests" -I "$ours" -o "$2/entries" \
		"$entry_audit/guest/entries.c" 2>"$logs/entry-audit.log" ||
		die "entries.c does not compile: $(grep -m1 error "$logs/entry-audit.log")"
}

# build_modules TREE FOLDER DIR: the modules that FOLDER has the source of, in DIR.
build_modules()
{
	make -C "$1" ARCH=x86 CC=gcc KCFLAGS=-Werror M="$2" MO="$3/module" modules \
		>"$logs/entry-audit.log" 2>&1 ||
		die "the modules in $2 do not build: $(grep -m1 -E 'error|\*\*\*' "$logs/entry-audit.log") (log: $logs/entry-audit.log)"
	mv "$3"/module/*.ko "$3/"
	rm -rf "$3/module"
}

# boot_watched TREE DIR NAME PARAMETERS TIMEOUT PLUGIN[,OPTION...]: boots TREE's kernel and
# DIR/image with the plugin DIR/PLUGIN, which reads DIR/points. What the plugin saw is in
# $logs/NAME.raw, what the guest said in NAME.out and NAME.console beside it.
boot_watched()
{
	local tree=$1 dir=$2 name=$3 why status=0

	rm -f "$logs/$name.raw"
	"$scripts/boot" --kernel "$tree/arch/x86/boot/bzImage" --initrd "$dir/image" \
		--append "$4" --timeout "$5" \
		--plugin "$dir/$6,points=$dir/points,out=$logs/$name.raw" \
		--log "$logs/$name.console" --out "$logs/$name.out" || status=$?
	((!status)) || {
		why=$(sed -n 's/^@error //p' "$logs/$name.out" "$logs/$name.out.part" 2>/dev/null) || :
		die "${why:-the guest failed} (console: $logs/$name.console)"
	}
	grep -q '^@done' "$logs/$name.out" || die "the guest did not end its report"
	[[ $(tail -n 1 "$logs/$name.raw" 2>/dev/null) == end ]] ||
		die "the plugin did not end its report"
}

# run_guest TREE DIR NAME PARAMETERS MODE CPUS [ARGUMENT...]: boots TREE's kernel with the
# plugin watching CPUS, a word for each, and runs /run/entries MODE CPU ... for each, see
# boot_watched. DIR has the plugin, the program, the module and the points; $test_module is
# the module that asks for flushes.
run_guest()
{
	local tree=$1 dir=$2 name=$3 parameters=$4 mode=$5 cpus=$6 add
	local image=(--job "$dir/job")

	shift 6
	{
		echo "set -- $mode '$cpus' $*"
		cat "$entry_audit/guest/job"
	} >"$dir/job"
	for add in "$dir/entries" "$dir/nohz_tlb_entry.ko"; do
		image+=(--add "$add:/run/${add##*/}")
	done
	[[ $mode == cost ]] ||
		image+=(--add "$test_module:/run/${test_module##*/}")
	"$scripts/image" --out "$dir/image" "${image[@]}"
	boot_watched "$tree" "$dir" "$name" "$parameters" 3600 "audit.so,cpus=${cpus// /:}"
	[[ ! $parameters =~ pti=(on|off) ]] || grep -q "^@pti ${BASH_REMATCH[1]}" "$logs/$name.out" ||
		die "PTI is not ${BASH_REMATCH[1]} in the guest"
}
