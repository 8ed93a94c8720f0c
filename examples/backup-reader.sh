#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup host reads a volume while its owner writes to it, and cannot spoil it.
#
# What it reads is the disk as it is at that moment. A file system on it must be frozen
# (fsfreeze(8)) or the application quiesced while it is copied, and be mounted without replaying
# its journal, as the disk is read-only: mount -o ro,noload (ext4), -o ro,norecovery (xfs).
. "$(dirname "$0")/steps.sh"

say "The owner writes, the backup host may read"
shared_volume example-files 64M
host example-owner
host example-backup
run "mkdir volumes/example-files/attachments/example-owner"
run "echo rw >volumes/example-files/attachments/example-owner/mode"
run "mkdir volumes/example-files/attachments/example-backup"
run "echo ro >volumes/example-files/attachments/example-backup/mode"
show '^ro$' "cat volumes/example-files/attachments/example-backup/effective_mode"
remember example-owner
remember example-backup

say "It reads what the owner wrote a moment ago, again and again"
login example-owner
login example-backup
for n in 11 12 13; do
	tell example-owner ok write 7 $n
	tell example-backup "$n equal" read 7
done

say "Whatever it tries, it changes nothing: the target refuses it (sense 07 27 00)"
tell example-backup 'error .* sense 072700' write 7 99
as example-backup opcodes >"$room/opcodes" || true
grep -q 'refused 072700' "$room/opcodes" || failed "no opcode was refused"
! grep DONE "$room/opcodes" || failed "an opcode that writes was carried out"
printf 'example-backup> (sends each of %s commands that write: all refused)\n' \
	"$(grep -c refused "$room/opcodes")"
tell example-owner '13 equal' read 7

say "The backup is done and its host detached, while the owner writes on"
logout example-backup
run "rmdir volumes/example-files/attachments/example-backup"
cannot_login example-backup
tell example-owner ok write 7 14
tell example-owner '14 equal' read 7
logout example-owner
