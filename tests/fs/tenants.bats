#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Tenants: whose an object is decides who may do anything with it, whatever the kernel remembers.
load lib

# Users that nobody has made; each one's own group is 100 higher.
one=12001
two=12002
team=12300

as() { # UID [GROUP] -- COMMAND…
	local uid=$1 groups=--clear-groups
	shift
	if [ "$1" != -- ]; then
		groups="--groups $1"
		shift
	fi
	shift
	# shellcheck disable=SC2086
	setpriv --reuid "$uid" --regid $((uid + 100)) $groups "$@"
}

# put_as UID VALUE FILE
put_as() {
	as "$1" -- bash -c 'printf "%s\n" "$1" >"$2"' - "$2" "$3"
}

# What a user has: a host, a volume in RAM and one on a real target, both attached, a draft
settle_in() { # UID
	local u=$1 v
	as "$u" -- mkdir "$mnt/hosts/$u"
	put_as "$u" "iqn.2026-11.test:$u" "$mnt/hosts/$u/initiator"
	for v in "$u:mem:ram" "t$u:ssd:fast"; do
		as "$u" -- mkdir "$mnt/volumes/${v%%:*}"
		put_as "$u" "${v#*:}" "$mnt/volumes/${v%%:*}/pool"
		put_as "$u" true "$mnt/volumes/${v%%:*}/multiattach"
		put_as "$u" 16M "$mnt/volumes/${v%%:*}/size"
		put_as "$u" value "$mnt/volumes/${v%%:*}/metadata/k"
		as "$u" -- mkdir "$mnt/volumes/${v%%:*}/attachments/$u"
		put_as "$u" ro "$mnt/volumes/${v%%:*}/attachments/$u/mode"
	done
	as "$u" -- mkdir "$mnt/volumes/.$u"
	put_as "$u" rw "$mnt/volumes/$u/.mine.tmp"
}

setup_file() {
	fs_new
	fs_start
	refused EACCES as $one -- mkdir "$mnt/volumes/$one"
	refused EACCES as $one -- mkdir "$mnt/volumes/.$one"
	refused EACCES as $one -- mkdir "$mnt/hosts/$one"
	chmod 1777 "$mnt/volumes" "$mnt/hosts"
	settle_in $one
	settle_in $two
}

teardown_file() {
	fs_end
}

# Every node with its mode, owner, times and value, every stored record, the target's exports.
# Metrics change by themselves, and what a disk has left when others write to it.
account() {
	local ours=(! -name metrics ! -name free_capacity)
	find "$mnt" "${ours[@]}" -printf '%P %M %U:%G %T@ %s %l\n' | sort
	find "$mnt" -type f "${ours[@]}" -exec sha256sum {} + | sort
	dump
	tgt_show
}

everything_is_refused() { # warm|cold
	account >"$BATS_TEST_TMPDIR/before"
	"$python" "$helpers/tenants.py" "$mnt" $one $two "$1"
	"$python" "$helpers/tenants.py" "$mnt" $two $one "$1"
	account >"$BATS_TEST_TMPDIR/after"
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

@test "what a user makes is the user's, and tenant_id and user_id say so" {
	local u p
	for u in $one $two; do
		for p in "volumes/$u" "volumes/t$u" "volumes/.$u" "hosts/$u" "volumes/$u/size" \
			"volumes/t$u/attachments/$u" "volumes/t$u/attachments/$u/mode" \
			"volumes/t$u/attachments/$u/connection/auth_password"; do
			[ "$(stat -c %u:%g "$mnt/$p")" = "$u:$((u + 100))" ]
		done
		value_is $((u + 100)) "$mnt/volumes/$u/tenant_id"
		value_is "$u" "$mnt/volumes/$u/user_id"
		jq -e --arg u "$u" --arg g $((u + 100)) '.tenantId == $g and .userId == $u' \
			"$mnt/volumes/t$u/info.json"
		as "$u" -- cat "$mnt/volumes/t$u/attachments/$u/connection/auth_password" >/dev/null
	done
}

@test "every operation on another's objects is refused and changes nothing: warm caches" {
	# For a while after it was made the kernel is not told to remember all of an object.
	fs_stop
	fs_start
	everything_is_refused warm
}

@test "every operation on another's objects is refused and changes nothing: cold caches" {
	everything_is_refused cold
}

@test "another's secret cannot be read, from the first moment of a new mount on" {
	fs_stop
	fs_start
	refused EACCES as $two -- cat "$mnt/volumes/t$one/attachments/$one/connection/auth_password"
	refused EACCES as $one -- cat "$mnt/volumes/$two/attachments/$two/connection/auth_password"
	echo 2 >/proc/sys/vm/drop_caches || true
	refused EACCES as $two -- cat "$mnt/volumes/t$one/attachments/$one/connection/auth_password"
	refused EACCES put_as $two rw "$mnt/volumes/t$one/attachments/$one/mode"
	refused EACCES as $two -- rmdir "$mnt/volumes/t$one/attachments/$one"
}

# The old owner can do nothing any more with volumes/given
is_given_away() {
	local f
	for f in group_id description metadata/k metadata/new attachments/$one/mode .x.tmp; do
		refused EACCES put_as $one 1 "$mnt/volumes/given/$f"
	done
	refused EACCES as $one -- mkdir "$mnt/volumes/given/attachments/h"
	refused EACCES as $one -- rmdir "$mnt/volumes/given/attachments/$one"
	refused EPERM as $one -- rmdir "$mnt/volumes/given"
	refused EPERM as $one -- chmod 777 "$mnt/volumes/given" "$mnt/volumes/given/group_id"
}

@test "given away by chown, an object is its old owner's no more, also where that was remembered" {
	local v=$mnt/volumes/given
	as $one -- mkdir "$v" "$v/attachments/$one"
	put_as $one before "$v/description"
	put_as $one before "$v/metadata/k"
	fs_stop
	fs_start
	as $one -- find "$v" -type f -exec cat {} + >/dev/null
	chown $two:$((two + 100)) "$v" "$v/attachments/$one" "$v/metadata/k"
	is_given_away
	chown -R $one:$((one + 100)) "$v"
	as $one -- find "$v" -type f -exec cat {} + >/dev/null
	put_as $one mine "$v/group_id"
	chown -R $two:$((two + 100)) "$v"
	is_given_away
	put_as $two after "$v/description"
	as $two -- rmdir "$v/attachments/$one" "$v"
}

@test "group access: who is in the group may attach and detach, nobody else" {
	local v=$mnt/volumes/t$one a=$mnt/volumes/t$one/attachments
	refused EACCES as $two $team -- mkdir "$a/$two"
	as $one $team -- chgrp $team "$a"
	as $one -- chmod 2775 "$a"
	refused EACCES as $two -- mkdir "$a/$two"
	as $two $team -- mkdir "$a/$two"
	put_as $two rw "$a/$two/mode"
	value_is rw "$a/$two/effective_mode"
	[ "$(stat -c %u "$a/$two")" = $two ]
	as $two -- cat "$a/$two/connection/auth_password" >/dev/null
	refused EACCES as $one -- cat "$a/$two/connection/auth_password"
	refused EACCES as $two $team -- cat "$a/$one/connection/auth_password"
	refused EACCES put_as $two 32M "$v/size"
	refused EACCES as $two -- rmdir "$a/$two"
	as $two $team -- rmdir "$a/$two"
	as $one -- chmod 755 "$a"
	refused EACCES as $two $team -- mkdir "$a/$two"
}

@test "the owners still can do it all" {
	local u v
	for u in $one $two; do
		for v in $u t$u; do
			put_as "$u" mine "$mnt/volumes/$v/description"
			put_as "$u" rw "$mnt/volumes/$v/attachments/$u/mode"
			value_is rw "$mnt/volumes/$v/attachments/$u/effective_mode"
			as "$u" -- chmod 700 "$mnt/volumes/$v"
			as "$u" -- mv "$mnt/volumes/$v" "$mnt/volumes/moved$v"
			as "$u" -- rm -r "$mnt/volumes/moved$v"
		done
		as "$u" -- rmdir "$mnt/volumes/.$u" "$mnt/hosts/$u"
	done
	[ -z "$(find "$mnt/volumes" "$mnt/hosts" -mindepth 1)" ]
}
