#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A state that an older attachfs wrote: a start brings it up to date, and all goes on as it was.
load lib

setup() {
	fs_new
	fs_start
	new_host h1 h2 h3
	new_volume vol ssd:fast 16M true
	new_volume going mem:ram 1M
	attach vol h1 rw
	attach vol h2 ro
	mkdir "$mnt/volumes/vol/attachments/h3" "$mnt/volumes/.draft" "$mnt/profiles/p"
	put kept "$mnt/volumes/vol/metadata/key"
}

teardown() {
	[ ! -d "$dir" ] || faults </dev/null
	fs_end
}

older() {
	$python "$helpers/format1.py" "$dir/state"
}

# What is there, and what each file says that does not change by itself; the audit log.
snapshot() {
	(
		cd "$mnt"
		find . ! -path './volumes/going*' ! -path './docks/*' -printf '%p %y %m %U %G %i %l\n' | sort
		find . -type f ! -path './docks/*' ! -name events ! -name metrics ! -name sessions \
			! -path './volumes/going/*' -exec grep -H '' {} + | sort
		ls attachments hosts/h1/attachments docks/ssd/pools/fast/volumes
	)
}

@test "everything is as it was, and hosts go on; a purge that was under way ends" {
	local out=$BATS_TEST_TMPDIR/hold what
	creds vol h1
	hold "$out" --interval 2 3
	snapshot >"$BATS_TEST_TMPDIR/before"
	faults <<<"purge delay 60000"
	rmdir "$mnt/volumes/going"
	cp "$mnt/events" "$BATS_TEST_TMPDIR/events"
	fs_kill
	faults </dev/null
	older
	sha256sum "$dir/state/data.mdb" >"$BATS_TEST_TMPDIR/sum"
	for what in --dump --check; do
		run "$attachfs" -c "$dir/attachfs.yaml" "$what"
		[ "$status" = 1 ]
		[[ $output == *"$dir/state: "*"written by an older attachfs"*"start this one"* ]]
	done
	sha256sum -c "$BATS_TEST_TMPDIR/sum"
	fs_start
	grep -q "$dir/state: brought up to date" "$dir/log"
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
	head -c "$(stat -c %s "$BATS_TEST_TMPDIR/events")" "$mnt/events" | cmp "$BATS_TEST_TMPDIR/events"
	[ "$(ls "$mnt/attachments")" = "$(printf 'vol@%s\n' h1 h2 h3)" ]
	is_logged_in vol h1
	release "$out"
	host write 1 1
	within 10 happened purged 0
	# a state as any other: it is started on again, and is without a trace of the one before
	fs_stop
	[ "$(mdb_dump -l "$dir/state" | wc -l)" = 0 ]
	fs_start
	snapshot | diff "$BATS_TEST_TMPDIR/before" -
	[ "$(grep -c "brought up to date" "$dir/log")" = 1 ]
	mkdir "$mnt/volumes/more"
	put rw "$mnt/volumes/vol/attachments/h3/mode"
	detach vol h2
	fs_stop
	[ "$("$attachfs" -c "$dir/attachfs.yaml" --check)" = "all agree" ]
}

@test "one that fills its map" {
	local v k
	for v in {1..60}; do
		mkdir "$mnt/volumes/v$v"
		for k in {1..50}; do
			printf '%04090d' "$k" >"$mnt/volumes/v$v/metadata/k$k"
		done
	done
	fs_stop
	older
	[ "$(stat -c %s "$dir/state/data.mdb")" -gt $((20 << 20)) ]
	sed -i 's/mapSize: .*/mapSize: 16M/' "$dir/attachfs.yaml"
	fs_start
	value_is attached "$mnt/volumes/vol/attachments/h1/status"
	refused ENOSPC mkdir "$mnt/volumes/more"
	rm -r "$mnt/volumes/"v{1..60}
	detach vol h2
}
