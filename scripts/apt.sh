# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Packages of another suite, from the mirror that this machine's own apt uses.
# Signatures are checked, and the system's apt settings and lists are not touched.
# Sourced after common.sh, never run.

# The mirror that this machine's own apt uses.
apt_mirror()
{
	# shellcheck disable=SC1091,SC2016 # $(REPO_URI) is apt's, not the shell's
	. /etc/os-release && apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' "Release: $VERSION_CODENAME" | sort -u | head -n 1
}

# apt_open DIR SUITE: asks the mirror for SUITE and keeps all that belongs to it in
# the folder DIR, which the caller removes.
apt_open()
{
	local dir=$1 suite=$2 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	chmod 755 "$dir"
	mkdir -p "$dir"/{lists,cache,get}/partial
	mirror=$(apt_mirror)
	[[ $mirror ]] || {
		msg "this machine's apt names no package mirror"
		return 1
	}
	echo "deb [signed-by=$keyring] $mirror $suite main" >"$dir/sources.list"
	# A mirror that stands still has Release files past their date. The
	# signature is still checked.
	apt_dir=$dir
	apt_opts=(
		-o "Dir::Etc::sourcelist=$dir/sources.list"
		-o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State::lists=$dir/lists"
		-o "Dir::Cache=$dir/cache"
		-o Acquire::Check-Valid-Until=false
		-o Acquire::Retries=2
		-o APT::Update::Error-Mode=any
		-o APT::Sandbox::User=
	)
	apt-get "${apt_opts[@]}" -qq update >"$dir/log" 2>&1 || {
		sed 's/^/    /' "$dir/log" >&2
		msg "the package mirror cannot be reached or its signature is wrong (see above)"
		return 1
	}
}

# apt_versions PACKAGE: the versions that the suite has, the newest first.
apt_versions()
{
	apt-cache "${apt_opts[@]}" madison "$1" | awk -F' *[|] *' '{ print $2 }'
}

# apt_download PACKAGE[=VERSION]...: leaves them in the folder get/ of the open one.
apt_download()
{
	local quiet=()

	[[ -t 2 ]] || quiet=(-qq)
	(cd "$apt_dir/get" && apt-get "${apt_opts[@]}" "${quiet[@]}" download "$@" >&2)
}
