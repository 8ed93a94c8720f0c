#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGHUP: docks and pools come, change and go while volumes are attached; a bad file changes nothing.
load lib

setup_file() {
	fs_new
	cp -r "$dir/docks.d" "$dir/docks.good"
	cp "$dir/attachfs.yaml" "$dir/attachfs.good"
	fs_start
	new_host a b c
}

# Refused configurations are errors in the log, and here that is as it should be.
log_is_clean() {
	fails grep -E 'error:|ERROR: |runtime error|Sanitizer|SUMMARY:|ssertion' \
		<(grep -v 'error: the configuration stays as it was: ' "$dir/log")
}

teardown_file() {
	fs_end
}

setup() {
	name=v$BATS_TEST_NUMBER
	vol=$mnt/volumes/$name
}

# Each test begins and ends with the same docks.
teardown() {
	rm -rf "$dir/docks.d"
	cp -r "$dir/docks.good" "$dir/docks.d"
	cp "$dir/attachfs.good" "$dir/attachfs.yaml"
	reload config_loaded
	within 15 is_served
}

@test "a new dock and a new pool appear, and volumes go there" {
	cat >"$dir/docks.d/more.yaml" <<-END
		driver: memory
		pool: {p: {totalCapacity: 10, multiAttach: true, extras: {advanced: {diskType: NVMe}}}}
	END
	cat >>"$dir/docks.d/mem.yaml" <<-END
		  late: {totalCapacity: 10, availabilityZone: late}
	END
	mkdir "$mnt/profiles/nvme"
	put NVMe "$mnt/profiles/nvme/extra_specs/advanced.diskType"
	[ ! -e "$mnt/docks/more" ]
	[ ! -e "$mnt/profiles/nvme/eligible/more:p" ]
	reload config_loaded
	within 15 value_is available "$mnt/docks/more/status"
	value_is NVMe "$mnt/docks/more/pools/p/capabilities/advanced.diskType"
	value_is yes "$mnt/profiles/nvme/eligible/more:p"
	mkdir "$vol" "$vol.late"
	put nvme "$vol/profile"
	put 1G "$vol/size"
	value_is more:p "$vol/pool"
	put late "$vol.late/availability_zone"
	within 15 value_is available "$mnt/docks/mem/status"
	within 15 put 1G "$vol.late/size"
	value_is mem:late "$vol.late/pool"
	rmdir "$vol" "$vol.late"
	within 15 value_is 0 "$mnt/docks/more/pools/p/provisioned_capacity"
	within 15 value_is 0 "$mnt/docks/mem/pools/late/provisioned_capacity"
}

@test "what was new and is empty is gone without a trace" {
	[ ! -e "$mnt/docks/more" ]
	[ ! -e "$mnt/docks/mem/pools/late" ]
	[ "$(ls "$mnt/docks")" = "mem
ssd" ]
	[ "$(ls "$mnt/profiles/nvme/eligible" | wc -l)" = 4 ]
	grep -q '"event":"dock_removed","path":"docks/more"' "$mnt/events"
}

@test "a capability that changes is seen at once, and disturbs no session" {
	local out=$BATS_TEST_TMPDIR/hold
	mkdir "$mnt/profiles/iops"
	put '>= 8000000' "$mnt/profiles/iops/extra_specs/ioConnectivity.maxIOPS"
	new_volume "$name" ssd:fast 16M true
	attach "$name" a rw
	creds "$name" a
	hold "$out"
	stat "$mnt/docks/ssd/pools/fast/capabilities/ioConnectivity.maxIOPS" "$mnt/docks/ssd/description"
	value_is "no: ioConnectivity.maxIOPS is 7000000, wanted >= 8000000" \
		"$mnt/profiles/iops/eligible/ssd:fast"
	sed -i 's/maxIOPS: 7000000/maxIOPS: 123456789, minIOPS: 1/; s/SSD shelf/another/' "$dir/docks.d/ssd.yaml"
	reload config_loaded
	value_is yes "$mnt/profiles/iops/eligible/ssd:fast"
	value_is 123456789 "$mnt/docks/ssd/pools/fast/capabilities/ioConnectivity.maxIOPS"
	value_is 1 "$mnt/docks/ssd/pools/fast/capabilities/ioConnectivity.minIOPS"
	value_is another "$mnt/docks/ssd/description"
	within 5 eval '[ "$(stat -c %s "$mnt/docks/ssd/pools/fast/capabilities/ioConnectivity.maxIOPS")" = 10 ]'
	attach "$name" b ro
	release "$out"
	detach "$name" a
	detach "$name" b
	rmdir "$vol"
}

@test "a dock that is opened anew goes on with its exports; nobody's session ends" {
	local out=$BATS_TEST_TMPDIR/hold
	new_volume "$name" ssd:fast 16M true
	attach "$name" a rw
	attach "$name" b ro
	creds "$name" a
	hold "$out"
	cat >>"$dir/docks.d/ssd.yaml" <<-END
		  extra: {path: $dir/extra, totalCapacity: 10, availabilityZone: extra}
	END
	reload config_loaded
	within 15 test -e "$mnt/docks/ssd/pools/extra"
	attach "$name" c ro
	new_volume "$name.x" ssd:extra 16M
	[ "$(find "$dir/extra" -type f | wc -l)" = 1 ]
	creds "$name" b
	host login
	release "$out"
	detach "$name" a
	detach "$name" b
	detach "$name" c
	rmdir "$vol" "$vol.x"
	within 10 eval '[ "$(find "$dir/extra" -type f | wc -l)" = 0 ]'
}

@test "a dock with volumes that is no longer there keeps them, as unavailable, until it is back" {
	local out=$BATS_TEST_TMPDIR/hold
	new_volume "$name" ssd:fast 16M true
	attach "$name" a rw
	creds "$name" a
	hold "$out"
	mkdir "$mnt/profiles/any"
	mv "$dir/docks.d/ssd.yaml" "$dir/away"
	reload config_loaded
	value_is unavailable "$mnt/docks/ssd/status"
	value_is unavailable "$mnt/docks/ssd/pools/fast/status"
	explained "$mnt/docks/ssd" "no longer in the configuration"
	value_is "no: it is unavailable: it is no longer in the configuration" \
		"$mnt/profiles/any/eligible/ssd:fast"
	value_is ssd:fast "$vol/pool"
	value_is in-use "$vol/status"
	[ "$(ls "$mnt/docks/ssd/pools/fast/volumes")" = "$name" ]
	mkdir "$vol.x"
	put ssd:fast "$vol.x/pool"
	refused ENODEV put 16M "$vol.x/size"
	explained "$vol.x" "ssd:fast: it is unavailable"
	mv "$dir/away" "$dir/docks.d/ssd.yaml"
	reload config_loaded
	within 15 value_is available "$mnt/docks/ssd/status"
	value_is "" "$mnt/docks/ssd/last_error"
	put 16M "$vol.x/size"
	release "$out"
	detach "$name" a
	rmdir "$vol" "$vol.x"
}

@test "a bad file changes nothing, and is reported with its place wherever one may look" {
	local place="$dir/docks.d/mem.yaml:3:14: multiAttach: expected true or false, not perhaps"
	sed -i 's/^multiAttach: true/multiAttach: perhaps/' "$dir/docks.d/mem.yaml"
	sed -i 's/SSD shelf/never/' "$dir/docks.d/ssd.yaml"
	grep -n perhaps "$dir/docks.d/mem.yaml"
	reload config_refused
	grep -F "error: the configuration stays as it was: $place" "$dir/log"
	[ "$(grep '"event":"config_refused"' "$mnt/events" | tail -1 | jq -r .detail)" = "$place" ]
	run "$attachfs" -c "$dir/attachfs.yaml" --check-config
	[ "$status" = 1 ]
	[ "$output" = "attachfs: $place" ]
	value_is 'SSD shelf' "$mnt/docks/ssd/description"
	value_is available "$mnt/docks/mem/status"
	# A driver's own section, a file that is none, and a folder that is gone
	cp "$dir/docks.good/mem.yaml" "$dir/docks.d"
	sed -i 's/controlPort:/controlport:/' "$dir/docks.d/ssd.yaml"
	reload config_refused
	printf '\377\376' >"$dir/docks.d/ssd.yaml"
	reload config_refused
	rm -r "$dir/docks.d"
	reload config_refused
	rm "$dir/attachfs.yaml"
	reload config_refused
	value_is available "$mnt/docks/ssd/status"
	new_volume "$name" ssd:fast 16M
	rmdir "$vol"
}

@test "a pool that may no longer be attached to several hosts: who is attached stays, nobody joins" {
	new_volume "$name" mem:ram 1G true
	attach "$name" a rw
	attach "$name" b ro
	sed -i 's/^multiAttach: true/multiAttach: false/; s/totalCapacity: 100, multiAttach: true/totalCapacity: 100/' \
		"$dir/docks.d/mem.yaml"
	reload config_loaded
	value_is false "$mnt/docks/mem/pools/ram/multiattach"
	value_is in-use "$vol/status"
	value_is rw "$vol/attachments/a/effective_mode"
	value_is ro "$vol/attachments/b/effective_mode"
	refused EOPNOTSUPP mkdir "$vol/attachments/c"
	detach "$name" b
	detach "$name" a
	rmdir "$vol"
}

@test "timeouts are those of the new configuration" {
	new_volume "$name" mem:ram 1G
	mkdir "$vol/attachments/a"
	sed -i 's/^attachTimeout: .*/attachTimeout: 0.2/' "$dir/attachfs.yaml"
	reload config_loaded
	faults <<<"export delay 60000"
	refused ETIMEDOUT put rw "$vol/attachments/a/mode"
	faults </dev/null
	within 15 value_is attached "$vol/attachments/a/status"
	detach "$name" a
	rmdir "$vol"
}

@test "what cannot change while it runs is said, and the rest is used" {
	sed -i 's,^state: .*,state: /nowhere,; s,^mapSize: .*,mapSize: 128M,' "$dir/attachfs.yaml"
	sed -i 's/SSD shelf/after all/' "$dir/docks.d/ssd.yaml"
	reload config_loaded
	value_is 'after all' "$mnt/docks/ssd/description"
	grep -F "state: /nowhere will be used when attachfs is started again" "$dir/log"
	grep -F "mapSize will be used when attachfs is started again" "$dir/log"
}

@test "read again and again while hosts come and go: nothing fails, nothing is left" {
	local i pid
	new_volume "$name" mem:ram 1G true
	new_volume "$name.s" ssd:fast 16M true
	(
		for i in {1..12}; do
			sed -i "s/^description: .*/description: turn $i/; s/totalCapacity: 100\$/totalCapacity: 10$i/" \
				"$dir/docks.d/ssd.yaml"
			sed -i "s/totalCapacity: 10*[0-9]*, multiAttach: true/totalCapacity: 10$i, multiAttach: true/" \
				"$dir/docks.d/mem.yaml"
			reload config_loaded
		done
	) &
	pid=$!
	for i in {1..25}; do
		attach "$name" a rw
		attach "$name.s" b ro
		detach "$name" a
		detach "$name.s" b
	done
	wait $pid
	value_is 'turn 12' "$mnt/docks/ssd/description"
	value_is $((1012 << 30)) "$mnt/docks/mem/pools/ram/total_capacity"
	rmdir "$vol" "$vol.s"
	fails grep unsettled <<<"$(dump)" || within 10 eval '! dump | grep -q unsettled'
}
