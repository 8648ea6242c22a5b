# SPDX-License-Identifier: GPL-2.0
# `make` alone prints what there is.

# Not every shell expands ~ in the middle of a word.
$(foreach file,KDIR TARBALL CONFIG,$(if $($(file)),$(eval override export $(file) := $(patsubst ~/%,$(HOME)/%,$($(file))))))

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1|/p' Makefile | column -t -s '|'

install:	## install what is missing (as root; else prints the command)
	@scripts/install

tree: install	## base and series as git commits in build/linux, to edit
	@scripts/tree

export:		## write patches/, Documentation/ and tools/ from build/linux
	@scripts/export

build: tree	## configure and build the kernel and the kselftests
	@scripts/build

run: build	## boot it and compare the feature off and on: table and picture
	@scripts/run

check: tree	## what needs no boot: applies, exports unchanged, checkpatch, shellcheck
	@scripts/check

litmus: tree	## the litmus tests of the series under herd7 and the tree's memory model
	@scripts/litmus $(NAME)

model: tree	## explore the protocol's model with Spin, break it and see it fail
	@scripts/model $(MODEL)

test:		## everything: check, build, boots with PTI off and on, kselftests
	@scripts/test

test-full:	## debug kernels, torture, other people's tests, builds: what TESTED.md lacks
	@scripts/full $(STAGE)

instructions: build	## what the entry costs with nothing pending: objdump, base and series
	@scripts/instructions

audit: build	## what is touched between an entry and the flush: tables and picture
	@scripts/audit $(AUDIT)

cost: build	## exact instructions of an entry, base and series: table
	@scripts/cost $(COST)

sender: build	## exact instructions of a purge's flush for its sender, 1 to 62 CPUs: table
	@scripts/sender $(SENDER)

apply:		## apply the series to the git tree in KDIR=, on a branch of its own (PART= for one part)
	@scripts/apply

deb: tree	## Debian packages of the kernel in build/deb (CONFIG= to start from another)
	@scripts/deb

rebase:		## bring the series to another release (BASE=newest, TARBALL= or KDIR=)
	@scripts/rebase

series: tree	## each part as mail in build/mail (PART= SIGNOFF=1 VERSION= PREVIOUS= REPOSITORY=)
	@scripts/mail

bench: build	## what the series changes and costs, base, off and on: report, table, pictures
	@scripts/bench $(BENCH)

bench-host:	## time and cycles on this machine, which runs a kernel with the series (as root)
	@scripts/bench-host $(BENCH)

mutate: build	## break one thing at a time (NAME=... for one) and see a test fail
	@scripts/mutate $(NAME)

clean:		## remove build/ except the kernel tree
	@scripts/clean

distclean:	## remove build/ (work that was not exported stops it) and the cache
	@scripts/clean --all

.PHONY: help install tree export apply deb rebase series build run check litmus model test test-full instructions audit cost sender bench bench-host mutate clean distclean
