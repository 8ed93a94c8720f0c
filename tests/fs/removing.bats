#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# rm -r: it detaches and removes, never passes through another mode, and is refused as a whole.
load lib

setup_file() {
	fs_new 10 10
	fs_start
	new_host h1 h2 h3
}

teardown_file() {
	fs_end
}

setup() {
	v=$mnt/volumes/v
	a=$v/attachments
	new_volume v ssd:fast 16M true
	attach v h1 ro
	attach v h2 rw
	put one "$v/metadata/k"
	put one "$a/h1/metadata/k"
	put one "$a/h2/metadata/k"
}

teardown() {
	local f
	touch "$BATS_TEST_TMPDIR/stop"
	for f in "$BATS_TEST_TMPDIR"/*.pid; do
		[ ! -e "$f" ] || kill "$(cat "$f")" 2>/dev/null || true
	done
	[ ! -e "$a/h1" ] || within 10 rmdir "$a/h1"
	[ ! -e "$a/h2" ] || within 10 rmdir "$a/h2"
	rm -rf "$v"
}

# Everything that there is, but for what tells of the refusal itself.
state() {
	dump | jq -cS 'del(.values.last_error)' | sort
	(cd "$mnt" && find volumes hosts attachments docks ! -name last_error ! -name events \
		! -name metrics ! -name free_capacity ! -name sessions -type f -printf '%p %s %m %U %T@ ' \
		-exec sha1sum {} \; | grep -v ' metrics')
}

# Does it over and over until $stop is there; what it says goes to OUT.
over_and_over() { # OUT COMMAND…
	local out=$1
	shift
	while [ ! -e "$stop" ]; do "$@" || true; done >"$out" 2>/dev/null 3>&-
}

@test "rm -r of an attachment detaches it and never shows or gives another mode" {
	local n seen=$BATS_TEST_TMPDIR/seen acl=$BATS_TEST_TMPDIR/acl stop=$BATS_TEST_TMPDIR/stop p q
	n=$(n_events)
	over_and_over "$seen" cat "$a/h1/mode" "$a/h1/effective_mode" &
	p=$!
	over_and_over "$acl" tgt_acl &
	q=$!
	rm -r "$a/h1"
	touch "$stop"
	wait $p $q
	[ ! -e "$a/h1" ]
	fails grep -q rw "$seen"
	fails grep -q 'rw iqn.2026-11.test:h1' "$acl"
	# one detach, and nothing else
	[ "$(tail -n +$((n + 1)) "$mnt/events" | jq -r 'select(.event != "remove" or (.path | endswith("/h1"))) | .event' | xargs)" = "remove detached" ]
	value_is rw "$a/h2/effective_mode"
	[ "$(ls "$mnt/attachments")" = v@h2 ]
}

@test "rm -r of a volume detaches all of its attachments and removes it" {
	rm -r "$v"
	[ ! -e "$v" ]
	[ -z "$(ls "$mnt/attachments")" ]
	[ -z "$(tgt_acl)" ]
}

@test "every way to remove a tree: find -delete, python, perl" {
	find "$v" -depth -delete
	[ ! -e "$v" ]
	new_volume v mem:ram 16M true
	attach v h1 ro
	put one "$v/metadata/k"
	"$python" -c 'import shutil, sys; shutil.rmtree(sys.argv[1])' "$v"
	[ ! -e "$v" ]
	new_volume v mem:ram 16M true
	attach v h1 ro
	put one "$v/metadata/k"
	perl -MFile::Path=remove_tree -e 'remove_tree($ARGV[0], {safe => 0}); exit !!-e $ARGV[0]' "$v"
	[ ! -e "$v" ]
}

@test "rm -r of a volume with a live session: EBUSY, and nothing at all has changed" {
	local who before
	for who in h1 h2; do
		creds v $who
		hold "$BATS_TEST_TMPDIR/$who" --interval 0
		# what is hidden by a removal that was refused must be there again to be compared
		ls "$v" >/dev/null
		before=$(state)
		refused EBUSY rm -r "$v"
		explained "$v" "iqn.2026-11.test:$who has a live session from 127.0.0.1"
		within 8 test -e "$v/size"
		within 8 test -e "$a/h1/mode"
		within 8 test -e "$a/h2/mode"
		diff <(echo "$before") <(state)
		host read 0
		release "$BATS_TEST_TMPDIR/$who"
		within 5 is_logged_out v $who
	done
	rm -r "$v"
	[ ! -e "$v" ]
}

@test "rmdir and a mode switch with a live session change nothing at all either" {
	local before
	creds v h1
	hold "$BATS_TEST_TMPDIR/h1" --interval 0
	before=$(state)
	refused EBUSY rmdir "$a/h1"
	explained "$a/h1" "log it out first"
	refused EBUSY put rw "$a/h1/mode"
	explained "$a/h1" "log it out first"
	put rw "$a/h1/.new"
	refused EBUSY mv "$a/h1/.new" "$a/h1/mode"
	rm "$a/h1/.new"
	refused EBUSY rm -r "$a/h1"
	value_is one "$a/h1/metadata/k"
	within 8 test -e "$a/h1/mode"
	diff <(echo "$before") <(state)
	# others are not asked
	rmdir "$a/h2"
	release "$BATS_TEST_TMPDIR/h1"
	within 5 is_logged_out v h1
	put rw "$a/h1/mode"
	value_is rw "$a/h1/effective_mode"
}

@test "a session that begins between the question and the detach is ended by it" {
	for _ in {1..10}; do
		[ -e "$a/h1" ] || attach v h1 ro
		creds v h1
		(host login >/dev/null 2>&1 || true) 3>&- &
		if rmdir "$a/h1" 2>/dev/null; then
			no_login
		fi
		wait $!
	done
}

@test "rm -r of a host with attachments is refused; without, it is gone" {
	refused EBUSY rmdir "$mnt/hosts/h1"
	fails rm -r "$mnt/hosts/h1"
	value_is iqn.2026-11.test:h1 "$mnt/hosts/h1/initiator"
	[ "$(ls "$mnt/hosts/h1/attachments")" = v ]
	mkdir "$mnt/hosts/h4"
	put text "$mnt/hosts/h4/description"
	rm -r "$mnt/hosts/h4"
	[ ! -e "$mnt/hosts/h4" ]
}

@test "temporary files do not keep a directory, nor do attributes" {
	put x "$a/h1/.mode.swp"
	mkdir "$a/h1/.d"
	put x "$a/h1/.d/mode"
	put x "$v/.size.swp"
	put x "$v/metadata/.k.swp"
	rmdir "$a/h1" "$a/h2"
	rm "$v/metadata/k"
	rmdir "$v/metadata" "$v/attachments"
	[ -d "$v/metadata" ]
	[ ! -e "$v/metadata/.k.swp" ]
	rmdir "$v"
	[ ! -e "$v" ]
}

@test "rm -rf of everything that users have made" {
	put x "$mnt/hosts/h3/.x"
	rm -rf "$mnt"/volumes/* "$mnt"/hosts/*
	[ -z "$(ls -A "$mnt/volumes" "$mnt/hosts" | grep -v : )" ]
	fails rm -rf "$mnt/docks" 2>/dev/null
	value_is available "$mnt/docks/ssd/status"
	new_host h1 h2 h3
}
