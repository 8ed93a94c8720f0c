#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# cp, mv, install: over the file, beside it and in its place, with and without its metadata.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "cp" {
	writes 'cp "$s" "$f"'
}

@test "cp -p" {
	writes 'cp -p "$s" "$f"'
}

@test "cp -a" {
	writes 'cp -a "$s" "$f"'
}

@test "cp -f" {
	writes 'cp -f "$s" "$f"'
}

@test "cp -b" {
	writes --anew --backup NAME~ 'cp -b "$s" "$f"'
}

@test "cp --backup=numbered" {
	writes --anew --backup NAME.~1~ 'rm -f "$f".~*; cp --backup=numbered "$s" "$f"'
}

@test "cp --remove-destination" {
	writes --anew 'cp --remove-destination "$s" "$f"'
}

@test "cp --attributes-only and touch change nothing" {
	writes 'cp "$s" "$f" && cp --attributes-only /etc/passwd "$f" && touch -r "$s" "$f"'
}

@test "busybox: cp" {
	writes 'busybox cp "$s" "$f"'
}

@test "mv from elsewhere" {
	writes --anew 'cp -p "$s" moved && mv -f moved "$f"'
}

@test "mv in the directory" {
	writes 'cp "$s" "$d/.$n.new" && mv -f "$d/.$n.new" "$f" || { rm "$d/.$n.new"; false; }'
}

@test "mv -b" {
	writes --anew --backup NAME~ 'cp -p "$s" moved && mv -b moved "$f"'
}

@test "busybox: mv" {
	writes --anew 'cp -p "$s" moved && busybox mv -f moved "$f"'
}

@test "install" {
	writes --anew 'install "$s" "$f"'
}

@test "install -m -o -g -p" {
	writes --anew 'install -m 640 -o daemon -g daemon -p "$s" "$f"'
}

@test "install -b" {
	writes --anew --backup NAME~ 'install -b "$s" "$f"'
}

@test "install -C sees that there is nothing to do" {
	writes --changed ' -> ' 'install -C -v -m 644 "$s" "$f"'
}
