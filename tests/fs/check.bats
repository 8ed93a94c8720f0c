#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# attachfs --check finds every way in which records, targets and files can differ; --repair mends them.
load lib

setup() {
	fs_new
	rm "$dir/docks.d/mem.yaml"
	fs_start
	new_host h1 h2
	vol=$mnt/volumes/vol
	a=$vol/attachments
	new_volume vol ssd:fast 16M true
	new_volume idle ssd:fast 1M
	attach vol h1 rw
	attach vol h2 ro
	file=$(backing_file vol)
	id=$(cat "$vol/id")
	creds vol h2
	target_ro=$target
	creds vol h1
	target_rw=$target
}

teardown() {
	local p
	for p in $(tgtd_pid); do
		kill -CONT "$p" || true
	done
	fs_end
}

check() { # STATUS OPTION
	local rc=0
	"$attachfs" -c "$dir/attachfs.yaml" "$2" >"$BATS_TEST_TMPDIR/said" 2>>"$dir/log" || rc=$?
	[ $rc = "$1" ] || { echo "$2: status $rc, not $1"; cat "$BATS_TEST_TMPDIR/said"; return 1; }
}

# differs LINE…: exactly these are reported, and reporting them changes nothing
differs() {
	check 1 --check
	{
		printf '%s\n' "$@" | sort
		[ $# = 1 ] && echo "1 difference" || echo "$# differences"
	} | diff - <(sed '$d' "$BATS_TEST_TMPDIR/said" | sort; tail -n 1 "$BATS_TEST_TMPDIR/said")
	check 1 --check
}

agrees() {
	check 0 "${1:---check}"
	[ "$(cat "$BATS_TEST_TMPDIR/said")" = "all agree" ]
}

tid_of() { # TARGET
	tgt_do --op show --mode target | sed -n "s/^Target \([0-9]*\): $1\$/\1/p"
}

# All is as it was: the hosts log in, one to write and one not.
is_served_well() {
	fs_start
	creds vol h1
	within 10 host write 1 1
	creds vol h2
	within 10 host login
	run host write 1 2
	[ "$status" = 3 ]
}

@test "what is served agrees; while it is served nothing is looked at" {
	check 1 --check
	grep -q "another attachfs uses this state folder" "$dir/log"
	check 1 --repair
	sed -i '/another attachfs uses/d' "$dir/log"
	fs_stop
	agrees
	agrees --repair
	is_served_well
}

@test "after a kill, too, and with a host logged in" {
	hold "$BATS_TEST_TMPDIR/hold" --interval 5 3
	fs_kill
	agrees
	agrees --repair
	fs_start
	release "$BATS_TEST_TMPDIR/hold"
}

@test "somebody let in to a target, a target of no volume, one without a host" {
	local other=11111111-2222-4333-8444-555555555555 prefix=iqn.2026-11.io.attachfs idle
	idle=$(cat "$mnt/volumes/idle/id")
	fs_stop
	tgt_do --op bind --mode target --tid "$(tid_of "$target_rw")" -Q iqn.2026-11.test:evil
	tgt_do --op new --mode target --tid 4000001 -T "$prefix:$other.rw"
	tgt_do --op bind --mode target --tid 4000001 -Q iqn.2026-11.test:ghost
	tgt_do --op new --mode target --tid 4000002 -T "$prefix:$idle.ro"
	differs "volumes/vol: $id is exported to iqn.2026-11.test:evil, which nobody asked for" \
		"docks/ssd: $other is exported to iqn.2026-11.test:ghost, which nobody asked for" \
		"volumes/idle: $idle is exported to no host, which nobody asked for"
	agrees --repair
	is_served_well
}

@test "a target that is gone" {
	fs_stop
	tgt_do --op delete --mode target --tid "$(tid_of "$target_ro")" --force
	differs "volumes/vol/attachments/h2: iqn.2026-11.test:h2 is attached, and nothing is exported to it"
	agrees --repair
	is_served_well
}

@test "a LUN that is no longer write-protected" {
	fs_stop
	tgt_do --op update --mode logicalunit --tid "$(tid_of "$target_ro")" --lun 1 -P readonly=0
	differs "volumes/vol/attachments/h2: as its host sees it: $target_ro is not write-protected"
	agrees --repair
	is_served_well
}

@test "a host in both modes" {
	fs_stop
	tgt_do --op bind --mode target --tid "$(tid_of "$target_rw")" -Q iqn.2026-11.test:h2
	check 1 --check
	agrees --repair
	is_served_well
}

@test "a target daemon that is gone" {
	fs_stop
	kill -9 "$(tgtd_pid)"
	within 5 eval '[ -z "$(tgtd_pid)" ]'
	differs "volumes/vol/attachments/h1: iqn.2026-11.test:h1 is attached, and nothing is exported to it" \
		"volumes/vol/attachments/h2: iqn.2026-11.test:h2 is attached, and nothing is exported to it"
	agrees --repair
	is_served_well
}

@test "what was not finished is told, and finished" {
	local pid
	kill -STOP "$(tgtd_pid)"
	rmdir "$a/h1" 2>/dev/null 3>&- &
	pid=$!
	within 5 value_is detaching "$a/h1/status"
	fs_kill
	wait $pid || true
	kill -CONT "$(tgtd_pid)"
	differs "volumes/vol/attachments/h1: it is not settled: the next start goes on with it"
	agrees --repair
	fs_start
	[ ! -e "$a/h1" ]
	no_login
}

@test "a backing file that is missing, one of another size, one of no volume: told, and left alone" {
	local idle lost=$dir/fast/22222222-3333-4444-8555-666666666666
	idle=$(backing_file idle)
	fs_stop
	rm "$idle"
	echo precious >"$lost"
	truncate -s 17M "$file"
	check 1 --check
	grep -q "^volumes/idle: its backing is missing$" "$BATS_TEST_TMPDIR/said"
	grep -q "^docks/ssd: pool fast has ${lost##*/}, which is no volume's$" "$BATS_TEST_TMPDIR/said"
	grep -q "^volumes/vol: its backing has 17825792 bytes, not 16777216$" "$BATS_TEST_TMPDIR/said"
	truncate -s 16M "$file"
	check 1 --repair
	grep -q "^2 differences$" "$BATS_TEST_TMPDIR/said"
	[ "$(cat "$lost")" = precious ]
	rm "$lost"
	truncate -s 1M "$idle"
	agrees
}

@test "a state folder that is not there is an error, and is not made" {
	fs_stop
	mv "$dir/state" "$dir/kept"
	check 1 --check
	[ ! -e "$dir/state" ]
	mv "$dir/kept" "$dir/state"
	sed -i '/cannot\|No such file/d' "$dir/log"
	agrees
}
