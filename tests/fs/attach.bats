#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Reserving, attaching and detaching: races, states, and what they make of the volume's status.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2 h3
}

teardown_file() {
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	a=$mnt/volumes/$v/attachments
}

teardown() {
	faults </dev/null
	[ ! -d "$mnt/volumes/$v" ] || remove_volume "$v"
}

@test "16 processes race mkdir on a single-attach volume: one wins, 15 get EBUSY, 1000 times" {
	new_volume "$v" mem:ram 1G
	run -0 "$python" "$helpers/racing.py" "$a" 16 1000
	echo "$output"
	[ "${lines[0]}" = "winners {1: 1000}" ]
	[ "${lines[1]}" = "losers {'EBUSY': 15000}" ]
	value_is available "$mnt/volumes/$v/status"
	[ -z "$(ls "$a")" ]
}

# A host that attaches, detaches, attaches again … and stays attached if its number is even.
one_host() {
	local number=$1 mode=rw
	[ $((number % 3)) != 0 ] || mode=ro
	for _ in 1 2 3; do
		mkdir "$a/p$number" || return
		put $mode "$a/p$number/mode" || return
		rmdir "$a/p$number" || return
	done
	[ $((number % 2)) = 0 ] || return 0
	mkdir "$a/p$number" && put $mode "$a/p$number/mode"
}

@test "16 hosts attach and detach one volume in parallel: no error, and all accounts agree" {
	local number rc=0 pids=() id
	for number in {0..15}; do
		new_host "p$number"
	done
	new_volume "$v" ssd:fast 16M true
	for number in {0..15}; do
		one_host "$number" 3>&- &
		pids+=($!)
	done
	for number in "${pids[@]}"; do
		wait "$number" || rc=1
	done
	[ $rc = 0 ]
	value_is in-use "$mnt/volumes/$v/status"
	[ "$(ls "$a" | sort)" = "$(printf 'p%s\n' {0..14..2} | sort)" ]
	id=$(cat "$mnt/volumes/$v/id")
	for number in {0..14..2}; do
		value_is attached "$a/p$number/status"
		value_is "$(cat "$a/p$number/mode")" "$a/p$number/effective_mode"
		printf '%s iqn.2026-11.test:p%s\n' "$(cat "$a/p$number/connection/target_iqn")" "$number"
	done | sort >"$BATS_TEST_TMPDIR/tree"
	# tgtd's own list
	tgt_acl | grep "$id" >"$BATS_TEST_TMPDIR/tgt"
	diff "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/tgt"
	# the state, read by another process while the daemon runs
	dump >"$BATS_TEST_TMPDIR/dump"
	jq -r --arg v "volumes/$v/attachments/" 'select(.kind == "attachment" and
		(.path | startswith($v))) | .values.target_iqn + " " + .values.host_initiator' \
		"$BATS_TEST_TMPDIR/dump" | sort >"$BATS_TEST_TMPDIR/lmdb"
	diff "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/lmdb"
	fails grep unsettled "$BATS_TEST_TMPDIR/dump"
	# as many accounts as hosts, but for the guards that nobody knows
	[ "$(tgt_show | awk '/^Target/ {mine = /'"$id"'/} mine' | grep -c @)" = 8 ]
	for number in {0..14..2}; do
		creds "$v" "p$number"
		host login
	done
}

@test "parallel attaches of one host to many volumes do not disturb each other" {
	local number pids=() rc=0
	new_volume "$v" ssd:fast 1M
	for number in {0..7}; do
		new_volume "$v.$number" ssd:fast 1M
	done
	for number in {0..7}; do
		attach "$v.$number" h1 rw 3>&- &
		pids+=($!)
	done
	for number in "${pids[@]}"; do
		wait "$number" || rc=1
	done
	[ $rc = 0 ]
	[ "$(ls "$mnt/hosts/h1/attachments" | wc -l)" = 8 ]
	for number in {0..7}; do
		creds "$v.$number" h1
		host login
		detach "$v.$number" h1
		rmdir "$mnt/volumes/$v.$number"
	done
	[ -z "$(ls "$mnt/hosts/h1/attachments")" ]
}

@test "status: reserved, in-use, in-use, available; one detach of two leaves it in-use" {
	new_volume "$v" mem:ram 1G true
	value_is available "$mnt/volumes/$v/status"
	value_is detached "$mnt/volumes/$v/attach_status"
	mkdir "$a/h1"
	value_is reserved "$a/h1/status"
	value_is reserved "$mnt/volumes/$v/status"
	put rw "$a/h1/mode"
	value_is attached "$a/h1/status"
	value_is in-use "$mnt/volumes/$v/status"
	value_is attached "$mnt/volumes/$v/attach_status"
	attach "$v" h2 ro
	value_is in-use "$mnt/volumes/$v/status"
	detach "$v" h1
	value_is in-use "$mnt/volumes/$v/status"
	value_is attached "$mnt/volumes/$v/attach_status"
	value_is attached "$a/h2/status"
	detach "$v" h2
	value_is available "$mnt/volumes/$v/status"
	value_is detached "$mnt/volumes/$v/attach_status"
}

@test "status: the attached one goes while a reserved one stays: reserved" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	mkdir "$a/h2"
	value_is in-use "$mnt/volumes/$v/status"
	detach "$v" h1
	value_is reserved "$mnt/volumes/$v/status"
	rmdir "$a/h2"
	value_is available "$mnt/volumes/$v/status"
}

@test "a failed second attach leaves the volume in-use and the first alone" {
	local generation
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	generation=$(cat "$a/h1/generation")
	faults <<<"export fail EIO"
	mkdir "$a/h2"
	refused EIO put rw "$a/h2/mode"
	value_is error "$a/h2/status"
	explained "$a/h2" "injected failure"
	value_is in-use "$mnt/volumes/$v/status"
	value_is attached "$a/h1/status"
	value_is "$generation" "$a/h1/generation"
	faults </dev/null
	# error is no dead end: the same write tries again
	put rw "$a/h2/mode"
	value_is attached "$a/h2/status"
	value_is "" "$a/h2/last_error"
}

@test "an attachment in error can be removed, and shows no credentials" {
	new_volume "$v" mem:ram 1G true
	faults <<<"export fail EIO"
	mkdir "$a/h1"
	refused EIO put rw "$a/h1/mode"
	value_is "" "$a/h1/connection/target_iqn"
	value_is "" "$a/h1/connection/auth_password"
	value_is "" "$a/h1/effective_mode"
	rmdir "$a/h1"
	value_is available "$mnt/volumes/$v/status"
}

@test "an export that fails its probe is withdrawn, and the attachment is in error" {
	new_volume "$v" mem:ram 1G true
	faults <<<"probe wrong"
	mkdir "$a/h1"
	fails put ro "$a/h1/mode"
	value_is error "$a/h1/status"
	value_is "" "$a/h1/effective_mode"
	fails value_is "" "$a/h1/last_error"
	faults </dev/null
	put ro "$a/h1/mode"
	value_is ro "$a/h1/effective_mode"
}

@test "single-attach: EBUSY names the holder, whatever its state" {
	new_volume "$v" mem:ram 1G
	mkdir "$a/h1"
	refused EBUSY mkdir "$a/h2"
	explained "$mnt/volumes/$v" h1
	put ro "$a/h1/mode"
	refused EBUSY mkdir "$a/h2"
	explained "$mnt/volumes/$v" h1
	detach "$v" h1
	faults <<<"export fail EIO"
	mkdir "$a/h3"
	refused EIO put rw "$a/h3/mode"
	refused EBUSY mkdir "$a/h2"
	explained "$mnt/volumes/$v" h3
}

@test "the same host twice: EEXIST; the same initiator twice: EBUSY" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	refused EEXIST mkdir "$a/h1"
	mkdir "$a/h2"
	put IQN.2026-11.test:H1 "$a/h2/initiator"
	refused EBUSY put ro "$a/h2/mode"
	explained "$a/h2" h1
}

@test "no initiator: EDESTADDRREQ; the attachment's own goes before the host's" {
	new_volume "$v" mem:ram 1G true
	mkdir "$a/nobody"
	refused EDESTADDRREQ put rw "$a/nobody/mode"
	explained "$a/nobody" initiator
	value_is reserved "$a/nobody/status"
	put iqn.2026-11.test:own "$a/nobody/initiator"
	put rw "$a/nobody/mode"
	value_is attached "$a/nobody/status"
	value_is iqn.2026-11.test:h1 "$(mkdir "$a/h1"; echo "$a/h1/initiator")"
}

@test "the initiator is fixed while attached" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	refused EBUSY put iqn.2026-11.test:other "$a/h1/initiator"
	value_is iqn.2026-11.test:h1 "$a/h1/initiator"
	# The host's own may change; the attachment keeps what it was attached with.
	put iqn.2026-11.test:moved "$mnt/hosts/h1/initiator"
	value_is iqn.2026-11.test:h1 "$a/h1/initiator"
	put iqn.2026-11.test:h1 "$mnt/hosts/h1/initiator"
}

@test "max_writers caps rw hosts and not ro hosts" {
	new_volume "$v" mem:ram 1G true
	put 1 "$mnt/volumes/$v/max_writers"
	attach "$v" h1 rw
	mkdir "$a/h2"
	refused EBUSY put rw "$a/h2/mode"
	explained "$a/h2" h1
	put ro "$a/h2/mode"
	attach "$v" h3 ro
	refused EBUSY put rw "$a/h3/mode"
	value_is ro "$a/h3/mode"
	value_is ro "$a/h3/effective_mode"
	put ro "$a/h1/mode"
	put rw "$a/h3/mode"
	value_is rw "$a/h3/effective_mode"
	refused EBUSY put rw "$a/h1/mode"
	put 2 "$mnt/volumes/$v/max_writers"
	put rw "$a/h1/mode"
	refused EBUSY put 1 "$mnt/volumes/$v/max_writers"
	value_is 2 "$mnt/volumes/$v/max_writers"
	put 0 "$mnt/volumes/$v/max_writers"
	put rw "$a/h2/mode"
}

@test "mode: the same again is a no-op, empty means rw, the other switches" {
	local generation
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	printf '\n' >"$a/h1/mode"
	value_is attached "$a/h1/status"
	value_is rw "$a/h1/effective_mode"
	generation=$(cat "$a/h1/generation")
	put rw "$a/h1/mode"
	value_is "$generation" "$a/h1/generation"
	value_is rw "$a/h1/effective_mode"
	put ro "$a/h1/mode"
	value_is ro "$a/h1/effective_mode"
	fails value_is "$generation" "$a/h1/generation"
}

@test "opening mode for writing and writing nothing attaches nothing" {
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	: >"$a/h1/mode"
	: >>"$a/h1/mode"
	truncate -s 0 "$a/h1/mode"
	value_is reserved "$a/h1/status"
}

@test "attach to a volume without size: refused, and it says so" {
	mkdir "$mnt/volumes/$v"
	refused EBUSY mkdir "$a/h1"
	explained "$mnt/volumes/$v" size
}

@test "multiattach: fixed while attached, EOPNOTSUPP or no pool where the pool cannot" {
	new_volume "$v" mem:ram 1G
	mkdir "$a/h1"
	refused EBUSY put true "$mnt/volumes/$v/multiattach"
	explained "$mnt/volumes/$v" h1
	value_is false "$mnt/volumes/$v/multiattach"
	rmdir "$a/h1"
	put true "$mnt/volumes/$v/multiattach"
	attach "$v" h1 rw
	attach "$v" h2 rw
	refused EBUSY put false "$mnt/volumes/$v/multiattach"
	value_is true "$mnt/volumes/$v/multiattach"
	new_volume "solo$v" mem:solo 1G
	refused EOPNOTSUPP put true "$mnt/volumes/solo$v/multiattach"
	value_is false "$mnt/volumes/solo$v/multiattach"
	rmdir "$mnt/volumes/solo$v"
	mkdir "$mnt/volumes/solo$v"
	put true "$mnt/volumes/solo$v/multiattach"
	put mem:solo "$mnt/volumes/solo$v/pool"
	refused ENODEV put 1G "$mnt/volumes/solo$v/size"
	explained "$mnt/volumes/solo$v" "mem:solo: multiattach is false"
	rmdir "$mnt/volumes/solo$v"
}

@test "every attach has a generation, an id and a secret of its own" {
	local id secret user
	new_volume "$v" ssd:fast 1M
	attach "$v" h1 rw
	id=$(cat "$a/h1/id")
	secret=$(cat "$a/h1/connection/auth_password")
	user=$(cat "$a/h1/connection/auth_username")
	[[ $secret =~ ^[0-9a-f]{32}$ ]]
	detach "$v" h1
	attach "$v" h1 rw
	fails value_is "$id" "$a/h1/id"
	fails value_is "$secret" "$a/h1/connection/auth_password"
	fails value_is "$user" "$a/h1/connection/auth_username"
}

@test "the flat list and the host's list follow" {
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1" "$a/h2"
	[ "$(readlink "$mnt/attachments/$v@h1")" = "../volumes/$v/attachments/h1" ]
	[ "$(readlink "$mnt/hosts/h2/attachments/$v")" = "../../../volumes/$v/attachments/h2" ]
	value_is h1 "$mnt/attachments/$v@h1/host"
	value_is h2 "$mnt/hosts/h2/attachments/$v/host"
	rmdir "$a/h1"
	[ ! -L "$mnt/attachments/$v@h1" ]
	[ ! -L "$mnt/hosts/h1/attachments/$v" ]
	refused EBUSY rmdir "$mnt/hosts/h2"
	explained "$mnt/hosts/h2" "$v"
}
