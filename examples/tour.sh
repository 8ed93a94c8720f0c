#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A tour of attachfs: starts one with a private target daemon and shows what it does.
#
# usage: examples/tour.sh        as root; the mount stays, to play with
#        examples/tour.sh stop   ends it, and removes everything it made
#
# Environment: ATTACHFS  the program               (build/attachfs)
#              HOST      the host on the command line (build/tests/tools.d/host)
#              DEMO      the folder it all lives in   (/var/tmp/attachfs-demo)
#              PORTAL    where the target listens     (127.0.0.1:3261)
# Each command is printed before its output. The exit status is 0 if every step showed what it
# is said to show; if one did not, everything is stopped and removed again.
set -eu
export LC_ALL=C

examples=$(cd "$(dirname "$0")" && pwd)
ATTACHFS=$(realpath -m "${ATTACHFS:-$examples/../build/attachfs}")
HOST=$(realpath -m "${HOST:-$examples/../build/tests/tools.d/host}")
DEMO=$(realpath -m "${DEMO:-/var/tmp/attachfs-demo}")
PORTAL=${PORTAL:-127.0.0.1:3261}
mnt=$DEMO/mnt
mark=$DEMO/.attachfs-demo # only a folder with this file in it is ever removed

say() { printf '\n# %s\n' "$*"; }
die() { printf 'tour: %s\n' "$*" >&2; exit 1; }

# ---- ending it ----

# The target daemons that were started with sockets in our state folder, and no others.
daemons() {
	grep -lszF "TGT_IPC_SOCKET=$DEMO/state/" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != tgtd ] || echo "$pid"
	done
}

# tgtd ignores SIGTERM. It is not our child, so its end has to be looked for.
end_daemons() {
	for pid in $(daemons); do
		kill -KILL "$pid" || continue
		tries=100
		while [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ]; do
			[ $((tries -= 1)) -gt 0 ] || die "tgtd, process $pid, does not end"
			sleep 0.05
		done 2>/dev/null
	done
}

stop() {
	[ -e "$mark" ] || return 0
	cd /
	if mountpoint -q "$mnt"; then
		umount "$mnt" || die "leave $mnt first (cd /), then stop again"
	fi
	# attachfs holds this lock until it has ended.
	if [ -e "$DEMO/state/lock" ]; then
		flock -w 20 "$DEMO/state/lock" true || die "attachfs has not ended"
	fi
	end_daemons
	rm -rf --one-file-system "$DEMO"
}

# ---- steps: print the command, run it, and insist on what it shows ----

failed() {
	printf '\ntour: %s\n' "$*" >&2
	printf 'tour: the last events were:\n' >&2
	tail -n 5 "$mnt/events" >&2 || true
	trap - EXIT
	stop
	exit 1
}

# run COMMAND: it must succeed.
run() {
	printf '$ %s\n' "$1"
	bash -c "$1" || failed "that should have worked"
}

# show EXPECTED COMMAND: it must succeed, and print EXPECTED (a pattern of grep -E).
show() {
	printf '$ %s\n' "$2"
	output=$(bash -c "$2") || failed "that should have worked"
	printf '%s\n' "$output"
	printf '%s\n' "$output" | grep -Eq -- "$1" || failed "expected \"$1\" to be shown"
}

# refuse EXPECTED COMMAND: it must fail, and print EXPECTED.
refuse() {
	printf '$ %s\n' "$2"
	if output=$(bash -c "$2" 2>&1); then
		printf '%s\n' "$output"
		failed "that should have been refused"
	fi
	output=$(printf '%s\n' "$output" | sed 's/^bash: line [0-9]*: //')
	printf '%s\n' "$output"
	printf '%s\n' "$output" | grep -Eq -- "$1" || failed "expected \"$1\" to be shown"
}

# ---- starting it ----

check_start() {
	[ "$(id -u)" = 0 ] || die "run it as root: it mounts a file system and starts a target"
	if mountpoint -q "$mnt"; then
		echo "The demo is running already, at $mnt. To end it: make stop"
		exit 0
	fi
	[ -x "$ATTACHFS" ] || die "$ATTACHFS is missing: run make"
	[ -x "$HOST" ] || die "$HOST is missing: run make demo"
	stop # what a demo that was killed has left
	if [ -e "$DEMO" ] && [ -n "$(ls -A "$DEMO")" ]; then
		die "$DEMO is not empty and not ours: name another folder with DEMO="
	fi
}

# The examples, with their folders below ours.
make_config() {
	mkdir -p "$mnt" "$DEMO/docks.d"
	: >"$mark"
	chmod 755 "$DEMO"
	sed "s|/var/lib/attachfs|$DEMO/state|" "$examples/attachfs.yaml" >"$DEMO/attachfs.yaml"
	sed -e "s|/var/lib/attachfs|$DEMO|" -e "s|127.0.0.1:3261|$PORTAL|" \
		"$examples/docks.d/ssd.yaml" >"$DEMO/docks.d/ssd.yaml"
}

# All that a host needs to know is in its attachment's directory.
make_host() {
	cat >"$DEMO/as" <<-END
		#!/bin/sh
		# as ATTACHMENT COMMAND...: logs in as the host of an attachment.
		# COMMAND: login | read BLOCK | write BLOCK BYTE
		attachment=\$1
		shift
		exec "$HOST" "\$@" \\
			--initiator "\$(cat "\$attachment/initiator")" \\
			--portal "\$(cat "\$attachment/connection/target_portal")" \\
			--target "\$(cat "\$attachment/connection/target_iqn")" \\
			--lun "\$(cat "\$attachment/connection/target_lun")" \\
			--user "\$(cat "\$attachment/connection/auth_username")" \\
			--secret-file "\$attachment/connection/auth_password"
	END
	chmod 755 "$DEMO/as"
}

start() {
	check_start
	make_config
	make_host
	say "One program, one configuration file, one mount point"
	cd "$DEMO"
	trap stop EXIT
	run "$ATTACHFS -c $DEMO/attachfs.yaml $mnt"
	trap 'trap - EXIT; stop; exit 130' INT TERM
	run "cd $mnt && ls"
	cd "$mnt"
}

# ---- the tour ----

tour() {
	say "A storage backend is a dock: here a private target daemon and a folder of sparse files"
	show '^available$' "cat docks/ssd/status"
	show '^true$' "cat docks/ssd/pools/fast/multiattach"

	say "A volume: mkdir makes it, writing its size provisions it"
	run "mkdir volumes/db"
	run "echo true >volumes/db/multiattach"
	run "echo 64M >volumes/db/size"
	show '^available$' "cat volumes/db/status"
	show '^ssd:fast$' "cat volumes/db/pool"

	say "Two hosts, known by their iSCSI names"
	run "mkdir hosts/web1 hosts/web2"
	run "echo iqn.2004-10.com.example:web1 >hosts/web1/initiator"
	run "echo iqn.2004-10.com.example:web2 >hosts/web2/initiator"

	say "web1 may read and write, web2 may only read: mkdir reserves, writing mode attaches"
	run "mkdir volumes/db/attachments/web1 volumes/db/attachments/web2"
	run "echo rw >volumes/db/attachments/web1/mode"
	run "echo ro >volumes/db/attachments/web2/mode"
	show 'db@web1' "ls attachments"
	show '^in-use$' "cat volumes/db/status"

	say "attachfs logged in as web2 before it said so, and saw a write-protected disk"
	show '^ro$' "cat volumes/db/attachments/web2/effective_mode"

	say "From the hosts' side: ../as ATTACHMENT logs in with what that directory tells"
	run "../as volumes/db/attachments/web1 write 0 171"
	show '^171 equal$' "../as volumes/db/attachments/web1 read 0"
	show '^171 equal$' "../as volumes/db/attachments/web2 read 0"

	say "The target itself refuses web2's write: sense 07 27 00, write protected"
	refuse 'sense 072700' "../as volumes/db/attachments/web2 write 0 99"
	show 'wp=1' "../as volumes/db/attachments/web2 login"
	show '^171 equal$' "../as volumes/db/attachments/web1 read 0"

	say "A third host comes, keeps all that it was told, and is detached"
	run "mkdir hosts/web3 volumes/db/attachments/web3"
	run "echo iqn.2004-10.com.example:web3 >hosts/web3/initiator"
	run "echo rw >volumes/db/attachments/web3/mode"
	run "../as volumes/db/attachments/web3 write 1 7"
	(umask 077 && run "cp -r volumes/db/attachments/web3 ../web3.kept")
	run "rmdir volumes/db/attachments/web3"
	refuse 'login: Permission denied' "../as ../web3.kept login"
	run "../as volumes/db/attachments/web1 write 0 172"

	say "A volume is for one host unless it says otherwise; a refusal explains itself"
	run "mkdir volumes/home && echo 32M >volumes/home/size"
	run "mkdir volumes/home/attachments/web1"
	refuse 'resource busy' "mkdir volumes/home/attachments/web2"
	show 'held by web1' "cat volumes/home/last_error"

	say "Everything is in the audit log"
	show 'refused' "tail -n 2 events"
}

case ${1:-start} in
start)
	start
	tour
	trap - EXIT INT TERM
	printf '\nIt is all still there: cd %s\nThe manual: man %s\nTo end it: make stop\n' \
		"$mnt" "-l $(dirname "$ATTACHFS")/man/attachfs.7"
	;;
stop)
	[ "$(id -u)" = 0 ] || die "run it as root"
	if [ ! -e "$mark" ]; then
		echo "There is no demo at $DEMO."
		exit 0
	fi
	stop
	echo "The demo is ended, and $DEMO is gone."
	;;
*)
	die "usage: tour.sh [stop]"
	;;
esac
