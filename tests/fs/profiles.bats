#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Profiles through the mount: what is wanted, what is eligible and why not, and volumes made by it.
load lib

setup_file() {
	fs_new
	cat >"$dir/docks.d/mem.yaml" <<-END
		driver: memory
		pool:
		  ram:
		    totalCapacity: 100
		    multiAttach: true
		    extras: {advanced: {diskType: SSD, tiers: [hot, warm]}, ioConnectivity: {maxIOPS: 9000}}
		  solo:
		    totalCapacity: 100
		    extras: {advanced: {diskType: HDD}}
	END
	fs_start
	new_host a b
}

teardown_file() {
	fs_end
}

# spec PROFILE KEY VALUE
spec() {
	[ -d "$mnt/profiles/$1" ] || mkdir "$mnt/profiles/$1"
	put "$3" "$mnt/profiles/$1/extra_specs/$2"
}

@test "a profile tells which pools are eligible, and of each other one why it is not, clause by clause" {
	spec shared multiattach '<is> True'
	spec shared advanced.diskType '<in> SSD'
	[ "$(ls "$mnt/profiles/shared/eligible")" = "mem:ram
mem:solo
ssd:fast" ]
	value_is yes "$mnt/profiles/shared/eligible/mem:ram"
	value_is "no: multiattach is false, wanted <is> True
no: advanced.diskType is HDD, wanted <in> SSD" "$mnt/profiles/shared/eligible/mem:solo"
	value_is "no: advanced.diskType is not reported, wanted <in> SSD" \
		"$mnt/profiles/shared/eligible/ssd:fast"
	[ "$(grep -lx yes "$mnt"/profiles/shared/eligible/*)" = "$mnt/profiles/shared/eligible/mem:ram" ]
}

@test "eligible files are as files are: size, owner, no write, gone with the profile" {
	local d=$mnt/profiles/files
	mkdir "$d"
	[ "$(stat -c '%s %A %F' "$d/eligible/mem:ram")" = "4 -r--r--r-- regular file" ]
	[ "$(find "$d/eligible" -type f | wc -l)" = 3 ]
	refused EACCES put yes "$d/eligible/mem:solo"
	refused EACCES put yes "$d/eligible/mem:other"
	chown -R 1234:4321 "$d"
	chmod 640 "$d/eligible/mem:ram"
	[ "$(stat -c %u:%g "$d/eligible/mem:ram")" = 1234:4321 ]
	ls "$d/eligible" >/dev/null
	rmdir "$d"
	fails stat "$d/eligible/mem:ram"
	mkdir "$d"
	value_is yes "$d/eligible/mem:ram"
	rmdir "$d"
}

@test "rm -r removes a profile, and one that is in use stays" {
	spec removed multiattach '<is> True'
	spec removed advanced.diskType '<in> SSD'
	mkdir "$mnt/volumes/removed"
	put removed "$mnt/volumes/removed/profile"
	refused EBUSY rm -r "$mnt/profiles/removed"
	value_is yes "$mnt/profiles/removed/eligible/mem:ram"
	rmdir "$mnt/volumes/removed"
	rm -r "$mnt/profiles/removed"
	[ ! -e "$mnt/profiles/removed" ]
}

@test "who is not root can copy a profile, and remove it with all that is in it" {
	local nobody='setpriv --reuid 65534 --regid 65534 --clear-groups' d=$mnt/profiles/copied
	local copy # where others get at it
	copy=$(mktemp -d /tmp/copy.XXXXXX)
	chown nobody "$copy"
	chmod 777 "$mnt/profiles"
	$nobody mkdir "$d"
	# shellcheck disable=SC2016
	$nobody bash -c 'echo "<is> True" >"$1/extra_specs/multiattach"' - "$d"
	$nobody cp -r "$d" "$copy/"
	diff -r "$d" "$copy/copied"
	$nobody rm -r "$copy/copied"
	rmdir "$copy"
	$nobody rm -r "$d"
	[ ! -e "$d" ]
	chmod 755 "$mnt/profiles"
}

@test "a volume made by a profile goes where the profile wants it, and is multi-attach if that says so" {
	spec twice multiattach '<is> true'
	mkdir "$mnt/volumes/twice"
	put twice "$mnt/volumes/twice/profile"
	put 16M "$mnt/volumes/twice/size"
	value_is true "$mnt/volumes/twice/multiattach"
	[ "$(jq -r '.profileId, .multiAttach' "$mnt/volumes/twice/info.json")" = \
		"$(cat "$mnt/profiles/twice/id")
true" ]
	attach twice a rw
	attach twice b ro
	value_is in-use "$mnt/volumes/twice/status"
	refused EBUSY rmdir "$mnt/profiles/twice"
	explained "$mnt/profiles/twice" "twice among them"
	rmdir "$mnt/volumes/twice/attachments/a" "$mnt/volumes/twice/attachments/b" "$mnt/volumes/twice"
	rmdir "$mnt/profiles/twice"
}

@test "every spelling of the flag counts; what is no boolean matches nothing" {
	local value n=0
	for value in '<is> True' '<is> true' '<is>  TRUE ' '<is> yes' True true; do
		n=$((n + 1))
		spec "spelt$n" multiAttach "$value"
		mkdir "$mnt/volumes/spelt$n"
		put "spelt$n" "$mnt/volumes/spelt$n/profile"
		value_is true "$mnt/volumes/spelt$n/multiattach"
	done
	spec spelt multiattach '<is> maybe'
	value_is "no: multiattach is true, wanted <is> maybe, where True or False is expected" \
		"$mnt/profiles/spelt/eligible/mem:ram"
	rmdir "$mnt"/volumes/spelt* "$mnt"/profiles/spelt*
}

@test "what no pool can do fails in the write, with the reason for every pool" {
	local d=$mnt/volumes/impossible
	spec impossible advanced.diskType tape
	mkdir "$d"
	put impossible "$d/profile"
	refused ENODEV put 16M "$d/size"
	explained "$d" "mem:ram: advanced.diskType is SSD, wanted tape"
	explained "$d" "mem:solo: advanced.diskType is HDD, wanted tape"
	explained "$d" "ssd:fast: advanced.diskType is not reported, wanted tape"
	value_is new "$d/status"
	rm "$mnt/profiles/impossible/extra_specs/advanced.diskType"
	put 16M "$d/size"
	value_is available "$d/status"
}

@test "keys of extra_specs: scopes have colons, names that are none are refused" {
	local d=$mnt/profiles/keys name
	mkdir "$d"
	for name in '!x' 'a b' ':a' '-a' 'a*' 'a,b' "$(printf 'x%.0s' {1..64})"; do
		refused EACCES put x "$d/extra_specs/$name"
	done
	spec keys capabilities:advanced:diskType '<or> HDD <or> SSD'
	spec keys vendor:anything 'for others'
	value_is yes "$d/eligible/mem:ram"
	value_is yes "$d/eligible/mem:solo"
	mv "$d/extra_specs/vendor:anything" "$d/extra_specs/anything"
	value_is "no: anything is not reported, wanted for others" "$d/eligible/mem:ram"
	: >"$d/extra_specs/anything" # what nobody writes is cleared after the close
	within 5 value_is yes "$d/eligible/mem:ram"
}

@test "a changed profile changes no volume that there is" {
	spec later multiattach '<is> True'
	mkdir "$mnt/volumes/later"
	put later "$mnt/volumes/later/profile"
	put 16M "$mnt/volumes/later/size"
	spec later multiattach '<is> False'
	spec later advanced.diskType tape
	value_is true "$mnt/volumes/later/multiattach"
	put 32M "$mnt/volumes/later/size"
	attach later a rw
	attach later b rw
	value_is in-use "$mnt/volumes/later/status"
}

@test "profiles and volumes' profiles are there after a restart" {
	spec kept advanced.diskType HDD
	mkdir "$mnt/volumes/kept"
	put kept "$mnt/volumes/kept/profile"
	put 16M "$mnt/volumes/kept/size"
	fs_stop
	fs_start
	value_is HDD "$mnt/profiles/kept/extra_specs/advanced.diskType"
	value_is kept "$mnt/volumes/kept/profile"
	value_is mem:solo "$mnt/volumes/kept/pool"
	value_is yes "$mnt/profiles/kept/eligible/mem:solo"
	refused EBUSY rmdir "$mnt/profiles/kept"
}
