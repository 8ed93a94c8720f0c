#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Tools that edit configuration, and systemd's.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "systemd-tmpfiles: f+" {
	writes --bare 'echo "f+ $f - - - - $v" >x.conf && systemd-tmpfiles --create "$t/x.conf"'
}

@test "systemd-tmpfiles: w" {
	writes --bare --edits 'echo "w $f - - - - $v" >x.conf && systemd-tmpfiles --create "$t/x.conf"'
}

@test "systemd-tmpfiles: w+ replaces scalars" {
	writes --bare --edits --only value \
		'echo "w+ $f - - - - $v" >x.conf && systemd-tmpfiles --create "$t/x.conf"'
}

@test "crudini --set" {
	writes --only line,key,new --form 'colour = VALUE' 'crudini --set "$f" "" colour "${v#*= }"'
}

@test "crudini --set --inplace" {
	writes --only line,key --form 'colour = VALUE' \
		'crudini --set --inplace "$f" "" colour "${v#*= }"'
}

@test "augtool" {
	writes --edits 'augtool -As -t "Simplelines incl $f" set "/files$f/1" "\"$v\""' --changed Saved
}

@test "augtool --backup" {
	writes --edits --backup NAME.augsave --files mode,description,owner --changed Saved \
		'augtool -bAs -t "Simplelines incl $f" set "/files$f/1" "\"$v\""'
}
