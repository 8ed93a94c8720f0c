# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the file system tests share: a private attachfs, hosts that log in, waits with a bound.
set -eu
bats_require_minimum_version 1.5.0
export LC_ALL=C

B=${B:-build}
attachfs=$B/attachfs
host_tool=$B/tests/tools.d/host
helpers=${BATS_TEST_DIRNAME:-.}
python=/usr/bin/python3
[ -x $python ] || python=python3

# --- waiting --------------------------------------------------------------------------------

now_ms() {
	local t=${EPOCHREALTIME/./}
	echo $((10#$t / 1000))
}

# within SECONDS COMMAND…: until it succeeds; fails, naming it, when the time is up
within() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$(now_ms)" -ge "$end" ]; then
			echo "not in time: $*"
			return 1
		fi
		sleep 0.02
	done
}

# quick COMMAND…: it ends within half a second
quick() {
	local start
	start=$(now_ms)
	"$@" >/dev/null || return
	[ $(($(now_ms) - start)) -lt 500 ] || { echo "slow: $*"; return 1; }
}

# --- assertions -----------------------------------------------------------------------------

value_is() { # VALUE FILE
	local got
	got=$(cat "$2") || return
	[ "$got" = "$1" ] || { echo "$2 is \"$got\", not \"$1\""; return 1; }
}

put() { # VALUE FILE
	printf '%s\n' "$1" >"$2"
}

fails() { # COMMAND…: with any error
	if "$@"; then
		echo "succeeded: $*"
		return 1
	fi
}

declare -gA strerror=([EPERM]='Operation not permitted' [ENOENT]='No such file or directory'
	[EINTR]='Interrupted system call' [EIO]='Input/output error' [EACCES]='Permission denied'
	[EBUSY]='Device or resource busy' [EEXIST]='File exists' [ENODEV]='No such device'
	[EINVAL]='Invalid argument' [ENOSPC]='No space left on device'
	[ENAMETOOLONG]='File name too long' [ENOTEMPTY]='Directory not empty'
	[EOPNOTSUPP]='Operation not supported' [EDESTADDRREQ]='Destination address required'
	[ETIMEDOUT]='Connection timed out' [ECONNREFUSED]='Connection refused')

refused() { # ERRNO COMMAND…: fails with it
	local output text=${strerror[$1]} name=$1
	shift
	if output=$("$@" 2>&1); then
		echo "succeeded, expected $name: $*"
		return 1
	fi
	case $output in
	*"$text"*) ;;
	*) echo "expected $name from $*, got: $output"; return 1 ;;
	esac
}

# explained OBJECT TEXT: last_error has that text in it
explained() {
	local why
	why=$(cat "$1/last_error")
	case $why in
	*"$2"*) ;;
	*) echo "$1/last_error is \"$why\", expected \"$2\" in it"; return 1 ;;
	esac
}

# --- a private attachfs -----------------------------------------------------------------------

free_port() {
	local port
	for _ in {1..200}; do
		port=$((${TEST_PORT_BASE:-3500} + RANDOM % 100))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo $port
			return
		fi
	done
	echo "no free port" >&2
	return 1
}

# Two docks: ssd is a tgtd of our own, mem is in RAM and fails as $dir/control says.
fs_new() { # ATTACH_TIMEOUT
	dir=$(mktemp -d "${TMPDIR:-/tmp}/afs.XXXXXX")
	mnt=$dir/mnt
	port=$(free_port)
	export dir mnt port
	chmod 755 "$dir" # the mount is for everybody
	mkdir "$mnt" "$dir/docks.d"
	mkdir -m 700 "$dir/state"
	cat >"$dir/attachfs.yaml" <<-END
		state: $dir/state
		docks: docks.d
		attachTimeout: ${1:-10}
		detachTimeout: ${2:-5}
		mapSize: 64M
	END
	cat >"$dir/docks.d/ssd.yaml" <<-END
		name: ssd
		description: SSD shelf
		driver: tgt
		multiAttach: true
		tgt: {portal: "127.0.0.1:$port", controlPort: $port, spawn: true, chap: true}
		pool:
		  fast:
		    storageType: block
		    availabilityZone: default
		    path: $dir/fast
		    totalCapacity: 100
		    multiAttach: true
		    extras: {dataStorage: {provisioningPolicy: Thin}, ioConnectivity: {maxIOPS: 7000000}}
	END
	cat >"$dir/docks.d/mem.yaml" <<-END
		name: mem
		driver: memory
		multiAttach: true
		memory: {control: "$dir/control"}
		pool:
		  ram: {storageType: block, availabilityZone: default, totalCapacity: 100, multiAttach: true}
		  solo: {storageType: block, availabilityZone: single, totalCapacity: 100, multiAttach: false}
		  tiny:
		    storageType: block
		    availabilityZone: thick
		    totalCapacity: 1
		    multiAttach: true
		    extras: {dataStorage: {provisioningPolicy: Thick}}
	END
}

is_served() {
	grep -q " $mnt fuse" /proc/self/mounts && timeout 2 cat "$mnt/version" &&
		! grep -vqx available "$mnt"/docks/*/status
}

# In the background; its exit status goes to $dir/status, whoever waits for it.
fs_launch() {
	rm -f "$dir/status" "$dir/pid"
	(
		set +e
		"$attachfs" -c "$dir/attachfs.yaml" -f "$mnt" >>"$dir/log" 2>&1 </dev/null &
		echo $! >"$dir/pid.new"
		mv "$dir/pid.new" "$dir/pid"
		wait $!
		echo $? >"$dir/status.new"
		mv "$dir/status.new" "$dir/status"
	) </dev/null >/dev/null 2>&1 3>&- 4>&- &
	within 5 test -e "$dir/pid"
}

fs_start() {
	fs_launch
	within 15 is_served || { cat "$dir/log"; return 1; }
}

fs_pid() {
	cat "$dir/pid"
}

# fs_stop [EXPECTED]: unmounts; the daemon ends with that status, 0 if none is given
fs_stop() {
	faults </dev/null
	timeout 10 umount "$mnt" || umount -f -l "$mnt"
	within 10 test -e "$dir/status" || { tail -20 "$dir/log"; return 1; }
	value_is "${1:-0}" "$dir/status"
}

# As a crash would: nothing is said to anybody, and the mount is dead.
fs_kill() {
	kill -9 "$(fs_pid)"
	within 5 test -e "$dir/status" || {
		echo "killed, and not dead: one of its threads hangs in the kernel"
		cat "/proc/$(fs_pid)"/task/*/stack 2>/dev/null | grep fuse_ || true
		umount -f -l "$mnt"
		return 1
	}
	umount -l "$mnt"
}

# The tgtd whose control socket is in our state folder: 0 or 1 line
tgtd_pid() {
	local p
	for p in /proc/[0-9]*; do
		if [ "$(readlink "$p/exe" 2>/dev/null)" ] &&
			grep -qzsF "TGT_IPC_SOCKET=$dir/state/" "$p/environ" &&
			grep -qzs 'tgtd$' "$p/cmdline"; then
			echo "${p#/proc/}"
		fi
	done
}

# The log tells of no error and of nothing that a sanitizer found.
log_is_clean() {
	fails grep -E 'error:|ERROR: |runtime error|Sanitizer|SUMMARY:|ssertion' "$dir/log"
}

fs_end() {
	local rc=0 p
	[ -n "${dir:-}" ] || return 0
	if [ -e "$dir/pid" ]; then
		[ -e "$dir/status" ] || fs_stop || rc=1
		log_is_clean || rc=1
		[ -e "$dir/status" ] || kill -9 "$(fs_pid)" || true
	fi
	for p in $(tgtd_pid); do
		kill -9 "$p" || true
	done
	! grep -q " $mnt fuse" /proc/self/mounts || umount -f -l "$mnt" || rc=1
	[ $rc = 0 ] || tail -20 "$dir/log"
	rm -rf --one-file-system "$dir"
	dir=
	return $rc
}

# The memory driver's control file, from standard input; empty: no faults.
faults() {
	cat >"$dir/control.new"
	mv "$dir/control.new" "$dir/control"
}

# tgtd's own account of things
tgt_show() {
	TGT_IPC_SOCKET=$dir/state/tgt.ssd/s tgtadm -C "$port" --lld iscsi --op show --mode target
}

tgt_do() {
	TGT_IPC_SOCKET=$dir/state/tgt.ssd/s tgtadm -C "$port" --lld iscsi "$@"
}

# "TARGET INITIATOR" a line: who may log in where, as tgtd has it. The driver's own notes of which
# account is whose stand among them, under names that no host can have.
tgt_acl() {
	tgt_show | awk '/^Target /{t = $3} /ACL information:/{acl = 1; next}
		/information:/{acl = 0} /^Target /{acl = 0} acl && !/account=/ {print t, $1}' | sort
}

dump() {
	"$attachfs" -c "$dir/attachfs.yaml" --dump
}

n_events() {
	wc -l <"$mnt/events"
}

n_of() { # EVENT
	grep -c "\"event\":\"$1\"" "$mnt/events" || true
}

happened() { # EVENT TIMES
	[ "$(n_of "$1")" -gt "$2" ]
}

# reload EVENT: until it has happened
reload() {
	local n
	n=$(n_of "$1")
	kill -HUP "$(fs_pid)"
	within 15 happened "$1" "$n"
}

# impatient: from here on whoever waits for a backend waits a second
impatient() {
	sed -i 's/^\(attach\|detach\)Timeout: .*/\1Timeout: 1/' "$dir/attachfs.yaml"
	reload config_loaded
}

# --- objects ----------------------------------------------------------------------------------

new_host() { # NAME…
	local name
	for name; do
		mkdir "$mnt/hosts/$name"
		put "iqn.2026-11.test:$name" "$mnt/hosts/$name/initiator"
	done
}

# new_volume NAME POOL SIZE [MULTIATTACH]
new_volume() {
	mkdir "$mnt/volumes/$1"
	put "$2" "$mnt/volumes/$1/pool"
	[ -z "${4:-}" ] || put "$4" "$mnt/volumes/$1/multiattach"
	put "$3" "$mnt/volumes/$1/size"
}

# attach VOLUME HOST MODE
attach() {
	mkdir "$mnt/volumes/$1/attachments/$2"
	put "$3" "$mnt/volumes/$1/attachments/$2/mode"
}

detach() { # VOLUME HOST
	rmdir "$mnt/volumes/$1/attachments/$2"
}

# A host and its volume that are there all the while: a tgtd without any target hangs up instead of
# saying no.
new_witness() {
	new_host witness
	new_volume witness ssd:fast 16M
	attach witness witness ro
}

remove_volume() { # VOLUME: with its attachments, whose sessions are about to end
	local a
	for a in "$mnt/volumes/$1/attachments"/*/; do
		[ ! -d "$a" ] || within 10 rmdir "$a"
	done
	rmdir "$mnt/volumes/$1"
}

block() { # LBA: what the file of volume $v has there
	dd if="$(backing_file "$v")" bs=512 skip="$1" count=1 status=none | sha256sum
}

backing_file() { # VOLUME
	echo "$dir/fast/$(cat "$mnt/volumes/$1/id")"
}

# --- hosts ------------------------------------------------------------------------------------

# creds VOLUME HOST: takes down how that host reaches the volume, as the host itself would
creds() {
	local a=$mnt/volumes/$1/attachments/$2
	portal=$(cat "$a/connection/target_portal")
	target=$(cat "$a/connection/target_iqn")
	lun=$(cat "$a/connection/target_lun")
	initiator=$(cat "$a/initiator")
	user=$(cat "$a/connection/auth_username")
	HOST_SECRET=$(cat "$a/connection/auth_password")
	export HOST_SECRET
}

# host COMMAND…: with those credentials
host() {
	"$host_tool" --portal "$portal" --target "$target" --lun "$lun" --initiator "$initiator" \
		--user "$user" --timeout 5000 "$@"
}

no_login() { # LOGIN OPTIONS…: the portal answers, and the answer is no
	local rc=0
	host login "$@" >/dev/null 2>&1 || rc=$?
	[ $rc = 2 ] || { echo "login as $initiator on $target: status $rc, not refused"; return 1; }
}

# hold FILE [OPTIONS…]: stays logged in and writes, telling FILE; release ends it
hold() {
	local out=$1
	shift
	mkfifo "$out.in"
	"$host_tool" hold --portal "$portal" --target "$target" --lun "$lun" --initiator "$initiator" \
		--user "$user" "$@" <>"$out.in" >"$out" 2>&1 3>&- 4>&- &
	echo $! >"$out.pid"
	within 5 grep -q ready "$out" || { cat "$out"; return 1; }
}

ended() { # FILE: attachfs has ended the session of that hold
	within 10 grep -q ^error "$1"
	wait "$(cat "$1.pid")" || true
	rm -f "$1.in"
}

# release FILE: the session had no error from beginning to end
release() {
	local rc=0
	kill -TERM "$(cat "$1.pid")" 2>/dev/null || true
	wait "$(cat "$1.pid")" || rc=$?
	rm -f "$1.in"
	[ $rc = 0 ] && fails grep error "$1" || { cat "$1"; return 1; }
}

# session NAME: one session that is told what to do, with those credentials
session() {
	local s=$BATS_TEST_TMPDIR/session.$1
	mkfifo "$s.in"
	"$host_tool" session --portal "$portal" --target "$target" --lun "$lun" \
		--initiator "$initiator" --user "$user" <>"$s.in" >"$s" 2>&1 3>&- 4>&- &
	echo $! >"$s.pid"
	within 5 grep -q ready "$s" || { cat "$s"; return 1; }
}

# tell NAME COMMAND…: prints the answer, a line
tell() {
	local s=$BATS_TEST_TMPDIR/session.$1 n
	shift
	n=$(wc -l <"$s")
	echo "$*" >"$s.in"
	within 10 has_lines "$s" $((n + 1)) || return
	tail -n +$((n + 1)) "$s"
}

has_lines() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# die NAME: the host is gone, without a logout
die() {
	local s=$BATS_TEST_TMPDIR/session.$1
	kill -KILL "$(cat "$s.pid")"
	wait "$(cat "$s.pid")" || true
	rm -f "$s.in"
}

is_logged_in() { # VOLUME HOST
	grep -q . "$mnt/volumes/$1/attachments/$2/sessions"
}

is_logged_out() { # VOLUME HOST
	fails is_logged_in "$1" "$2"
}
