#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Values and names: every attribute of every object, what it refuses, with which error, and why.
load lib

setup_file() {
	local d
	fs_new
	fs_start
	new_host swept used
	mkdir "$mnt/profiles/swept"
	put x "$mnt/profiles/swept/extra_specs/k"
	mkdir "$mnt/volumes/new"
	new_volume made mem:ram 1G true
	mkdir "$mnt/volumes/made/attachments/held"
	attach made used rw
	for d in "$mnt"/volumes/{new,made,made/attachments/held,made/attachments/used}/metadata; do
		put x "$d/k"
	done
}

teardown_file() {
	fs_end
}

sweep() {
	run "$python" "$helpers/sweep.py" "$mnt" "$@"
	echo "$output"
	[ "$status" = 0 ]
}

@test "the sweep's table has every settable attribute of the tree" {
	sweep complete
}

@test "every bad value is refused with its errno, explained, and changes nothing" {
	sweep bad
}

@test "every good value is taken and read back byte for byte" {
	sweep good
}

@test "read-only attributes refuse to be opened for writing or truncated, even by root" {
	sweep readonly
}

@test "st_size is the number of bytes read, for every attribute" {
	sweep size
}

@test "names that are none: EINVAL in every container, and nothing is made" {
	local c name
	for c in hosts profiles volumes volumes/made/attachments; do
		for name in '!x' 'a b' 'a@b' '-a' '_a' 'ä' 'a:b' 'a,b' $'a\nb' 'a*' '~' 'x+y' \
			"$(printf 'x%.0s' {1..64})"; do
			refused EINVAL mkdir "$mnt/$c/$name" || refused ENAMETOOLONG mkdir "$mnt/$c/$name"
			[ ! -e "$mnt/$c/$name" ]
		done
		refused ENAMETOOLONG mkdir "$mnt/$c/$(printf 'x%.0s' {1..256})"
	done
	explained "$mnt/volumes/made" name
}

@test "names of 63 bytes with dots and dashes are taken" {
	local name
	name=A.b_c-$(printf '9%.0s' {1..57})
	[ ${#name} = 63 ]
	mkdir "$mnt/hosts/$name" "$mnt/volumes/$name" "$mnt/volumes/made/attachments/$name"
	rmdir "$mnt/volumes/made/attachments/$name" "$mnt/hosts/$name" "$mnt/volumes/$name"
}

@test "a misspelt attribute is refused: EACCES" {
	local d=$mnt/volumes/made
	refused EACCES put ro "$d/attachments/used/mdoe"
	refused EACCES put 1G "$d/siez"
	refused EACCES put x "$mnt/hosts/swept/initator"
	refused EACCES put x "$mnt/profiles/swept/eligible/mem:none"
	refused EACCES put x "$mnt/volumes/x"
	refused EACCES put x "$mnt/x"
	refused EACCES put x "$mnt/docks/mem/x"
	refused EACCES put x "$d/attachments/used/connection/x"
	[ ! -e "$d/attachments/used/mdoe" ]
}

@test "directories can be made only where objects live" {
	local d
	for d in . docks docks/mem docks/mem/pools docks/mem/pools/ram/volumes profiles/swept \
		profiles/swept/extra_specs profiles/swept/eligible docks/mem/pools/ram/capabilities hosts/swept hosts/swept/attachments volumes/made \
		volumes/made/metadata volumes/made/attachments/used \
		volumes/made/attachments/used/connection attachments; do
		refused EACCES mkdir "$mnt/$d/xyzzy"
	done
}

@test "files, links and devices of other kinds cannot be made" {
	fails mkfifo "$mnt/volumes/made/metadata/fifo"
	fails mknod "$mnt/volumes/made/metadata/null" c 1 3
	fails ln -s x "$mnt/attachments/x@y"
	fails ln "$mnt/volumes/made/metadata/k" "$mnt/volumes/made/metadata/k2"
	[ ! -e "$mnt/volumes/made/metadata/k2" ]
}

@test "every refusal is in the audit log: who, what, why" {
	local n pid
	n=$(n_events)
	mkdir "$mnt/volumes/bad!name" 2>/dev/null || true
	put x "$mnt/volumes/made/size" 2>/dev/null || true
	rmdir "$mnt/volumes/made" 2>/dev/null || true
	mkdir "$mnt/volumes/made/attachments/-x" 2>/dev/null || true
	tail -n +$((n + 1)) "$mnt/events" >"$BATS_TEST_TMPDIR/events"
	cat "$BATS_TEST_TMPDIR/events"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/events")" = 4 ]
	jq -se 'all(.[]; .event == "refused" and .uid == 0 and .pid > 0 and (.detail | length) > 0 and
		(.time | test("^20..-..-..T.*Z$")))' "$BATS_TEST_TMPDIR/events"
	[ "$(jq -r .path "$BATS_TEST_TMPDIR/events" | tail -3)" = "volumes/made/size
volumes/made
volumes/made" ]
}

@test "refusals that need no commit are in the audit log too" {
	local n
	n=$(n_events)
	put ro "$mnt/volumes/made/attachments/used/status" 2>/dev/null || true
	put ro "$mnt/volumes/made/attachments/used/mdoe" 2>/dev/null || true
	mkdir "$mnt/docks/other" 2>/dev/null || true
	tail -n +$((n + 1)) "$mnt/events"
	[ "$(n_events)" = $((n + 3)) ]
}

@test "docks and pools are changed in the configuration, and a refusal says so" {
	local n
	n=$(n_events)
	refused EACCES mkdir "$mnt/docks/other"
	refused EACCES mkdir "$mnt/docks/mem/pools/other"
	refused EACCES rmdir "$mnt/docks/mem"
	refused EACCES rmdir "$mnt/docks/mem/pools/tiny"
	refused EACCES mv "$mnt/docks/mem" "$mnt/docks/moved"
	tail -n +$((n + 1)) "$mnt/events" | grep -c 'follows the configuration' >"$BATS_TEST_TMPDIR/n"
	[ "$(cat "$BATS_TEST_TMPDIR/n")" = 5 ]
}

@test "a refused write leaves the handle usable" {
	run -0 "$python" - "$mnt/volumes/made/description" "$mnt/volumes/made/max_writers" <<-'END'
		import os, sys
		def refused(fd, value):
		    try:
		        os.write(fd, value)
		    except OSError:
		        return
		    raise SystemExit("taken: %r" % value)
		for path, first, bad, last, flags, expected in (
		        (1, b"abc", b"\x01", b"def", os.O_TRUNC, b"abcdef"),
		        (1, b"ghi", b"\x01", b"jkl", os.O_APPEND, b"abcdefghijkl"),
		        (1, b"", b"\x01", b"mno", os.O_APPEND, b"abcdefghijklmno"),
		        (2, b"", b"x", b"3", os.O_APPEND, b"3"),
		        (2, b"1", b"x", b"2", os.O_TRUNC, b"12"),
		        (2, b"", b"x", b"4", os.O_TRUNC, b"4")):
		    path = sys.argv[path]
		    fd = os.open(path, os.O_WRONLY | flags)
		    first and os.write(fd, first)
		    refused(fd, bad)
		    try:
		        os.write(fd, last)
		    except OSError as error:
		        print(path, first, bad, last, error)
		    os.close(fd)
		    got = open(path, "rb").read()
		    if got != expected:
		        print("%s is %r, expected %r" % (path, got, expected))
		        open(path, "wb").write(expected)
	END
	echo "$output"
	put 0 "$mnt/volumes/made/max_writers"
	[ -z "$output" ]
}
