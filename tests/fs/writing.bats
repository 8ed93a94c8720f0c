#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What programs do that replace a file: temporary files beside it, renames, backups, removals.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
	new_volume vol mem:ram 1G true
	attach vol h1 rw
	export vol=$mnt/volumes/vol
}

teardown_file() {
	fs_end
}

teardown() {
	# nothing temporary is left behind, whatever the test did
	local left
	left=$(find "$mnt/volumes" "$mnt/hosts" -mindepth 2 \( -name '.*' -o -name '*~' -o -name '*.*' \
		-not -name info.json \)) || true
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

os() { # PYTHON STATEMENTS, with `d` the directory of the volume
	"$python" -c "import errno, os, sys
d = sys.argv[1] + '/'
def read(name): return open(d + name, 'rb').read()
def write(name, value, mode='wb'): open(d + name, mode).write(value)
def refused(error, call, *a, **k):
    try: call(*a, **k)
    except OSError as e:
        assert errno.errorcode[e.errno] == error, e
        return
    raise SystemExit('succeeded: %s %s' % (call, a))
$1" "$vol"
}

@test "a misspelled name is refused, and says so" {
	local name
	for name in mdoe modes Mode mode1 ipp ip4 description2 sizes size_ multi_attach id2 x foo.txt; do
		refused EACCES put ro "$vol/attachments/h1/$name"
		refused EACCES mkdir "$vol/$name"
		refused EACCES ln -s x "$vol/$name"
	done
	explained "$vol/attachments/h1" foo.txt
	value_is rw "$vol/attachments/h1/effective_mode"
	refused EACCES put x "$mnt/volumes/.hidden"
	refused EACCES put x "$mnt/volumes/tmp1"
	refused EACCES put x "$mnt/.x.swp"
	refused EACCES put x "$mnt/docks/mem/tmp1"
	refused EACCES put x "$vol/attachments/h1/connection/tmp1"
	refused EACCES put x "$vol/attachments/tmp1"
	refused EACCES put x "$vol/metadata/bad name"
}

@test "temporary names are taken: as files, directories and symlinks" {
	local a=$vol/attachments/h1 name
	for name in .mode.swp .mode.Ab12Cd '#mode#' mode~ mode.bak mode-old mode.gawk.Ab12Cd modeAb12Cd \
		modebak bak_mode mode_1700000000.cf-before-edit mode.12345.2026-11-20@12:00:00~ \
		sedAb12Cd XXAb12Cd tmp tmpfoo foo.tmp 4913 123456 .ansible_tmpAbcdefghmode; do
		put "$name" "$a/$name"
		value_is "$name" "$a/$name"
		[ "$(stat -c '%s %F' "$a/$name")" = "$((${#name} + 1)) regular file" ]
	done
	for name in .~tmp~ mode20261120-99-ab12cd.lock; do
		mkdir "$a/$name"
		put x "$a/$name/mode"
		[ "$(ls "$a/$name")" = mode ]
		refused ENOTEMPTY rmdir "$a/$name"
	done
	ln -s user@host.123 "$a/.#mode"
	[ "$(readlink "$a/.#mode")" = user@host.123 ]
	ls -la "$a" >"$BATS_TEST_TMPDIR/list"
	grep -q '4913$' "$BATS_TEST_TMPDIR/list"
	grep -q 'user@host.123$' "$BATS_TEST_TMPDIR/list"
	[ "$(find "$a" -maxdepth 1 -name 'mode*' -type f | wc -l)" = 9 ] || { find "$a" -name 'mode*'; return 1; }
	# private: they are nowhere in the state, and nothing follows from them
	value_is rw "$a/effective_mode"
	[ "$(dump | grep -c Ab12Cd)" = 0 ]
	rm -r "$a"/.~tmp~ "$a"/*.lock "$a"/.[m#a]* "$a"/'#mode#' "$a"/mode[~._A-Zb-]* "$a"/bak_mode \
		"$a"/sedAb12Cd "$a"/XXAb12Cd "$a"/tmp* "$a"/foo.tmp "$a"/4913 "$a"/123456
	value_is rw "$a/mode"
}

@test "a temporary file is an ordinary one: append, seek, truncate, chmod, chown, times, rename" {
	os '
path = d + ".x.swp"
f = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
os.write(f, b"hello world")
os.pwrite(f, b"J", 0)
os.lseek(f, 20, 0); os.write(f, b"end")
assert os.pread(f, 99, 0) == b"Jello world" + bytes(9) + b"end"
os.ftruncate(f, 5)
assert os.fstat(f).st_size == 5 and read(".x.swp") == b"Jello"
write(".x.swp", b"!", "ab")
assert read(".x.swp") == b"Jello!"
os.chmod(path, 0o600); os.chown(path, 12, 34); os.utime(path, ns=(1, 2))
st = os.stat(path)
assert (st.st_mode & 0o777, st.st_uid, st.st_gid, st.st_mtime_ns) == (0o600, 12, 34, 2), st
refused("EEXIST", os.open, path, os.O_CREAT | os.O_EXCL)
os.rename(path, d + ".y.swp")
refused("ENOENT", os.stat, path)
write(".z.swp", b"other")
os.rename(d + ".z.swp", d + ".y.swp")
assert read(".y.swp") == b"other"
assert os.pread(f, 99, 0) == b"Jello!" and os.fstat(f).st_nlink == 0
os.unlink(d + ".y.swp")
os.close(f)
write(".t.swp", b"x" * 100); os.truncate(d + ".t.swp", 3); assert read(".t.swp") == b"xxx"
open(d + ".t.swp", "w").close(); assert read(".t.swp") == b""
os.unlink(d + ".t.swp")
refused("EPERM", os.link, d + "description", d + "description~")
refused("EPERM", os.mkfifo, d + ".fifo")
refused("ENOTSUP", os.setxattr, d + "description", "user.x", b"y")
'
}

@test "temporary files are bounded: bytes, number in a directory, number in all" {
	os '
write(".big", b"x" * 65536)
refused("ENOSPC", write, ".big", b"x" * 65537)
f = os.open(d + ".big", os.O_WRONLY)
refused("ENOSPC", os.pwrite, f, b"x", 1 << 40)
refused("ENOSPC", os.ftruncate, f, 65537)
os.close(f)
for i in range(63): write(".t%d" % i, b"x")
refused("ENOSPC", write, ".one-more", b"x")
refused("ENOSPC", os.mkdir, d + ".one-more")
assert b"64" in read("last_error"), read("last_error")
for i in range(63): os.unlink(d + ".t%d" % i)
os.unlink(d + ".big")
dirs = []
os.mkdir(d + ".0")
try:
    for i in range(5000):
        dirs.append(d + ".0/%d" % (i // 64))
        if i % 64 == 0: os.mkdir(dirs[-1])
        else: open(dirs[-1] + "/%d" % i, "w").close()
except OSError as e:
    assert e.errno == errno.ENOSPC, e
    assert 4000 < i < 4100, i
else: raise SystemExit("no bound")
'
	rm -r "$vol/.0"
	put x "$vol/.0" && rm "$vol/.0"
}

@test "temporary files go with their object, also when others have removed it" {
	mkdir "$mnt/volumes/gone"
	put x "$mnt/volumes/gone/.x"
	mkdir "$mnt/volumes/gone/.d" "$mnt/volumes/gone/.d/e"
	put x "$mnt/volumes/gone/.d/e/f"
	put x "$mnt/volumes/gone/metadata/.x"
	rmdir "$mnt/volumes/gone"
	mkdir "$mnt/volumes/gone"
	[ -z "$(find "$mnt/volumes/gone" -name '.*')" ]
	rmdir "$mnt/volumes/gone"
}

@test "mv of a temporary file onto an attribute sets it" {
	local a=$vol/attachments/h1
	put ro "$a/.new"
	mv "$a/.new" "$a/mode"
	value_is ro "$a/mode"
	value_is ro "$a/effective_mode"
	[ ! -e "$a/.new" ]
	printf rw >"$a/mode.tmp"
	mv "$a/mode.tmp" "$a/mode"
	[ "$(cat "$a/mode"; echo .)" = rw. ]
	value_is rw "$a/effective_mode"
	# out of a directory of its own, as rsync --delay-updates does
	mkdir "$vol/.~tmp~"
	put new "$vol/.~tmp~/description"
	mv "$vol/.~tmp~/description" "$vol/description"
	value_is new "$vol/description"
	rmdir "$vol/.~tmp~"
}

@test "mv onto an attribute that refuses: both stay, and last_error says why" {
	local a=$vol/attachments/h1
	put wrong "$a/.new"
	os 'refused("EINVAL", os.rename, d + "attachments/h1/.new", d + "attachments/h1/mode")'
	explained "$a" 'mode: expected ro or rw, not "wrong"'
	value_is wrong "$a/.new"
	value_is rw "$a/mode"
	refused EACCES mv -f "$a/.new" "$a/status"
	refused EACCES mv "$a/.new" "$a/nothing"
	rm "$a/.new"
	ln -s x "$a/.link"
	os 'refused("EINVAL", os.rename, d + "attachments/h1/.link", d + "attachments/h1/mode")'
	rm "$a/.link"
	printf 'a\001b' >"$vol/.bad"
	os 'refused("EINVAL", os.rename, d + ".bad", d + "description")'
	rm "$vol/.bad"
}

@test "RENAME_NOREPLACE does not replace, and takes a name that was removed" {
	os '
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def noreplace(a, b):
    if libc.renameat2(-100, (d + a).encode(), -100, (d + b).encode(), 1):
        raise OSError(ctypes.get_errno(), a)
write(".new", b"text")
refused("EEXIST", noreplace, ".new", "description")
os.unlink(d + "description")
noreplace(".new", "description")
assert read("description") == b"text"
write(".new", b"x"); write(".old", b"y")
refused("EEXIST", noreplace, ".new", ".old")
noreplace(".new", ".newer")
os.unlink(d + ".newer"); os.unlink(d + ".old")
write("metadata/k", b"1"); write("metadata/.k", b"2")
refused("EEXIST", noreplace, "metadata/.k", "metadata/k")
noreplace("metadata/.k", "metadata/l")
assert read("metadata/l") == b"2"
os.unlink(d + "metadata/k"); os.unlink(d + "metadata/l")
'
}

@test "mode, owner and times of the file come with it; without times the value's own change counts" {
	local f=$vol/description t
	put one "$f"
	chmod 644 "$f"
	put two "$vol/.new"
	chmod 600 "$vol/.new"
	chown 12:34 "$vol/.new"
	touch -d '2001-02-03 04:05:06.789 UTC' "$vol/.new"
	mv "$vol/.new" "$f"
	[ "$(stat -c '%a %u:%g %.Y' "$f")" = "600 12:34 981173106.789000000" ] || { stat "$f"; return 1; }
	put three "$vol/.new"
	chmod 644 "$vol/.new"
	mv "$vol/.new" "$f"
	t=$(stat -c %.Y "$f")
	[ "${t%.*}" -gt 981173106 ]
	[ "$(stat -c '%a %u:%g' "$f")" = "644 0:0" ]
	# an equal value is no change
	put three "$vol/.new"
	mv "$vol/.new" "$f"
	[ "$(stat -c %.Y "$f")" = "$t" ]
}

@test "an attribute that is moved to a backup name leaves a copy there, and can be made again" {
	local f=$vol/description
	put one "$f"
	stat "$f" >/dev/null
	mv "$f" "$f~"
	value_is one "$f~"
	[ ! -e "$f" ]
	fails grep -qx description <<<"$(ls "$vol")"
	put two "$f"
	value_is two "$f"
	value_is one "$f~"
	# once more, over the first backup, and another
	mv "$f" "$f~"
	value_is two "$f~"
	put three "$f"
	mv "$f" "$f.bak"
	put four "$f"
	[ "$(cat "$f" "$f.bak" "$f~" | xargs)" = "four three two" ]
	[ "$(stat -c %i "$f" "$f.bak" "$f~" | sort -u | wc -l)" = 3 ]
	# and back
	mv "$f.bak" "$f"
	value_is three "$f"
	value_is two "$f~"
	rm "$f~"
	value_is three "$f"
	put five "$f"
	value_is five "$f"
}

@test "moving mode away does not touch the attachment, and no attribute can take another's name" {
	local a=$vol/attachments/h1 generation
	generation=$(cat "$a/generation")
	mv "$a/mode" "$a/mode.bak"
	value_is rw "$a/effective_mode"
	mv "$a/mode.bak" "$a/mode"
	value_is rw "$a/mode"
	value_is "$generation" "$a/generation"
	os 'refused("EINVAL", os.rename, d + "description", d + "group_id")
refused("EINVAL", os.rename, d + "id", d + "name")
refused("EACCES", os.rename, d + "description", d + "foo")
refused("EACCES", os.rename, d + "metadata", d + ".metadata")
refused("EACCES", os.rename, d + "description", d + "attachments/.x")'
}

@test "a removed attribute keeps its value; its name is gone and comes back when it is made again" {
	local a=$vol/attachments/h1 generation
	generation=$(cat "$a/generation")
	rm "$a/mode" "$a/status"
	[ ! -e "$a/mode" ]
	[ ! -e "$a/status" ]
	fails grep -qxE 'mode|status' <<<"$(ls "$a")"
	refused ENOENT cat "$a/mode"
	value_is rw "$a/effective_mode"
	value_is "$generation" "$a/generation"
	put rw "$a/mode"
	value_is rw "$a/mode"
	value_is "$generation" "$a/generation"
	refused EACCES put x "$a/status"
	value_is attached "$a/status"
	os '
os.unlink(d + "size")
f = os.open(d + "size", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(f, b"1G\n")
os.close(f)
refused("EEXIST", os.open, d + "size", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
'
	value_is 1G "$vol/size"
}

@test "a removed attribute comes back by itself after a few seconds, and after a refused rmdir" {
	rm "$vol/description" "$vol/id"
	[ ! -e "$vol/id" ]
	within 8 test -e "$vol/id"
	within 1 test -e "$vol/description"
	rm -r "$mnt/hosts/h1" 2>/dev/null && return 1
	# what its shell's rm has hidden is there again
	[ -e "$mnt/hosts/h1/initiator" ]
	value_is iqn.2026-11.test:h1 "$mnt/hosts/h1/initiator"
}

@test "what belongs to attachfs cannot be removed" {
	refused EACCES rm -f "$mnt/events"
	refused EACCES rm -f "$mnt/docks/mem/status"
	refused EACCES rm -f "$mnt/attachments/vol@h1"
	refused EACCES rmdir "$mnt/docks/mem"
	[ -e "$mnt/events" ]
}

@test "keys: temporary names beside them, mv onto a key and onto a new one, backups" {
	local m=$vol/metadata
	put one "$m/k"
	put two "$m/.k.Ab12Cd"
	[ "$(ls "$m")" = k ]
	mv "$m/.k.Ab12Cd" "$m/k"
	value_is two "$m/k"
	put three "$m/.new"
	mv "$m/.new" "$m/fresh"
	value_is three "$m/fresh"
	[ -z "$(find "$m" -name '.*')" ]
	put four "$m/sedAb12Cd"
	mv "$m/sedAb12Cd" "$m/k"
	[ "$(ls "$m" | sort | xargs)" = "fresh k" ]
	value_is four "$m/k"
	stat "$m/k" >/dev/null
	mv "$m/k" "$m/k~"
	[ ! -e "$m/k" ]
	value_is four "$m/k~"
	[ "$(jq -c .metadata "$vol/info.json")" = '{"fresh":"three"}' ]
	put five "$m/k"
	value_is four "$m/k~"
	value_is five "$m/k"
	mkdir "$m/k20261120-99-ab12cd.lock"
	rmdir "$m/k20261120-99-ab12cd.lock"
	printf 'a\001b' >"$m/.bad"
	os 'refused("EINVAL", os.rename, d + "metadata/.bad", d + "metadata/k")
refused("EINVAL", os.rename, d + "metadata/.bad", d + "metadata/k2")'
	[ ! -e "$m/k2" ]
	rm "$m/.bad" "$m/k~" "$m/k" "$m/fresh"
}

@test "an editor's lock, swap file, backup and write, as vim, nano and emacs do it" {
	os '
os.symlink("me@here.1", d + ".#description")
write("description", b"old")
write(".description.swp", b"x" * 4096)
open(d + "4913", "x").close(); os.chown(d + "4913", 0, 0); os.unlink(d + "4913")
os.rename(d + "description", d + "description~")
f = os.open(d + "description", os.O_WRONLY | os.O_CREAT, 0o644)
os.ftruncate(f, 0)
os.write(f, b"new\n")
os.fsync(f)
os.close(f)
os.chmod(d + "description", 0o644)
os.unlink(d + "description~"); os.unlink(d + ".description.swp"); os.unlink(d + ".#description")
assert read("description") == b"new\n"
# a refused value is rolled back
os.rename(d + "max_writers", d + "max_writers~")
f = os.open(d + "max_writers", os.O_WRONLY | os.O_CREAT, 0o644)
refused("EINVAL", os.write, f, b"many")
os.close(f)
os.unlink(d + "max_writers")
os.rename(d + "max_writers~", d + "max_writers")
assert read("max_writers") == b"0\n", read("max_writers")
'
}

@test "two writers: the last one wins, and nobody sees a mixture or nothing" {
	"$python" "$helpers/writers.py" "$vol"
}

@test "mode is empty, for stat too, until the host is attached in it" {
	local m=$vol/attachments/h2/mode
	mkdir "$vol/attachments/h2"
	[ "$(stat -c %s "$m")" = 0 ]
	value_is "" "$m"
	faults <<<"export fail EIO"
	refused EIO put rw "$m"
	[ "$(stat -c %s "$m")" = 0 ]
	value_is "" "$m"
	faults </dev/null
	put rw "$m"
	[ "$(stat -c %s "$m")" = 3 ]
	value_is rw "$m"
	rmdir "$vol/attachments/h2"
}

@test "names that several processes have hidden are back when the directory's removal is refused" {
	local v=$mnt/volumes/kept names
	new_volume kept mem:ram 16M
	put 1 "$v/protected"
	names=$(ls "$v")
	rm "$v/size" "$v/description"
	rm "$v/protected"
	[ ! -e "$v/size" ]
	refused EPERM rmdir "$v"
	[ "$(ls "$v")" = "$names" ]
	put 0 "$v/protected"
	rmdir "$v"
}
