#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An active host and a stand-by: the active one dies without logging out, mv fails over, and when
# the old one comes back it is refused.
. "$(dirname "$0")/steps.sh"

say "A volume that two hosts may attach, of which one may write"
shared_volume example-db 64M
run "echo 1 >volumes/example-db/max_writers"
host example-db1
host example-db2

say "The active host may read and write; the stand-by may look whether it sees the disk"
run "mkdir volumes/example-db/attachments/example-db1 volumes/example-db/attachments/example-db2"
run "echo rw >volumes/example-db/attachments/example-db1/mode"
run "echo ro >volumes/example-db/attachments/example-db2/mode"
remember example-db1
remember example-db2
login example-db1
tell example-db1 ok write 0 171
login example-db2
tell example-db2 '171 equal' read 0
tell example-db2 'error .* sense 072700' write 0 99
logout example-db2

say "The active host hangs. Its session stays, so it cannot be detached, and could write at any time"
tell example-db1 ok write 1 1
hang example-db1
refuse 'resource busy' "rmdir volumes/example-db/attachments/example-db1"
show 'has a live session' "cat volumes/example-db/attachments/example-db1/last_error"
refuse 'resource busy' "echo rw >volumes/example-db/attachments/example-db2/mode"
show 'max_writers is 1' "cat volumes/example-db/attachments/example-db2/last_error"

say "Failover: the active one is put out, which is proved, and only then the stand-by may write"
run "mv volumes/example-db/attachments/example-db1 volumes/example-db/attachments/example-db2"
show '^example-db2$' "ls volumes/example-db/attachments"
show '^rw$' "cat volumes/example-db/attachments/example-db2/effective_mode"
remember example-db2
login example-db2
tell example-db2 '171 equal' read 0
tell example-db2 ok write 1 2

say "The old one comes back and goes on where it was: nothing of it reaches the disk"
wake example-db1
tell example-db1 'error .*' write 1 99
end_session example-db1
cannot_login example-db1
tell example-db2 '2 equal' read 1

say "Repaired, it becomes the stand-by"
run "mkdir volumes/example-db/attachments/example-db1"
run "echo ro >volumes/example-db/attachments/example-db1/mode"
remember example-db1
login example-db1
tell example-db1 '2 equal' read 1
logout example-db1
tell example-db2 ok write 1 3
logout example-db2
