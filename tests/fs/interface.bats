#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The file interface: bytes, sizes, times, truncation, appending, renaming, metadata, the audit log.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
	new_volume vol ssd:fast 16M true
	attach vol h1 rw
	export vol=$mnt/volumes/vol
}

teardown_file() {
	fs_end
}

mtime() {
	stat -c %.Y "$1"
}

@test "a value is read as it was written, with or without newline" {
	local f=$vol/description
	printf 'text' >"$f"
	[ "$(cat "$f"; echo .)" = text. ]
	printf 'text\n' >"$f"
	[ "$(cat "$f"; echo .)" = $'text\n.' ]
	printf '  text  \n\n' >"$f"
	[ "$(cat "$f"; echo .)" = $'  text  \n\n.' ]
	[ "$(stat -c %s "$f")" = 10 ]
}

@test "truncation commits nothing; readers see the old value until the write" {
	local f=$vol/max_writers
	put 3 "$f"
	exec {fd}>"$f"
	value_is 3 "$f"
	[ "$(stat -c %s "$f")" = 2 ]
	echo 4 >&$fd
	value_is 4 "$f"
	exec {fd}>&-
	: >"$f"
	value_is 4 "$f"
	truncate -s 0 "$f"
	truncate -s 100 "$f"
	value_is 4 "$f"
	put 0 "$f"
}

@test "truncated and never written: free text is cleared, everything else stays" {
	local name
	put something "$vol/description"
	: >"$vol/description"
	within 2 value_is "" "$vol/description"
	for name in size multiattach max_writers protected attachments/h1/mode; do
		before=$(cat "$vol/$name")
		: >"$vol/$name"
		value_is "$before" "$vol/$name"
	done
}

@test "a refused write of free text does not clear it" {
	local f=$vol/description
	put precious "$f"
	refused EINVAL eval 'printf "a\001b\n" >"$f"'
	# what close() may do comes after it
	put x "$vol/group_id"
	value_is precious "$f"
	put precious "$mnt/hosts/h1/description"
	refused EINVAL eval 'printf "a\001b\n" >"$mnt/hosts/h1/description"'
	within 1 explained "$mnt/hosts/h1" description
	put x "$mnt/hosts/h2/description"
	value_is precious "$mnt/hosts/h1/description"
	explained "$mnt/hosts/h1" description
}

@test ">> replaces scalars and appends to free text" {
	put 1 "$vol/max_writers"
	echo 2 >>"$vol/max_writers"
	value_is 2 "$vol/max_writers"
	put 0 "$vol/max_writers"
	printf one >"$vol/description"
	printf ' two' >>"$vol/description"
	value_is "one two" "$vol/description"
	echo 16M >>"$vol/size"
	value_is 16M "$vol/size"
}

@test "a write at 0 replaces, with or without truncation; a contiguous one extends" {
	run -0 "$python" - "$vol" <<-'END'
		import os, sys
		def read(name):
		    return open(os.path.join(sys.argv[1], name), "rb").read()
		path = os.path.join(sys.argv[1], "description")
		open(path, "wb").write(b"a long value to begin with\n")
		fd = os.open(path, os.O_WRONLY)
		os.write(fd, b"short")
		assert read("description") == b"short", read("description")
		os.write(fd, b" and more")
		assert read("description") == b"short and more", read("description")
		os.ftruncate(fd, 14)
		assert read("description") == b"short and more", read("description")
		os.lseek(fd, 0, 0)
		os.write(fd, b"again")
		assert read("description") == b"again", read("description")
		os.close(fd)
		# a hole is no value
		fd = os.open(path, os.O_WRONLY)
		try:
		    os.pwrite(fd, b"x", 3)
		    raise SystemExit("a write in the middle was taken")
		except OSError:
		    pass
		os.close(fd)
		assert read("description") == b"again", read("description")
		# numbers too: 12 and not 1 then 2
		fd = os.open(os.path.join(sys.argv[1], "max_writers"), os.O_WRONLY)
		os.write(fd, b"1")
		os.write(fd, b"2")
		os.close(fd)
		assert read("max_writers") == b"12", read("max_writers")
	END
	put 0 "$vol/max_writers"
}

@test "fsync, fdatasync and fsync of a directory succeed" {
	sync "$vol/description" "$vol" "$mnt/volumes"
	sync -d "$vol/description"
}

@test "an equal value is a no-op: nothing in the audit log, no new time" {
	local n t
	put same "$vol/description"
	n=$(n_events)
	t=$(mtime "$vol/description")
	put same "$vol/description"
	put 16M "$vol/size"
	put rw "$vol/attachments/h1/mode"
	[ "$(n_events)" = "$n" ]
	[ "$(mtime "$vol/description")" = "$t" ]
}

@test "mtime of a settable attribute changes when, and only when, its value does" {
	local t size_time
	put one "$vol/description"
	t=$(mtime "$vol/description")
	size_time=$(mtime "$vol/size")
	: >"$vol/max_writers"
	put one "$vol/description"
	put x "$vol/group_id"
	refused EINVAL put -1 "$vol/max_writers"
	[ "$(mtime "$vol/description")" = "$t" ]
	put two "$vol/description"
	[ "$(mtime "$vol/description")" != "$t" ]
	[ "$(mtime "$vol/size")" = "$size_time" ]
}

@test "mtime of a read-only attribute changes when its value does" {
	local before
	new_volume times mem:ram 1G
	declare -A before
	for f in status attach_status info.json; do
		before[$f]=$(mtime "$mnt/volumes/times/$f")
	done
	attach times h1 rw
	for f in status attach_status info.json; do
		[ "$(mtime "$mnt/volumes/times/$f")" != "${before[$f]}" ] || echo "$f: the old mtime"
	done >"$BATS_TEST_TMPDIR/out"
	detach times h1
	rmdir "$mnt/volumes/times"
	cat "$BATS_TEST_TMPDIR/out"
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "mtime of a read-only attribute stays while its value does" {
	local before f
	declare -A before
	for f in id name dock created_at size_bytes status; do
		before[$f]=$(mtime "$vol/$f")
	done
	put "something $RANDOM" "$vol/description"
	for f in id name dock created_at size_bytes status; do
		[ "$(mtime "$vol/$f")" = "${before[$f]}" ] || echo "$f: a new mtime"
	done >"$BATS_TEST_TMPDIR/out"
	cat "$BATS_TEST_TMPDIR/out"
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "chmod, chown and touch are stored, on read-only attributes and directories too" {
	local f
	for f in "$vol/description" "$vol/status" "$vol" "$vol/metadata" "$vol/attachments" \
		"$mnt/hosts/h1" "$mnt/volumes" "$vol/attachments/h1/connection/target_iqn" \
		"$mnt/docks/mem/status" "$mnt"; do
		old=$(stat -c '%a %u:%g' "$f")
		chmod 0750 "$f"
		chown 12:34 "$f"
		touch -d '2001-02-03 04:05:06.789 UTC' "$f"
		[ "$(stat -c '%a %u:%g %.Y' "$f")" = "750 12:34 981173106.789000000" ] || {
			stat "$f"
			return 1
		}
		chmod "${old% *}" "$f"
		chown "${old#* }" "$f"
	done
	# and survive: nothing of it is only in the kernel's cache
	chmod 0640 "$vol/description"
	echo 3 >/proc/sys/vm/drop_caches || true
	[ "$(stat -c %a "$vol/description")" = 640 ]
	chmod 0644 "$vol/description"
}

@test "permissions are the access control" {
	local nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'
	refused EACCES $nobody mkdir "$mnt/volumes/mine"
	refused EACCES $nobody rmdir "$vol/attachments/h1"
	refused EACCES $nobody sh -c 'echo x >"$1"' - "$vol/description"
	refused EPERM $nobody chmod 777 "$vol/description"
	$nobody cat "$vol/status" "$vol/attachments/h1/status"
	chmod 0777 "$vol/attachments"
	$nobody mkdir "$vol/attachments/h2"
	[ "$(stat -c %u "$vol/attachments/h2")" = 65534 ]
	$nobody sh -c 'echo ro >"$1"' - "$vol/attachments/h2/mode"
	value_is ro "$vol/attachments/h2/effective_mode"
	$nobody rmdir "$vol/attachments/h2"
	chmod 0755 "$vol/attachments"
}

@test "auth_password: 0600, unreadable for others, and the secret is nowhere else" {
	local nobody='setpriv --reuid 65534 --regid 65534 --clear-groups' secret
	local f=$vol/attachments/h1/connection/auth_password
	[ "$(stat -c %a:%u "$f")" = 600:0 ]
	refused EACCES $nobody cat "$f"
	secret=$(cat "$f")
	[[ $secret =~ ^[0-9a-f]{32}$ ]]
	fails grep -F "$secret" "$mnt/events" "$mnt/metrics" "$dir/log"
	dump >"$BATS_TEST_TMPDIR/dump"
	grep -q 'vol/attachments/h1' "$BATS_TEST_TMPDIR/dump"
	fails grep -F "$secret" "$BATS_TEST_TMPDIR/dump"
	printf %s "$secret" >"$BATS_TEST_TMPDIR/secret"
	fails grep -aslFf "$BATS_TEST_TMPDIR/secret" /proc/[0-9]*/cmdline /proc/[0-9]*/environ
	[ "$(grep -rlF "$secret" "$mnt" 2>/dev/null)" = "$f" ]
	fails grep -qFf "$BATS_TEST_TMPDIR/secret" <<<"$(tgt_show)"
	# state, sockets and backing files are for root alone
	[ -z "$(find "$dir/state" "$dir/fast" -perm /077)" ]
	refused EACCES $nobody ls "$dir/state"
}

@test "metadata: keys are made, read, renamed and removed" {
	local m=$vol/metadata
	put one "$m/key"
	value_is one "$m/key"
	printf two >"$m/Other.key_2"
	[ "$(ls "$m" | sort | xargs)" = "Other.key_2 key" ]
	mv "$m/key" "$m/renamed"
	value_is one "$m/renamed"
	[ ! -e "$m/key" ]
	mv "$m/renamed" "$m/Other.key_2"
	value_is one "$m/Other.key_2"
	[ "$(ls "$m")" = Other.key_2 ]
	touch "$m/empty"
	[ -e "$m/empty" ]
	jq -e '.metadata["Other.key_2"] == "one"' "$vol/info.json"
	rm "$m/Other.key_2" "$m/empty"
	[ -z "$(ls "$m")" ]
	# an attachment has its own
	put x "$vol/attachments/h1/metadata/k"
	value_is x "$vol/attachments/h1/metadata/k"
	rm "$vol/attachments/h1/metadata/k"
}

@test "metadata: at most 256 keys, then ENOSPC" {
	local m=$vol/metadata n
	for n in {1..256}; do
		echo "$n" >"$m/k$n"
	done
	refused ENOSPC put x "$m/one-more"
	[ "$(ls "$m" | wc -l)" = 256 ]
	rm "$m"/k*
}

@test "rmdir of a built-in empty container returns 0 and it stays" {
	rmdir "$vol/metadata"
	[ -d "$vol/metadata" ]
	mkdir "$mnt/volumes/empty"
	rmdir "$mnt/volumes/empty/attachments" "$mnt/volumes/empty/metadata"
	[ -d "$mnt/volumes/empty/attachments" ]
	rmdir "$mnt/volumes/empty"
	refused ENOTEMPTY rmdir "$vol/attachments"
	put x "$vol/metadata/k"
	refused ENOTEMPTY rmdir "$vol/metadata"
	rm "$vol/metadata/k"
}

@test "renaming a volume keeps its sessions, and every list follows" {
	local out=$BATS_TEST_TMPDIR/hold target_before
	creds vol h1
	target_before=$target
	hold "$out" --interval 2 3
	ls "$mnt/attachments/" "$mnt/hosts/h1/attachments/" "$mnt/docks/ssd/pools/fast/volumes/"
	mv "$vol" "$mnt/volumes/renamed"
	value_is renamed "$mnt/volumes/renamed/name"
	value_is attached "$mnt/attachments/renamed@h1/status"
	value_is attached "$mnt/hosts/h1/attachments/renamed/status"
	value_is renamed "$mnt/docks/ssd/pools/fast/volumes/renamed/name"
	[ ! -e "$vol" ]
	[ "$(ls "$mnt/volumes")" = renamed ]
	[ "$(ls "$mnt/attachments")" = renamed@h1 ]
	[ "$(ls "$mnt/hosts/h1/attachments")" = renamed ]
	[ "$(ls "$mnt/docks/ssd/pools/fast/volumes")" = renamed ]
	[ ! -L "$mnt/attachments/vol@h1" ]
	[ ! -L "$mnt/hosts/h1/attachments/vol" ]
	[ ! -L "$mnt/docks/ssd/pools/fast/volumes/vol" ]
	mv "$mnt/volumes/renamed" "$vol"
	creds vol h1
	[ "$target" = "$target_before" ]
	release "$out"
	host login
}

@test "renames that are none: onto another, out of its folder, to a bad name" {
	mkdir "$mnt/volumes/second"
	refused EEXIST "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$vol" "$mnt/volumes/second" ||
		refused ENOTEMPTY "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$vol" "$mnt/volumes/second"
	refused EINVAL "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$vol" "$mnt/volumes/bad!name"
	fails "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$vol" "$mnt/hosts/vol"
	fails "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$vol/size" "$vol/description"
	[ -d "$vol" ]
	[ -d "$mnt/volumes/second" ]
	rmdir "$mnt/volumes/second"
}

@test "find, ls -lR, du, tree, tar and cp -r go through the mount without a word" {
	local out=$BATS_TEST_TMPDIR
	find "$mnt" -ls >/dev/null 2>"$out/err"
	ls -lR "$mnt" >/dev/null 2>>"$out/err"
	du -a "$mnt" >/dev/null 2>>"$out/err"
	tree "$mnt" >/dev/null 2>>"$out/err"
	stat -f "$mnt" >/dev/null 2>>"$out/err"
	df "$mnt" >/dev/null 2>>"$out/err"
	tar -cf "$out/tar" --exclude=events --exclude=metrics -C "$mnt" . 2>>"$out/err"
	cp -r "$mnt/volumes" "$out/copy" 2>>"$out/err"
	cat "$out/err"
	[ ! -s "$out/err" ]
	diff -r "$mnt/volumes" "$out/copy"
	[ "$(find "$mnt" | sort | uniq -d | wc -l)" = 0 ]
}

@test "a listing of many entries is complete and has each once" {
	local n
	for n in {1..300}; do
		mkdir "$mnt/hosts/many$n"
	done
	[ "$(ls "$mnt/hosts" | grep -c '^many')" = 300 ]
	[ "$(ls -f "$mnt/hosts" | grep '^many' | sort -u | wc -l)" = 300 ]
	rmdir "$mnt"/hosts/many*
	[ "$(ls "$mnt/hosts" | xargs)" = "h1 h2" ]
}

@test "a listing sees all that stays while others come and go" {
	local n
	for n in {1..200}; do
		mkdir "$mnt/hosts/stay$n"
	done
	(for n in {1..200}; do
		mkdir "$mnt/hosts/go$n"
		rmdir "$mnt/hosts/go$n"
	done) 3>&- &
	for n in {1..20}; do
		[ "$(ls -f "$mnt/hosts" | grep -c '^stay')" = 200 ]
	done
	wait $!
	rmdir "$mnt"/hosts/stay*
}

@test "a listing shows what is made anew at most once, has an end, and begins again when rewound" {
	run -0 "$python" - "$mnt" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		def twice(listed):
		    return sorted({name for name in listed if listed.count(name) > 1})
		def whole(entries):
		    return [entry.name for entry in entries]
		for folder in "hosts", "profiles":
		    names = [os.path.join(folder, "l%03d" % n) for n in range(300)]
		    for name in names:
		        os.mkdir(name)
		    before = sorted(os.listdir(folder))
		    with os.scandir(folder) as entries:
		        listed = [next(entries).name] # and some more that are read already
		        for name in names[:10] + names[-10:]:
		            os.rmdir(name)
		            os.mkdir(name)
		        listed += whole(entries)
		        assert not twice(listed), twice(listed)
		        # what was made anew before the listing came there may be missing
		        missing = set(before) - set(listed)
		        assert len(missing) == 10, missing
		    assert sorted(os.listdir(folder)) == before
		    with os.scandir(folder) as entries:
		        listed = []
		        for n, entry in enumerate(entries):
		            assert n < len(before), "no end"
		            listed.append(entry.name)
		            os.mkdir(os.path.join(folder, "more%d" % n))
		        assert len(listed) == len(before), len(listed)
		    # one handle: os.listdir() rewinds it
		    handle = os.open(folder, os.O_RDONLY)
		    os.mkdir(os.path.join(folder, "late"))
		    for n in range(2):
		        listed = os.listdir(handle)
		        assert "late" in listed and not twice(listed), (n, listed)
		        for name in names[n:n + 1]:
		            os.rmdir(name)
		            os.mkdir(name)
		    os.rmdir(os.path.join(folder, "late"))
		    assert "late" not in os.listdir(handle)
		    for name in os.listdir(folder):
		        if name.startswith(("l", "more")):
		            os.rmdir(os.path.join(folder, name))
	END
}

@test "a key that another one takes the place of while its directory is read is not missing" {
	run -0 "$python" - "$vol/metadata" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		names = ["key%03d" % n for n in range(200)]
		for name in names:
		    open(name, "w").write("x")
		with os.scandir(".") as entries:
		    listed = [next(entries).name]
		    for name in names[-5:]:
		        open("other", "w").write("y")
		        os.rename("other", name)
		    listed += [entry.name for entry in entries]
		assert set(names) <= set(listed), set(names) - set(listed)
		for name in os.listdir("."):
		    os.unlink(name)
	END
}

@test "the audit log: valid JSON, it grows, tail -f follows, and it says who" {
	local out=$BATS_TEST_TMPDIR/tail size
	jq -e 'has("time") and has("event") and has("uid") and has("pid")' "$mnt/events" >/dev/null
	size=$(stat -c %s "$mnt/events")
	[ "$(wc -c <"$mnt/events")" = "$size" ]
	tail -n 0 -s 0.1 -f "$mnt/events" >"$out" 3>&- &
	within 5 grep -q "$mnt/events" "/proc/$!/cmdline"
	within 5 sh -c 'ls -l /proc/$1/fd | grep -q events' - $!
	mkdir "$mnt/hosts/followed"
	within 5 grep -q hosts/followed "$out" || { cat "$out"; kill $!; return 1; }
	kill $!
	[ "$(stat -c %s "$mnt/events")" -gt "$size" ]
	jq -e 'select(.path == "hosts/followed")' "$out"
	refused EACCES put x "$mnt/events"
	rmdir "$mnt/hosts/followed"
}

@test "the audit log at an offset, and across reads of any size" {
	local size
	size=$(stat -c %s "$mnt/events")
	cat "$mnt/events" | head -c "$size" >"$BATS_TEST_TMPDIR/whole"
	dd if="$mnt/events" bs=7 count=100 status=none | cmp -n 700 - "$BATS_TEST_TMPDIR/whole"
	dd if="$mnt/events" bs=1 skip=123 count=50 status=none |
		cmp - <(tail -c +124 "$BATS_TEST_TMPDIR/whole" | head -c 50)
	tail -c 100 "$BATS_TEST_TMPDIR/whole" | cmp - <(head -c "$size" "$mnt/events" | tail -c 100)
}

@test "info.json: OpenSDS's names, and no secret" {
	local secret
	secret=$(cat "$vol/attachments/h1/connection/auth_password")
	jq -e 'has("id") and has("createdAt") and has("tenantId") and has("userId") and
		.name == "vol" and has("size") and has("availabilityZone") and
		.status == "in-use" and has("poolId") and .attachStatus == "attached" and
		.multiAttach == true' "$vol/info.json"
	jq -e --arg s "$secret" '.accessProtocol == "iscsi" and .attachMode == "rw" and
		.status == "attached" and .hostInfo.host == "h1" and
		.hostInfo.initiator == "iqn.2026-11.test:h1" and
		.connectionInfo.driverVolumeType == "iscsi" and
		(.connectionInfo.data | has("targetDiscovered") and has("targetIQN") and
			has("targetPortal") and has("targetLun") and has("authMethod") and
			has("authUserName") and (has("authPassword") | not)) and
		(tostring | contains($s) | not)' "$vol/attachments/h1/info.json"
	[ "$(jq -r .volumeId "$vol/attachments/h1/info.json")" = "$(cat "$vol/id")" ]
	jq -e '.name == "ssd" and .driverName == "tgt" and .storageType == "block" and
		.status == "available" and .metadata.multiattach == "<is> True"' \
		"$mnt/docks/ssd/info.json"
	put 'a "quoted" \ and ünïcode' "$vol/description"
	jq -e '.description == "a \"quoted\" \\ and ünïcode"' "$vol/info.json"
}

@test "metrics are Prometheus text" {
	fails grep -Ev '^(# (HELP|TYPE) [a-z_]+ .*|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+)$' \
		"$mnt/metrics"
}

@test "the configuration shows in docks and pools" {
	value_is "SSD shelf" "$mnt/docks/ssd/description"
	value_is tgt "$mnt/docks/ssd/driver"
	value_is true "$mnt/docks/ssd/multiattach"
	value_is "<is> True" "$mnt/docks/ssd/metadata/multiattach"
	value_is $((100 * 1024 ** 3)) "$mnt/docks/ssd/pools/fast/total_capacity"
	value_is 7000000 "$mnt/docks/ssd/pools/fast/capabilities/ioConnectivity.maxIOPS"
	value_is false "$mnt/docks/mem/pools/solo/multiattach"
	value_is single "$mnt/docks/mem/pools/solo/availability_zone"
}

@test "times are RFC 3339 in UTC, and created_at never changes" {
	local created
	created=$(cat "$vol/created_at")
	[[ $created =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$ ]]
	put "$RANDOM" "$vol/group_id"
	value_is "$created" "$vol/created_at"
	[[ "$(cat "$vol/updated_at")" > "$created" ]]
}

@test "no stale stat: what a second process changes is seen at once" {
	local n
	for n in {1..50}; do
		stat "$vol/description" "$vol/last_error" "$vol/status" >/dev/null
		bash -c 'printf "%*s" "$2" x >"$1"' - "$vol/description" "$n"
		within 1 test "$(stat -c %s "$vol/description")" = "$n"
		[ "$(stat -c %s "$vol/description")" = "$n" ]
	done
}
