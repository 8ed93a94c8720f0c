# SPDX-License-Identifier: GPL-2.0-or-later
"""What the sweep does while attachfs is killed: one row for each operation."""
import errno
import uuid

from victim import PREFIX

V = "volumes/v"
H1, H2 = (V + "/attachments/h%d" % n for n in (1, 2))


class Operation:
    """
    `prepare` makes the state that `was` describes, `call` is one system call that makes of it
    what `will` describes; called once more it may say `again`. `stays` is a host that is logged
    in and writes all the while; `ends` is logged in and must be out in the end. `runs`: without
    a call, attachfs does it by itself.
    """

    def __init__(self, prepare, call, was, will, again=0, stays=None, ends=None, runs=False):
        self.prepare, self.call, self.was, self.will = prepare, call, was, will
        self.again, self.stays, self.ends, self.runs = again, stays, ends, runs


def shape(victim, volumes):
    """What is under test in one line: what `was` and `will` are compared with."""
    lines = ["%s is out" % h for h in victim.list("hosts")
             if victim.get("hosts/%s/fenced" % h) == "1"]
    for v in volumes:
        if v.name in ("v", "w"):
            hosts = " ".join("%s:%s,%s" % (a.host, a.status, a.mode) for a in v.attachments)
            lines.append("%s %s %s%s" % (v.name, v.status, v.size, hosts and " " + hosts))
    return "; ".join(lines)


def clear(victim):
    """No volume under test is left, and no host is fenced."""
    if victim.get("hosts/h1/fenced") != "0":
        victim.put("hosts/h1/fenced", "0")
    for name in ("v", "w"):
        if victim.exists("volumes/" + name):
            for host in victim.list("volumes/%s/attachments" % name):
                victim.rmdir("volumes/%s/attachments/%s" % (name, host))
            victim.rmdir("volumes/" + name)


def nothing(victim):
    pass


def new(victim):
    victim.new_volume("v", None)


def single(victim):
    victim.new_volume("v", "16M")


def reserved(victim):
    single(victim)
    victim.mkdir(H1)


def attached(victim):
    single(victim)
    victim.attach("v", "h1", "rw")


def attached_ro(victim):
    single(victim)
    victim.attach("v", "h1", "ro")


def shared(victim):
    """h2 is in already, in the mode that h1 will have; h3 is in, in the other one."""
    victim.new_volume("v", "16M", True)
    victim.attach("v", "h2", "ro")
    victim.attach("v", "h3", "rw")
    victim.mkdir(H1)


def shared_attached(victim):
    shared(victim)
    victim.put(H1 + "/mode", "ro")


def fenced(victim):
    shared_attached(victim)
    victim.put(H1 + "/fenced", "1")


def twice_attached(victim):
    attached(victim)
    victim.new_volume("w", "16M", True)
    victim.attach("w", "h1", "ro")
    victim.attach("w", "h2", "rw")


def plant(victim):
    """While attachfs is down somebody else leaves in tgtd what it did not ask for."""
    victim.kill()
    ours = {}
    for line in victim.tgtadm("--op", "show", "--mode", "target").splitlines():
        if line.startswith("Target "):
            tid, name = line[len("Target "):].split(": ")
            ours[name[-2:]] = tid
    target = ("--op", "new", "--mode", "target", "--tid")
    bind = ("--op", "bind", "--mode", "target", "--tid")
    volume = victim.unattached_id
    victim.tgtadm(*target, "5000001", "-T", "%s:%s.rw" % (PREFIX, uuid.uuid4()))
    victim.tgtadm(*bind, "5000001", "-Q", "iqn.2026-11.test:ghost")
    victim.tgtadm(*target, "5000002", "-T", "%s:%s.ro" % (PREFIX, volume))  # without a host
    victim.tgtadm(*target, "5000003", "-T", "%s:%s.rw" % (PREFIX, volume))
    victim.tgtadm(*bind, "5000003", "-Q", "iqn.2026-11.test:h1")
    victim.tgtadm(*bind, ours["ro"], "-Q", "iqn.2026-11.test:intruder")
    victim.tgtadm("--op", "new", "--mode", "account", "--user",
                  "%.18s.1@iqn.2026-11.test:ghost" % uuid.uuid4(),
                  "--password", "nobodys")
    victim.start()


def planted(victim):
    shared_attached(victim)
    victim.new_volume("w", "16M")
    victim.unattached_id = victim.get("volumes/w/id")


BESIDE = " h2:attached,ro h3:attached,rw"

OPERATIONS = {
    # what no backend has to do with
    "make": Operation(nothing, lambda victim: victim.mkdir(V), "", "v new 0", errno.EEXIST),
    "unmake": Operation(new, lambda victim: victim.rmdir(V), "v new 0", "", errno.ENOENT),
    "rename": Operation(attached, lambda victim: victim.rename(V, "volumes/w"),
                        "v in-use 16M h1:attached,rw", "w in-use 16M h1:attached,rw",
                        errno.ENOENT, "h1"),
    "reserve": Operation(single, lambda victim: victim.mkdir(H1), "v available 16M",
                         "v reserved 16M h1:reserved,", errno.EEXIST),
    "release": Operation(reserved, lambda victim: victim.rmdir(H1), "v reserved 16M h1:reserved,",
                         "v available 16M", errno.ENOENT),
    # volumes
    "create": Operation(new, lambda victim: victim.put(V + "/size", "16M"), "v new 0",
                        "v available 16M"),
    "grow": Operation(single, lambda victim: victim.put(V + "/size", "32M"), "v available 16M",
                      "v available 32M"),
    "grow-attached": Operation(shared_attached, lambda victim: victim.put(V + "/size", "32M"),
                               "v in-use 16M h1:attached,ro" + BESIDE,
                               "v in-use 32M h1:attached,ro" + BESIDE, 0, "h3"),
    "delete": Operation(single, lambda victim: victim.rmdir(V), "v available 16M", "", errno.ENOENT),
    # attachments
    "attach-rw": Operation(reserved, lambda victim: victim.put(H1 + "/mode", "rw"),
                           "v reserved 16M h1:reserved,", "v in-use 16M h1:attached,rw"),
    "attach-ro": Operation(shared, lambda victim: victim.put(H1 + "/mode", "ro"),
                           "v in-use 16M h1:reserved," + BESIDE,
                           "v in-use 16M h1:attached,ro" + BESIDE, 0, "h3"),
    "switch-ro": Operation(attached, lambda victim: victim.put(H1 + "/mode", "ro"),
                           "v in-use 16M h1:attached,rw", "v in-use 16M h1:attached,ro"),
    "switch-rw": Operation(shared_attached, lambda victim: victim.put(H1 + "/mode", "rw"),
                           "v in-use 16M h1:attached,ro" + BESIDE,
                           "v in-use 16M h1:attached,rw" + BESIDE, 0, "h3"),
    "detach-last": Operation(attached_ro, lambda victim: victim.rmdir(H1),
                             "v in-use 16M h1:attached,ro", "v available 16M", errno.ENOENT),
    "detach-beside": Operation(shared_attached, lambda victim: victim.rmdir(H1),
                               "v in-use 16M h1:attached,ro" + BESIDE, "v in-use 16M" + BESIDE,
                               errno.ENOENT, "h3"),
    # fences and failover
    "fence": Operation(shared_attached, lambda victim: victim.put(H1 + "/fenced", "1"),
                       "v in-use 16M h1:attached,ro" + BESIDE,
                       "v in-use 16M h1:fenced,ro" + BESIDE, 0, "h3", "h1"),
    "unfence": Operation(fenced, lambda victim: victim.put(H1 + "/fenced", "0"),
                         "v in-use 16M h1:fenced,ro" + BESIDE,
                         "v in-use 16M h1:reserved," + BESIDE),
    "fence-host": Operation(twice_attached, lambda victim: victim.put("hosts/h1/fenced", "1"),
                            "v in-use 16M h1:attached,rw; w in-use 16M h1:attached,ro h2:attached,rw",
                            "h1 is out; v reserved 16M h1:fenced,rw; "
                            "w in-use 16M h1:fenced,ro h2:attached,rw", 0, None, "h1"),
    "failover": Operation(attached, lambda victim: victim.rename(H1, H2),
                          "v in-use 16M h1:attached,rw", "v in-use 16M h2:attached,rw",
                          errno.ENOENT, None, "h1"),
    "failover-beside": Operation(shared_attached,
                                 lambda victim: victim.rename(H1, V + "/attachments/h4"),
                                 "v in-use 16M h1:attached,ro" + BESIDE,
                                 "v in-use 16M" + BESIDE + " h4:attached,ro",
                                 errno.ENOENT, "h3", "h1"),
    # the target daemon is killed, and attachfs while it mends that
    "tgtd-dies": Operation(shared_attached, lambda victim: victim.kill_tgtd(),
                           "v in-use 16M h1:attached,ro" + BESIDE,
                           "v in-use 16M h1:attached,ro" + BESIDE, runs=True),
    # what nobody asked for is found at start, and attachfs is killed while it removes that
    "strangers": Operation(planted, plant, "v in-use 16M h1:attached,ro" + BESIDE + "; w available 16M",
                           "v in-use 16M h1:attached,ro" + BESIDE + "; w available 16M",
                           0, "h3", runs=True),
}
