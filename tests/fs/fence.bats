#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Fencing, seen from the hosts: whatever one does it is out when the write returns, others are not.
load lib

setup_file() {
	fs_new 3
	fs_start
	new_host h1 h2
	new_witness
}

teardown_file() {
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	a=$mnt/volumes/$v/attachments
	out=$BATS_TEST_TMPDIR/hold
	new_volume "$v" ssd:fast 16M true
}

teardown() {
	thaw
	remove_volume "$v"
}

@test "a writer that does not log out is out when the write returns; another writes on" {
	local before
	attach "$v" h1 rw
	attach "$v" h2 rw
	creds "$v" h2
	hold "$out.2" --interval 1 2
	creds "$v" h1
	hold "$out" --interval 1 1
	refused EBUSY rmdir "$a/h1"
	put 1 "$a/h1/fenced"
	before=$(block 1)
	value_is 1 "$a/h1/fenced"
	value_is fenced "$a/h1/status"
	[ -z "$(cat "$a/h1/sessions" "$a/h1/effective_mode" "$a/h1/connection/auth_password")" ]
	no_login
	initiator=iqn.2026-11.test:h2 no_login
	ended "$out"
	[ "$(block 1)" = "$before" ]
	refused EPERM put rw "$a/h1/mode"
	explained "$a/h1" "echo 0 > fenced"
	is_logged_in "$v" h2
	release "$out.2"
}

@test "what is fenced comes back with echo 0, and with another secret" {
	local old
	attach "$v" h1 rw
	creds "$v" h1
	old=$HOST_SECRET
	put 1 "$a/h1/fenced"
	put 0 "$a/h1/fenced"
	value_is reserved "$a/h1/status"
	no_login
	put ro "$a/h1/mode"
	creds "$v" h1
	host read 0
	HOST_SECRET=$old no_login
}

@test "without an answer from the target nothing is fenced: ETIMEDOUT, and it goes on" {
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT put 1 "$a/h1/fenced"
	value_is fencing "$a/h1/status"
	value_is 0 "$a/h1/fenced"
	refused EPERM put rw "$a/h1/mode"
	refused EBUSY put 0 "$a/h1/fenced"
	kill -CONT "$(tgtd_pid)"
	put 1 "$a/h1/fenced"
	value_is 1 "$a/h1/fenced"
	no_login
	creds "$v" h2
	host login
}

# freeze: tgtd's disks hang, until thaw
freeze() {
	mkfifo "$BATS_TEST_TMPDIR/thaw"
	$python "$helpers/freeze.py" "$(tgtd_pid)" <>"$BATS_TEST_TMPDIR/thaw" \
		>"$BATS_TEST_TMPDIR/frozen" 2>&1 3>&- 4>&- &
	echo $! >"$BATS_TEST_TMPDIR/freezer"
	within 30 grep frozen "$BATS_TEST_TMPDIR/frozen" || { cat "$BATS_TEST_TMPDIR/frozen"; return 1; }
}

thaw() {
	[ -e "$BATS_TEST_TMPDIR/freezer" ] || return 0
	kill "$(cat "$BATS_TEST_TMPDIR/freezer")"
	wait "$(cat "$BATS_TEST_TMPDIR/freezer")" || true
	rm "$BATS_TEST_TMPDIR/freezer"
}

@test "a write that tgtd has begun is waited for: until it is done nothing is fenced" {
	local before
	attach "$v" h1 rw
	attach "$v" h2 rw
	creds "$v" h1
	hold "$out" --interval 1 1
	freeze
	refused ETIMEDOUT put 1 "$a/h1/fenced"
	value_is fencing "$a/h1/status"
	value_is 0 "$a/h1/fenced"
	thaw
	put 1 "$a/h1/fenced"
	before=$(block 1)
	value_is 1 "$a/h1/fenced"
	no_login
	ended "$out"
	[ "$(block 1)" = "$before" ]
}

@test "attachfs is killed while it fences: the next one goes on" {
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 1 1
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT put 1 "$a/h1/fenced"
	fs_kill
	kill -CONT "$(tgtd_pid)"
	fs_start
	within 15 value_is 1 "$a/h1/fenced"
	value_is fenced "$a/h1/status"
	no_login
	ended "$out"
}

@test "a target daemon that comes back does not let in what is fenced" {
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	put 1 "$a/h1/fenced"
	kill -KILL "$(tgtd_pid)"
	creds "$v" h2
	within 15 host login
	value_is fenced "$a/h1/status"
	tgt_acl | fails grep "$(cat "$mnt/volumes/$v/id")..w iqn.2026-11.test:h1"
}

@test "one writer, many readers: a reader takes the place of the writer that was fenced" {
	put 1 "$mnt/volumes/$v/max_writers"
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	hold "$out" --interval 1 1
	refused EBUSY put rw "$a/h2/mode"
	explained "$a/h2" "h1 is attached rw"
	put 1 "$a/h1/fenced"
	put rw "$a/h2/mode"
	creds "$v" h2
	host write 2 7
	ended "$out"
	put 0 "$a/h1/fenced"
	refused EBUSY put rw "$a/h1/mode"
	put ro "$a/h1/mode"
}

@test "a host is fenced: every volume of it, on every dock, and no other host" {
	local n
	for n in 1 2 3 4; do
		new_volume "$v.$n" "$([ $n = 4 ] && echo mem:ram || echo ssd:fast)" 16M true
		attach "$v.$n" h1 "$([ $n = 2 ] && echo ro || echo rw)"
	done
	attach "$v" h1 rw
	attach "$v" h2 rw
	creds "$v" h2
	hold "$out.2" --interval 1 2
	creds "$v" h1
	hold "$out" --interval 1 1
	creds "$v.1" h1
	hold "$out.1" --interval 1 1
	put 1 "$mnt/hosts/h1/fenced"
	value_is 1 "$mnt/hosts/h1/fenced"
	no_login
	creds "$v" h2
	initiator=iqn.2026-11.test:h1 no_login
	for n in "$mnt"/hosts/h1/attachments/*; do
		value_is fenced "$n/status"
		value_is 1 "$n/fenced"
		refused EPERM put rw "$n/mode"
		explained "$n" "hosts/h1/fenced" || explained "$n" "echo 0 > fenced"
	done
	[ "$(ls "$mnt/hosts/h1/attachments" | wc -l)" = 5 ]
	mkdir "$mnt/volumes/witness$v" && put 16M "$mnt/volumes/witness$v/size"
	mkdir "$mnt/volumes/witness$v/attachments/h1"
	refused EPERM put rw "$mnt/volumes/witness$v/attachments/h1/mode"
	explained "$mnt/volumes/witness$v/attachments/h1" "host h1 is fenced"
	rmdir "$mnt/volumes/witness$v/attachments/h1" "$mnt/volumes/witness$v"
	refused EPERM put iqn.2026-11.test:new "$mnt/hosts/h1/initiator"
	ended "$out"
	ended "$out.1"
	is_logged_in "$v" h2
	release "$out.2"
	put 0 "$mnt/hosts/h1/fenced"
	put ro "$mnt/volumes/$v.1/attachments/h1/mode"
	creds "$v.1" h1
	host read 0
	for n in 1 2 3 4; do
		rmdir "$mnt/volumes/$v.$n/attachments/h1" "$mnt/volumes/$v.$n"
	done
}

@test "a host is not fenced while one of its volumes is not" {
	new_volume "$v.mem" mem:ram 16M true
	attach "$v.mem" h1 rw
	attach "$v" h1 rw
	faults <<<"fence wrong"
	refused EIO put 1 "$mnt/hosts/h1/fenced"
	value_is 0 "$mnt/hosts/h1/fenced"
	explained "$mnt/hosts/h1" "volume $v.mem: a login"
	within 5 value_is fenced "$a/h1/status"
	value_is fencing "$mnt/volumes/$v.mem/attachments/h1/status"
	faults </dev/null
	put 1 "$mnt/hosts/h1/fenced"
	value_is 1 "$mnt/hosts/h1/fenced"
	rmdir "$mnt/volumes/$v.mem/attachments/h1" "$mnt/volumes/$v.mem"
	put 0 "$mnt/hosts/h1/fenced"
}

@test "the audit log tells who fenced, and when it was done" {
	attach "$v" h1 rw
	put 1 "$a/h1/fenced"
	jq -se --arg path "volumes/$v/attachments/h1" '[.[] | select(.path // "" | startswith($path))] |
		map(.event) | index("set") != null and index("fenced") != null and
		(index("fenced") > index("attached"))' "$mnt/events"
}
