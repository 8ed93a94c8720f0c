#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The CHAP secrets are in auth_password, in the state folder and with the target: nowhere else.
load lib

# The daemon has a group that is not root's, which /proc shows of what may be traced or dumped.
group=12399

setup_file() {
	fs_new
	mkdir "$dir/bin"
	cat >"$dir/bin/attachfs" <<-END
		#!/bin/sh
		exec setpriv --regid $group --clear-groups "$attachfs" -v "\$@"
	END
	chmod 755 "$dir/bin/attachfs"
	attachfs=$dir/bin/attachfs fs_start
	new_host h0 h1 h2 h3
	for v in v0 v1 v2; do
		new_volume $v ssd:fast 1M true
	done
}

teardown_file() {
	fs_end
}

as_nobody() {
	setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
}

# Each host has one attachment: the one that the first test left, or another.
have_passwords() {
	local h
	for h in h0 h1 h2 h3; do
		compgen -G "$mnt/volumes/v?/attachments/$h" >/dev/null || attach v0 $h rw
	done
	passwords=("$mnt"/volumes/v?/attachments/h?/connection/auth_password)
	[ ${#passwords[@]} = 4 ]
}

@test "1,000 attachments, and no secret in argv, environment, log, events, info.json or --dump" {
	run "$python" "$helpers/secrets.py" "$mnt" "$dir" 1000 \
		"$attachfs" -c "$dir/attachfs.yaml" --dump
	echo "$output"
	echo "# ${lines[0]}" >&3
	[ "$status" = 0 ]
}

@test "nobody else reads a secret, copies it, or opens it for writing, after root did" {
	local p to=$BATS_TEST_TMPDIR/open
	mkdir -m 777 "$to"
	have_passwords
	for p in "${passwords[@]}"; do
		[ "$(stat -c %a "$p")" = 600 ]
		grep -qxE '[0-9a-f]{32}' "$p"
		refused EACCES as_nobody cat "$p"
		refused EACCES as_nobody cp "$p" "$to/x"
		refused EACCES as_nobody dd if=/dev/null of="$p" conv=notrunc
		fails as_nobody mv "$p" "$to/x"
		fails as_nobody ln "$p" "$to/x"
		fails as_nobody chmod 644 "$p"
	done
	[ -z "$(ls "$to")" ]
}

@test "a password cannot be moved, copied beside it, linked or written, not even by root" {
	local p secret names
	have_passwords
	for p in "${passwords[@]}"; do
		names=$(ls -A "${p%/*}")
		secret=$(cat "$p")
		fails mv "$p" "${p%/*}/x"
		fails mv "$p" "$mnt/x"
		refused EACCES mv "$p" "${p%/*/*}/auth_password~"
		fails ln "$p" "${p%/*}/x"
		fails ln -s "$p" "${p%/*}/x"
		fails cp "$p" "${p%/*}/x"
		fails cp /etc/hostname "$p"
		fails put x "$p"
		fails put x "${p%/*}/auth_password.x"
		fails mv "${p%/*}" "$mnt/x"
		[ "$(ls -A "${p%/*}")" = "$names" ]
		value_is "$secret" "$p"
	done
}

# rm -r comes by each name first, so that rm hides it; chmod is the owner's to do.
@test "hidden, made again or opened by its owner, the next attachment's password is 0600 again" {
	local a=$mnt/volumes/v0/attachments/h3 p secret
	p=$a/connection/auth_password
	[ -d "$a" ] || attach v0 h3 rw
	secret=$(cat "$p")
	rm "$p"
	[ ! -e "$p" ]
	refused ENOENT as_nobody cat "$p"
	(umask 0 && : >"$p") || true
	value_is "$secret" "$p"
	[ "$(stat -c %a "$p")" = 600 ]
	refused EACCES as_nobody cat "$p"
	chmod 644 "$p"
	rmdir "$a"
	attach v0 h3 rw
	[ "$(stat -c %a "$p")" = 600 ]
	refused EACCES as_nobody cat "$p"
	fails value_is "$secret" "$p" >/dev/null
}

@test "no core dump holds them, and the daemon's memory is not the group's or its user's" {
	local p
	p=$(fs_pid)
	[ "$(awk '/^Max core file size/ {print $5, $6}' "/proc/$p/limits")" = "0 0" ]
	grep -qE "^Gid:\s+$group\s" "/proc/$p/status"
	# Of a process that is not dumpable these are root's, else they are its own group's.
	[ "$(stat -c %g "/proc/$p/environ" "/proc/$p/mem" | sort -u)" = 0 ]
	setpriv --regid $group --clear-groups sleep 10 3>&- &
	within 5 grep -qE "^Gid:\s+$group\s" "/proc/$!/status"
	within 5 grep -q '^sleep' "/proc/$!/cmdline"
	[ "$(stat -c %g "/proc/$!/environ")" = $group ]
	kill $!
	# The target has them too.
	[ -n "$(tgtd_pid)" ]
	for p in $(tgtd_pid); do
		[ "$(awk '/^Max core file size/ {print $5, $6}' "/proc/$p/limits")" = "0 0" ]
	done
}
