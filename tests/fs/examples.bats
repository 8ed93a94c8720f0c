#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The use cases in examples/, end to end, with hosts that log in over iSCSI.
load lib

examples=$BATS_TEST_DIRNAME/../../examples

setup_file() {
	fs_new
	fs_start
	new_witness
	HOST=$(realpath "$host_tool")
	export HOST POOL=ssd:fast
}

teardown_file() {
	fs_end
}

# example NAME LINE…: it succeeds, shows those lines, and leaves nothing behind
example() {
	local name=$1 line
	shift
	run -0 "$examples/$name.sh" "$mnt"
	echo "$output"
	for line; do
		grep -qFx -- "$line" <<<"$output"
	done
	[ "$(ls "$mnt/volumes" "$mnt/hosts" "$mnt/attachments")" = "$(printf '%s:\n%s\n\n' \
		"$mnt/attachments" witness@witness "$mnt/hosts" witness "$mnt/volumes" witness)" ]
}

@test "three hosts of a clustered database: own blocks, reservations across hosts, eviction, fence" {
	example oracle-rac '$ echo 1 >hosts/example-rac3/fenced' 'example-rac2> keys' '101 102 103' \
		conflict 'host: login: Permission denied'
}

@test "a stand-by: the active host hangs, mv fails over, the old one comes back and is refused" {
	example standby \
		'$ mv volumes/example-db/attachments/example-db1 volumes/example-db/attachments/example-db2' \
		'example-db1> (wakes up)' 'host: login: Permission denied'
}

@test "a backup host reads beside a running writer and changes nothing" {
	example backup-reader 'example-backup> write 7 99' '13 equal' '14 equal'
}

@test "they can be run again, and from elsewhere" {
	cd /
	example standby
}

@test "each says how it is called" {
	local name
	for name in oracle-rac standby backup-reader; do
		run -2 "$examples/$name.sh"
		[[ $output == "usage: "*" MOUNT" ]]
		run -2 "$examples/$name.sh" /nonexistent
	done
}
