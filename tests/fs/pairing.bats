#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A host's secret is good for its own name only: nobody is in under the name of another host.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	attach vol h2 rw
}

teardown_file() {
	fs_end
}

teardown() {
	[ ! -e "$BATS_TEST_TMPDIR/own" ] || end_own_tgtd
}

has_sessions() { # N: so many has tgtd on the volume's target
	[ "$(tgt_show | awk -v t="$target" '/^Target /{on = $3 == t} on && /Initiator:/' | wc -l)" = "$1" ]
}

@test "a host cannot log in under the name of another one, and disturbs nobody by trying" {
	creds vol h2
	hold "$BATS_TEST_TMPDIR/h2" --interval 1 2
	creds vol h1
	host write 1 11
	initiator=iqn.2026-11.test:h2 no_login
	host write 1 12
	has_sessions 1
	release "$BATS_TEST_TMPDIR/h2"
}

@test "neither by any trick in the login" {
	local other_user other_secret
	creds vol h2
	other_user=$user
	other_secret=$HOST_SECRET
	hold "$BATS_TEST_TMPDIR/h2" --interval 1 2
	creds vol h1
	$python "$helpers/login.py" "$portal" "$target" "$initiator" "$user" "$HOST_SECRET" \
		iqn.2026-11.test:h2 "$other_user" "$other_secret" >"$BATS_TEST_TMPDIR/tricks"
	cat "$BATS_TEST_TMPDIR/tricks"
	[ "$(grep -c '^honest.*: in$' "$BATS_TEST_TMPDIR/tricks")" = 3 ]
	[ "$(grep -c ': out$' "$BATS_TEST_TMPDIR/tricks")" = 11 ]
	within 5 has_sessions 1
	release "$BATS_TEST_TMPDIR/h2"
}

@test "a fence takes along all that the host had: its secret opens no other name" {
	creds vol h1
	hold "$BATS_TEST_TMPDIR/h1" --interval 1 1
	put 1 "$mnt/volumes/vol/attachments/h1/fenced"
	has_sessions 0
	no_login
	initiator=iqn.2026-11.test:h2 no_login
	creds vol h2
	host write 2 22
	wait "$(cat "$BATS_TEST_TMPDIR/h1.pid")" || true
	put 0 "$mnt/volumes/vol/attachments/h1/fenced"
	put rw "$mnt/volumes/vol/attachments/h1/mode"
}

@test "so it is after attachfs was killed, and after tgtd was" {
	fs_kill
	fs_start
	creds vol h1
	host login
	initiator=iqn.2026-11.test:h2 no_login
	kill -9 "$(tgtd_pid)"
	within 10 host login
	initiator=iqn.2026-11.test:h2 no_login
}

@test "the longest name that iSCSI has" {
	local long
	long=iqn.2026-11.test:$(printf 'x%.0s' {1..206})
	new_host h3
	put "$long" "$mnt/hosts/h3/initiator"
	attach vol h3 rw
	creds vol h3
	[ ${#initiator} = 223 ]
	[ ${#user} -le 255 ]
	host write 3 33
	initiator=${long%x} no_login
}

# own_tgtd [VARIABLE=VALUE…]: the machine's own, started by somebody else
own_tgtd() {
	env "$@" tgtd -f -C "$own" --iscsi portal=127.0.0.1:"$own" >/dev/null 2>&1 3>&- 4>&- &
	echo $! >"$BATS_TEST_TMPDIR/own"
	within 10 tgtadm -C "$own" --op show --mode sys
}

end_own_tgtd() {
	kill -9 "$(cat "$BATS_TEST_TMPDIR/own")" && wait "$(cat "$BATS_TEST_TMPDIR/own")" || true
	rm "$BATS_TEST_TMPDIR/own"
}

@test "the machine's own tgtd pairs them with the library; without it the log says so" {
	own=$((port + 100))
	cat >"$dir/docks.d/own.yaml" <<-END
		name: own
		driver: tgt
		tgt: {portal: "127.0.0.1:$own", controlPort: $own, spawn: false}
		pool:
		  own: {path: $dir/own, totalCapacity: 100, multiAttach: true}
	END
	fs_stop
	mkdir -p /var/run/tgtd
	own_tgtd LD_PRELOAD="$(realpath "$B/attachfs-pair.so")"
	fs_start
	new_volume own own:own 16M true
	attach own h1 rw
	attach own h2 rw
	creds own h1
	host login
	initiator=iqn.2026-11.test:h2 no_login
	fails grep "does not pair" "$dir/log"
	end_own_tgtd
	own_tgtd
	within 10 grep "does not pair" "$dir/log"
	within 10 host login
	end_own_tgtd
}
