#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Trees that are copied in: a new object is empty to the process that has made it.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
	export tree=$dir/tree
}

teardown_file() {
	fs_end
}

setup() {
	rm -rf "$tree"
	mkdir -p "$tree/volumes/v/metadata" "$tree/hosts/n"
	put true "$tree/volumes/v/multiattach"
	put text "$tree/volumes/v/description"
	put one "$tree/volumes/v/metadata/k"
	put 64M "$tree/volumes/v/size"
	put iqn.2026-11.test:n "$tree/hosts/n/initiator"
}

teardown() {
	rm -rf "$mnt/volumes/v" "$mnt/hosts/n" 2>/dev/null || true
	[ ! -e "$mnt/volumes/v" ]
	[ ! -e "$mnt/hosts/n" ]
}

copied() {
	value_is available "$mnt/volumes/v/status"
	value_is 64M "$mnt/volumes/v/size"
	value_is true "$mnt/volumes/v/multiattach"
	value_is text "$mnt/volumes/v/description"
	value_is one "$mnt/volumes/v/metadata/k"
	value_is iqn.2026-11.test:n "$mnt/hosts/n/initiator"
}

@test "cp -r and cp -a of a tree into a new volume and host" {
	cp -r "$tree/volumes/v" "$mnt/volumes/"
	cp -r "$tree/hosts/n" "$mnt/hosts/"
	copied
	rm -r "$mnt/volumes/v" "$mnt/hosts/n"
	cp -a "$tree"/* "$mnt/"
	copied
	rm -r "$mnt/volumes/v"
	touch -d '2001-02-03 UTC' "$tree/volumes/v/description" "$tree/volumes/v"
	cp -a "$tree/volumes/v" "$mnt/volumes/"
	[ "$(stat -c %Y "$mnt/volumes/v/description" "$mnt/volumes/v" | xargs)" = "981158400 981158400" ]
}

@test "tar, git and rsync fill a new volume and a new host" {
	tar -C "$tree" -cf "$dir/tree.tar" volumes/v hosts/n
	tar -C "$mnt" -xf "$dir/tree.tar"
	copied
	# again, and with each way to replace what is there
	tar -C "$mnt" -xf "$dir/tree.tar"
	tar -C "$mnt" -xf "$dir/tree.tar" --overwrite
	timeout 20 tar -C "$mnt" -xf "$dir/tree.tar" -U
	copied
	rm -r "$mnt/volumes/v" "$mnt/hosts/n"
	if command -v git >/dev/null; then
		git -C "$tree" init -q && git -C "$tree" add -A
		git -C "$tree" --work-tree="$mnt" checkout-index -a
		copied
		rm -r "$mnt/volumes/v" "$mnt/hosts/n"
	fi
	if command -v rsync >/dev/null; then
		rsync -a "$tree/volumes" "$tree/hosts" "$mnt/"
		copied
		[ -z "$(rsync -ai "$tree/volumes" "$tree/hosts" "$mnt/" | grep '^.f')" ]
	fi
}

# The order of a directory on disk is its file system's, so the likely ones are made here.
archive() { # NAME…: the volume's tree in this order
	tar -C "$tree" --no-recursion -cf "$dir/tree.tar" volumes/v "${@/#/volumes/v/}"
}

with_attachments() {
	mkdir -p "$tree/volumes/v/attachments/h1/metadata" "$tree/volumes/v/attachments/h2"
	put rw "$tree/volumes/v/attachments/h1/mode"
	put blue "$tree/volumes/v/attachments/h1/metadata/colour"
	put ro "$tree/volumes/v/attachments/h2/mode"
}

is_attached() {
	value_is in-use "$mnt/volumes/v/status"
	value_is rw "$mnt/volumes/v/attachments/h1/effective_mode"
	value_is ro "$mnt/volumes/v/attachments/h2/effective_mode"
	value_is blue "$mnt/volumes/v/attachments/h1/metadata/colour"
	[ "$(ls "$mnt/attachments" | xargs)" = "v@h1 v@h2" ]
	rm -r "$mnt/volumes/v"
}

@test "a tree with attachments in it: cp, git and rsync" {
	with_attachments
	cp -r "$tree/volumes/v" "$mnt/volumes/"
	is_attached
	cp -a "$tree/volumes/v" "$mnt/volumes/"
	is_attached
	rsync -a "$tree/volumes" "$mnt/"
	is_attached
	rsync -a --delay-updates "$tree/volumes" "$mnt/"
	is_attached
	git -C "$tree" init -q && git -C "$tree" add -A
	git -C "$tree" --work-tree="$mnt" checkout-index -a
	is_attached
	rm -r "$mnt/hosts/n"
}

@test "a tree with attachments in it: whatever comes first" {
	with_attachments
	local attached=(attachments attachments/h1 attachments/h1/mode attachments/h1/metadata
		attachments/h1/metadata/colour attachments/h2 attachments/h2/mode)
	archive size multiattach description "${attached[@]}"
	tar -C "$mnt" -xf "$dir/tree.tar"
	is_attached
	archive multiattach "${attached[@]}" size description
	tar -C "$mnt" -xf "$dir/tree.tar"
	is_attached
	archive "${attached[@]}" multiattach description size
	tar -C "$mnt" -xf "$dir/tree.tar"
	is_attached
	archive "${attached[@]}" size multiattach
	# it is single-attach when its size is written, and then there are two of them
	refused EBUSY tar -C "$mnt" -xf "$dir/tree.tar"
	grep -q 'multiattach is false' "$mnt/events"
	tar -C "$mnt" -xf "$dir/tree.tar"
	is_attached
}

@test "nobody but the maker attaches a volume that is not there yet" {
	mkdir "$mnt/volumes/v"
	refused EBUSY mkdir "$mnt/volumes/v/attachments/h1"
	explained "$mnt/volumes/v" "write its size first"
}

@test "the maker sees nothing that it has not made; everybody else sees the defaults" {
	"$python" - "$mnt/volumes/v" <<-'END'
		import errno, os, subprocess, sys, threading
		v = sys.argv[1]
		def there(name): return os.path.lexists(os.path.join(v, name))
		def others(name):
		    return subprocess.run(["cat", os.path.join(v, name)], capture_output=True).stdout
		os.mkdir(v)
		names = "size multiattach pool availability_zone description group_id max_writers protected"
		for name in names.split():
		    assert not there(name), name
		    assert name not in os.listdir(v), name
		assert there("id") and there("status") and there("metadata") and there("attachments")
		assert others("multiattach") == b"false\n", others("multiattach")
		assert not there("multiattach")
		def thread(): assert not there("multiattach")
		t = threading.Thread(target=thread); t.start(); t.join()
		fd = os.open(v + "/max_writers", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
		try:
		    os.open(v + "/max_writers", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
		    raise SystemExit("made twice")
		except FileExistsError: pass
		os.write(fd, b"3\n"); os.close(fd)
		assert there("max_writers") and open(v + "/max_writers").read() == "3\n"
		# what somebody else has set is there
		subprocess.run(["sh", "-c", "echo other >$0/description", v], check=True)
		assert open(v + "/description").read() == "other\n"
		# and what was opened as most programs do it
		with open(v + "/group_id", "w") as f: f.write("g")
		assert open(v + "/group_id").read() == "g"
		os.mkdir(v + "/.metadata~"); os.rmdir(v + "/.metadata~")
		with open(v + "/metadata/k", "w") as f: f.write("one")
	END
	value_is other "$mnt/volumes/v/description"
}

@test "a program that copies makes built-in directories itself; one that does not finds them" {
	"$python" - "$mnt/volumes/v" <<-'END'
		import os, sys, time
		v = sys.argv[1]
		os.mkdir(v, 0o755)
		assert not os.path.exists(v + "/metadata")
		os.mkdir(v + "/metadata", 0o755)
		assert os.path.exists(v + "/metadata")
		assert not os.path.exists(v + "/attachments")
		with open(v + "/max_writers", "w") as f: f.write("1")
		assert os.path.exists(v + "/attachments")
		os.rmdir(v)
		os.mkdir(v)
		with open(v + "/metadata/k", "w") as f: f.write("one")
		os.unlink(v + "/metadata/k")
	END
}

@test "after a few seconds the maker sees all of it; umask is respected" {
	"$python" - "$mnt/hosts/n" <<-'END'
		import os, sys, time
		h = sys.argv[1]
		os.umask(0o027)
		os.mkdir(h)
		assert os.stat(h).st_mode & 0o777 == 0o750, oct(os.stat(h).st_mode)
		with open(h + "/.x.swp", "w"): pass
		assert os.stat(h + "/.x.swp").st_mode & 0o777 == 0o640
		os.unlink(h + "/.x.swp")
		assert not os.path.exists(h + "/ip")
		end = time.monotonic() + 20
		while not os.path.exists(h + "/ip"):
		    assert time.monotonic() < end
		    time.sleep(0.1)
		assert open(h + "/ip").read() == ""
	END
}
