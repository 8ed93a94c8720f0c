#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A backend that hangs: the tree stays quick, waits are bounded, and the work completes by itself.
load lib

setup_file() {
	fs_new 1 1
	fs_start
	new_host h1 h2
	new_volume other mem:ram 1G true
	attach other h2 rw
}

teardown_file() {
	faults </dev/null
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	a=$mnt/volumes/$v/attachments
}

teardown() {
	faults </dev/null
	[ ! -d "$mnt/volumes/$v" ] || remove_volume "$v"
}

status_is() { # STATUS OBJECT
	value_is "$1" "$2/status"
}

# takes FROM TO COMMAND…: how long it takes, in milliseconds
takes() {
	local from=$1 to=$2 start took rc=0
	shift 2
	start=$(now_ms)
	"$@" || rc=$?
	took=$(($(now_ms) - start))
	[ $took -ge "$from" ] && [ $took -le "$to" ] || { echo "took $took ms: $*"; return 1; }
	return $rc
}

@test "attach: ETIMEDOUT at its bound, the tree stays quick, then it completes by itself" {
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	faults <<<"export delay 60000"
	takes 900 2500 refused ETIMEDOUT put rw "$a/h1/mode"
	status_is attaching "$a/h1"
	status_is attaching "$mnt/volumes/$v"
	quick stat "$a/h1/mode"
	quick ls -lR "$mnt"
	quick cat "$mnt/volumes/other/status" "$mnt/docks/mem/status" "$mnt/events"
	quick cat "$a/h1/connection/target_iqn"
	quick mkdir "$mnt/volumes/quick"
	quick put x "$mnt/volumes/quick/description"
	quick rmdir "$mnt/volumes/quick"
	quick mkdir "$a/h2"
	quick rmdir "$a/h2"
	faults </dev/null
	within 5 status_is attached "$a/h1"
	value_is rw "$a/h1/effective_mode"
	status_is in-use "$mnt/volumes/$v"
}

@test "while one writer waits, others are served quickly" {
	local pid
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	faults <<<"export delay 60000"
	put rw "$a/h1/mode" 2>/dev/null 3>&- &
	pid=$!
	within 1 status_is attaching "$a/h1"
	quick stat "$a/h1/mode"
	quick cat "$a/h1/mode" "$a/h1/status"
	quick ls -l "$a/h1"
	quick mkdir "$a/h2"
	quick rmdir "$a/h2"
	grep -q '^attachfs_waiting_requests 1$' "$mnt/metrics"
	fails wait $pid
	grep -q '^attachfs_waiting_requests 0$' "$mnt/metrics"
}

@test "the same write again waits again; the other mode is EBUSY meanwhile" {
	local generation
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	faults <<<"export delay 60000"
	refused ETIMEDOUT put rw "$a/h1/mode"
	generation=$(cat "$a/h1/generation")
	takes 900 2500 refused ETIMEDOUT put rw "$a/h1/mode"
	value_is "$generation" "$a/h1/generation"
	refused EBUSY put ro "$a/h1/mode"
	value_is rw "$a/h1/mode"
	faults </dev/null
	put rw "$a/h1/mode"
	status_is attached "$a/h1"
}

# Writes a value, tells when it is about to and what came of it.
writer() { # FILE VALUE
	"$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, lambda *a: None)
fd = os.open(sys.argv[1], os.O_WRONLY)
# libc write: Python would start over after EINTR
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print("ready", flush=True)
value = sys.argv[2].encode()
n = libc.write(fd, value, len(value))
print(n if n >= 0 else os.strerror(ctypes.get_errno()), flush=True)' "$1" "$2"
}

@test "Ctrl-C: the writer gets EINTR at once, and the attach goes on" {
	local out=$BATS_TEST_TMPDIR/out pid
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	faults <<<"export delay 60000"
	writer "$a/h1/mode" ro >"$out" 3>&- &
	within 5 status_is attaching "$a/h1"
	pid=$(pgrep -f "$a/h1/mode" | tail -1)
	kill -INT "$pid"
	within 1 grep -q Interrupted "$out" || { cat "$out"; return 1; }
	status_is attaching "$a/h1"
	faults </dev/null
	within 5 status_is attached "$a/h1"
	value_is ro "$a/h1/effective_mode"
}

@test "a writer that is killed leaves no trace, and the attach goes on" {
	local pid
	new_volume "$v" mem:ram 1G true
	mkdir "$a/h1"
	faults <<<"export delay 60000"
	"$python" -c 'import sys; open(sys.argv[1], "w").write("ro")' "$a/h1/mode" 3>&- &
	pid=$!
	within 5 status_is attaching "$a/h1"
	kill -9 $pid
	takes 0 500 fails wait $pid
	faults </dev/null
	within 5 status_is attached "$a/h1"
}

@test "a child that ends meanwhile (SIGCHLD) does not fail a shell's write" {
	faults <<<"provision delay 600"
	run bash -c 'sleep 0.2 & mkdir "$1" && echo mem:ram >"$1/pool" && echo 1G >"$1/size"' - "$mnt/volumes/$v"
	echo "$output"
	faults </dev/null
	within 5 status_is available "$mnt/volumes/$v"
	[ "$status" = 0 ]
}

@test "size: ETIMEDOUT at its bound, creating meanwhile, then available" {
	mkdir "$mnt/volumes/$v"
	put mem:ram "$mnt/volumes/$v/pool"
	faults <<<"provision delay 60000"
	takes 900 2500 refused ETIMEDOUT put 1G "$mnt/volumes/$v/size"
	status_is creating "$mnt/volumes/$v"
	refused EBUSY put 2G "$mnt/volumes/$v/size"
	mkdir "$a/h1"
	refused EBUSY put rw "$a/h1/mode"
	rmdir "$a/h1"
	faults </dev/null
	within 5 status_is available "$mnt/volumes/$v"
	value_is 1073741824 "$mnt/volumes/$v/size_bytes"
}

@test "rmdir: ETIMEDOUT at its bound, detaching meanwhile, then it is gone" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	faults <<<"unexport delay 60000"
	takes 900 2500 refused ETIMEDOUT rmdir "$a/h1"
	status_is detaching "$a/h1"
	status_is detaching "$mnt/volumes/$v"
	refused EBUSY put rw "$a/h1/mode"
	refused ETIMEDOUT rmdir "$a/h1"
	quick ls "$a"
	faults </dev/null
	within 5 test ! -e "$a/h1"
	status_is available "$mnt/volumes/$v"
}

@test "a backend that fails to unexport: the record and its EBUSY stay until it is really gone" {
	new_volume "$v" mem:ram 1G
	attach "$v" h1 rw
	faults <<<"unexport fail EIO"
	refused EIO rmdir "$a/h1"
	status_is detaching "$a/h1"
	explained "$a/h1" "injected failure"
	refused EBUSY mkdir "$a/h2"
	faults </dev/null
	within 10 test ! -e "$a/h1"
	mkdir "$a/h2"
}

@test "a live session blocks rmdir, also after a switch of mode that hung" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	printf '%s\n' "sessions iqn.2026-11.test:h1 10.0.0.1:1234" | faults
	refused EBUSY rmdir "$a/h1"
	explained "$a/h1" 10.0.0.1:1234
	refused EBUSY put ro "$a/h1/mode"
	printf '%s\n' "sessions iqn.2026-11.test:h1 10.0.0.1:1234" "sessions delay 60000" | faults
	refused ETIMEDOUT put ro "$a/h1/mode"
	# It is attaching now, yet its host has been logged in all the while.
	fails rmdir "$a/h1"
	printf '%s\n' "sessions iqn.2026-11.test:h1 10.0.0.1:1234" | faults
	within 5 status_is attached "$a/h1"
	value_is rw "$a/h1/effective_mode"
	faults </dev/null
	within 5 rmdir "$a/h1"
}

@test "sessions: the file waits for the backend with a bound" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	printf '%s\n' "sessions iqn.2026-11.test:h1 10.0.0.1:1234" | faults
	grep -qx "iqn.2026-11.test:h1 10.0.0.1:1234 $(date +%Y)-.*Z" "$a/h1/sessions"
	faults <<<"sessions delay 60000"
	takes 0 3000 fails cat "$a/h1/sessions"
	quick cat "$a/h1/status"
}

@test "a purge that hangs: the name is free at once, the room when it is done" {
	local before
	before=$(cat "$mnt/docks/mem/pools/ram/provisioned_capacity")
	new_volume "$v" mem:ram 3G
	faults <<<"purge delay 60000"
	quick rmdir "$mnt/volumes/$v"
	value_is $((before + 3 * 1024 ** 3)) "$mnt/docks/mem/pools/ram/provisioned_capacity"
	new_volume "$v" mem:ram 1G
	faults </dev/null
	within 5 value_is $((before + 1024 ** 3)) "$mnt/docks/mem/pools/ram/provisioned_capacity"
}

@test "a purge that fails is tried again until it is done" {
	local before
	before=$(cat "$mnt/docks/mem/pools/ram/provisioned_capacity")
	new_volume "$v" mem:ram 3G
	faults <<<"purge fail EIO once"
	rmdir "$mnt/volumes/$v"
	within 10 value_is "$before" "$mnt/docks/mem/pools/ram/provisioned_capacity"
}

@test "a restarted backend gets every export again" {
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 ro
	faults <<<restart
	within 5 grep -q restarted "$dir/log"
	faults </dev/null
	status_is attached "$a/h1"
	value_is ro "$a/h1/effective_mode"
}

@test "a dead backend says so in status and last_error, and once in the log" {
	local lines
	lines=$(grep -c "injected failure" "$dir/log") || true
	faults <<<"check fail ECONNREFUSED"
	within 5 status_is unavailable "$mnt/docks/mem"
	explained "$mnt/docks/mem" "injected failure"
	refused ENODEV new_volume "$v" mem:ram 1G
	explained "$mnt/volumes/$v" unavailable
	within 5 grep -q '"dock_unavailable"' "$mnt/events"
	faults </dev/null
	within 5 status_is available "$mnt/docks/mem"
	value_is "" "$mnt/docks/mem/last_error"
	[ "$(grep -c "injected failure" "$dir/log")" = $((lines + 1)) ]
	put 1G "$mnt/volumes/$v/size"
}

# One rmdir was interrupted and completes while a second one in the same directory still waits:
# dropping the first name has to wait for the directory, which the second holds.
two_detaches() {
	local first
	new_volume "$v" mem:ram 1G true
	attach "$v" h1 rw
	attach "$v" h2 rw
	ls "$a" >/dev/null
	faults <<<"unexport delay 300"
	rmdir "$a/h1" 2>/dev/null 3>&- 4>&- &
	first=$!
	within 5 grep -q '"remove","path":"volumes/'"$v/attachments/h1" "$mnt/events"
	kill -TERM $first
	wait $first || true
	rmdir "$a/h2" 2>/dev/null 3>&- 4>&- &
	within 5 grep -q '"detached","path":"volumes/'"$v/attachments/h1" "$mnt/events"
}

@test "a name that is dropped while a rmdir waits beside it does not keep others stale" {
	local before
	stat "$mnt/volumes/other/attach_status" "$mnt/volumes/other/description" >/dev/null
	stat "$mnt/volumes/other/last_error" >/dev/null
	two_detaches
	refused EINVAL put x "$mnt/volumes/other/max_writers"
	[ "$(stat -c %s "$mnt/volumes/other/last_error")" = "$(wc -c <"$mnt/volumes/other/last_error")" ]
	within 5 test ! -e "$a/h2"
}

@test "killed at that very moment, it can be started again, over its dead mount" {
	local pid
	two_detaches
	kill -9 "$(fs_pid)"
	mv "$dir/pid" "$dir/pid.killed"
	faults </dev/null
	sleep 1 # what has not died by now hangs
	fs_launch
	within 15 is_served || { cat "$dir/log"; umount -f -l "$mnt"; return 1; }
	mkdir -p "$mnt/volumes/$v"
}

@test "killed at that very moment, it dies" {
	two_detaches
	fs_kill
	faults </dev/null
	fs_start
	mkdir -p "$mnt/volumes/$v"
}
