#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A state folder that is damaged, somebody else's or newer: refused in a line, and left as it is.
load lib

setup() {
	local n
	fs_new
	rm "$dir/docks.d/ssd.yaml"
	fs_start
	new_host h1 h2
	new_volume vol mem:ram 1G true
	attach vol h1 rw
	attach vol h2 ro
	for n in {1..60}; do
		mkdir "$mnt/volumes/v$n"
		printf '%0500d' $n >"$mnt/volumes/v$n/description"
		printf '%04000d' $n >"$mnt/volumes/v$n/metadata/key"
	done
	fs_stop
	mv "$dir/state" "$dir/good"
	restore
	state=$dir/state/data.mdb
}

teardown() {
	fs_end
}

restore() {
	rm -rf "$dir/state"
	cp -a "$dir/good" "$dir/state"
}

# Of all that is there but the locks, which are nobody's state.
sums() {
	(cd "$dir/state" && find . ! -name lock ! -name lock.mdb -printf '%p %s %m ' \
		\( -type f -exec sha256sum {} \; -o -printf '\n' \) | sort)
}

# refuses TEXT: whatever attachfs is to do with that folder
refuses() {
	local what
	sums >"$BATS_TEST_TMPDIR/before"
	for what in "-f $mnt" --check --repair --dump; do
		# shellcheck disable=SC2086
		run --separate-stderr timeout 30 "$attachfs" -c "$dir/attachfs.yaml" $what
		echo "$what: status $status: $output $stderr"
		[ "$status" = 1 ]
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == "attachfs: $dir/state"* ]]
		[[ $stderr == *"$1"* ]]
		sums | diff "$BATS_TEST_TMPDIR/before" -
		fails mountpoint -q "$mnt"
	done
}

garbage() { # BYTES [FIRST PAGE]
	head -c "$1" /dev/urandom | dd of="$state" bs=4096 seek="${2:-0}" conv=notrunc status=none
}

@test "what was not damaged is served" {
	fs_start
	value_is attached "$mnt/volumes/vol/attachments/h1/status"
	mkdir "$mnt/volumes/more"
}

@test "cut off, at any length" {
	local size
	size=$(stat -c %s "$state")
	for n in 0 1 100 4096 8191 8192 8193 $((size / 2)) $((size / 4 * 3)); do
		restore
		truncate -s "$n" "$state"
		refuses "damaged"
	done
}

@test "garbage at its beginning, and further on" {
	garbage 4096
	refuses "damaged"
	restore
	garbage 4096 1
	refuses "damaged"
	restore
	garbage $(($(stat -c %s "$state") - 8192)) 2
	refuses "damaged"
	restore
	: >"$state"
	garbage 100000
	refuses "damaged"
}

# Whatever bytes are damaged: it is served or refused, and neither ends it nor changes a byte.
@test "random damage of every kind, in every page" {
	timeout 170 $python "$helpers/damage.py" "$attachfs" "$dir/attachfs.yaml" "$state"
}

foreign() { # OPTIONS… with a table on standard input
	rm -rf "$dir/state"
	mkdir -m 700 "$dir/state"
	mdb_load "$@" "$dir/state"
}

@test "another program's LMDB environment" {
	foreign <<-END
		VERSION=3
		format=print
		type=btree
		HEADER=END
		 somebody
		 else
		DATA=END
	END
	refuses "not a state"
	foreign -s meta <<-END
		VERSION=3
		format=print
		type=btree
		HEADER=END
		 format
		 attachfs 1
		DATA=END
	END
	refuses "not a state"
	foreign <<-END
		VERSION=3
		format=print
		type=btree
		duplicates=1
		HEADER=END
		 key
		 one
		 key
		 two
		DATA=END
	END
	refuses "not a state"
}

@test "a folder of somebody else's files; that of a file system is none" {
	rm -rf "$dir/state"
	mkdir -m 700 "$dir/state"
	echo precious >"$dir/state/letter.txt"
	local what
	for what in "-f $mnt" --repair; do
		# shellcheck disable=SC2086
		run timeout 30 "$attachfs" -c "$dir/attachfs.yaml" $what
		[ "$status" = 1 ]
		[[ $output == *"$dir/state"*letter.txt* ]]
		[ "$(cat "$dir/state/letter.txt")" = precious ]
		[ ! -e "$state" ]
	done
	rm "$dir/state/letter.txt"
	mkdir "$dir/state/lost+found"
	fs_start
}

@test "a newer version of the whole" {
	mdb_load "$dir/state" <<-'END'
		VERSION=3
		format=print
		type=btree
		HEADER=END
		 \02format
		 attachfs 3
		DATA=END
	END
	refuses '"attachfs 3"'
}

@test "a newer version of one record" {
	mdb_dump "$dir/state" | awk '
		/^DATA=END/ {data = 0}
		!data {print}
		data && ++n % 2 {key = $0; objects += /^ 01/}
		data && n % 2 == 0 && objects == 21 && !done++ {print key; print " ffff" substr($0, 6)}
		/^HEADER=END/ {data = 1}' >"$BATS_TEST_TMPDIR/newer"
	[ "$(grep -c '^ ' "$BATS_TEST_TMPDIR/newer")" = 2 ]
	mdb_load "$dir/state" <"$BATS_TEST_TMPDIR/newer"
	sums >"$BATS_TEST_TMPDIR/before"
	for what in "-f $mnt" --check --repair --dump; do
		# shellcheck disable=SC2086
		run timeout 30 "$attachfs" -c "$dir/attachfs.yaml" $what
		echo "$what: $output"
		[ "$status" = 1 ]
		[[ $output == *"record"*damaged* ]]
		sums | diff "$BATS_TEST_TMPDIR/before" -
	done
}
