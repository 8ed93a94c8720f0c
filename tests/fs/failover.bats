#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Failover in one command, seen from the hosts and through the kernel's eyes.
load lib

setup_file() {
	fs_new 5
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
	out=$BATS_TEST_TMPDIR/hold
	new_volume "$v" ssd:fast 16M true
}

teardown() {
	remove_volume "$v"
}

# rename(2) itself: mv has words of its own for some errors
rename() {
	"$python" -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$@"
}

@test "mv: the old host is out, the new one is in, in the same mode" {
	local before
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 1 1
	mv "$a/h1" "$a/h2"
	before=$(block 1)
	[ "$(ls "$a")" = h2 ]
	[ ! -e "$a/h1" ]
	value_is rw "$a/h2/effective_mode"
	value_is h2 "$a/h2/host"
	no_login
	ended "$out"
	[ "$(block 1)" = "$before" ]
	creds "$v" h2
	host write 1 9
	[ "$(ls "$mnt/attachments" | grep "^$v@")" = "$v@h2" ]
	[ "$(cat "$mnt/attachments/$v@h2/status")" = attached ]
}

@test "mv to an attachment that is there: a reader becomes the writer" {
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	hold "$out" --interval 1 1
	# What python's os.rename() and mv -T do would leave the kernel with a dead directory
	refused EEXIST mv -T "$a/h1" "$a/h2"
	value_is attached "$a/h1/status"
	mv "$a/h1" "$a/h2"
	[ "$(ls "$a")" = h2 ]
	[ ! -e "$a/h2/h1" ]
	value_is rw "$a/h2/mode"
	value_is rw "$a/h2/effective_mode"
	creds "$v" h2
	host write 1 9
	ended "$out"
	# The directory is alive
	mkdir "$a/h3" && put ro "$a/h3/mode"
	put note "$a/h2/metadata/key" && value_is note "$a/h2/metadata/key"
}

@test "there and back again, with sessions that never log out, on cold and warm caches" {
	local from=h1 to=h2 n
	attach "$v" h1 rw
	for n in 1 2 3 4 5 6; do
		creds "$v" $from
		hold "$out.$n" --interval 1 1
		[ $((n % 2)) = 0 ] || ls -lR "$mnt/volumes/$v" >/dev/null
		[ $((n % 3)) != 0 ] || echo 2 >/proc/sys/vm/drop_caches
		mv "$a/$from" "$a/$to"
		no_login
		ended "$out.$n"
		value_is rw "$a/$to/effective_mode"
		[ ! -e "$a/$from" ]
		n=$from from=$to to=$n
	done
}

@test "nobody is put out for one who cannot come" {
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 1 1
	refused EDESTADDRREQ mv "$a/h1" "$a/stranger"
	explained "$a/h1" "stranger has no initiator"
	put 1 "$mnt/hosts/h2/fenced"
	refused EPERM mv "$a/h1" "$a/h2"
	put 0 "$mnt/hosts/h2/fenced"
	fails mv "$a/h1" "$mnt/volumes/witness/attachments/h1"
	refused EINVAL rename "$a/h1" "$mnt/volumes/witness/attachments/h1"
	value_is attached "$a/h1/status"
	release "$out"
}

@test "until the old host is provably out the new one has nothing" {
	attach "$v" h1 rw
	creds "$v" h1
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT mv "$a/h1" "$a/h2"
	value_is fencing "$a/h1/status"
	[ ! -e "$a/h2" ]
	kill -CONT "$(tgtd_pid)"
	within 15 value_is attached "$a/h2/status"
	[ ! -e "$a/h1" ]
	no_login
}

@test "killed in the middle of it, attachfs goes on" {
	attach "$v" h1 rw
	creds "$v" h1
	hold "$out" --interval 1 1
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT mv "$a/h1" "$a/h2"
	fs_kill
	kill -CONT "$(tgtd_pid)"
	fs_start
	within 15 value_is attached "$a/h2/status"
	[ ! -e "$a/h1" ]
	no_login
	ended "$out"
}

@test "if the new host cannot be attached the old one is out all the same, and it says why" {
	new_volume "$v.mem" mem:ram 16M true
	attach "$v.mem" h1 rw
	faults <<<"probe fail EIO"
	refused EIO rename "$mnt/volumes/$v.mem/attachments/h1" "$mnt/volumes/$v.mem/attachments/h2"
	[ "$(ls "$mnt/volumes/$v.mem/attachments")" = h2 ]
	value_is error "$mnt/volumes/$v.mem/attachments/h2/status"
	explained "$mnt/volumes/$v.mem/attachments/h2" probe
	faults </dev/null
	put rw "$mnt/volumes/$v.mem/attachments/h2/mode"
	rmdir "$mnt/volumes/$v.mem/attachments/h2" "$mnt/volumes/$v.mem"
}

@test "the audit log tells the whole story" {
	attach "$v" h1 rw
	mv "$a/h1" "$a/h2"
	jq -se --arg a "volumes/$v/attachments/" '[.[] | select(.path != null) |
		select(.path | startswith($a)) | .event + " " + .path[($a | length):]] |
		.[-5:] == ["failover h1", "fenced h1", "detached h1", "make h2", "attached h2"]' \
		"$mnt/events"
}
