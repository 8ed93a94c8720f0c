#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Bench baseline: attach and detach as an administrator scripts it with tgtadm.
#
# usage: tgtadm_attach.sh COUNT BACKING_FILE INITIATOR
#
# $TGT_IPC_SOCKET names the private tgtd. Each of the COUNT turns makes a target with a LUN over
# BACKING_FILE and an identity of its own, admits INITIATOR with a CHAP account of its own, and
# takes it all away again. As in attachfs, the only host of a target goes with it, which tgtd
# refuses while there is a session. This gives the host what attachfs_attach.sh gives it, but
# nothing is durable, nothing is verified, and the secret can be seen in the process list.
set -eu

count=$1 file=$2 initiator=$3
target=iqn.2026-11.io.attachfs.bench:script
tid=1000 id=0123456789abcdef0123456789abcde

adm() {
	tgtadm --lld iscsi "$@"
}

attach() {
	adm --op new --mode target --tid $tid --targetname $target
	adm --op new --mode logicalunit --tid $tid --lun 1 --bstype rdwr --backing-store "$file"
	adm --op update --mode logicalunit --tid $tid --lun 1 --params scsi_id=$id,scsi_sn=$id
	adm --op new --mode account --user script --password 0123456789abcdef
	adm --op bind --mode account --tid $tid --user script
	adm --op bind --mode target --tid $tid --initiator-name "$initiator"
}

detach() {
	adm --op delete --mode target --tid $tid
	adm --op delete --mode account --user script
}

while [ "$count" -gt 0 ]; do
	attach
	detach
	count=$((count - 1))
done
