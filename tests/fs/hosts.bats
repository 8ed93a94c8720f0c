#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts: who they are, what they are attached to, and what their live sessions forbid.
load lib

setup_file() {
	fs_new
	fs_start
	new_witness
}

teardown_file() {
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	h=h$BATS_TEST_NUMBER
	a=$mnt/volumes/$v/attachments/$h
	new_volume "$v" ssd:fast 16M true
	new_host "$h"
}

teardown() {
	remove_volume "$v"
	rmdir "$mnt/hosts/$h"
}

@test "an attachment takes its host's identity when it attaches, in lower case, and keeps it" {
	put "IQN.2026-11.Test:Upper$v" "$mnt/hosts/$h/initiator"
	value_is "IQN.2026-11.Test:Upper$v" "$mnt/hosts/$h/initiator"
	mkdir "$a"
	value_is "iqn.2026-11.test:upper$v" "$a/initiator"
	put "iqn.2026-11.test:$h" "$mnt/hosts/$h/initiator"
	value_is "iqn.2026-11.test:$h" "$a/initiator"
	put rw "$a/mode"
	put "iqn.2026-11.test:later$v" "$mnt/hosts/$h/initiator"
	value_is "iqn.2026-11.test:$h" "$a/initiator"
	creds "$v" "$h"
	host login
	put "iqn.2026-11.test:$h" "$mnt/hosts/$h/initiator"
}

@test "a host's own initiator may be an EUI-64 or an NAA name" {
	local name
	for name in eui.02004567A425678D naa.52004567BA64678D naa.62004567BA64678D0123456789ABCDEF; do
		put "$name" "$mnt/hosts/$h/initiator"
		attach "$v" "$h" rw
		value_is "${name,,}" "$a/initiator"
		creds "$v" "$h"
		host write 0 1
		detach "$v" "$h"
	done
}

@test "hosts/HOST/attachments links to what it is attached to, and forbids rmdir" {
	attach "$v" "$h" ro
	[ "$(ls "$mnt/hosts/$h/attachments")" = "$v" ]
	[ "$(cat "$mnt/hosts/$h/attachments/$v/effective_mode")" = ro ]
	refused EBUSY rmdir "$mnt/hosts/$h"
	explained "$mnt/hosts/$h" "$v"
	detach "$v" "$h"
	[ -z "$(ls "$mnt/hosts/$h/attachments")" ]
}

@test "sessions: initiator, address and since when, which does not move" {
	local out=$BATS_TEST_TMPDIR/hold before after line
	attach "$v" "$h" rw
	creds "$v" "$h"
	before=$(date -u +%FT%T)
	hold "$out" --interval 2 3
	line=$(cat "$a/sessions")
	after=$(date -u +%FT%T.999Z)
	[[ $line =~ ^iqn.2026-11.test:$h\ 127.0.0.1\ (20[0-9-]+T[0-9:.]+Z)$ ]]
	[[ ! ${BASH_REMATCH[1]} < $before ]]
	[[ ! ${BASH_REMATCH[1]} > $after ]]
	# Past the next look that the driver takes by itself
	sleep 2.5
	value_is "$line" "$a/sessions"
	release "$out"
	within 5 is_logged_out "$v" "$h"
}

@test "two sessions are two lines" {
	attach "$v" "$h" ro
	creds "$v" "$h"
	hold "$BATS_TEST_TMPDIR/one" --interval 0
	hold "$BATS_TEST_TMPDIR/two" --interval 0
	[ "$(wc -l <"$a/sessions")" = 2 ]
	release "$BATS_TEST_TMPDIR/one"
	release "$BATS_TEST_TMPDIR/two"
}

@test "what a live session forbids names the session: who, from where, since when" {
	local out=$BATS_TEST_TMPDIR/hold
	attach "$v" "$h" ro
	creds "$v" "$h"
	hold "$out" --interval 0
	refused EBUSY rmdir "$a"
	explained "$a" "iqn.2026-11.test:$h has a live session from 127.0.0.1 since 20"
	refused EBUSY put rw "$a/mode"
	explained "$a" "iqn.2026-11.test:$h has a live session from 127.0.0.1 since 20"
	value_is ro "$a/effective_mode"
	release "$out"
}

@test "logged out is logged out: rmdir and a switch right after it are not refused" {
	local n mode=rw
	attach "$v" "$h" rw
	for n in 1 2 3 4 5 6 7 8; do
		creds "$v" "$h"
		hold "$BATS_TEST_TMPDIR/hold.$n" --interval 0
		release "$BATS_TEST_TMPDIR/hold.$n"
		[ $((n % 2)) = 0 ] && mode=rw || mode=ro
		put $mode "$a/mode"
	done
	creds "$v" "$h"
	hold "$BATS_TEST_TMPDIR/hold" --interval 0
	release "$BATS_TEST_TMPDIR/hold"
	rmdir "$a"
}
