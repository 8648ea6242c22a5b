# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts share: where things are, and how to speak and stop.
# Sourced, never run.

# A make above must not speak to the makes below.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

# A signal must take the EXIT trap too, which is where each script cleans up.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

msg()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	msg "error: $*"
	exit 1
}

# The usage text is the comment block that follows the SPDX line.
usage()
{
	sed -n '3,/^[^#]/{s/^# \{0,1\}//p}' "$0"
	exit "${1:-0}"
}

need_tools()
{
	local tool missing=

	for tool; do
		command -v "$tool" >/dev/null || missing+=" $tool"
	done
	[[ -z $missing ]] ||
		die "missing tool:$missing (make install says what to install)"
}

# need_space DIR MB: writing would fail half-way, so ask first.
need_space()
{
	local have

	have=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	((have >= $2)) ||
		die "the disk that holds $1 has $have MB free, and this needs $2 MB"
}

# with_libraries PROGRAM: it and the libraries that it needs, as SRC:DST for the guest.
with_libraries()
{
	local library

	echo "$(command -v "$1"):/bin/$1"
	while read -r library; do
		echo "$library:$library"
	done < <(ldd "$(command -v "$1")" | grep -o '/[^ ]*')
}

passed=0 failed=0 skipped=0
# result pass|fail|skip NAME [NOTE]: counts it, and says so in a line.
result()
{
	case $1 in
	pass) ((++passed)) ;;
	fail) ((++failed)) ;;
	skip) ((++skipped)) ;;
	*) die "$1 is no result" ;;
	esac
	printf '%sok %d - %s%s\n' "$([[ $1 != fail ]] || echo 'not ')" $((passed + failed + skipped)) "$2" \
		"${3:+ # $([[ $1 != skip ]] || echo 'SKIP ')$3}"
}

# tally LINE: adds "N passed, N failed, N skipped" to these counters. False when LINE is no
# such count.
tally()
{
	[[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || return 1
	((passed += BASH_REMATCH[1], failed += BASH_REMATCH[2], skipped += BASH_REMATCH[3])) || :
}

# Each base has its own tree, so that none is taken for another.
tree_name()
{
	local id

	if [[ ${KDIR-} ]]; then
		[[ -d $KDIR ]] || die "KDIR=$KDIR is not a folder"
		id=$(git --no-optional-locks -C "$KDIR" rev-parse --short=12 HEAD 2>/dev/null) ||
			id=copy
		printf 'linux-%s-%s' "$(basename "$(realpath "$KDIR")")" "$id"
	elif [[ ${TARBALL-} ]]; then
		[[ -f $TARBALL ]] || die "TARBALL=$TARBALL is not a file"
		id=$(basename "$TARBALL")
		id=${id%%.tar*} id=${id%.deb}
		printf 'linux-%s' "${id#linux-}"
	else
		case ${BASE:-pinned} in
		pinned) printf linux ;;
		newest) printf linux-newest ;;
		*) die "BASE=$BASE is neither pinned nor newest" ;;
		esac
	fi
}

# shellcheck disable=SC2034 # used by the scripts that source this
{
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scripts=$top/scripts
build=$top/build
logs=$build/logs
tree=$build/$(tree_name)
cache=${NOHZ_TLB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nohz_tlb}
}
