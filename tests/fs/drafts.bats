#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Drafts: written under a name with a dot, and made real by one mv, all of it or nothing.
load lib

setup_file() {
	fs_new
	fs_start
	new_host h1 h2
	new_volume multi mem:ram 64M true
	new_volume single mem:ram 64M
	export dir multi=$mnt/volumes/multi single=$mnt/volumes/single
}

teardown_file() {
	fs_end
}

teardown() {
	local d
	faults </dev/null
	for d in "$mnt"/volumes/*/attachments/*/ "$mnt"/volumes/*/attachments/.[!.]*/ \
		"$mnt"/volumes/.[!.]*/attachments/*/; do
		[ ! -d "$d" ] || rmdir "$d"
	done
	for d in "$mnt"/volumes/.[!.]*/ "$mnt"/volumes/v/ "$mnt"/hosts/.[!.]*/; do
		[ ! -d "$d" ] || rmdir "$d"
	done
}

rename() { # FROM TO: rename(2) and nothing else, with its error
	"$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"
}

# All that is written in a directory, as one text.
contents() {
	(cd "$1" && grep -r . --exclude=last_error --exclude=updated_at --exclude=info.json | sort)
}

provisioned() {
	cat "$mnt/docks/mem/pools/ram/provisioned_capacity"
}

@test "a draft of an attachment holds nothing, and becomes attached as it says by one mv" {
	local a=$single/attachments n
	n=$(n_events)
	mkdir "$a/.x"
	put ro "$a/.x/mode"
	put /data "$a/.x/mountpoint"
	put blue "$a/.x/metadata/colour"
	put iqn.2026-11.test:other "$a/.x/initiator"
	value_is draft "$a/.x/status"
	value_is ro "$a/.x/mode"
	value_is "" "$a/.x/effective_mode"
	value_is available "$single/status"
	[ -z "$(ls "$mnt/attachments")" ]
	[ -z "$(ls "$a")" ]
	[ "$(ls -A "$a")" = .x ]
	# others are not in its way, nor is it in theirs
	attach single h1 rw
	refused EBUSY rename "$a/.x" "$a/x"
	explained "$a/.x" "held by h1"
	detach single h1
	mv "$a/.x" "$a/x"
	[ ! -e "$a/.x" ]
	value_is attached "$a/x/status"
	value_is ro "$a/x/effective_mode"
	value_is /data "$a/x/mountpoint"
	value_is blue "$a/x/metadata/colour"
	value_is iqn.2026-11.test:other "$a/x/initiator"
	value_is "" "$a/x/last_error"
	[ "$(ls "$mnt/attachments")" = single@x ]
	# there was one attach, and it was ro
	value_is 1 "$a/x/generation"
	[ "$(tail -n +$((n + 1)) "$mnt/events" | jq -r 'select(.event == "attached" and (.path | endswith("/x"))) | .detail')" = ro ]
}

@test "on a real target the draft's host is never let in to write" {
	local id n
	new_volume v ssd:fast 16M true
	id=$(cat "$mnt/volumes/v/id")
	mkdir "$mnt/volumes/v/attachments/.h1"
	put ro "$mnt/volumes/v/attachments/.h1/mode"
	(while :; do tgt_show || true; done) >"$BATS_TEST_TMPDIR/seen" 2>/dev/null 3>&- &
	mv "$mnt/volumes/v/attachments/.h1" "$mnt/volumes/v/attachments/h1"
	kill $!
	wait $! || true
	tgt_acl | grep -q "$id.ro iqn.2026-11.test:h1"
	fails grep -q "$id.rw" "$BATS_TEST_TMPDIR/seen"
	creds v h1
	host read 0
	fails host write 0 1
}

@test "a draft that is refused stays whole, says why, and can be corrected" {
	local a=$multi/attachments before
	mkdir "$a/.nobody"
	put ro "$a/.nobody/mode"
	put text "$a/.nobody/metadata/k"
	before=$(contents "$a/.nobody")
	refused EDESTADDRREQ rename "$a/.nobody" "$a/nobody"
	[ ! -e "$a/nobody" ]
	explained "$a/.nobody" "nobody has no initiator"
	[ "$(contents "$a/.nobody")" = "$before" ]
	value_is draft "$a/.nobody/status"
	value_is available "$multi/status"
	put iqn.2026-11.test:nobody "$a/.nobody/initiator"
	value_is "" "$a/.nobody/last_error"
	rename "$a/.nobody" "$a/nobody"
	value_is ro "$a/nobody/effective_mode"
}

@test "values are checked when they are written" {
	local a=$multi/attachments
	mkdir "$a/.x" "$mnt/volumes/.v"
	refused EINVAL put wrong "$a/.x/mode"
	explained "$a/.x" 'expected ro or rw'
	refused EINVAL put lots "$mnt/volumes/.v/size"
	refused EACCES put ro "$a/.x/mdoe"
	refused EACCES put x "$a/.x/status"
	put 1000T "$mnt/volumes/.v/size"
	value_is 1000T "$mnt/volumes/.v/size"
	value_is draft "$mnt/volumes/.v/status"
}

@test "a draft without a mode is only reserved" {
	mkdir "$multi/attachments/.h1"
	put /data "$multi/attachments/.h1/mountpoint"
	mv "$multi/attachments/.h1" "$multi/attachments/h1"
	value_is reserved "$multi/attachments/h1/status"
	value_is /data "$multi/attachments/h1/mountpoint"
}

@test "a draft of a volume: size, profile, pool, keys and attachments, all by one mv" {
	local v=$mnt/volumes/.v n
	n=$(provisioned)
	mkdir "$mnt/profiles/many"
	put '<is> True' "$mnt/profiles/many/extra_specs/multiattach"
	mkdir "$v"
	# in the wrong order, as far as there is one
	mkdir "$v/attachments/h1" "$v/attachments/h2" "$v/attachments/.later"
	put ro "$v/attachments/h2/mode"
	put rw "$v/attachments/h1/mode"
	put 128M "$v/size"
	put many "$v/profile"
	put mem:ram "$v/pool"
	put text "$v/description"
	put one "$v/metadata/k"
	put 1 "$v/max_writers"
	value_is "$n" "$mnt/docks/mem/pools/ram/provisioned_capacity"
	value_is draft "$v/attachments/h1/status"
	[ -z "$(ls "$mnt/attachments" "$mnt/hosts/h1/attachments" | grep -v :)" ]
	mv "$v" "$mnt/volumes/v"
	v=$mnt/volumes/v
	[ ! -e "$mnt/volumes/.v" ]
	value_is in-use "$v/status"
	value_is attached "$v/attachments/h1/status"
	value_is rw "$v/attachments/h1/effective_mode"
	value_is ro "$v/attachments/h2/effective_mode"
	value_is draft "$v/attachments/.later/status"
	value_is 128M "$v/size"
	value_is true "$v/multiattach"
	value_is many "$v/profile"
	value_is mem:ram "$v/pool"
	value_is one "$v/metadata/k"
	value_is v "$v/name"
	value_is $((n + 128 * 1024 * 1024)) "$mnt/docks/mem/pools/ram/provisioned_capacity"
	[ "$(ls "$mnt/attachments" | xargs)" = "v@h1 v@h2" ]
	[ "$(ls "$mnt/docks/mem/pools/ram/volumes" | grep -c '^v$')" = 1 ]
	rmdir "$v/attachments/h1" "$v/attachments/h2" "$v/attachments/.later" "$v"
	rmdir "$mnt/profiles/many" || { rm "$mnt/profiles/many/extra_specs/multiattach"; rmdir "$mnt/profiles/many"; }
}

@test "a draft of a volume is refused as a whole: no room, or one bad attachment" {
	local v=$mnt/volumes/.v n before
	mkdir "$v" "$v/attachments/h1" "$v/attachments/nobody"
	put true "$v/multiattach"
	put ro "$v/attachments/h1/mode"
	put ro "$v/attachments/nobody/mode"
	put one "$v/metadata/k"
	put 100T "$v/size"
	put mem:tiny "$v/pool"
	before=$(contents "$v")
	n=$(provisioned)
	refused ENOSPC rename "$v" "$mnt/volumes/v"
	explained "$v" "no pool fits"
	[ "$(contents "$v")" = "$before" ]
	put mem:ram "$v/pool"
	put 64M "$v/size"
	before=$(contents "$v")
	refused EDESTADDRREQ rename "$v" "$mnt/volumes/v"
	explained "$v" "nobody has no initiator"
	[ "$(contents "$v")" = "$before" ]
	[ ! -e "$mnt/volumes/v" ]
	[ -z "$(ls "$mnt/attachments")" ]
	value_is "$n" "$mnt/docks/mem/pools/ram/provisioned_capacity"
	# two of one host; more writers than there may be; single-attach, and two of them
	put iqn.2026-11.test:h1 "$v/attachments/nobody/initiator"
	refused EBUSY rename "$v" "$mnt/volumes/v"
	put 1 "$v/max_writers"
	put rw "$v/attachments/h1/mode"
	put rw "$v/attachments/nobody/mode"
	put iqn.2026-11.test:nobody "$v/attachments/nobody/initiator"
	refused EBUSY rename "$v" "$mnt/volumes/v"
	put ro "$v/attachments/h1/mode"
	put false "$v/multiattach"
	refused EBUSY rename "$v" "$mnt/volumes/v"
	put true "$v/multiattach"
	rename "$v" "$mnt/volumes/v"
	value_is in-use "$mnt/volumes/v/status"
}

@test "a draft of a volume without size becomes a new volume" {
	mkdir "$mnt/volumes/.v"
	put text "$mnt/volumes/.v/description"
	mkdir "$mnt/volumes/.v/attachments/h1"
	put ro "$mnt/volumes/.v/attachments/h1/mode"
	mv "$mnt/volumes/.v" "$mnt/volumes/v"
	value_is new "$mnt/volumes/v/status"
	value_is draft "$mnt/volumes/v/attachments/h1/status"
	# its attachment follows when there is something to attach
	put 64M "$mnt/volumes/v/size"
	value_is in-use "$mnt/volumes/v/status"
	value_is ro "$mnt/volumes/v/attachments/h1/effective_mode"
}

@test "what the backend cannot make is a draft again, with all that was in it" {
	local v=$mnt/volumes/.v before n
	n=$(provisioned)
	mkdir "$v" "$v/attachments/h1"
	put mem:ram "$v/pool"
	put 64M "$v/size"
	put ro "$v/attachments/h1/mode"
	before=$(contents "$v")
	faults <<<"provision fail EIO"
	refused EIO rename "$v" "$mnt/volumes/v"
	[ ! -e "$mnt/volumes/v" ]
	grep -q . "$v/last_error"
	[ "$(contents "$v")" = "$before" ]
	value_is "$n" "$mnt/docks/mem/pools/ram/provisioned_capacity"
	[ -z "$(ls "$mnt/attachments")" ]
	faults </dev/null
	rename "$v" "$mnt/volumes/v"
	value_is in-use "$mnt/volumes/v/status"
}

@test "an attachment that the backend cannot make is a draft again" {
	local a=$single/attachments
	mkdir "$a/.h1"
	put ro "$a/.h1/mode"
	faults <<<"export fail EIO"
	refused EIO rename "$a/.h1" "$a/h1"
	within 5 test -e "$a/.h1"
	[ ! -e "$a/h1" ]
	value_is draft "$a/.h1/status"
	value_is ro "$a/.h1/mode"
	grep -q . "$a/.h1/last_error"
	value_is available "$single/status"
	# nobody's way is barred
	faults </dev/null
	attach single h2 rw
	detach single h2
	rename "$a/.h1" "$a/h1"
	value_is ro "$a/h1/effective_mode"
}

@test "an attachment of a drafted volume that fails is told, and the volume is there" {
	local v=$mnt/volumes/.v
	mkdir "$v" "$v/attachments/h1"
	put mem:ram "$v/pool"
	put 64M "$v/size"
	put ro "$v/attachments/h1/mode"
	faults <<<"export fail EIO"
	refused EIO rename "$v" "$mnt/volumes/v"
	v=$mnt/volumes/v
	within 5 test -e "$v"
	value_is 64M "$v/size"
	value_is error "$v/attachments/h1/status"
	grep -q . "$v/attachments/h1/last_error"
	faults </dev/null
	put ro "$v/attachments/h1/mode"
	value_is attached "$v/attachments/h1/status"
}

@test "drafts of hosts and profiles" {
	mkdir "$mnt/hosts/.n" "$mnt/profiles/.p"
	put iqn.2026-11.test:n "$mnt/hosts/.n/initiator"
	put text "$mnt/hosts/.n/description"
	put '<is> True' "$mnt/profiles/.p/extra_specs/multiattach"
	mkdir "$multi/attachments/n"
	refused EDESTADDRREQ put ro "$multi/attachments/n/mode"
	mv "$mnt/hosts/.n" "$mnt/hosts/n"
	mv "$mnt/profiles/.p" "$mnt/profiles/p"
	put ro "$multi/attachments/n/mode"
	value_is iqn.2026-11.test:n "$multi/attachments/n/initiator"
	value_is text "$mnt/hosts/n/description"
	value_is '<is> True' "$mnt/profiles/p/extra_specs/multiattach"
	rmdir "$multi/attachments/n" "$mnt/hosts/n"
	rm "$mnt/profiles/p/extra_specs/multiattach"
	rmdir "$mnt/profiles/p"
}

@test "names of drafts: another draft's, a taken one, a bad one, and no way back" {
	local a=$multi/attachments
	mkdir "$a/.x" "$a/y" "$mnt/volumes/.v"
	put ro "$a/.x/mode"
	rename "$a/.x" "$a/.z"
	value_is ro "$a/.z/mode"
	value_is draft "$a/.z/status"
	fails rename "$a/.z" "$a/y"
	refused EINVAL rename "$a/.z" "$a/bad name"
	refused EINVAL mkdir "$a/..x"
	refused EINVAL mkdir "$a/.bad name"
	fails rename "$mnt/volumes/single" "$mnt/volumes/.single"
	value_is draft "$a/.z/status"
	mkdir "$a/.$(printf 'x%.0s' {1..62})"
	refused ENAMETOOLONG mkdir "$a/.$(printf 'x%.0s' {1..63})"
	refused EEXIST mkdir "$a/.z"
}

@test "a volume with drafts in it is not removed; rm -r removes drafts" {
	local v=$mnt/volumes/.v
	mkdir "$v" "$v/attachments/h1" "$v/attachments/.x"
	put ro "$v/attachments/h1/mode"
	put one "$v/metadata/k"
	put one "$v/attachments/h1/metadata/k"
	refused EBUSY rmdir "$v"
	explained "$v" draft
	rm -r "$v"
	[ ! -e "$v" ]
	mkdir "$single/attachments/.x"
	refused EBUSY rmdir "$single"
	rm -r "$single/attachments/.x"
}

@test "a copy of a tree into a draft, in any order, and one mv" {
	local tree=$dir/tree
	mkdir -p "$tree/attachments/h1" "$tree/metadata"
	put rw "$tree/attachments/h1/mode"
	put 64M "$tree/size"
	put mem:ram "$tree/pool"
	put one "$tree/metadata/k"
	cp -r "$tree" "$mnt/volumes/.v"
	mv "$mnt/volumes/.v" "$mnt/volumes/v"
	value_is rw "$mnt/volumes/v/attachments/h1/effective_mode"
	rm -r "$mnt/volumes/v"
	cp -a "$tree" "$mnt/volumes/.v"
	mv "$mnt/volumes/.v" "$mnt/volumes/v"
	value_is one "$mnt/volumes/v/metadata/k"
	rm -r "$mnt/volumes/v"
	rm -r "$tree"
}

@test "drafts outlive attachfs" {
	mkdir "$mnt/volumes/.v" "$mnt/volumes/.v/attachments/h1"
	put 64M "$mnt/volumes/.v/size"
	put ro "$mnt/volumes/.v/attachments/h1/mode"
	fs_stop
	fs_start
	value_is draft "$mnt/volumes/.v/status"
	value_is draft "$mnt/volumes/.v/attachments/h1/status"
	mv "$mnt/volumes/.v" "$mnt/volumes/v"
	value_is ro "$mnt/volumes/v/attachments/h1/effective_mode"
}

@test "killed while a drafted volume is made: all of it is there afterwards" {
	local v=$mnt/volumes/.v
	mkdir "$v" "$v/attachments/h1"
	put mem:ram "$v/pool"
	put 64M "$v/size"
	put ro "$v/attachments/h1/mode"
	faults <<<"provision delay 60000"
	rename "$v" "$mnt/volumes/v" 2>/dev/null 3>&- &
	within 5 value_is creating "$mnt/volumes/v/status"
	value_is reserved "$mnt/volumes/v/attachments/h1/status"
	fs_kill
	faults </dev/null
	fs_start
	within 10 value_is in-use "$mnt/volumes/v/status"
	value_is ro "$mnt/volumes/v/attachments/h1/effective_mode"
}
