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

# More than 20 MiB
fill_up() {
	local v k
	for v in {1..60}; do
		mkdir "$mnt/volumes/v$v"
		for k in {1..50}; do
			printf '%04090d' "$k" >"$mnt/volumes/v$v/metadata/k$k"
		done
	done
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
	fails grep -q '^ 0440' <<<"$(mdb_dump "$dir/state")"
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
	fill_up
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

# It is done in one step, or not at all.
@test "no room on disk, and killed at any moment" {
	local after
	fill_up
	fs_stop
	older
	mv "$dir/state/data.mdb" "$dir/older"
	mkdir -m 700 "$dir/small"
	mount -t tmpfs -o size=30M,mode=700 tmpfs "$dir/small"
	cp -p "$dir/older" "$dir/small/data.mdb"
	sed "s|^state: .*|state: $dir/small|" "$dir/attachfs.yaml" >"$dir/small.yaml"
	run --separate-stderr "$attachfs" -c "$dir/small.yaml" -f "$mnt"
	cmp "$dir/older" "$dir/small/data.mdb"
	umount "$dir/small"
	echo "$stderr"
	[ "$status" = 1 ]
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"$dir/small: "*"cannot be brought up to date: No space left on device; left as it is" ]]
	for after in 0.0{1..9} 0.{1..3}; do
		rm -f "$dir/state/lock.mdb"
		cp -p "$dir/older" "$dir/state/data.mdb"
		timeout -s KILL "$after" "$attachfs" -c "$dir/attachfs.yaml" --repair || true
		"$attachfs" -c "$dir/attachfs.yaml" --repair
	done
	fs_start
	[ "$(find "$mnt/volumes" -name 'k[0-9]*' | wc -l)" = 3000 ]
}
