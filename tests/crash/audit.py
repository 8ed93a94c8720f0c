# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the tree, LMDB, the target daemon and the backing files say the same? An audit from outside."""
import os
import re

from lab import Failed
from victim import PREFIX, Differs


# Of one tgtd: its portal, its management socket, the hosts of a test, and something under way.
SOCKETS_MAX = 10


def expect_equal(what, got, wanted):
    if got != wanted:
        raise Differs("%s: there is %r, there should be %r" % (what, got, wanted))


# ---- LMDB ----

def check_records(lab):
    records, unsettled = lab.dump()
    expect_equal("unsettled intents", unsettled, [])
    for kind, folder in (("volume", "volumes"), ("host", "hosts")):
        stored = sorted(r["path"] for r in records if r["kind"] == kind)
        expect_equal(kind + "s in LMDB", stored, [folder + "/" + n for n in lab.list(folder)])
    stored = sorted(r["path"] for r in records if r["kind"] == "attachment")
    shown = sorted("volumes/%s/attachments/%s" % (v, h) for v in lab.list("volumes")
                   for h in lab.list("volumes/%s/attachments" % v))
    expect_equal("attachments in LMDB", stored, shown)
    for r in records:
        if r["kind"] in ("volume", "attachment", "host"):
            expect_equal("id of " + r["path"], lab.get(r["path"] + "/id"), r["id"])
    ids = [r["id"] for r in records]
    expect_equal("ids that are used twice", len(ids) - len(set(ids)), 0)


# ---- the tree in itself ----

# What does not change by itself any more.
SETTLED = ("reserved", "attached", "fenced", "error")


class Attachment:
    def __init__(self, lab, volume, host):
        self.volume, self.host = volume, host
        self.path = "volumes/%s/attachments/%s" % (volume, host)
        self.status = lab.get(self.path + "/status")
        self.mode = lab.get(self.path + "/mode")
        self.effective_mode = lab.get(self.path + "/effective_mode")
        self.target = lab.get(self.path + "/connection/target_iqn")
        self.user = lab.get(self.path + "/connection/auth_username")
        self.initiator = lab.get(self.path + "/initiator").lower()


class Volume:
    def __init__(self, lab, name):
        path = "volumes/" + name
        self.name = name
        self.id = lab.get(path + "/id")
        self.status = lab.get(path + "/status")
        self.size = lab.get(path + "/size")
        self.size_bytes = int(lab.get(path + "/size_bytes"))
        self.multiattach = lab.get(path + "/multiattach") == "true"
        self.attachments = [Attachment(lab, name, h) for h in lab.list(path + "/attachments")]

    def wanted_status(self):
        statuses = [a.status for a in self.attachments]
        if "attached" in statuses:
            return "in-use"
        if statuses:  # fenced ones, too
            return "reserved"
        return "available" if self.size_bytes else "new"


def read_tree(lab):
    return [Volume(lab, name) for name in lab.list("volumes")]


def check_tree(lab, volumes):
    for v in volumes:
        expect_equal("status of " + v.name, v.status, v.wanted_status())
        if len(v.attachments) > 1 and not v.multiattach:
            raise Failed("single-attach volume %s is held by %s" %
                          (v.name, [a.host for a in v.attachments]))
        for a in v.attachments:
            if a.status not in SETTLED:
                raise Differs("%s is %s: %s" %
                              (a.path, a.status, lab.get(a.path + "/last_error")))
            expect_equal("effective mode of " + a.path, a.effective_mode,
                         a.mode if a.status == "attached" else "")
            expect_equal("is there a target for " + a.path, bool(a.target),
                         a.status == "attached")
    links = sorted("%s@%s" % (v.name, a.host) for v in volumes for a in v.attachments)
    expect_equal("attachments/", lab.list("attachments"), links)
    for host in lab.list("hosts"):
        links = sorted(v.name for v in volumes for a in v.attachments if a.host == host)
        expect_equal("attachments of host " + host, lab.list("hosts/%s/attachments" % host), links)
    placed = sorted(v.name for v in volumes if v.size_bytes)
    expect_equal("volumes of the pool", lab.list("docks/ssd/pools/fast/volumes"), placed)
    expect_equal("provisioned_capacity",
                 int(lab.get("docks/ssd/pools/fast/provisioned_capacity")),
                 sum(v.size_bytes for v in volumes))


# ---- backing files ----

def check_files(lab, volumes):
    files = {name: os.stat(os.path.join(lab.pool, name)).st_size for name in os.listdir(lab.pool)}
    expect_equal("backing files", files, {v.id: v.size_bytes for v in volumes if v.size_bytes})


# ---- tgtd ----

def read_targets(lab):
    """{name: {readonly, path, users, initiators, notes}} as tgtd tells it."""
    targets, part = {}, ""
    target = lun = None
    for line in lab.tgtadm("--op", "show", "--mode", "target").splitlines():
        header = re.match(r"Target \d+: (.*)", line)
        word = line.strip()
        if header:
            target = {"path": None, "readonly": None, "users": set(), "initiators": set(),
                      "notes": set()}
            targets[header.group(1)] = target
            part = ""
        elif word.endswith("information:"):
            part = word
        elif part == "LUN information:" and word.startswith("LUN:"):
            lun = word.split()[1]
        elif part == "LUN information:" and lun == "1" and word.startswith("Backing store path:"):
            target["path"] = word.split(": ", 1)[1]
        elif part == "LUN information:" and lun == "1" and word.startswith("Readonly:"):
            target["readonly"] = word.split()[1] == "Yes"
        elif part == "Account information:" and word:
            target["users"].add(word.split()[0])
        elif part == "ACL information:" and word.startswith("account="):
            target["notes"].add(word)
        elif part == "ACL information:" and word:
            target["initiators"].add(word)
    return targets


def is_guard(user):
    return user.startswith("attachfs-guard-")


def wanted_targets(lab, volumes):
    wanted = {}
    for v in volumes:
        for a in v.attachments:
            if a.status != "attached":
                continue
            expect_equal("target of " + a.path, a.target, "%s:%s.%s" % (PREFIX, v.id, a.mode))
            t = wanted.setdefault(a.target, {
                "path": os.path.join(lab.pool, v.id), "readonly": a.mode == "ro",
                "users": set(), "initiators": set(), "notes": set()})
            t["users"].add(a.user)
            t["initiators"].add(a.initiator)
    return wanted


def check_targets(lab, volumes):
    wanted = wanted_targets(lab, volumes)
    # First what can be asked at any time: showing a target crashes tgtd while its accounts change.
    accounts = set()
    if lab.tgtd_pids():
        accounts = set(lab.tgtadm("--op", "show", "--mode", "account").split()[2:])
    expect_equal("accounts of tgtd", {u for u in accounts if not is_guard(u)},
                 {u for t in wanted.values() for u in t["users"]})
    found = read_targets(lab) if lab.tgtd_pids() else {}
    for t in found.values():
        t["users"] = {u for u in t["users"] if not is_guard(u)}
    expect_equal("targets", found, wanted)


def check_peace(lab):
    """No connection is left in tgtd by a process that was killed: each one keeps it awake for ever."""
    for pid in lab.tgtd_pids():
        links = (os.path.join("/proc/%d/fd" % pid, fd) for fd in os.listdir("/proc/%d/fd" % pid))
        sockets = [link for link in links if os.readlink(link).startswith("socket:")]
        if len(sockets) > SOCKETS_MAX:
            raise Differs("tgtd has %d sockets" % len(sockets))


# ---- hosts ----

def check_access(volumes, logins):
    """`logins`: {(volume id, host): [every Login that it ever had]}: only today's get in."""
    attached = {(v.id, a.host): a for v in volumes for a in v.attachments
                if a.status == "attached"}
    for key, old in logins.items():
        now = attached.get(key)
        for login in old:
            is_valid = now and (login.target, login.user) == (now.target, now.user)
            if is_valid:
                check_admitted(login, now)
            else:
                status, said = login.run("login")
                # a tgtd without any target hangs up without a word, or none is running
                if status != 2 and (attached or "login: Connection re" not in said):
                    raise Failed("%s of %s with what it was told before: %d %s" %
                                  (login.initiator, login.target, status, said))


def check_admitted(login, attachment):
    status, said = login.run("write", "7", "7")
    if "login:" in said or status not in (0, 3):
        raise Differs("%s cannot log in to %s: %s" % (login.initiator, login.target, said))
    if attachment.mode == "ro" and (status != 3 or "072700" not in said):
        raise Failed("%s is ro and its write was answered %d %s" % (attachment.path, status, said))
    if attachment.mode == "rw" and status:
        raise Failed("%s is rw and cannot write: %d %s" % (attachment.path, status, said))


def check(lab):
    """All but the hosts' side; the volumes of the tree."""
    check_records(lab)
    volumes = read_tree(lab)
    check_tree(lab, volumes)
    check_files(lab, volumes)
    check_targets(lab, volumes)
    check_peace(lab)
    return volumes
