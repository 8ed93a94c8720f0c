#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that bring files from elsewhere: rsync, tar, cpio, unzip, git, patch.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "rsync" {
	writes 'rsync "$s" "$f"'
}

@test "rsync -a sees that there is nothing to do" {
	writes --changed '(?m)^>f' 'rsync -ai "$s" "$f"'
}

@test "rsync -c sees that there is nothing to do" {
	writes --changed '(?m)^>f' 'rsync -ci "$s" "$f"'
}

@test "rsync -t --inplace" {
	writes --changed '(?m)^>f' 'rsync -ti --inplace "$s" "$f"'
}

@test "rsync -t --delay-updates" {
	writes --debris '.~tmp~' --changed '(?m)^>f' 'rsync -ti --delay-updates "$s" "$f"'
}

@test "rsync -c --backup" {
	writes --backup NAME~ --files mode,description,owner --changed '(?m)^>f' \
		'rsync -ci --backup "$s" "$f"'
}

@test "rsync -t --fsync --chmod --chown" {
	writes --changed '(?m)^>f' 'rsync -ti --fsync --chmod=640 --chown=daemon:daemon "$s" "$f"'
}

@test "tar x" {
	writes --anew 'tar -cf x.tar "$n" && tar -C "$d" -xf x.tar'
}

@test "tar xp, to other owners" {
	writes --anew 'tar -cf x.tar --owner=daemon --mode=640 "$n" && tar -C "$d" -xpf x.tar'
}

@test "tar x -U" {
	writes --anew 'tar -cf x.tar "$n" && tar -C "$d" -U -xf x.tar'
}

@test "tar x --overwrite" {
	writes --anew 'tar -cf x.tar "$n" && tar -C "$d" --overwrite -xf x.tar'
}

@test "busybox: tar x" {
	writes --anew 'busybox tar -cf x.tar "$n" && busybox tar -C "$d" -xf x.tar'
}

@test "cpio -iu" {
	writes --anew 'echo "$n" | cpio --quiet -o >x.cpio && cd "$d" && cpio --quiet -iu <"$t/x.cpio"'
}

@test "cpio -pum" {
	writes --anew 'echo "$n" | cpio --quiet -pum "$d"'
}

@test "unzip -o" {
	writes --anew --silent 'rm -f x.zip; zip -q x.zip "$n" && unzip -qo x.zip -d "$d"'
}

@test "git checkout" {
	writes --silent --changed modified 'exec 2>&1
		[ -d r.git ] || git init -q --bare r.git
		git() { command git --git-dir=r.git --work-tree="$W" -c user.name=x -c user.email=x@x "$@"; }
		W=. git add -f "$n" && W=. git commit -qm "$v" || true
		cd "$d" && cd - >/dev/null
		W=$d git diff --quiet -- "$n" || echo modified
		W=$d git checkout -q -f -- "$n" && W=$d git diff --exit-code -- "$n"'
}

@test "patch" {
	writes --edits 'diff -u "$f" "$s" >x.patch; patch -s "$f" x.patch'
}
