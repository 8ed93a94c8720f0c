#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Editors, stream editors too: files beside the one they change, and a rename.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "sed -i" {
	writes --edits --anew 'sed -i "s/.*/$v/" "$f"'
}

@test "sed -i.bak" {
	writes --edits --anew --backup NAME.bak --files mode,description,owner 'sed -i.bak "s/.*/$v/" "$f"'
}

@test "busybox: sed -i" {
	writes --edits --anew 'busybox sed -i "s/.*/$v/" "$f"'
}

@test "perl -pi" {
	writes --edits --anew 'perl -pi -e "s/.*/\$ENV{v}/" "$f"'
}

@test "perl -pi.orig" {
	writes --edits --anew --backup NAME.orig --files mode,description,owner 'perl -pi.orig -e "s/.*/\$ENV{v}/" "$f"'
}

@test "gawk -i inplace" {
	writes --edits --anew 'gawk -i inplace "{print ENVIRON[\"v\"]}" "$f"'
}

@test "ed" {
	writes --edits 'printf "%s\n" "1c" "$v" . w q | ed -s "$f"'
}

@test "ex" {
	writes --edits 'ex -s -c "1s/.*/$v/" -c wq "$f"'
}

@test "vim :w" {
	writes --edits 'vim -u NONE -es -N -c "1s/.*/$v/" -c wq "$f"'
}

@test "vim with swap file and backup" {
	writes --edits --anew --backup NAME~ \
		'vim -u NONE -es -N -c "set swapfile backup backupskip=" -c "1s/.*/$v/" -c wq "$f"'
}

@test "vim, backupcopy=yes" {
	writes --edits --debris NAME~ \
		'vim -u NONE -es -N -c "set writebackup backupskip= backupcopy=yes" -c "1s/.*/$v/" -c wq "$f"'
}

@test "vim, backupcopy=no" {
	writes --edits --anew \
		'vim -u NONE -es -N -c "set writebackup backupskip= backupcopy=no" -c "1s/.*/$v/" -c wq "$f"'
}

@test "busybox: vi" {
	writes --edits --reports '1L, 0C' 'type ":s/.*/$v/\n:wq\n\0 1L, 0C\0:q!\n" busybox vi "$f"'
}

@test "nano" {
	writes --edits --reports 'Error writing' 'type "\x0b$v\x0f\r\0Wrote|Error\0\x18n" nano -I "$f"'
}

@test "nano -B" {
	writes --edits --anew --backup NAME~ --reports 'Error writing' \
		'type "\x0b$v\x0f\r\0Wrote|Error\0\x18n" nano -I -B "$f"'
}
