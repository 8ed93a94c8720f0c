#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What survives: attachfs killed, unmounted, started again; its tgtd killed or stopped meanwhile.
load lib

setup() {
	fs_new
	fs_start
	new_host h1 h2 h3
	vol=$mnt/volumes/vol
	a=$vol/attachments
}

teardown() {
	local p
	for p in $(tgtd_pid); do
		kill -CONT "$p" || true
	done
	[ ! -d "$dir" ] || faults </dev/null
	fs_end
}

# Every value of the tree that must not change by itself, and who may log in.
snapshot() {
	(cd "$mnt" && find . -type f ! -name events ! -name metrics ! -name free_capacity \
		! -name sessions -exec grep -H '' {} + | grep -v 'docks/.*updatedAt' | sort)
	tgt_acl
}

is_foreign() { # TEXT: it is not in tgtd's account of things
	fails grep -q "$1" <<<"$(tgt_show)"
}

@test "killed while a host writes: the session goes on, and everything is adopted as it was" {
	local out=$BATS_TEST_TMPDIR/hold tgtd
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	attach vol h2 ro
	mkdir "$a/h3"
	put kept "$vol/metadata/key"
	chmod 0700 "$vol"
	creds vol h1
	hold "$out" --interval 2 3
	tgtd=$(tgtd_pid)
	snapshot >"$BATS_TEST_TMPDIR/before"
	fs_kill
	within 5 grep -q ok "$out"
	fs_start
	[ "$(tgtd_pid)" = "$tgtd" ]
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
	[ "$(stat -c %a "$vol")" = 700 ]
	within 5 is_logged_in vol h1
	refused EBUSY rmdir "$a/h1"
	# others are served as if nothing had been
	detach vol h2
	put ro "$a/h3/mode"
	release "$out"
	creds vol h3
	host login
	creds vol h1
	host write 1 1
}

@test "unmounted while a host writes: status 0, the session goes on, all is adopted" {
	local out=$BATS_TEST_TMPDIR/hold
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	attach vol h2 ro
	creds vol h1
	hold "$out" --interval 2 3
	snapshot >"$BATS_TEST_TMPDIR/before"
	fs_stop
	fs_start
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
	release "$out"
	creds vol h2
	host login
}

# How many accounts tgtd has, how many of them its targets have, and how many may log in.
n_accounts() {
	tgt_do --op show --mode account | grep -c '^ '
	tgt_show | awk '/^Target /{on = 0} /Account information:/{on = 1; next}
		/ACL information:/{on = 0} on' | wc -l
	tgt_show | grep -c 'attachfs-guard'
}

@test "started again and again: tgtd does not get more accounts of it" {
	local i
	new_volume vol ssd:fast 16M true
	new_volume other ssd:fast 16M
	attach vol h1 rw
	attach vol h2 ro
	attach vol h3 ro
	attach other h3 rw
	fs_stop
	fs_start
	n_accounts >"$BATS_TEST_TMPDIR/before"
	for i in 1 2 3 4 5; do
		[ $((i % 2)) = 0 ] && fs_stop || fs_kill
		fs_start
	done
	n_accounts | diff "$BATS_TEST_TMPDIR/before" -
	# nobody was shut out by that, and leaving still shuts nobody out
	detach vol h2
	for i in vol:h1 vol:h3 other:h3; do
		creds "${i%:*}" "${i#*:}"
		host login
	done
}

@test "killed in the midst of an attach: it is completed at start" {
	new_volume vol mem:ram 1G true
	impatient
	faults <<<"export delay 60000"
	mkdir "$a/h1"
	refused ETIMEDOUT put ro "$a/h1/mode"
	fs_kill
	faults </dev/null
	fs_start
	within 5 value_is attached "$a/h1/status"
	value_is ro "$a/h1/effective_mode"
	fails grep unsettled <<<"$(dump)"
}

@test "killed in the midst of a detach: it is completed at start" {
	new_volume vol mem:ram 1G
	attach vol h1 rw
	impatient
	faults <<<"unexport delay 60000"
	refused ETIMEDOUT rmdir "$a/h1"
	fs_kill
	faults </dev/null
	fs_start
	within 5 test ! -e "$a/h1"
	value_is available "$vol/status"
}

@test "tgtd hangs, attachfs is killed in the midst of attach, detach and purge: all complete" {
	local gone file
	new_volume vol ssd:fast 16M true
	new_volume old ssd:fast 16M
	file=$(backing_file old)
	attach vol h1 rw
	creds vol h1
	attach vol h2 rw
	mkdir "$a/h3"
	impatient
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT put rw "$a/h3/mode"
	refused ETIMEDOUT rmdir "$a/h1"
	rmdir "$mnt/volumes/old"
	fs_kill
	kill -CONT "$(tgtd_pid)"
	fs_start
	within 15 value_is attached "$a/h3/status"
	within 15 test ! -e "$a/h1"
	within 15 test ! -e "$file"
	no_login
	creds vol h3
	host login
	creds vol h2
	host login
	fails grep unsettled <<<"$(dump)"
}

@test "a tgtd that hangs: the tree stays quick, waits end in time, and the work completes" {
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	mkdir "$a/h2"
	impatient
	kill -STOP "$(tgtd_pid)"
	refused ETIMEDOUT put ro "$a/h2/mode"
	quick ls -lR "$mnt/volumes"
	quick cat "$a/h1/status"
	kill -CONT "$(tgtd_pid)"
	within 15 value_is attached "$a/h2/status"
	creds vol h2
	host login
}

@test "exports that nobody asked for are removed at start; other people's targets stay" {
	local id=11111111-2222-4333-8444-555555555555 mine
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	creds vol h1
	mine=$target
	tgt_acl >"$BATS_TEST_TMPDIR/before"
	fs_kill
	tgt_do --op new --mode target --tid 4000001 -T "iqn.2026-11.io.attachfs:$id.rw"
	tgt_do --op new --mode logicalunit --tid 4000001 --lun 1 -b "$(ls -d "$dir"/fast/*)"
	tgt_do --op bind --mode target --tid 4000001 -Q iqn.2026-11.test:evil
	tgt_do --op new --mode target --tid 4000002 -T iqn.1999-01.com.example:theirs
	tgt_do --op bind --mode target --tid 4000002 -Q iqn.2026-11.test:them
	# somebody else let in to a target of ours
	tgt_do --op bind --mode target --tid "$(tgt_show | sed -n "s/^Target \([0-9]*\): $mine/\1/p")" \
		-Q iqn.2026-11.test:evil
	fs_start
	within 10 is_foreign "$id"
	within 10 is_foreign evil
	tgt_acl | grep -v theirs | diff "$BATS_TEST_TMPDIR/before" -
	grep -q theirs <<<"$(tgt_acl)"
	creds vol h1
	host login
}

@test "an address let in to a target of ours is removed at start" {
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	creds vol h1
	fs_kill
	tgt_do --op bind --mode target --tid "$(tgt_show | sed -n "s/^Target \([0-9]*\): $target/\1/p")" \
		-I ALL
	grep -q "$target ALL" <<<"$(tgt_acl)"
	fs_start
	within 10 is_foreign ALL || { tgt_show; cat "$dir/log"; return 1; }
	host login
}

# What a host goes by: the capacity, the protection, and the LUN's NAA 6 identifier.
seen() {
	host login | sed -E 's/identity=.*(0103001.6[0-9a-f]{31})$/\1/'
}

@test "tgtd is killed: every export returns as it was, within ten seconds" {
	local old seen_rw seen_ro
	new_volume vol ssd:fast 16M true
	new_volume two ssd:fast 1M
	attach vol h1 rw
	attach vol h2 ro
	attach two h3 rw
	creds vol h1
	host write 5 55
	seen_rw=$(seen)
	snapshot >"$BATS_TEST_TMPDIR/before"
	old=$(tgtd_pid)
	creds vol h2
	seen_ro=$(seen)
	kill -9 "$old"
	within 10 host login
	fails [ "$(tgtd_pid)" = "$old" ]
	[ "$(seen)" = "$seen_ro" ]
	[ "$(host read 5)" = "55 equal" ]
	run host opcodes
	[ "$status" = 3 ]
	creds vol h1
	within 10 host login
	[ "$(seen)" = "$seen_rw" ]
	creds two h3
	within 10 host login
	within 10 value_is available "$mnt/docks/ssd/status"
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
}

@test "a detached host does not return by way of a restarted tgtd" {
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	attach vol h2 rw
	creds vol h1
	detach vol h1
	kill -9 "$(tgtd_pid)"
	(creds vol h2 && within 10 host login)
	no_login
	initiator=iqn.2026-11.test:h2 no_login
}

@test "attaching while tgtd is being restarted completes" {
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	kill -9 "$(tgtd_pid)"
	mkdir "$a/h2"
	put rw "$a/h2/mode" || refused ETIMEDOUT put rw "$a/h2/mode" || true
	within 15 eval 'put rw "$a/h2/mode"'
	creds vol h2
	within 10 host login
}

@test "both are killed: all exports are there again after the start" {
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	attach vol h2 ro
	snapshot >"$BATS_TEST_TMPDIR/before"
	fs_kill
	kill -9 "$(tgtd_pid)"
	fs_start
	creds vol h1
	within 10 host login
	creds vol h2
	within 10 host login
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
}

@test "killed at any moment of attaching and detaching: nothing is lost, nothing is left" {
	local round pid n
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	creds vol h1
	hold "$BATS_TEST_TMPDIR/hold" --interval 5 3
	for round in {1..8}; do
		(
			set +e
			while [ -d "$vol" ]; do
				for n in h2 h3; do
					mkdir "$a/$n" && put rw "$a/$n/mode"
					rmdir "$a/$n"
				done
			done
		) >/dev/null 2>&1 3>&- &
		pid=$!
		within 5 test -d "$a/h2"
		sleep "0.0$((RANDOM % 10))" # a random moment, not a wait
		fs_kill
		wait "$pid" || true
		fs_start
		within 10 sh -c '! grep -lE "attaching|detaching" "$1"/*/status' - "$a"
		for n in "$a"/*/; do
			[ "$(cat "$n/status")" != attached ] ||
				echo "$(cat "$n/connection/target_iqn") $(cat "$n/initiator")"
		done | sort >"$BATS_TEST_TMPDIR/tree"
		diff "$BATS_TEST_TMPDIR/tree" <(tgt_acl)
		grep -q h1 "$BATS_TEST_TMPDIR/tree"
		for n in h2 h3; do
			[ ! -d "$a/$n" ] || rmdir "$a/$n"
		done
	done
	release "$BATS_TEST_TMPDIR/hold" || { tail -40 "$dir/log"; return 1; }
	host login
}

@test "the audit log only ever grows" {
	local n
	new_volume vol mem:ram 1G
	put one "$vol/description"
	n=$(n_events)
	head -n "$n" "$mnt/events" >"$BATS_TEST_TMPDIR/before"
	fs_kill
	fs_start
	head -n "$n" "$mnt/events" | cmp - "$BATS_TEST_TMPDIR/before"
	value_is one "$vol/description"
}

@test "a dock that is taken out of the configuration is unavailable, its volumes stay" {
	new_volume vol mem:ram 1G
	fs_stop
	mv "$dir/docks.d/mem.yaml" "$dir/mem.yaml"
	fs_launch
	within 10 test -e "$mnt/docks/ssd/status"
	within 10 value_is available "$mnt/docks/ssd/status"
	value_is unavailable "$mnt/docks/mem/status"
	fails value_is "" "$mnt/docks/mem/last_error"
	value_is 1G "$vol/size"
	fs_stop
	mv "$dir/mem.yaml" "$dir/docks.d/mem.yaml"
	fs_start
	value_is 1G "$vol/size"
}
