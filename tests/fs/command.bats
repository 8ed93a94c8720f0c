#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The command: options, exit statuses, messages, what it refuses to start on, and how it ends.
load lib

setup() {
	fs_new
	rm "$dir/docks.d/ssd.yaml"
}

teardown() {
	[ ! -e "$dir/background" ] || umount "$mnt" || true
	fs_end
}

run_it() { # EXPECTED_STATUS ARGUMENTS…
	local expected=$1
	shift
	run timeout 20 "$attachfs" "$@"
	echo "status $status: $output"
	[ "$status" = "$expected" ]
}

@test "--help and --version" {
	run_it 0 --help
	[[ $output == *"usage: attachfs -c FILE"* ]]
	run_it 0 -h
	run_it 0 --version
	[[ $output =~ ^attachfs\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	run_it 0 -V
}

@test "usage errors: status 2, one line, nothing mounted" {
	local arguments
	while read -r -a arguments; do
		run_it 2 "${arguments[@]}"
		[ "$(wc -l <<<"$output")" -le 2 ]
		[[ $output == *"--help"* ]]
	done <<-END
		$mnt
		-c
		-c $dir/attachfs.yaml
		-c $dir/attachfs.yaml $mnt $mnt
		--bogus
		-c $dir/attachfs.yaml -z $mnt
	END
	fails grep -q " $mnt fuse" /proc/self/mounts
}

@test "--check-config: 0 and silent, or FILE:LINE:COLUMN and 1" {
	run_it 0 -c "$dir/attachfs.yaml" --check-config
	[ -z "$output" ]
	printf 'state: %s\ndocks: docks.d\nattachTimeout: soon\n' "$dir/state" >"$dir/bad.yaml"
	run_it 1 -c "$dir/bad.yaml" --check-config
	[[ $output == *"$dir/bad.yaml:3:16: "*attachTimeout*expected* ]]
	printf 'name: x\ndriver: memory\npool:\n  a: {totalCapacity: lots}\n' >"$dir/docks.d/x.yaml"
	run_it 1 -c "$dir/attachfs.yaml" --check-config
	[[ $output == *"$dir/docks.d/x.yaml:4:"* ]]
	printf 'name: x\n\tdriver: memory\n' >"$dir/docks.d/x.yaml"
	run_it 1 -c "$dir/attachfs.yaml" --check-config
	[[ $output == *"$dir/docks.d/x.yaml:2:"* ]]
	run_it 1 -c "$dir/none.yaml" --check-config
	[[ $output == *"$dir/none.yaml"*"No such file"* ]]
}

@test "an unknown key is a warning that names its place, and no more" {
	echo 'atachTimeout: 5' >>"$dir/attachfs.yaml"
	run_it 0 -c "$dir/attachfs.yaml" --check-config
	[[ $output == *"$dir/attachfs.yaml:6:1: unknown key atachTimeout"* ]]
}

@test "a dock whose driver is not built in is shown as unavailable" {
	printf 'name: old\ndriver: ceph\npool:\n  rbd: {totalCapacity: 10}\n' >"$dir/docks.d/old.yaml"
	fs_launch
	within 10 value_is available "$mnt/docks/mem/status"
	value_is unavailable "$mnt/docks/old/status"
	explained "$mnt/docks/old" "not built in"
	value_is unavailable "$mnt/docks/old/pools/rbd/status"
}

@test "a second instance on the same state is refused with a clear line" {
	fs_start
	mkdir "$dir/mnt2"
	run_it 1 -c "$dir/attachfs.yaml" -f "$dir/mnt2"
	[ "$(wc -l <<<"$output")" = 1 ]
	[[ $output == *"$dir/state"* ]]
	fails grep -q " $dir/mnt2 fuse" /proc/self/mounts
	value_is available "$mnt/docks/mem/status"
	# reading the state is allowed all the while
	dump >/dev/null
}

@test "a state folder that others can enter is refused; a missing one is made 0700" {
	chmod 0755 "$dir/state"
	run_it 1 -c "$dir/attachfs.yaml" -f "$mnt"
	[[ $output == *"$dir/state"*700* ]]
	fails grep -q " $mnt fuse" /proc/self/mounts
	rmdir "$dir/state"
	fs_start
	[ "$(stat -c %a "$dir/state")" = 700 ]
}

@test "a mount point that is not there: status 1 and a line, and the state is free again" {
	run_it 1 -c "$dir/attachfs.yaml" -f "$dir/nowhere"
	[[ $output == *nowhere* ]]
	fs_start
}

@test "SIGTERM and SIGINT unmount, with status 0" {
	local signal
	for signal in TERM INT; do
		fs_start
		kill -$signal "$(fs_pid)"
		within 10 test -e "$dir/status"
		value_is 0 "$dir/status"
		fails grep -q " $mnt fuse" /proc/self/mounts
	done
}

@test "SIGTERM while a writer waits: it is answered, and the daemon ends in time" {
	fs_start
	new_host h1
	new_volume vol mem:ram 1G
	mkdir "$mnt/volumes/vol/attachments/h1"
	faults <<<"export delay 60000"
	put rw "$mnt/volumes/vol/attachments/h1/mode" 2>/dev/null 3>&- &
	within 5 value_is attaching "$mnt/volumes/vol/attachments/h1/status"
	kill -TERM "$(fs_pid)"
	fails wait $!
	faults </dev/null
	within 10 test -e "$dir/status"
	value_is 0 "$dir/status"
	fails grep -q " $mnt fuse" /proc/self/mounts
}

@test "SIGTERM while the mount is in use: the daemon ends all the same" {
	fs_start
	exec {fd}<"$mnt/version"
	kill -TERM "$(fs_pid)"
	within 10 test -e "$dir/status"
	value_is 0 "$dir/status"
	exec {fd}<&-
	! grep -q " $mnt fuse" /proc/self/mounts || umount -l "$mnt"
}

@test "in the background: it returns once the mount is served, and ends with umount" {
	local pid
	touch "$dir/background"
	timeout 20 "$attachfs" -c "$dir/attachfs.yaml" "$mnt" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 4>&-
	is_served
	pid=$(pgrep -f "^$attachfs -c $dir/attachfs.yaml $mnt")
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	[ "$(ls -l "/proc/$pid/fd/" | grep -cE '/(0|1|2) ->|-> /dev/null')" -ge 3 ]
	new_volume vol mem:ram 1G
	umount "$mnt"
	within 10 test ! -e "/proc/$pid"
	rm "$dir/background"
	cat "$BATS_TEST_TMPDIR/out"
}

@test "in the background: a failure is told, and is the status" {
	chmod 0755 "$dir/state"
	run_it 1 -c "$dir/attachfs.yaml" "$mnt"
	[[ $output == *"$dir/state"* ]]
}

@test "--dump: JSON lines, while it runs and when it does not, and no state is made by it" {
	run_it 1 -c "$dir/attachfs.yaml" --dump
	fs_start
	new_volume vol mem:ram 1G
	put something "$mnt/volumes/vol/description"
	dump | jq -se 'map(select(.kind == "volume")) | length == 1 and
		.[0].values.description == "something\n" and .[0].path == "volumes/vol"'
	fs_stop
	dump | jq -se 'map(select(.kind == "volume")) | length == 1'
}

@test "a pool folder that others can enter: the dock is unavailable, and the log says it once" {
	printf 'name: open\ndriver: tgt\ntgt: {portal: "127.0.0.1:%s", controlPort: %s, spawn: true}\npool:\n  p: {path: %s, totalCapacity: 10}\n' \
		"$port" "$port" "$dir/open" >"$dir/docks.d/open.yaml"
	mkdir -m 755 "$dir/open"
	fs_launch
	within 10 value_is available "$mnt/docks/mem/status"
	within 10 value_is unavailable "$mnt/docks/open/status"
	within 10 explained "$mnt/docks/open" "mode 0700"
	sleep 2 # as long as a line each half second would take to show
	[ "$(grep -c 'mode 0700' "$dir/log")" = 1 ]
	chmod 700 "$dir/open"
	within 10 value_is available "$mnt/docks/open/status"
}

@test "a portal that is taken: attaching fails and says so, others are served" {
	local taker
	printf 'name: taken\ndriver: tgt\ntgt: {portal: "127.0.0.1:%s", controlPort: %s, spawn: true}\npool:\n  p: {path: %s, totalCapacity: 10}\n' \
		"$port" "$port" "$dir/taken" >"$dir/docks.d/taken.yaml"
	"$python" -c 'import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) # old connections do not matter to a server
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("bound", flush=True)
time.sleep(60)' "$port" >"$BATS_TEST_TMPDIR/bound" 3>&- &
	taker=$!
	within 5 grep -q bound "$BATS_TEST_TMPDIR/bound"
	fs_launch
	within 10 value_is available "$mnt/docks/mem/status"
	# tgtd is started by the first attach
	new_host h1
	new_volume vol taken:p 1M
	mkdir "$mnt/volumes/vol/attachments/h1"
	fails put rw "$mnt/volumes/vol/attachments/h1/mode"
	explained "$mnt/volumes/vol/attachments/h1" "$port" || { cat "$dir/log"; return 1; }
	new_volume other mem:ram 1G
	kill $taker
	within 15 put rw "$mnt/volumes/vol/attachments/h1/mode"
}
