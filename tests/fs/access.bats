#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The promise, seen from the hosts: ro cannot write, detached cannot return, others feel nothing.
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
	new_volume "$v" ssd:fast 16M true
}

teardown() {
	remove_volume "$v"
}

@test "a rw host writes a block and reads it back, a ro host reads it" {
	attach "$v" h1 rw
	attach "$v" h2 ro
	value_is rw "$mnt/volumes/$v/attachments/h1/effective_mode"
	value_is ro "$mnt/volumes/$v/attachments/h2/effective_mode"
	creds "$v" h1
	host write 7 171
	[ "$(host read 7)" = "171 equal" ]
	creds "$v" h2
	[ "$(host read 7)" = "171 equal" ]
	[[ $(host login) == "bytes=16777216 wp=1 "* ]]
	creds "$v" h1
	[[ $(host login) == "bytes=16777216 wp=0 "* ]]
}

@test "both hosts see one identity, which is the volume's" {
	local id
	attach "$v" h1 rw
	attach "$v" h2 ro
	id=$(tr -d - <"$mnt/volumes/$v/id")
	creds "$v" h1
	host login
	# NAA 6 and 31 digits of the UUID
	host login | grep -q "6${id:0:31}"
	creds "$v" h2
	host login | grep -q "6${id:0:31}"
}

@test "every opcode that writes is refused to the ro host and no byte changes" {
	local before
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	host write 0 255
	before=$(sha256sum <"$(backing_file "$v")")
	creds "$v" h2
	run host opcodes
	echo "$output"
	[ "$status" = 3 ]
	[ "$(grep -c refused <<<"$output")" -ge 12 ]
	fails grep DONE <<<"$output"
	for opcode in 'WRITE(10)' 'WRITE(12)' 'WRITE(16)' 'WRITE SAME(10)' 'WRITE SAME(16)' UNMAP \
		'ORWRITE(16)' 'WRITE AND VERIFY(10)' 'WRITE AND VERIFY(12)' \
		'WRITE AND VERIFY(16)' 'COMPARE AND WRITE'; do
		grep -qF "$opcode " <<<"$output"
	done
	[ "$(sha256sum <"$(backing_file "$v")")" = "$before" ]
}

@test "the same opcodes do reach the disk of the rw host" {
	attach "$v" h1 rw
	creds "$v" h1
	run host opcodes
	echo "$output"
	[ "$status" = 0 ]
	grep -F 'WRITE(16)' <<<"$output" | grep -q DONE
}

@test "a host that is not attached cannot log in" {
	attach "$v" h1 rw
	creds "$v" h1
	initiator=iqn.2026-11.test:h3 no_login
	initiator=iqn.1993-08.org.debian:01:deadbeef no_login
	host login
}

@test "a wrong secret, user or none at all is refused" {
	attach "$v" h1 rw
	creds "$v" h1
	HOST_SECRET=${HOST_SECRET//[0-9a-f]/0} no_login
	HOST_SECRET=${HOST_SECRET%?} no_login
	user=nobody no_login
	user='' no_login
	host login
}

@test "the ro host cannot log in to the rw side, in its own name or another's" {
	local rw_target
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	rw_target=$target
	creds "$v" h2
	[ "$target" != "$rw_target" ]
	target=$rw_target no_login
	target=$rw_target initiator=iqn.2026-11.test:h1 no_login
	user='' target=$rw_target initiator=iqn.2026-11.test:h1 no_login
}

@test "credentials of one volume open no other" {
	local other
	new_volume "other$v" ssd:fast 16M true
	attach "$v" h1 rw
	attach "other$v" h1 rw
	creds "other$v" h1
	other=$target
	creds "$v" h1
	target=$other no_login
	detach "other$v" h1
	rmdir "$mnt/volumes/other$v"
}

@test "a detached host cannot return: its name, another's name, with the old secret" {
	attach "$v" h1 rw
	attach "$v" h2 rw
	creds "$v" h1
	host login
	detach "$v" h1
	no_login
	initiator=iqn.2026-11.test:h2 no_login
	user='' no_login
	user='' initiator=iqn.2026-11.test:h2 no_login
	creds "$v" h2
	host login
}

@test "the last host that was detached finds no target" {
	attach "$v" h1 rw
	creds "$v" h1
	detach "$v" h1
	no_login
	user='' no_login
}

@test "attached again, the old secret is worthless" {
	attach "$v" h1 rw
	creds "$v" h1
	detach "$v" h1
	attach "$v" h1 ro
	no_login
	creds "$v" h1
	host login
}

@test "attaching and detaching others leaves an open session untouched" {
	local out=$BATS_TEST_TMPDIR/hold before after
	attach "$v" h1 rw
	creds "$v" h1
	before=$(host login)
	hold "$out" --interval 2 3
	within 5 is_logged_in "$v" h1
	for _ in 1 2 3; do
		attach "$v" h2 rw
		attach "$v" h3 ro
		detach "$v" h2
		detach "$v" h3
	done
	attach "$v" h3 rw
	within 5 grep -q '^ok' "$out"
	after=$(creds "$v" h1 && host login)
	[ "$before" = "$after" ]
	release "$out"
	within 5 is_logged_out "$v" h1
}

@test "a failed attach and a refused mkdir beside it leave an open session untouched" {
	local out=$BATS_TEST_TMPDIR/hold
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 2 3
	mkdir "$mnt/volumes/$v/attachments/unknown"
	refused EDESTADDRREQ put rw "$mnt/volumes/$v/attachments/unknown/mode"
	rmdir "$mnt/volumes/$v/attachments/unknown"
	mkdir "$mnt/volumes/$v/attachments/h2"
	put iqn.2026-11.test:h1 "$mnt/volumes/$v/attachments/h2/initiator"
	refused EBUSY put ro "$mnt/volumes/$v/attachments/h2/mode"
	rmdir "$mnt/volumes/$v/attachments/h2"
	release "$out"
	host login
}

@test "the mode switches in place without a session, and the other side is closed" {
	local rw_target
	attach "$v" h1 rw
	creds "$v" h1
	rw_target=$target
	put ro "$mnt/volumes/$v/attachments/h1/mode"
	target=$rw_target no_login
	creds "$v" h1
	[[ $(host login) == *wp=1* ]]
	run host opcodes
	[ "$status" = 3 ]
	put rw "$mnt/volumes/$v/attachments/h1/mode"
	creds "$v" h1
	host write 1 2
}

@test "a live session keeps the mode: EBUSY, and it stays as it was" {
	local out=$BATS_TEST_TMPDIR/hold a=$mnt/volumes/$v/attachments/h1
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 2 3
	refused EBUSY put ro "$a/mode"
	explained "$a" iqn.2026-11.test:h1
	value_is rw "$a/mode"
	value_is rw "$a/effective_mode"
	value_is attached "$a/status"
	release "$out"
	within 5 put ro "$a/mode"
	value_is ro "$a/effective_mode"
}

@test "a live session blocks rmdir, which names it, until it logs out" {
	local out=$BATS_TEST_TMPDIR/hold a=$mnt/volumes/$v/attachments/h1
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 2 3
	refused EBUSY rmdir "$a"
	explained "$a" iqn.2026-11.test:h1
	explained "$a" 127.0.0.1
	value_is attached "$a/status"
	grep -q 'iqn.2026-11.test:h1 127.0.0.1' "$a/sessions"
	release "$out"
	within 5 rmdir "$a"
	no_login
}

@test "a stale session of the same host is not taken for another's" {
	local out=$BATS_TEST_TMPDIR/hold
	attach "$v" h1 rw
	attach "$v" h2 rw
	creds "$v" h1
	hold "$out" --interval 2 3
	fails is_logged_in "$v" h2
	detach "$v" h2
	release "$out"
}
