#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Volumes: sizes, room, growing under a live host, protection, removal and where they are placed.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
}

teardown_file() {
	fs_end
}

setup() {
	v=v$BATS_TEST_NUMBER
	vol=$mnt/volumes/$v
	mem=$mnt/docks/mem/pools
	fast=$mnt/docks/ssd/pools/fast
}

teardown() {
	local d
	faults </dev/null
	for d in "$vol"/attachments/*/; do
		[ ! -d "$d" ] || within 5 rmdir "$d"
	done
	[ ! -d "$vol" ] || rmdir "$vol"
}

@test "sizes: units in powers of two, read back as written" {
	local text bytes
	while read -r text bytes; do
		new_volume "$v" mem:ram "$text"
		value_is "$text" "$vol/size"
		value_is "$bytes" "$vol/size_bytes"
		rmdir "$vol"
	done <<-END
		1M 1048576
		1024K 1048576
		1024KiB 1048576
		512M 536870912
		2g 2147483648
		2GB 2147483648
		2GiB 2147483648
		1T 1099511627776
		1048576 1048576
		1049088 1049088
	END
}

@test "a new volume is new, then available, in its pool and on its dock" {
	mkdir "$vol"
	value_is new "$vol/status"
	value_is 0 "$vol/size"
	value_is "" "$vol/pool"
	put fast "$vol/pool"
	put 16M "$vol/size"
	value_is available "$vol/status"
	value_is fast "$vol/pool"
	value_is ssd "$vol/dock"
	value_is default "$vol/availability_zone"
	value_is "$v" "$fast/volumes/$v/name"
	[ "$(stat -c %s "$(backing_file "$v")")" = $((16 << 20)) ]
	[ "$(stat -c %a "$(backing_file "$v")")" = 600 ]
	[ "$(stat -c %b "$(backing_file "$v")")" = 0 ]
}

@test "backing files are named after ids, and no id comes again" {
	local id
	new_volume "$v" ssd:fast 1M
	id=$(cat "$vol/id")
	rmdir "$vol"
	new_volume "$v" ssd:fast 1M
	fails value_is "$id" "$vol/id"
	[[ $(cat "$vol/id") =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$ ]]
}

@test "a volume that is made again holds nothing of the old one" {
	new_volume "$v" ssd:fast 1M
	attach "$v" h1 rw
	creds "$v" h1
	host write 0 255
	detach "$v" h1
	rmdir "$vol"
	new_volume "$v" ssd:fast 1M
	attach "$v" h1 rw
	no_login
	creds "$v" h1
	[ "$(host read 0)" = "0 equal" ]
}

@test "it grows while a host is logged in, who sees the new capacity and keeps the session" {
	local out=$BATS_TEST_TMPDIR/hold
	new_volume "$v" ssd:fast 16M true
	attach "$v" h1 rw
	attach "$v" h2 ro
	creds "$v" h1
	hold "$out" --interval 2 3
	put 32M "$vol/size"
	value_is 33554432 "$vol/size_bytes"
	value_is in-use "$vol/status"
	[[ $(host login) == "bytes=33554432 "* ]]
	host write 65535 7
	release "$out"
	creds "$v" h2
	[[ $(host login) == "bytes=33554432 wp=1 "* ]]
	[ "$(host read 65535)" = "7 equal" ]
	run host opcodes
	[ "$status" = 3 ]
}

@test "shrinking is EINVAL and says so; the same size in other words is not a change" {
	new_volume "$v" mem:ram 2G
	refused EINVAL put 1G "$vol/size"
	explained "$vol" shrink
	value_is 2G "$vol/size"
	put 2048M "$vol/size"
	value_is 2048M "$vol/size"
	value_is available "$vol/status"
}

@test "growing that fails leaves the old size, and the room goes back" {
	local before
	new_volume "$v" mem:ram 1G
	before=$(cat "$mem/ram/provisioned_capacity")
	faults <<<"extend fail EIO"
	refused EIO put 2G "$vol/size"
	value_is 1G "$vol/size"
	value_is 1073741824 "$vol/size_bytes"
	value_is available "$vol/status"
	explained "$vol" "injected failure"
	value_is "$before" "$mem/ram/provisioned_capacity"
	faults </dev/null
	put 2G "$vol/size"
}

@test "provisioning that fails leaves the volume new, and the room goes back" {
	local before
	before=$(cat "$mem/ram/provisioned_capacity")
	mkdir "$vol"
	put ram "$vol/pool"
	faults <<<"provision fail EIO"
	refused EIO put 1G "$vol/size"
	value_is new "$vol/status"
	value_is 0 "$vol/size"
	value_is "" "$vol/dock"
	explained "$vol" "injected failure"
	value_is "$before" "$mem/ram/provisioned_capacity"
	[ -z "$(ls "$mem/ram/volumes")" ]
	faults </dev/null
	put 1G "$vol/size"
	value_is available "$vol/status"
}

@test "provisioned_capacity goes up and down" {
	local before
	before=$(cat "$fast/provisioned_capacity")
	new_volume "$v" ssd:fast 16M
	value_is $((before + (16 << 20))) "$fast/provisioned_capacity"
	put 48M "$vol/size"
	value_is $((before + (48 << 20))) "$fast/provisioned_capacity"
	rmdir "$vol"
	within 5 value_is "$before" "$fast/provisioned_capacity"
}

@test "rmdir purges the backing file" {
	local file
	new_volume "$v" ssd:fast 16M
	file=$(backing_file "$v")
	[ -f "$file" ]
	rmdir "$vol"
	[ ! -e "$vol" ]
	[ ! -L "$fast/volumes/$v" ]
	within 5 test ! -e "$file"
	[ -z "$(ls -A "$dir/fast")" ]
}

@test "rmdir: EPERM while protected, EBUSY while it has attachments" {
	new_volume "$v" ssd:fast 1M
	put 1 "$vol/protected"
	refused EPERM rmdir "$vol"
	explained "$vol" protected
	put 0 "$vol/protected"
	mkdir "$vol/attachments/h1"
	refused EBUSY rmdir "$vol"
	explained "$vol" h1
	put rw "$vol/attachments/h1/mode"
	refused EBUSY rmdir "$vol"
	rmdir "$vol/attachments/h1"
	rmdir "$vol"
}

@test "no room: ENOSPC, and last_error tells it for each pool" {
	mkdir "$vol"
	refused ENOSPC put 900T "$vol/size"
	explained "$vol" "ssd:fast: it has room for"
	explained "$vol" "mem:ram: it has room for"
	explained "$vol" "mem:tiny: it has room for"
	value_is new "$vol/status"
	value_is 0 "$vol/size"
	put mem:tiny "$vol/pool"
	refused ENOSPC put 2G "$vol/size"
	explained "$vol" "mem:ram: another pool is wanted"
	put 1G "$vol/size"
	refused ENOSPC put 1025M "$vol/size"
	explained "$vol" "mem:tiny"
	value_is 1G "$vol/size"
}

@test "a thick pool that is full is full; what is removed makes room" {
	new_volume "$v" mem:tiny 1G
	mkdir "$mnt/volumes/more"
	put tiny "$mnt/volumes/more/pool"
	refused ENOSPC put 1M "$mnt/volumes/more/size"
	rmdir "$vol"
	within 5 put 1M "$mnt/volumes/more/size"
	rmdir "$mnt/volumes/more"
	within 5 value_is 0 "$mem/tiny/provisioned_capacity"
}

@test "no pool of that name, zone or ability: ENODEV, and each clause is named" {
	mkdir "$vol"
	put nowhere "$vol/pool"
	refused ENODEV put 1G "$vol/size"
	explained "$vol" "ssd:fast: another pool is wanted"
	printf '\n' >"$vol/pool"
	put mars "$vol/availability_zone"
	refused ENODEV put 1G "$vol/size"
	explained "$vol" "ssd:fast: availability_zone is default, wanted mars"
	put single "$vol/availability_zone"
	put true "$vol/multiattach"
	refused ENODEV put 1G "$vol/size"
	explained "$vol" "mem:solo: multiattach is false"
	put false "$vol/multiattach"
	put 1G "$vol/size"
	value_is mem "$vol/dock"
}

@test "placement is deterministic: most room relative to the pool, ties by name" {
	local n
	mkdir "$vol"
	put default "$vol/availability_zone"
	put 1G "$vol/size"
	# mem:ram and ssd:fast are both empty
	value_is mem "$vol/dock"
	for n in 1 2 3; do
		mkdir "$mnt/volumes/p$n"
		put default "$mnt/volumes/p$n/availability_zone"
		put 1G "$mnt/volumes/p$n/size"
		cat "$mnt/volumes/p$n/dock"
	done >"$BATS_TEST_TMPDIR/docks"
	rmdir "$mnt"/volumes/p?
	[ "$(xargs <"$BATS_TEST_TMPDIR/docks")" = "ssd mem ssd" ]
}

@test "pool and zone are fixed once it is placed" {
	new_volume "$v" mem:ram 1G
	refused EBUSY put mem:solo "$vol/pool"
	refused EBUSY put single "$vol/availability_zone"
	value_is mem:ram "$vol/pool"
}

@test "32 writers grow and describe volumes at once: nothing is lost" {
	local n pids=()
	for n in {1..8}; do
		new_volume "$v.$n" mem:ram 1G
	done
	for n in {1..8}; do
		(
			for size in 2 3 4 5; do
				put ${size}G "$mnt/volumes/$v.$n/size"
				put "$size" "$mnt/volumes/$v.$n/description"
			done
		) 3>&- &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
	done
	value_is $((40 * 1024 ** 3)) "$mem/ram/provisioned_capacity"
	for n in {1..8}; do
		value_is 5G "$mnt/volumes/$v.$n/size"
		value_is 5 "$mnt/volumes/$v.$n/description"
	done
	rmdir "$mnt/volumes/$v".?
	within 5 value_is 0 "$mem/ram/provisioned_capacity"
}

@test "a host whose volume shrank behind attachfs is noticed by the probe" {
	new_volume "$v" ssd:fast 16M
	truncate -s 8M "$(backing_file "$v")"
	mkdir "$vol/attachments/h1"
	fails put rw "$vol/attachments/h1/mode"
	value_is error "$vol/attachments/h1/status"
	fails value_is "" "$vol/attachments/h1/last_error"
	# and nothing is left of the export
	fails grep -q "$(cat "$vol/id")" <<<"$(tgt_acl)"
}

@test "a backing file replaced by a symlink is not followed" {
	local file
	new_volume "$v" ssd:fast 1M
	file=$(backing_file "$v")
	mv "$file" "$dir/elsewhere"
	ln -s "$dir/elsewhere" "$file"
	mkdir "$vol/attachments/h1"
	fails put rw "$vol/attachments/h1/mode"
	fails put 2M "$vol/size"
	[ "$(stat -c %s "$dir/elsewhere")" = 1048576 ]
	rm "$file"
	mv "$dir/elsewhere" "$file"
}
