#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Shells, and what writes where it is told: open, truncate, write, close.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "bash: echo" {
	writes 'echo "$v" >"$f"'
}

@test "bash: printf without a newline" {
	writes --bare 'printf %s "$v" >"$f"'
}

@test "bash: a here-document" {
	writes 'cat >"$f" <<<"$v"'
}

@test "bash: a descriptor that stays open" {
	writes 'exec 5>"$f" && echo "$v" >&5'
}

@test "bash: noclobber, overruled" {
	writes 'set -C; echo "$v" >|"$f"'
}

@test "bash: >> replaces scalars" {
	writes --only value 'echo "$v" >>"$f"'
}

@test "dash: echo" {
	writes 'dash -c "echo \"\$v\" >\"\$f\""'
}

@test "busybox: sh" {
	writes 'busybox sh -c "echo \"\$v\" >\"\$f\""'
}

@test "cat" {
	writes 'cat "$s" >"$f"'
}

@test "tee" {
	writes 'set -o pipefail; echo "$v" | tee "$f"'
}

@test "tee -a replaces scalars" {
	writes --only value 'set -o pipefail; echo "$v" | tee -a "$f"'
}

@test "busybox: tee" {
	writes 'set -o pipefail; echo "$v" | busybox tee "$f"'
}

@test "sponge" {
	writes 'set -o pipefail; echo "$v" | sponge "$f"'
}

@test "dd" {
	writes 'dd if="$s" of="$f" status=none'
}

@test "dd conv=notrunc,fsync" {
	writes 'dd if="$s" of="$f" conv=notrunc,fsync status=none'
}

@test "busybox: dd" {
	writes 'busybox dd if="$s" of="$f"'
}

@test "truncate, then cat" {
	writes --only value 'truncate -s 0 "$f" && cat "$s" >"$f"'
}
