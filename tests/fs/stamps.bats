#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts that never stop writing, while they are attached, detached, fenced, failed over, switched.
load lib

setup_file() {
	# In memory if possible: no power fails here, and there are thousands of commits.
	[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
	fs_new
	fs_start
	new_witness
}

teardown_file() {
	fs_end
}

# workload PREFIX SEQUENCES: two volumes, three hosts, a random seed that is printed
workload() {
	local seed=$RANDOM
	echo "seed $seed"
	new_host "$1a" "$1b" "$1c"
	new_volume "${1}0" ssd:fast 16M true
	new_volume "${1}1" ssd:fast 16M true
	"$B/tests/tools.d/stamps" "$mnt" "$dir/fast" "$1" "$seed" "$2"
}

# 500 sequences in all. Each has some 15 operations, and checks after each.
@test "no block of a host that is out, none of the next before: sequences 1 to 100" {
	workload m 100
}

@test "no block of a host that is out, none of the next before: sequences 101 to 200" {
	workload n 100
}

@test "no block of a host that is out, none of the next before: sequences 201 to 300" {
	workload o 100
}

@test "no block of a host that is out, none of the next before: sequences 301 to 400" {
	workload p 100
}

@test "no block of a host that is out, none of the next before: sequences 401 to 500" {
	workload q 100
}
