#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The state's disk hangs: whoever changes something waits for it, and nobody else does.
load lib

setup_file() {
	fs_new 2 2
	cat >"$dir/on_slow_disk" <<-END
		#!/bin/sh
		FAULT_HANG=$dir/hang LD_PRELOAD=$(realpath "$B/tests/crash/faults.so")
		ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
		export FAULT_HANG LD_PRELOAD ASAN_OPTIONS
		exec $attachfs "\$@"
	END
	chmod +x "$dir/on_slow_disk"
	attachfs=$dir/on_slow_disk fs_start
	new_host h1 h2
	new_volume v mem:ram 1G true
}

teardown() {
	rm -f "$dir/hang"
	faults </dev/null
}

teardown_file() {
	fs_end
}

disk_hangs() {
	rm -f "$dir/hang.met"
	touch "$dir/hang"
}

@test "those who write wait, all others go on, and then all of it is done" {
	local file pid pids=()
	disk_hangs
	for file in hosts/h{1,2}/{os_type,platform,description} volumes/v/{description,group_id}; do
		put text "$mnt/$file" &
		pids+=($!)
	done
	mkdir "$mnt/profiles/made" & # the kernel keeps that directory locked meanwhile
	pids+=($!)
	within 5 test -e "$dir/hang.met"
	for file in 1 2 3 4 5 6; do
		quick stat "$mnt/volumes/v/size" "$mnt/hosts/h1/os_type"
		quick ls -lR "$mnt/volumes" "$mnt/hosts" "$mnt/docks"
		quick cat "$mnt/volumes/v/info.json" "$mnt/events" "$mnt/metrics"
	done
	value_is "" "$mnt/hosts/h1/os_type"
	for pid in "${pids[@]}"; do
		kill -0 "$pid"
	done
	rm "$dir/hang"
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	value_is text "$mnt/hosts/h1/os_type"
	[ -d "$mnt/profiles/made" ]
}

@test "who waits for a backend is answered at his bound all the same" {
	local a=$mnt/volumes/v/attachments start pid
	attach v h2 rw
	mkdir "$a/h1"
	faults <<-END
		export delay 60000
		sessions delay 60000
	END
	start=$(now_ms)
	refused ETIMEDOUT put rw "$a/h1/mode" &
	pid=$!
	within 2 value_is attaching "$a/h1/status"
	put x "$mnt/volumes/v/description" # nothing is owed to the disk now
	disk_hangs
	rmdir "$a/h2" 2>/dev/null & # nobody tells of h2's sessions, so it is tried without
	within 2 test -e "$dir/hang.met"
	wait "$pid"
	[ $(($(now_ms) - start)) -lt 3500 ]
	test -e "$dir/hang"
	rm "$dir/hang"
	faults </dev/null
	within 10 test ! -e "$a/h2"
	within 10 value_is attached "$a/h1/status"
}
