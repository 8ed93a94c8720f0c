# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bench: daemons that are started, pinned and always cleaned up; samples, medians and the table.
#
# Sourced by run.sh, which sets $tmp (a folder of its own), $attachfs, $bin (the programs),
# $all_cpus and $one_cpu.
# shellcheck disable=SC2154

declare -A pid_of=() mount_of=() samples=()
pinned_run=() # what a measured command is run with
missed=0

die() {
	echo "bench: $*" >&2
	exit 1
}

# --- daemons ---------------------------------------------------------------------------------

now() {
	echo "${EPOCHREALTIME/,/.}"
}

# since TIME: seconds from then to now
since() {
	awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.4f\n", b - a }'
}

# wait_for SECONDS WHAT COMMAND…: polls; dies if a daemon that is named in WHAT is gone or late
wait_for() {
	local left=$(($1 * 200)) what=$2
	shift 2
	until "$@" 2>/dev/null; do
		left=$((left - 1))
		if [ $left -le 0 ] || ! kill -0 "${pid_of[$what]}" 2>/dev/null; then
			tail -n 20 "$tmp/$what.log" >&2 || true
			die "$what did not start"
		fi
		sleep 0.005
	done
}

# run_daemon NAME COMMAND…: in the background, its output in $tmp/NAME.log
run_daemon() {
	local name=$1
	shift
	"$@" >"$tmp/$name.log" 2>&1 &
	pid_of[$name]=$!
}

start_null_fs() { # NAME VOLUMES
	mount_of[$1]=$tmp/mnt.$1
	mkdir -p "$tmp/mnt.$1"
	run_daemon "$1" "$bin/null_fs" "$2" cached "$tmp/mnt.$1"
	wait_for 10 "$1" test -d "$tmp/mnt.$1/volumes"
}

docks_available() {
	! grep -vqx available "$tmp/mnt.$1"/docks/*/status
}

start_attachfs() { # NAME: with the configuration $tmp/NAME/attachfs.yaml
	mount_of[$1]=$tmp/mnt.$1
	mkdir -p "$tmp/mnt.$1"
	run_daemon "$1" "$attachfs" -f -c "$tmp/$1/attachfs.yaml" "$tmp/mnt.$1"
	wait_for 60 "$1" test -e "$tmp/mnt.$1/version"
}

start_tgtd() { # NAME PORTAL: its socket is $tmp/NAME.0; silent, as the driver's are
	TGT_IPC_SOCKET=$tmp/$1 tgtd -f -t 2 --iscsi "portal=$2" >/dev/null 2>&1 &
	pid_of[$1]=$!
	wait_for 10 "$1" tgtadm_answers "$1"
}

tgtadm_answers() {
	TGT_IPC_SOCKET=$tmp/$1 tgtadm --lld iscsi --op show --mode sys >/dev/null
}

# ended PID: true once it is, within 20 s
ended() {
	local left=400
	while kill -0 "$1" 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.05
	done
}

# stop NAME: asks a file system to end and insists on a clean exit
stop() {
	local pid=${pid_of[$1]}
	kill -TERM "$pid"
	ended "$pid" || die "$1 did not end at SIGTERM"
	unset "pid_of[$1]"
	wait "$pid" || die "$1 ended with an error: $(tail -n 5 "$tmp/$1.log")"
}

# The tgtds of our own portals, those included that attachfs spawned and left running.
our_tgtds() {
	local process line
	for process in /proc/[0-9]*; do
		line=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline") || continue
		case $line in
		*tgtd\ *127.0.0.1:34[0-9][0-9]*) echo "${process#/proc/}" ;;
		esac
	done
}

end_tgtds() {
	local pid
	for pid in $(our_tgtds); do
		kill -KILL "$pid" 2>/dev/null || true # it ignores SIGTERM
		wait "$pid" 2>/dev/null || true
	done
}

cleanup() {
	local name pid
	trap - EXIT INT TERM
	for name in "${!mount_of[@]}"; do
		pid=${pid_of[$name]:-}
		[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
		[ -z "$pid" ] || ended "$pid" || kill -KILL "$pid" || true
		! mountpoint -q "${mount_of[$name]}" || umount -l "${mount_of[$name]}"
	done
	end_tgtds
	wait 2>/dev/null || true
	rm -rf "$tmp" ${shm:+"$shm"}
}

# pin pinned|unpinned: moves every daemon, and what is measured from now on
pin() {
	local cpus=$all_cpus pid
	pinned_run=()
	if [ "$1" = pinned ]; then
		cpus=$one_cpu
		pinned_run=(taskset -c "$one_cpu")
	fi
	for pid in "${pid_of[@]}" $(our_tgtds); do
		taskset -apc "$cpus" "$pid" >/dev/null 2>&1 || true
	done
	cpu_label=$1
}

# settle NAME: until it has stopped working in the background, at most two minutes
settle() {
	local before after left=120
	before=$(ticks "$1")
	while sleep 1 && after=$(ticks "$1") && [ $((after - before)) -gt 5 ]; do
		before=$after
		left=$((left - 1))
		[ $left -gt 0 ] || die "$1 does not come to rest"
	done
}

ticks() {
	awk '{ print $14 + $15 }' "/proc/${pid_of[$1]}/stat"
}

# memory NAME KEY: MiB, from /proc/PID/status
memory() {
	awk -v key="$2:" '$1 == key { printf "%.1f\n", $2 / 1024 }' "/proc/${pid_of[$1]}/status"
}

# Forgets every name and inode that the kernel has cached, of all file systems alike.
cold() {
	echo 2 >/proc/sys/vm/drop_caches
	sleep 0.3 # the FORGETs, which are not what is measured
}

# --- samples ---------------------------------------------------------------------------------

# rate NAME COMMAND…: a sample is each number that the command prints (NAME, NAME.2 …)
rate() {
	local name=$1 out n=1 value
	shift
	out=$("${pinned_run[@]}" "$@")
	for value in $out; do
		if [ $n -eq 1 ]; then
			samples[$name]+="$value "
		else
			samples[$name.$n]+="$value "
		fi
		n=$((n + 1))
	done
}

# seconds NAME COMMAND…: a sample is how long it takes
seconds() {
	local name=$1 start
	shift
	start=$(now)
	"${pinned_run[@]}" "$@" >/dev/null
	samples[$name]+="$(since "$start") "
}

median() {
	tr ' ' '\n' <<<"${samples[$1]% }" | sort -g | middle
}

middle() {
	awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

header() {
	printf '%-44s %-8s %11s %11s %7s %8s %s\n' \
		operation cpu attachfs baseline ratio aim result
}

# row LABEL OURS BASELINE AIM: names of samples, or "=NUMBER"; AIM is ">= N", "<= N" or "-". The
# ratio is the median of the rounds' ratios: whatever else the machine does meanwhile, both
# halves of a round have met it.
row() {
	local ours baseline ratio result
	ours=$(value_of "$2")
	baseline=$(value_of "$3")
	ratio=$(ratio_of "$2" "$3" "$ours" "$baseline")
	result=$(judge "$ratio" "$4")
	[ "$result" != MISS ] || missed=$((missed + 1))
	printf '%-44s %-8s %11.4g %11.4g %7s %8s %s\n' \
		"$1" "$cpu_label" "$ours" "$baseline" "$ratio" "$4" "$result"
}

ratio_of() { # OURS BASELINE and their values
	if [ "${1#=}${2#=}" != "$1$2" ]; then
		awk -v a="$3" -v b="$4" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
	else
		awk -v a="${samples[$1]}" -v b="${samples[$2]}" 'BEGIN {
			n = split(a, x, " ")
			split(b, y, " ")
			for (i = 1; i <= n; i++)
				print y[i] ? x[i] / y[i] : 0
		}' | sort -g | middle | awk '{ printf "%.2f", $1 }'
	fi
}

value_of() {
	case $1 in
	=*) echo "${1#=}" ;;
	*) median "$1" ;;
	esac
}

judge() {
	awk -v r="$1" -v aim="$2" 'BEGIN {
		split(aim, a, " ")
		if (a[1] == ">=") print(r >= a[2] ? "ok" : "MISS")
		else if (a[1] == "<=") print(r <= a[2] ? "ok" : "MISS")
	}'
}
