#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Persistent reservations among the rw hosts of a volume, and attachfs beside them.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2 h3
	new_witness
}

teardown_file() {
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	a=$mnt/volumes/$v/attachments
	new_volume "$v" ssd:fast 16M true
	attach "$v" h1 rw
	creds "$v" h1
	session h1
}

teardown() {
	local d
	for d in "$BATS_TEST_TMPDIR"/session.*.pid; do
		kill -KILL "$(cat "$d")" 2>/dev/null || true
	done
	remove_volume "$v"
}

@test "another host's reservation, of whatever type, does not prevent an attach" {
	local type
	[ "$(tell h1 register 1)" = ok ]
	for type in 1 3 5 6 7 8; do
		[ "$(tell h1 reserve 1 $type)" = ok ]
		attach "$v" h2 rw
		attach "$v" h3 ro
		value_is rw "$a/h2/effective_mode"
		value_is ro "$a/h3/effective_mode"
		detach "$v" h2
		detach "$v" h3
		# Of the last two every registrant is the holder: no key
		[ "$(tell h1 holder)" = "$((type < 7)) type $type" ]
		[ "$(tell h1 release 1 $type)" = ok ]
	done
}

@test "a reader's reservation does not prevent a reader's attach, and its protection is seen" {
	attach "$v" h2 ro
	creds "$v" h2
	session h2
	[ "$(tell h2 register 2)" = ok ]
	[ "$(tell h2 reserve 2 1)" = ok ]
	attach "$v" h3 ro
	value_is ro "$a/h3/effective_mode"
	die h2
}

@test "rw hosts share one reservation: keys are seen, writes conflict, the dead one is preempted" {
	attach "$v" h2 rw
	creds "$v" h2
	session h2
	[ "$(tell h1 register 0x11)" = ok ]
	[ "$(tell h2 keys)" = 17 ]
	[ "$(tell h1 reserve 0x11 5)" = ok ]
	[ "$(tell h2 write 3 1)" = conflict ]
	[ "$(tell h2 register 0x22)" = ok ]
	[ "$(tell h2 write 3 1)" = ok ]
	[ "$(tell h1 keys)" = "17 34" ]
	die h1
	put 1 "$a/h1/fenced"
	[ "$(tell h2 holder)" = "17 type 5" ]
	[ "$(tell h2 preempt 0x22 0x11 5)" = ok ]
	[ "$(tell h2 keys)" = 34 ]
	[ "$(tell h2 holder)" = "34 type 5" ]
	[ "$(tell h2 write 3 2)" = ok ]
	[ "$(tell h2 clear 0x22)" = ok ]
	[ "$(tell h2 holder)" = none ]
	die h2
}

@test "growing the volume keeps the reservation" {
	attach "$v" h2 rw
	creds "$v" h2
	session h2
	[ "$(tell h1 register 1)" = ok ]
	[ "$(tell h1 reserve 1 1)" = ok ]
	put 32M "$mnt/volumes/$v/size"
	[ "$(tell h1 holder)" = "1 type 1" ]
	[ "$(tell h2 write 1 1)" = conflict ]
	[ "$(tell h1 write 1 1)" = ok ]
	die h2
}
