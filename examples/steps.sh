# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the use cases share: steps that are printed and insisted on, and hosts that log in.
#
# Read by oracle-rac.sh, standby.sh and backup-reader.sh:   example.sh MOUNT
# Environment: HOST  a host on the command line (build/tests/tools.d/host, see its first lines)
#              POOL  where the volume goes, POOL or DOCK:POOL (wherever there is room)
#
# The lines that begin with "$" are what an administrator types, in the mount; those with
# "NAME>" are what a host does with the disk, over iSCSI, as fast or as slowly as it likes. A real
# host does the same with iscsiadm(8) and what is in its attachment's connection/.
set -eu
export LC_ALL=C

[ $# = 1 ] && [ -e "$1/volumes" ] || {
	echo "usage: $0 MOUNT" >&2
	exit 2
}
HOST=$(realpath -m "${HOST:-$(dirname "$0")/../build/tests/tools.d/host}")
[ -x "$HOST" ] || { echo "$HOST is missing: run make demo" >&2; exit 2; }
cd "$1"
room=$(mktemp -d) # for what is between this script and its hosts
volume= hosts=()

say() { printf '\n# %s\n' "$*"; }

failed() {
	printf '\n%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# run COMMAND: it must succeed.
run() {
	printf '$ %s\n' "$1"
	bash -c "$1" || failed "that should have worked"
}

# show EXPECTED COMMAND: it must succeed, and print EXPECTED (a pattern of grep -E).
show() {
	local output
	printf '$ %s\n' "$2"
	output=$(bash -c "$2") || failed "that should have worked"
	printf '%s\n' "$output"
	grep -Eq -- "$1" <<<"$output" || failed "expected \"$1\" to be shown"
}

# refuse EXPECTED COMMAND: it must fail, and print EXPECTED.
refuse() {
	local output
	printf '$ %s\n' "$2"
	if output=$(bash -c "$2" 2>&1); then
		printf '%s\n' "$output"
		failed "that should have been refused"
	fi
	output=$(sed 's/^bash: line [0-9]*: //' <<<"$output")
	printf '%s\n' "$output"
	grep -Eq -- "$1" <<<"$output" || failed "expected \"$1\" to be shown"
}

# shared_volume NAME SIZE: for several hosts
shared_volume() {
	volume=$1
	run "mkdir volumes/$1"
	run "echo true >volumes/$1/multiattach"
	[ -z "${POOL:-}" ] || run "echo $POOL >volumes/$1/pool"
	run "echo $2 >volumes/$1/size"
}

# host NAME: made known by an initiator of its own
host() {
	hosts+=("$1")
	run "mkdir hosts/$1"
	run "echo iqn.2004-10.com.example:$1 >hosts/$1/initiator"
}

# ---- what hosts do ----

# remember NAME: the host takes down what it needs to log in, and keeps it.
remember() {
	local a=volumes/$volume/attachments/$1/connection
	{
		cat "$a/target_portal" "$a/target_iqn" "$a/target_lun"
		cat "volumes/$volume/attachments/$1/initiator" "$a/auth_username"
	} >"$room/$1.node"
	(umask 077 && cat "$a/auth_password" >"$room/$1.secret")
}

# as NAME COMMAND…: one command of $HOST, with what the host has kept
as() {
	local node
	mapfile -t node <"$room/$1.node"
	"$HOST" "${@:2}" --portal "${node[0]}" --target "${node[1]}" --lun "${node[2]}" \
		--initiator "${node[3]}" --user "${node[4]}" --secret-file "$room/$1.secret"
}

# answer NAME N: line N of what the host has said, within 10 seconds
answer() {
	local tries=500
	until [ "$(wc -l <"$room/$1.out")" -ge "$2" ]; do
		[ $((tries -= 1)) -gt 0 ] || failed "$1 does not answer"
		sleep 0.02
	done
	sed -n "$2p" "$room/$1.out"
}

# login NAME: a session that stays
login() {
	printf '%s> login\n' "$1"
	rm -f "$room/$1.in"
	mkfifo "$room/$1.in"
	as "$1" session <>"$room/$1.in" >"$room/$1.out" 2>&1 &
	echo $! >"$room/$1.pid"
	[ "$(answer "$1" 1)" = ready ] || failed "$1 cannot log in: $(cat "$room/$1.out")"
}

# cannot_login NAME: with what it has kept
cannot_login() {
	local output
	printf '%s> login\n' "$1"
	if output=$(as "$1" login 2>&1); then
		failed "$1 could log in"
	fi
	printf '%s\n' "$output"
	grep -q 'login: Permission denied' <<<"$output" || failed "$1 was not refused"
}

# tell NAME EXPECTED COMMAND…: within its session; the answer is EXPECTED (grep -Ex).
tell() {
	local name=$1 expected=$2 n reply
	shift 2
	n=$(($(wc -l <"$room/$name.out") + 1))
	printf '%s> %s\n' "$name" "$*"
	echo "$*" >"$room/$name.in"
	reply=$(answer "$name" $n)
	printf '%s\n' "$reply"
	grep -Eqx -- "$expected" <<<"$reply" || failed "expected \"$expected\""
}

# hang NAME: it does nothing any more, and its session stays.
hang() {
	printf '%s> (hangs)\n' "$1"
	kill -STOP "$(cat "$room/$1.pid")"
}

# wake NAME: it does not know that anything has happened.
wake() {
	printf '%s> (wakes up)\n' "$1"
	kill -CONT "$(cat "$room/$1.pid")"
}

# logout NAME, or what is left of it
logout() {
	printf '%s> logout\n' "$1"
	end_session "$1"
}

end_session() {
	local pid
	[ -e "$room/$1.pid" ] || return 0
	pid=$(cat "$room/$1.pid")
	rm -f "$room/$1.pid"
	kill -CONT "$pid" 2>/dev/null || return 0
	echo quit >"$room/$1.in"
	wait "$pid" || true
}

# ---- the end, good or bad ----

clean_up() {
	local name
	for name in "${hosts[@]}"; do
		end_session "$name"
		[ ! -d "hosts/$name" ] || echo 0 >"hosts/$name/fenced" || true
		[ ! -d "volumes/$volume/attachments/$name" ] ||
			echo 1 >"volumes/$volume/attachments/$name/fenced" || true
		[ ! -d "volumes/$volume/attachments/$name" ] ||
			rmdir "volumes/$volume/attachments/$name" || true
		[ ! -d "hosts/$name" ] || rmdir "hosts/$name" || true
	done
	[ ! -d "volumes/$volume" ] || rmdir "volumes/$volume" || true
	rm -rf "$room"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
