# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # common.sh has set these
# From patches to commits and back, the same way for everybody who needs it.
# Sourced after common.sh, never run.

# The lab's own git commands must give the same bytes on every machine.
lab_git()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null \
	GIT_AUTHOR_NAME='nohz_tlb lab' GIT_AUTHOR_EMAIL=lab@nohz-tlb.invalid \
	GIT_COMMITTER_NAME='nohz_tlb lab' GIT_COMMITTER_EMAIL=lab@nohz-tlb.invalid \
	GIT_AUTHOR_DATE='2026-11-15T00:00:00Z' GIT_COMMITTER_DATE='2026-11-15T00:00:00Z' \
		git -c core.hooksPath=/dev/null -c gc.auto=0 -c safe.directory='*' \
		-c advice.detachedHead=false "$@"
}

# empty_clone REPO WORK COMMIT: a clone of no files whose index is COMMIT. Git
# takes a file that a patch touches from the index, so this costs next to
# nothing and disturbs no working tree. The attributes decide how diffs look.
empty_clone()
{
	lab_git clone -q --shared --no-checkout --no-tags "$1" "$2"
	lab_git -C "$2" update-ref --no-deref HEAD "$3"
	lab_git -C "$2" read-tree HEAD
	lab_git -C "$2" ls-files -z .gitattributes '*/.gitattributes' |
		lab_git -C "$2" checkout-index -z --stdin
}

# header PATCH KEY: what a mutation says in the lines before its diff.
header()
{
	sed -n "/^diff --git/q; s/^$2: //p" "$1"
}

# What is wrong, in one sentence, from what git said about a patch.
why_not()
{
	local files

	files=$(sed -n 's/^error: \(.*\): \(patch does not apply\|does not exist in index\|already exists in index\)$/\1/p' \
		<<<"$2" | sort -u | paste -sd' ')
	printf '%s does not apply%s (%s)' "${1#"$top/"}" "${files:+ to $files}" \
		"$(grep -m1 -E '^(error|fatal): ' <<<"$2" || tail -n 1 <<<"$2")"
}

# apply_series WORK PATCH...: commits the patches on top of WORK's HEAD.
apply_series()
{
	local work=$1 patch err

	shift
	for patch; do
		err=$(lab_git -C "$work" am -q --no-3way --keep-non-patch \
			--committer-date-is-author-date "$patch" 2>&1) ||
			die "$(why_not "$patch" "$err")"
	done
}

# render_series REPO COMMIT OUT: writes OUT/patches, OUT/Documentation and
# OUT/tools as they belong to the commits base..COMMIT.
render_series()
{
	local repo=$1 commit=$2 out=$3 patch file

	mkdir -p "$out/patches" "$out/Documentation" "$out/tools"
	lab_git -C "$repo" format-patch -q --no-numbered --zero-commit \
		--no-signature --subject-prefix=PATCH --abbrev=12 --no-base \
		--no-cover-letter --no-renames --diff-algorithm=myers \
		--no-attach --no-thread --no-notes \
		-o "$out/patches" "base..$commit"
	for patch in "$out"/patches/*.patch; do
		[[ ! -e $patch ]] || basename "$patch"
	done >"$out/patches/series"
	lab_git -C "$repo" diff -z --name-only --no-renames --diff-filter=A \
		base "$commit" -- Documentation tools |
		while IFS= read -r -d '' file; do
			mkdir -p "$out/$(dirname "$file")"
			lab_git -C "$repo" show "$commit:$file" >"$out/$file"
			[[ $(lab_git -C "$repo" ls-tree "$commit" -- "$file") != 100755* ]] ||
				chmod +x "$out/$file"
		done
	# What is empty does not exist for git, so it must not exist here.
	[[ -s $out/patches/series ]] || rm "$out/patches/series"
	rmdir --ignore-fail-on-non-empty "$out/patches" "$out/Documentation" "$out/tools"
}

# same_patches RENDERED: the patches of the checkout are what was rendered.
same_patches()
{
	[[ ! -e $top/patches && ! -e $1/patches ]] ||
		diff -rq -x parts -x 'cover-letter*' "$top/patches" "$1/patches" 2>&1
}

# same_added RENDERED: what the series adds to Documentation and tools is in the checkout,
# which may hold more there.
same_added()
{
	local file status=0

	while IFS= read -r file; do
		cmp -s "$1/$file" "$top/$file" ||
			{ echo "$file is missing, or not what the series adds"; status=1; }
	done < <(cd "$1" && find . -path './Documentation/*' -type f -o -path './tools/*' -type f | cut -c 3-)
	return $status
}

# repository_only FILE: it is below Documentation or tools and not from the series, as
# scripts/repository-only says.
repository_only()
{
	local pattern

	while read -r pattern; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ ! $pattern || $pattern == \#* || $1 != $pattern ]] || return 0
	done <"$scripts/repository-only"
	return 1
}

# read_parts DIR: what DIR/parts says: the names in parts, the numbers of the patches in
# part_first and part_last, and in part_on the parts that one stands on, and theirs. All that
# is wrong with it or with the cover letters is in parts_wrong.
read_parts()
{
	local files=("$1"/*.patch) name first last bases text base all next=1 letter

	parts_dir=$1 parts=() parts_wrong=()
	declare -gA part_first=() part_last=() part_on=()
	[[ -e ${files[0]-} ]] || files=()
	if [[ ! -f $1/parts ]]; then
		((!${#files[@]})) || parts_wrong=("there is no patches/parts")
		return
	fi
	while read -r name first last bases text; do
		[[ $name && $name != \#* ]] || continue
		[[ $name =~ ^[a-z][a-z0-9-]*$ && $first =~ ^[1-9][0-9]*$ && $last =~ ^[1-9][0-9]*$ && $text ]] || {
			parts_wrong+=("this line is not NAME FIRST LAST BASE TEXT: $name $first $last $bases $text")
			continue
		}
		[[ ! ${part_first[$name]-} ]] || parts_wrong+=("there are two parts $name")
		((first == next)) || parts_wrong+=("part $name begins with patch $first, where $next is next")
		((first <= last)) || parts_wrong+=("part $name ends with patch $last, and begins with $first")
		((last < first + 10)) || parts_wrong+=("part $name has $((last - first + 1)) patches, and may have 10")
		[[ -s $1/cover-letter.$name ]] || parts_wrong+=("part $name has no patches/cover-letter.$name")
		[[ $bases != - ]] || bases=''
		all=' '
		for base in ${bases//,/ }; do
			[[ ${part_first[$base]-} ]] || parts_wrong+=("part $name stands on $base, which is no part before it")
			all+="${part_on[$base]-} $base "
		done
		part_on[$name]=''
		for base in "${parts[@]}"; do
			[[ $all != *" $base "* ]] || part_on[$name]+="${part_on[$name]:+ }$base"
		done
		parts+=("$name")
		part_first[$name]=$first part_last[$name]=$last
		next=$((last + 1))
	done <"$1/parts"
	((next == ${#files[@]} + 1)) ||
		parts_wrong+=("the last part ends with patch $((next - 1)), and the series has ${#files[@]}")
	for letter in "$1"/cover-letter*; do
		name=${letter##*/cover-letter.}
		[[ ! -e $letter || ${part_first[${name:-/}]-} ]] ||
			parts_wrong+=("there is no part for patches/${letter##*/}")
	done
}

# good_parts DIR [WHAT]: the same, and what is wrong ends this.
good_parts()
{
	read_parts "$1"
	((!${#parts_wrong[@]})) || die "${2-}${2:+: }${parts_wrong[0]}"
}

# need_part NAME [WHAT]: what was read has it.
need_part()
{
	[[ ${part_first[$1]-} ]] || die "${2:-patches/parts} has no part $1 (it has ${parts[*]})"
}

# part_patches NAME...: their files.
part_patches()
{
	local files=("$parts_dir"/*.patch) name

	for name; do
		printf '%s\n' "${files[@]:part_first[$name] - 1:part_last[$name] - part_first[$name] + 1}"
	done
}

# base_and NAME: what it stands on, in words.
base_and()
{
	printf 'the base%s' "${part_on[$1]:+ and ${part_on[$1]// /, }}"
}

hash_patches()
{
	local patch

	for patch in "$top"/patches/*.patch; do
		[[ ! -e $patch ]] || printf '%s %s\n' "${patch##*/}" "$(sha256sum <"$patch")"
	done
}

# mark_synced TREE: its HEAD is what patches/ holds.
mark_synced()
{
	lab_git -C "$1" update-ref refs/nohz_tlb/synced HEAD
	hash_patches >"$1/.git/nohz_tlb_patches"
}

# other_tree_at NAME COMMIT: build/NAME is a clone of build/linux at COMMIT. Only files that
# differ are touched.
other_tree_at()
{
	local dir=$build/$1 commit lock

	# One at a time: the lock ends with this process.
	if [[ ${locked_trees-} != *" $1 "* ]]; then
		exec {lock}>"$dir.lock"
		flock -n "$lock" || die "another run uses $dir; wait for it"
		locked_trees+=" $1 "
	fi
	commit=$(lab_git -C "$build/linux" rev-parse "$2")
	if [[ ! -d $dir ]]; then
		need_space "$build" 3500
		rm -rf "$dir.part"
		lab_git clone -q --shared --no-checkout --no-tags "$build/linux" "$dir.part"
		mv "$dir.part" "$dir"
	fi
	{
		lab_git -C "$dir" fetch -q "$build/linux" "$commit" &&
		lab_git -C "$dir" checkout -q -f --detach "$commit" &&
		lab_git -C "$dir" tag -f base "$(lab_git -C "$build/linux" rev-parse base)" >/dev/null
	} || die "$dir cannot be brought to $2 of build/linux; remove it"
}

# other_tree NAME COMMIT [ARGUMENT...]: the same, and built by scripts/build with the
# arguments.
other_tree()
{
	local name=$1

	other_tree_at "$name" "$2"
	shift 2
	"$scripts/build" --tree "$build/$name" "$@"
}
