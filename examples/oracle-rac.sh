#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three hosts of a clustered database write to one volume. They fence among themselves with
# persistent reservations (SPC-4); the administrator's fence is the target's.
. "$(dirname "$0")/steps.sh"

say "One volume, three hosts, all of them writing"
shared_volume example-rac 64M
for n in 1 2 3; do
	host example-rac$n
	run "mkdir volumes/example-rac/attachments/example-rac$n"
	run "echo rw >volumes/example-rac/attachments/example-rac$n/mode"
	remember example-rac$n
done
show '^in-use$' "cat volumes/example-rac/status"
show 'example-rac@example-rac2' "ls attachments"

say "Each registers a key of its own; who has registered may write, nobody else (type 5)"
for n in 1 2 3; do
	login example-rac$n
done
tell example-rac1 ok register 101
tell example-rac1 ok reserve 101 5
tell example-rac2 conflict write 0 2
tell example-rac2 ok register 102
tell example-rac3 ok register 103
tell example-rac2 '101 102 103' keys
tell example-rac3 '101 type 5' holder

say "Each writes its own blocks, and reads those of the others"
for n in 1 2 3; do
	tell example-rac$n ok write $n $n
	tell example-rac$n ok write $((n + 3)) $((n + 10))
done
for n in 1 2 3; do
	tell example-rac$n "$((n % 3 + 1)) equal" read $((n % 3 + 1))
	tell example-rac$n "$((n % 3 + 11)) equal" read $((n % 3 + 4))
done

say "The third one hangs. The others evict it: its key is preempted"
hang example-rac3
tell example-rac1 ok preempt 101 103 5
tell example-rac2 '101 102' keys
wake example-rac3
tell example-rac3 conflict write 3 99
tell example-rac1 '3 equal' read 3

say "A reservation does not end a session, and does not cover every command. A fence does"
run "echo 1 >hosts/example-rac3/fenced"
show '^fenced$' "cat volumes/example-rac/attachments/example-rac3/status"
tell example-rac3 'error .*' write 3 99
end_session example-rac3
cannot_login example-rac3
refuse 'not permitted' "echo rw >volumes/example-rac/attachments/example-rac3/mode"

say "The others have noticed nothing: same session, same reservation, same disk"
tell example-rac1 ok write 1 21
tell example-rac2 '21 equal' read 1
tell example-rac2 '101 type 5' holder

say "Repaired, it comes back with another secret and another key"
run "echo 0 >hosts/example-rac3/fenced"
run "echo rw >volumes/example-rac/attachments/example-rac3/mode"
cannot_login example-rac3
remember example-rac3
login example-rac3
tell example-rac3 conflict write 3 33
tell example-rac3 ok register 203
tell example-rac3 ok write 3 33
tell example-rac1 '101 102 203' keys
tell example-rac2 '33 equal' read 3

say "The reservation is given up, and everybody logs out"
tell example-rac1 ok clear 101
tell example-rac1 none holder
for n in 1 2 3; do
	logout example-rac$n
	run "rmdir volumes/example-rac/attachments/example-rac$n"
done
show '^available$' "cat volumes/example-rac/status"
