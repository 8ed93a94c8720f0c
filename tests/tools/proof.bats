#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a playbook has declared, from the hosts' side: on a real target, with live sessions.
load lib

examples=$BATS_TEST_DIRNAME/../../examples

setup_file() {
	fs_new
	rm "$dir/docks.d/mem.yaml"
	fs_start
	plays playbook.yml >"$dir/out" || { cat "$dir/out"; return 1; }
	[[ $(<"$dir/out") == *changed=[1-9]* ]]
}

teardown_file() {
	fs_end
}

plays() { # PLAYBOOK OPTIONS…
	LC_ALL=C.UTF-8 HOME=$dir timeout 300 ansible-playbook "$examples/ansible/$1" \
		-e attachfs_mount="$mnt" "${@:2}" 2>&1
}

@test "one host reads and writes, the other one only reads" {
	creds db web1
	host write 0 171
	creds db web2
	[ "$(host read 0)" = "171 equal" ]
	[[ $(host login) == *wp=1* ]]
	run host write 0 99
	[ "$status" != 0 ]
	[[ $output == *072700* ]]
}

@test "run again beside live sessions: no change, and no session notices" {
	creds db web1
	hold "$dir/web1"
	creds db web2
	hold "$dir/web2" --interval 0
	run -0 plays playbook.yml
	[[ $output == *changed=0* ]]
	release "$dir/web2"
	release "$dir/web1"
}

@test "detach: refused while the host is logged in, then done, and the host cannot return" {
	creds db web1
	hold "$dir/web1"
	creds db web2
	hold "$dir/web2" --interval 0
	within 5 is_logged_in db web2
	run plays detach.yml -e volume=db -e host=web2
	echo "$output"
	[ "$status" = 2 ]
	[[ $output == *"Device or resource busy"* ]]
	explained "$mnt/volumes/db/attachments/web2" session
	value_is ro "$mnt/volumes/db/attachments/web2/mode"
	host login
	release "$dir/web2"
	run -0 plays detach.yml -e volume=db -e host=web2
	[[ $output == *changed=1* ]]
	[ ! -e "$mnt/volumes/db/attachments/web2" ]
	no_login
	run -0 plays detach.yml -e volume=db -e host=web2
	[[ $output == *changed=0* ]]
	release "$dir/web1"
}
