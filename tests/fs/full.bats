#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks that are full: of a pool, of the state. What is refused says so, nothing is lost, and what
# frees room or keeps hosts out is done all the same.
load lib

setup() {
	fs_new
	rm "$dir/docks.d/mem.yaml"
	vol=$mnt/volumes/vol
	a=$vol/attachments
}

teardown() {
	local rc=0 d=$dir m
	[ ! -e "$BATS_TEST_TMPDIR/session.h1.pid" ] || die h1
	for m in state disk; do # lazily: they go when fs_end has ended who uses them
		! mountpoint -q "$d/$m" || umount -l "$d/$m"
	done
	fs_end || rc=1
	return $rc
}

fill() { # FOLDER
	fails dd if=/dev/zero of="$1/filler" bs=1M oflag=sync status=none 2>/dev/null
	fails dd if=/dev/zero of="$1/filler" bs=4K oflag=append,sync conv=notrunc status=none 2>/dev/null
}

empty() { # FOLDER
	rm "$1/filler"
}

# small TYPE SIZE FOLDER: a file system of its own there
small() {
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs -o "size=$2,mode=700" tmpfs "$3"
		return
	fi
	truncate -s "$2" "$3.image"
	mkfs.ext4 -q -m 0 "$3.image"
	mount -o loop "$3.image" "$3"
	chmod 700 "$3"
}

agrees() {
	fs_stop
	"$attachfs" -c "$dir/attachfs.yaml" --check
	fs_start
}

use_pools_on() { # FOLDER
	cat >"$dir/docks.d/ssd.yaml" <<-END
		name: ssd
		driver: tgt
		multiAttach: true
		tgt: {portal: "127.0.0.1:$port", controlPort: $port, spawn: true, chap: true}
		pool:
		  thin: {storageType: block, availabilityZone: default, path: $1/thin, multiAttach: true}
		  thick:
		    storageType: block
		    availabilityZone: default
		    path: $1/thick
		    multiAttach: true
		    extras: {dataStorage: {provisioningPolicy: Thick}}
	END
}

# A file system may have some blocks for special cases: each time the host writes another one.
host_is_refused() {
	block=$((${block:-8000} + 8))
	[[ $(tell h1 write $block 2) == error*sense* ]]
}

pool_is_full() { # TYPE
	local disk=$dir/disk thick=$mnt/volumes/thick
	mkdir -m 700 "$disk"
	small "$1" 32M "$disk"
	use_pools_on "$disk"
	fs_start
	new_host h1 h2
	new_volume vol ssd:thin 16M true
	new_volume thick ssd:thick 4M true
	attach vol h1 rw
	attach vol h2 ro
	attach thick h1 rw
	creds vol h1
	host write 0 1
	session h1
	fill "$disk"

	# what was promised is there, what was not is refused, and a host hears of it
	mkdir "$mnt/volumes/more"
	put ssd:thick "$mnt/volumes/more/pool"
	refused ENOSPC put 4M "$mnt/volumes/more/size"
	explained "$mnt/volumes/more" "thick"
	value_is new "$mnt/volumes/more/status"
	refused ENOSPC put 8M "$thick/size"
	value_is 4194304 "$thick/size_bytes"
	[ "$(ls "$disk/thick")" = "$(cat "$thick/id")" ]
	within 30 host_is_refused
	[ "$(tell h1 read 0)" = "1 equal" ]
	creds thick h1
	[[ $(host login) == bytes=4194304* ]]
	host write 8000 3

	# nobody is kept from leaving, or in
	detach vol h2
	creds vol h1
	put 1 "$a/h1/fenced"
	no_login
	rmdir "$a/h1"
	attach vol h2 rw
	agrees

	empty "$disk"
	creds vol h2
	host write 8000 2
	within 10 put 4M "$mnt/volumes/more/size"
	within 10 put 8M "$thick/size"
	creds thick h1
	[[ $(host login) == bytes=8388608* ]]
	agrees
}

@test "a pool's disk is full (tmpfs)" {
	pool_is_full tmpfs
}

@test "a pool's disk is full (ext4)" {
	pool_is_full ext4
}

state_is_full() { # TYPE
	local i
	small "$1" 24M "$dir/state"
	fs_start
	new_host h1 h2 h3 h4
	new_volume vol ssd:fast 16M true
	new_volume idle ssd:fast 1M
	for i in 1 2 3 4; do
		attach vol h$i rw
	done
	creds vol h2
	put before "$vol/description"
	fill "$dir/state"

	# room is taken ahead, so that it is some changes until the first is refused
	i=0
	while mkdir "$mnt/volumes/new$i" 2>/dev/null; do
		put "$(printf '%04000d' $i)" "$mnt/volumes/new$i/description" 2>/dev/null || true
		i=$((i + 1))
	done
	refused ENOSPC mkdir "$mnt/volumes/new$i"
	refused ENOSPC put after "$vol/description"
	value_is before "$vol/description"
	explained "$vol" "the file system of the state folder is full"
	grep -q "the file system of the state folder is full" "$dir/log"
	refused ENOSPC mkdir "$mnt/volumes/vol/attachments/h5"

	put 1 "$a/h1/fenced"
	value_is fenced "$a/h1/status"
	put 1 "$mnt/hosts/h2/fenced"
	no_login
	rmdir "$a/h3"
	rmdir "$mnt/volumes/idle"
	fs_kill
	fs_start
	value_is fenced "$a/h1/status"
	value_is fenced "$a/h2/status"
	no_login
	[ ! -e "$a/h3" ]
	creds vol h4
	host write 1 1
	refused ENOSPC mkdir "$mnt/volumes/new$i"
	agrees
	rmdir "$a/h4"
	rmdir "$a/h1" "$a/h2" "$mnt"/volumes/new[0-4]
	rmdir "$vol"

	empty "$dir/state"
	put 0 "$mnt/hosts/h2/fenced"
	new_volume vol ssd:fast 16M
	attach vol h2 rw
	creds vol h2
	host write 1 1
	agrees
}

@test "the state's disk is full (tmpfs)" {
	state_is_full tmpfs
}

@test "the state's disk is full (ext4)" {
	state_is_full ext4
}
