#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Placement through the mount: where volumes go, that pools never hold more than they can, and
# volumes that are made anew where what they ask for can be had.
load lib

setup_file() {
	fs_new
	cat >"$dir/docks.d/mem.yaml" <<-END
		driver: memory
		memory: {control: "$dir/control"}
		pool:
		  one: {totalCapacity: 10, availabilityZone: east}
		  many: {totalCapacity: 10, availabilityZone: east, multiAttach: true}
		  thick:
		    totalCapacity: 10
		    availabilityZone: west
		    extras: {dataStorage: {provisioningPolicy: Thick}}
	END
	cat >>"$dir/docks.d/ssd.yaml" <<-END
		  slow:
		    path: $dir/slow
		    totalCapacity: 100
		    availabilityZone: south
		    multiAttach: false
		  quick:
		    path: $dir/quick
		    totalCapacity: 100
		    availabilityZone: south
		    multiAttach: true
	END
	fs_start
	new_host a b
	mkdir "$mnt/profiles/single" "$mnt/profiles/shared"
	put '<is> False' "$mnt/profiles/single/extra_specs/multiattach"
	put '<is> True' "$mnt/profiles/shared/extra_specs/multiattach"
}

teardown_file() {
	fs_end
}

setup() {
	vol=$mnt/volumes/v$BATS_TEST_NUMBER
}

@test "volumes that are made at the same moment never overshoot a pool" {
	local i pids=() made=0
	for i in {1..24}; do
		mkdir "$mnt/volumes/race$i"
		put west "$mnt/volumes/race$i/availability_zone"
	done
	for i in {1..24}; do
		put 1G "$mnt/volumes/race$i/size" 2>"$BATS_TEST_TMPDIR/$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" && made=$((made + 1)) || true
	done
	[ $made = 10 ]
	value_is $((10 << 30)) "$mnt/docks/mem/pools/thick/provisioned_capacity"
	[ "$(cat "$BATS_TEST_TMPDIR"/* | grep -c 'No space left')" = 14 ]
	[ "$(grep -lx new "$mnt"/volumes/race*/status | wc -l)" = 14 ]
	explained "$mnt/volumes/$(basename "$(dirname "$(grep -lx new "$mnt"/volumes/race*/status |
		head -1)")")" "mem:thick: it has room for 0 bytes"
	rmdir "$mnt"/volumes/race*
	within 10 value_is 0 "$mnt/docks/mem/pools/thick/provisioned_capacity"
}

@test "a volume that was asked to be in a pool stays there" {
	mkdir "$vol"
	put ssd:slow "$vol/pool"
	put 16M "$vol/size"
	refused EOPNOTSUPP put true "$vol/multiattach"
	explained "$vol" "another pool is wanted: ssd:slow"
	value_is false "$vol/multiattach"
}

@test "an untouched volume is made anew where its new profile can be had, and the old bytes go" {
	local id
	mkdir "$vol"
	put south "$vol/availability_zone"
	put single "$vol/profile"
	put 16M "$vol/size"
	value_is ssd:slow "$vol/pool"
	id=$(cat "$vol/id")
	[ -e "$dir/slow/$id" ]
	put shared "$vol/profile"
	value_is ssd:quick "$vol/pool"
	value_is true "$vol/multiattach"
	value_is available "$vol/status"
	value_is "$id" "$vol/id"
	[ ! -e "$dir/quick/$id" ] # another identity, never used before
	[ "$(find "$dir/quick" -type f | wc -l)" = 1 ]
	within 10 test ! -e "$dir/slow/$id"
	attach "$(basename "$vol")" a rw
	attach "$(basename "$vol")" b ro
	creds "$(basename "$vol")" a
	host login
	# Now it has been used, and stays.
	detach "$(basename "$vol")" a
	detach "$(basename "$vol")" b
	refused EOPNOTSUPP put single "$vol/profile"
	explained "$vol" "stays, as it has been attached"
	value_is shared "$vol/profile"
}

@test "a move that the backend fails changes nothing" {
	mkdir "$vol"
	put east "$vol/availability_zone"
	put single "$vol/profile"
	put 1G "$vol/size"
	value_is mem:one "$vol/pool"
	faults <<<"provision fail EIO"
	refused EIO put shared "$vol/profile"
	faults </dev/null
	value_is single "$vol/profile"
	value_is mem:one "$vol/pool"
	value_is false "$vol/multiattach"
	value_is available "$vol/status"
	refused EOPNOTSUPP put true "$vol/multiattach" # which its profile forbids
	put shared "$vol/profile"
	value_is mem:many "$vol/pool"
}
