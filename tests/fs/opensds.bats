#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# OpenSDS's own backend files, as they are: what they say is in the tree, beside docks that work.
load lib

data=$BATS_TEST_DIRNAME/../unit/data

setup_file() {
	fs_new
	rm "$dir/docks.d/ssd.yaml"
	cp "$data"/{ceph,cinder,lvm,netapp}.yaml "$dir/docks.d"
	fs_launch
	within 15 grep -qx available "$mnt/docks/mem/status"
}

teardown_file() {
	fs_end
}

@test "they are loaded without an edit, and what nobody reads is a warning with its place" {
	run -0 "$attachfs" -c "$dir/attachfs.yaml" --check-config
	[[ $output == *"lvm.yaml:7:5: "*diskType* ]]
	[[ $output == *"lvm.yaml:8:5: "*AZ* ]]
	[ "$(ls "$mnt/docks")" = "ceph
cinder
lvm
mem
netapp" ]
}

@test "a driver that is not built in: the dock is there, unavailable, and says so" {
	local dock
	for dock in ceph cinder lvm netapp; do
		value_is unavailable "$mnt/docks/$dock/status"
		value_is "$dock" "$mnt/docks/$dock/driver"
		value_is "driver $dock is not built in" "$mnt/docks/$dock/last_error"
		grep -F "dock $dock: driver $dock is not built in, so it is unavailable" "$dir/log"
		[ "$(jq -r .driverName "$mnt/docks/$dock/info.json")" = "$dock" ]
		# A backend can never do more than its driver can.
		value_is '<is> False' "$mnt/docks/$dock/metadata/multiattach"
	done
}

@test "their pools have zones, types and flattened capabilities" {
	local pools=$mnt/docks/lvm/pools
	[ "$(ls "$pools")" = "vg001
vg002" ]
	value_is default "$pools/vg001/availability_zone"
	value_is remote "$pools/vg002/availability_zone"
	value_is block "$pools/vg001/storage_type"
	value_is SSD "$pools/vg001/capabilities/advanced.diskType"
	value_is 7000000 "$pools/vg001/capabilities/ioConnectivity.maxIOPS"
	value_is false "$pools/vg001/capabilities/dataStorage.compression"
	value_is hot,warm "$mnt/docks/ceph/pools/rbd/capabilities/advanced.tiers"
	value_is iscsi "$mnt/docks/netapp/pools/ontap-pool/capabilities/ioConnectivity.accessProtocol"
	value_is nova "$mnt/docks/cinder/pools/pool1/availability_zone"
}

@test "no secret of theirs is shown or logged" {
	fails grep -rlF not-a-real-one "$mnt/docks" "$mnt/events" "$dir/log"
	fails grep -F not-a-real-one <<<"$(dump)"
}

@test "profiles see them, with the reason that they are no choice" {
	mkdir "$mnt/profiles/ssd"
	put '<in> SSD' "$mnt/profiles/ssd/extra_specs/advanced.diskType"
	put '>= 5000000' "$mnt/profiles/ssd/extra_specs/ioConnectivity.maxIOPS"
	value_is "no: it is unavailable: driver lvm is not built in" \
		"$mnt/profiles/ssd/eligible/lvm:vg001"
	value_is "no: it is unavailable: driver lvm is not built in
no: advanced.diskType is not reported, wanted <in> SSD
no: ioConnectivity.maxIOPS is not reported, wanted >= 5000000" \
		"$mnt/profiles/ssd/eligible/lvm:vg002"
	mkdir "$mnt/volumes/v"
	put ssd "$mnt/volumes/v/profile"
	refused ENODEV put 1G "$mnt/volumes/v/size"
	explained "$mnt/volumes/v" "ceph:rbd: it is unavailable: driver ceph is not built in"
}

@test "with a driver that is there, and a capacity to promise, such a file is a dock that works" {
	fs_stop
	sed -i '1a driver: memory
		s/^  vg001:/&\n    totalCapacity: 10/' "$dir/docks.d/lvm.yaml"
	fs_launch
	within 15 grep -qx available "$mnt/docks/lvm/status"
	value_is '<is> True' "$mnt/docks/lvm/metadata/multiattach"
	value_is true "$mnt/docks/lvm/pools/vg001/multiattach"
	value_is false "$mnt/docks/lvm/pools/vg002/multiattach"
	value_is yes "$mnt/profiles/ssd/eligible/lvm:vg001"
	put 1G "$mnt/volumes/v/size"
	value_is lvm:vg001 "$mnt/volumes/v/pool"
}
