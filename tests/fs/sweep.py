#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every attribute of every object of a mounted tree: what it takes, what it refuses and how.

usage: sweep.py MOUNT bad|good|readonly|complete|size
Expects profiles/swept with extra_specs/k, volumes/new (no size), volumes/made with attachments/held (reserved) and
attachments/used (attached), hosts/swept, and a metadata key `k` wherever there can be one.
"""
import errno
import os
import stat
import sys

mount, what = sys.argv[1:3]
E = errno.errorcode
failures = []

LONG = "x" * 4096
NOT_TEXT = [("a\nb", "EINVAL"), (LONG + "y", "EINVAL"), (b"\xff\xfe", "EINVAL"),
            ("a\0b", "EINVAL"), ("\x1b[31m", "EINVAL"), (b"\xc0\xaf", "EINVAL"),
            (b"\xed\xa0\x80", "EINVAL")]
NOT_BOOL = [(v, "EINVAL") for v in ("2", "maybe", "tru", "-1", "true false", "ja")]
NOT_NUMBER = [(v, "EINVAL") for v in
              ("-1", "x", "1.5", "0x10", "1e3", "4294967296", "99999999999999999999", "1 2", "+1")]
NOT_SIZE = [(v, "EINVAL") for v in
            ("\n", "0", "-1G", "1X", "G", "1.5G", "1G1", "1025K ish", "513", "1048577",
             "1023K", "2P", "1048576G1", "18446744073709551616", "99999999999P", "1 G", "1GiBs")]
NOT_IQN = [(v, "EINVAL") for v in
           ("host1", "iqn", "iqn.", "iqn.2026", "iqn.2026-13.x:a", "iqn.2026-00.x:a", "iqn.26-11.x",
            "iqn.2026-11", "iqn.2026-11.", "iqn.2026-11.:a", "iqn.2026-11.x y", "iqn.2026-11.x,y",
            "iqn.2026-11.x/y", "iqn.2026-11.x=y", "iqn.2026-11.x;y", "iqn.2026-11.x\ty",
            "iqn.2026-11.x_y", "eui.1234", "eui.12345678901234567", "eui.123456789012345g", "naa.1",
            "naa.12345678901234567", "ALL", "*", "iqn.2026-11.x:" + "a" * 210,
            "iqn.2026-11.x:\xe9")] + NOT_TEXT[:1]
NOT_IP = [(v, "EINVAL") for v in
          ("1.2.3", "1.2.3.256", "1.2.3.4.5", "host", "1.2.3.4/24", ":::", "12345::", "1.2.3.4:80",
           "01.2.3.04x", "fe80::1%eth0")]
NOT_POOL = [(v, "EINVAL") for v in
            (":", "a:", ":a", "a:b:c", "a b", "../a", "a/b", ".a", "-a", "x" * 64)]
NOT_NAME = [(v, "EINVAL") for v in ("a b", "../a", "a/b", ".a", "-a", "a:b", "x" * 64)]
NOT_MODE = [(v, "EINVAL") for v in
            ("x", "RO", "Rw", "r", "w", "rwx", "ro rw", "read-only", "ro\nrw", "0", "ro,rw", "r o")]

NOT_FLAG = NOT_BOOL

TEXTS = ["hello", "hello\n", "gr\u00fc\u00dfe \u2603\n", "a\tb", "  inner  blanks kept  \n",
         "x" * 4095 + "\n", LONG]
BOOLS = ["true", "true\n", "1", "0\n", "Yes", "off", "FALSE\n", "no"]
NUMBERS = ["0", "1\n", "00012", "4294967295\n", "7"]
IQNS = ["iqn.2026-11.io.example:a\n", "IQN.2026-11.IO.Example:B", "eui.02004567A425678D\n",
        "naa.52004567BA64678D", "naa.62004567ba64678d0123456789abcdef\n", "iqn.2026-11.test:swept\n"]
IPS = ["10.0.0.1\n", "::1", "2001:db8::1\n"]



def fixed(bad):
    """Of what may not change now, a value that is no value at all is refused either way."""
    return [(value, "EINVAL EBUSY") for value, _ in bad]


# object: attribute: what it refuses, what it takes
TABLE = {
    "hosts/swept": {
        "initiator": (NOT_IQN, IQNS), "ip": (NOT_IP, IPS), "os_type": (NOT_TEXT, TEXTS),
        "platform": (NOT_TEXT, TEXTS), "description": (NOT_TEXT, TEXTS),
        "fenced": (NOT_FLAG, ["1", "1\n", "true", "0", "0\n"]),
    },
    "profiles/swept": {
        "description": (NOT_TEXT, TEXTS), "storage_type": (NOT_TEXT, TEXTS + ["block\n"]),
        "extra_specs/k": (NOT_TEXT, TEXTS + ["<is> maybe", "x\n"]),
    },
    "volumes/new": {
        "profile": (NOT_NAME + [("nowhere", "EINVAL")], ["swept\n", "swept", " swept "]),
        "size": (NOT_SIZE, []), "multiattach": (NOT_BOOL, BOOLS + ["false\n"]),
        "pool": (NOT_POOL, ["ram\n", "mem:ram"]),
        "availability_zone": (NOT_TEXT, ["default\n", "default"]),
        "description": (NOT_TEXT, TEXTS), "group_id": (NOT_TEXT, TEXTS),
        "max_writers": (NOT_NUMBER, NUMBERS), "protected": (NOT_BOOL, BOOLS),
        "metadata/k": (NOT_TEXT, TEXTS),
    },
    "volumes/made": {
        "profile": (NOT_NAME + [("nowhere", "EINVAL"), ("swept", "ENOTSUP")], ["\n"]),
        # What is right in itself but not now: smaller, elsewhere, beyond all room.
        "size": (NOT_SIZE + [("512M", "EINVAL"), ("1023M", "EINVAL"), ("1P", "ENOSPC")],
                 ["1G", "1G\n", "1024M\n", "1073741824", "1GiB"]),
        "multiattach": (NOT_BOOL + [("false", "EBUSY")], []),
        "pool": (fixed(NOT_POOL) + [("solo", "EBUSY")], ["mem:ram\n", "mem:ram"]),
        "availability_zone": (fixed(NOT_TEXT) + [("single", "EBUSY")], ["default\n", "default"]),
        "description": (NOT_TEXT, TEXTS), "group_id": (NOT_TEXT, TEXTS),
        "max_writers": (NOT_NUMBER, NUMBERS), "protected": (NOT_BOOL, BOOLS),
        "metadata/k": (NOT_TEXT, TEXTS),
    },
    "volumes/made/attachments/held": {
        "mode": (NOT_MODE, []), "initiator": (NOT_IQN, IQNS), "ip": (NOT_IP, IPS),
        "os_type": (NOT_TEXT, TEXTS), "platform": (NOT_TEXT, TEXTS),
        "mountpoint": (NOT_TEXT, TEXTS), "metadata/k": (NOT_TEXT, TEXTS),
        "fenced": (NOT_FLAG, ["1", "1\n", "0", "yes\n", "0\n"]),
    },
    "volumes/made/attachments/used": {
        "mode": (NOT_MODE, ["rw", "rw\n", "ro", "ro\n"]),
        "initiator": (fixed(NOT_IQN) + [("iqn.2026-11.test:b", "EBUSY")], []), "ip": (NOT_IP, IPS),
        "os_type": (NOT_TEXT, TEXTS), "platform": (NOT_TEXT, TEXTS),
        "mountpoint": (NOT_TEXT, TEXTS), "metadata/k": (NOT_TEXT, TEXTS),
        "fenced": (NOT_FLAG, ["0", "0\n"]),
    },
}


def fail(path, text):
    failures.append("%s: %s" % (os.path.relpath(path, mount), text))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def write(path, value, flags=os.O_WRONLY | os.O_TRUNC):
    """One open, one write, as most tools do; the errno, 0 if none."""
    fd = os.open(path, flags)
    try:
        os.write(fd, value)
        return 0
    except OSError as error:
        return error.errno
    finally:
        os.close(fd)


def rows():
    for name, attributes in TABLE.items():
        for attribute, (bad, good) in attributes.items():
            yield os.path.join(mount, name), attribute, bad, good


def sweep_bad():
    for folder, attribute, bad, _ in rows():
        path = os.path.join(folder, attribute)
        for value, expected in bad:
            before, value = read(path), as_bytes(value)
            mtime = os.stat(path).st_mtime_ns
            got = write(path, value)
            show = value[:40]
            if E.get(got, "success") not in expected.split():
                fail(path, "%r: expected %s, got %s" % (show, expected, E.get(got, "success")))
            if read(path) != before:
                fail(path, "%r changed it to %r" % (show, read(path)[:40]))
            if os.stat(path).st_mtime_ns != mtime:
                fail(path, "%r was refused and changed mtime" % show)
            if not read(os.path.join(folder, "last_error")).strip():
                fail(path, "%r: last_error is empty" % show)
            elif not attribute.startswith(("metadata/", "extra_specs/")) and expected == "EINVAL" and \
                    attribute.encode() not in read(os.path.join(folder, "last_error")):
                fail(path, "%r: last_error does not name the attribute: %r" %
                     (show, read(os.path.join(folder, "last_error"))))


def sweep_good():
    for folder, attribute, _, good in rows():
        path = os.path.join(folder, attribute)
        before = read(path)
        for value in map(as_bytes, good):
            got = write(path, value)
            if got:
                fail(path, "%r: %s: %s" % (value[:40], E[got],
                                           read(os.path.join(folder, "last_error"))))
                continue
            if read(path) != value:
                fail(path, "wrote %r, read %r" % (value[:40], read(path)[:40]))
            if os.stat(path).st_size != len(value):
                fail(path, "wrote %r, size %d" % (value[:40], os.stat(path).st_size))
            if read(os.path.join(folder, "last_error")).strip():
                fail(path, "wrote %r, last_error still says %r" %
                     (value[:40], read(os.path.join(folder, "last_error"))))
        if good and before:
            write(path, before)


def files():
    for folder, _, names in os.walk(mount):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path


def sweep_readonly():
    n = 0
    for path in files():
        if os.stat(path).st_mode & 0o222 and not path.endswith("/auth_password"):
            continue
        n += 1
        before = read(path) if not path.endswith(("/events", "/metrics")) else b""
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC,
                      os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_CREAT):
            try:
                os.close(os.open(path, flags))
                fail(path, "could be opened with flags %#o" % flags)
            except OSError as error:
                if error.errno != errno.EACCES:
                    fail(path, "open: %s, not EACCES" % E[error.errno])
        try:
            os.truncate(path, 0)
            fail(path, "could be truncated")
        except OSError as error:
            if error.errno != errno.EACCES:
                fail(path, "truncate: %s, not EACCES" % E[error.errno])
        if before and read(path) != before and not path.endswith("last_error"):
            fail(path, "changed")
    print(n, "read-only attributes")


def sweep_complete():
    """The table above knows every attribute that can be written."""
    known = {os.path.join(folder, attribute) for folder, attribute, _, _ in rows()}
    known |= {path.replace("/hosts/swept/", "/hosts/used/") for path in known}
    for path in files():
        if os.stat(path).st_mode & 0o222 and not path.endswith("/auth_password") and \
                path not in known:
            fail(path, "can be written and is not in the table of this test")
    for path in known:
        if not os.stat(path).st_mode & 0o200:
            fail(path, "is settable but its mode says that it is not")


def sweep_size():
    n = 0
    for path in files():
        size, got = os.stat(path).st_size, len(read(path))
        if size != got and not path.endswith(("/events", "/metrics")):
            fail(path, "st_size is %d, %d bytes were read" % (size, got))
        n += 1
    print(n, "files")


{"bad": sweep_bad, "good": sweep_good, "readonly": sweep_readonly, "complete": sweep_complete,
 "size": sweep_size}[what]()
print("\n".join(failures))
sys.exit(1 if failures else 0)
