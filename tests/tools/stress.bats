#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# stress-ng's file system classes, on temporary files and on what refuses them, STRESS_SECONDS each.
# Nothing may crash or leak (run it with ASan), and afterwards the tree is what LMDB has.
load lib

setup_file() {
	tools_start
	new_host h
	new_volume v mem:ram 16M true
	attach v h rw
	put alice "$mnt/volumes/v/metadata/owner"
}

teardown_file() {
	fs_end
}

# One line for everything that users have made, and its bytes.
whole_tree() {
	cd "$mnt"
	find volumes hosts profiles attachments -printf '%p %y %m %U:%G %s %T@ %l\n' | sort
	find volumes hosts profiles -type f -print | sort | xargs -d '\n' tail -n +1
}

stress_in() { # FOLDER PROCESSES CLASS
	local seconds=${STRESS_SECONDS:-1}
	timeout -k 5 $((seconds + 60)) stress-ng --temp-path "$1" --"$3" "$2" -t "$seconds"
}

# stress CLASS [ACCEPTED]: it works in a volume's directory, whose temporary files are anybody's. At the
# same time it is refused almost everything among volumes, where a name is an object.
stress() {
	local rc=0 refused=0
	stress_in "$mnt/volumes" 1 "$1" >"$dir/refused" 2>&1 3>&- &
	stress_in "$mnt/volumes/v" 2 "$1" >"$dir/out" 2>&1 3>&- || rc=$?
	wait $! || refused=$?
	[[ $refused = [0234] ]] || { echo "$refused"; cat "$dir/refused"; return 1; }
	cat "$dir/out"
	if [ -n "${2:-}" ]; then
		[[ $rc = [023] ]]
		fails grep -vE "$2|(info|error|metrc): " <(grep fail: "$dir/out")
	else
		[ $rc = 0 ]
	fi
	[ "$(ls -A "$mnt/volumes")" = v ]
	fails grep -q . <(find "$mnt/volumes/v" -name '*stress*')
	value_is rw "$mnt/volumes/v/attachments/h/effective_mode"
}

@test "stress-ng: dir" {
	stress dir
}

@test "stress-ng: dentry" {
	stress dentry
}

@test "stress-ng: getdent" {
	stress getdent
}

@test "stress-ng: chmod" {
	stress chmod
}

@test "stress-ng: chown" {
	stress chown
}

@test "stress-ng: rename" {
	stress rename
}

# The mount is noexec, so what can be executed by its mode cannot.
@test "stress-ng: access" {
	stress access 'access(at)? 00[1357] .*Permission denied'
}

@test "stress-ng: open" {
	stress open
}

@test "stress-ng: fstat" {
	stress fstat
}

@test "stress-ng: touch" {
	stress touch
}

# There are none, and it says so.
@test "stress-ng: xattr" {
	stress xattr 'does not support xattr'
}

@test "stress-ng: filename" {
	stress filename
}

@test "after all that the tree is what LMDB has" {
	(whole_tree) >"$dir/before"
	fs_stop
	[ "$(dump | jq -r 'select(.path | test("^(volumes|hosts)/")) | .path' | sort)" = "hosts/h
volumes/v
volumes/v/attachments/h
volumes/v/metadata/owner" ]
	fs_start
	(whole_tree) >"$dir/after"
	diff "$dir/before" "$dir/after"
}
