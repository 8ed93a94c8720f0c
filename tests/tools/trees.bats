#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Whole trees: copied in, the second time too, and removed.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

teardown() {
	clear
}

@test "copied in: cp -r" {
	copies 'cp -r "$src/." "$dst/"'
}

@test "copied in: cp -a" {
	copies 'cp -a "$src/." "$dst/"'
}

@test "copied in: busybox cp -r" {
	copies 'busybox cp -r "$src/." "$dst/"'
}

@test "copied in: busybox cp -a" {
	copies 'busybox cp -a "$src/." "$dst/"'
}

@test "copied in: rsync -r, compared by its sums" {
	copies --changed '(?m)^[>c]' 'rsync -rci "$src/" "$dst/"'
}

@test "copied in: rsync -a" {
	copies --changed '(?m)^[>c]' 'rsync -ai "$src/" "$dst/"'
}

@test "copied in: rsync -a --inplace" {
	copies --changed '(?m)^[>c]' 'rsync -ai --inplace "$src/" "$dst/"'
}

@test "copied in: rsync -a --delay-updates" {
	copies --changed '(?m)^[>c]' 'rsync -ai --delay-updates "$src/" "$dst/"'
}

@test "copied in: tar" {
	copies --anew 'set -o pipefail; tar -C "$src" -c . | tar -C "$dst" -x'
}

@test "copied in: tar, by root, with all that tar keeps" {
	copies --anew 'set -o pipefail; tar -C "$src" -c --xattrs . | tar -C "$dst" --xattrs -xp'
}

@test "copied in: tar --overwrite" {
	copies 'set -o pipefail; tar -C "$src" -c . | tar -C "$dst" --overwrite -x'
}

@test "copied in: busybox tar" {
	copies --anew 'set -o pipefail; busybox tar -C "$src" -c . | busybox tar -C "$dst" -x'
}

@test "copied in: cpio -pdu" {
	copies --anew 'cd "$src" && find . -mindepth 1 | cpio --quiet -pdu "$dst"'
}

@test "copied in: cpio -idum" {
	copies --anew '(cd "$src" && find . -mindepth 1 | cpio --quiet -o) >x.cpio
		cd "$dst" && cpio --quiet -idum <"$t/x.cpio"'
}

@test "copied in: unzip" {
	copies --anew --silent 'rm -f x.zip; (cd "$src" && zip -qr "$t/x.zip" .) && unzip -qo x.zip -d "$dst"'
}

@test "copied in: git checkout" {
	copies --anew --silent --changed modified '
		r=r$(basename "$src").git
		[ -d "$r" ] || git init -q --bare "$r"
		g="git --git-dir=$r -c user.name=x -c user.email=x@x"
		$g --work-tree="$src" add . && $g --work-tree="$src" commit -qm x >/dev/null || true
		$g --work-tree="$dst" diff --quiet || echo modified
		$g --work-tree="$dst" checkout -q -f && $g --work-tree="$dst" diff --exit-code'
}

@test "copied in: python shutil.copytree" {
	copies 'python3 -c "import os, shutil
shutil.copytree(os.environ[\"src\"], os.environ[\"dst\"], dirs_exist_ok=True)"'
}

@test "copied in: ruby FileUtils.cp_r" {
	copies 'ruby -rfileutils -e "FileUtils.cp_r(ENV[%q(src)] + %q(/.), ENV[%q(dst)])"'
}

@test "copied in: install -D, file by file" {
	copies --anew 'cd "$src" && find . -type f | xargs -I{} install -m 644 -D {} "$dst/{}"'
}

# In any order, and all at once: a draft is as it is until it is moved.
@test "copied in as a draft, and moved: cp -r" {
	local desired=$BATS_TEST_DIRNAME/../../examples/desired db=$mnt/volumes/db
	cp -r "$desired/1-hosts-and-profiles/." "$mnt/"
	cp -r "$desired/3-attachments/volumes/db/" "$mnt/volumes/.db"
	cp -r "$desired/2-volumes/volumes/db/." "$mnt/volumes/.db/"
	mv "$mnt/volumes/.db" "$db"
	value_is rw "$db/attachments/web1/effective_mode"
	value_is ro "$db/attachments/web2/effective_mode"
	value_is in-use "$db/status"
	diff -r "$desired/2-volumes/volumes/db" "$db" | fails grep '^diff'
}

@test "copied in as a draft, and moved: rsync -a" {
	local desired=$BATS_TEST_DIRNAME/../../examples/desired db=$mnt/volumes/db
	rsync -a "$desired/1-hosts-and-profiles/" "$mnt/"
	rsync -a "$desired/3-attachments/volumes/db/" "$desired/2-volumes/volumes/db/" "$mnt/volumes/.db/"
	mv "$mnt/volumes/.db" "$db"
	value_is rw "$db/attachments/web1/effective_mode"
	value_is ro "$db/attachments/web2/effective_mode"
}

@test "removed: rm -r" {
	removes 'rm -r "$d"'
}

@test "removed: rm -rf" {
	removes --twice 'rm -rf "$d"'
}

@test "removed: rm -rfv says what it removes" {
	removes --twice --changed removed 'rm -rfv "$d"'
}

@test "removed: find -delete" {
	removes 'find "$d" -delete'
}

@test "removed: find, file by file and directory by directory" {
	removes 'find "$d" -depth \( -type d -exec rmdir {} \; -o -exec rm -f {} \; \)
		[ ! -e "$d" ]'
}

@test "removed: busybox rm -r" {
	removes 'busybox rm -r "$d"'
}

@test "removed: rsync --delete" {
	removes --twice --changed deleting 'mkdir -p empty && [ ! -d "$d" ] ||
		rsync -ri --delete --include="/${d##*/}/***" --exclude="*" empty/ "${d%/*}/"'
}

@test "removed: git clean" {
	removes 'git init -q r; git --git-dir=r/.git --work-tree="${d%/*}" clean -fdxq -- "${d##*/}"'
}

@test "removed: python shutil.rmtree" {
	removes 'python3 -c "import os, shutil
shutil.rmtree(os.environ[\"d\"])"'
}

@test "removed: perl File::Path" {
	removes --twice 'perl -MFile::Path=remove_tree -e "remove_tree(\$ENV{d}, {error => \\my \$e}); exit @\$e > 0"'
}

@test "removed: ruby FileUtils.rm_r" {
	removes 'ruby -rfileutils -e "FileUtils.rm_r(ENV[%q(d)])"'
}
