#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One user tries every operation on all that others have in a mounted tree.

usage: tenants.py MOUNT THIEF VICTIM warm|cold
THIEF has volumes/THIEF with attachments/THIEF, metadata/k and the temporary file .mine.tmp, and
the draft volumes/.THIEF; a user's group is 100 higher. warm: everybody has just read everything.
cold: the kernel forgets the tree before every call. Prints each call that did not fail as it must.
"""
import ctypes
import errno
import os
import stat
import sys

mount, thief, victim, caches = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 2, 4, 8, 32
NOREPLACE, EXCHANGE = 1, 2
SHARED = [os.path.join(mount, name) for name in ("volumes", "hosts")]
DENIED = (errno.EACCES, errno.EPERM)
own = os.path.join(mount, "volumes", str(thief))
calls, failures = 0, []


def become(uid):
    os.seteuid(0)
    os.setegid(uid + 100 if uid else 0)
    os.setgroups([])
    os.seteuid(uid)


def forget():
    """A remount with the flags it has drops the names and inodes of this mount alone."""
    flags = MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC
    if libc.mount(None, mount.encode(), None, flags, None):
        raise OSError(ctypes.get_errno(), "remount")


def touch(path, times=None):
    os.utime(path, times, follow_symlinks=False)


def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def opened(path, flags, value=None):
    fd = os.open(path, flags, 0o666)
    try:
        if value is not None:
            os.write(fd, value)
    finally:
        os.close(fd)


def nodes():
    for folder, names, files in os.walk(mount):
        yield folder
        for name in files + [n for n in names if os.path.islink(os.path.join(folder, n))]:
            yield os.path.join(folder, name)


def read_all(uid):
    """What that user can read of the tree."""
    become(uid)
    found = {}
    for path in nodes():
        try:
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as f:
                    found[path] = f.read()
        except PermissionError:
            pass
    become(0)
    return found


def on_any(path):
    yield os.chmod, path, 0o777
    yield os.lchown, path, thief, thief + 100
    yield os.lchown, path, -1, thief + 100
    yield touch, path
    yield touch, path, (1, 1)
    for name in "user.x", "trusted.x", "security.x", "system.posix_acl_access":
        yield os.setxattr, path, name, b"x"
    yield os.unlink, path
    yield os.rmdir, path
    # Out of where it is: into what is the thief's, aside, and in exchange
    for to in (own + "/attachments/stolen", own + "/metadata/stolen", own + "/stolen.tmp",
               mount + "/volumes/stolen", mount + "/volumes/.stolen", mount + "/hosts/stolen",
               path + "~", os.path.dirname(path) + "/.aside"):
        yield os.rename, path, to
        yield renameat2, path, to, NOREPLACE
    # Over it, with something of the thief's
    for mine in (own, own + "/attachments/%d" % thief, own + "/metadata/k", own + "/.mine.tmp",
                 mount + "/volumes/.%d" % thief, mount + "/hosts/%d" % thief):
        yield os.rename, mine, path
        yield renameat2, mine, path, EXCHANGE
    yield os.link, path, own + "/metadata/linked"
    yield os.link, path, own + "/linked.tmp"


def on_file(path, value):
    for flags in os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND:
        for more in 0, os.O_TRUNC, os.O_CREAT:
            yield opened, path, flags | more, value
    yield opened, path, os.O_RDONLY | os.O_TRUNC
    for size in 0, 1:
        yield os.truncate, path, size


def on_folder(path):
    for name in "new", ".draft", ".~tmp~", "mode", "attachments", str(thief), "12345":
        yield os.mkdir, path + "/" + name
    for name in ("key", ".new.tmp", "mode~", "sedAbCdEf", "mode", "size", "fenced", "#lock#",
                 "12345"):
        yield opened, path + "/" + name, os.O_WRONLY | os.O_CREAT, b"rw\n"
        yield opened, path + "/" + name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, b"rw\n"
        yield os.mknod, path + "/" + name, stat.S_IFREG | 0o644
        yield os.symlink, "me", path + "/" + name
    for mine in (own, own + "/attachments/%d" % thief, own + "/metadata/k", own + "/.mine.tmp",
                 mount + "/volumes/.%d" % thief, mount + "/hosts/%d" % thief):
        for name in "moved", "mode", "size", ".moved.tmp", str(thief), os.path.basename(mine):
            yield os.rename, mine, path + "/" + name


def shown(call):
    return "%s%s" % (call[0].__name__, tuple(str(a).replace(mount + "/", "") for a in call[1:]))


# What the kernel may say before it looks who asks; in none of these has anything been done.
ALSO = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTSUP, errno.EINVAL, errno.ENOTEMPTY,
        errno.EBUSY, errno.EXDEV, errno.ENOENT)


def may(call, mode):
    """What the mode lets everybody do, here as on a disk: touch a link or a shared folder.
    A link is followed to what is its owner's, and that is tried by itself."""
    if call[0] is touch and len(call) == 2 and mode & 0o002:
        return True
    return stat.S_ISLNK(mode) and call[0] in (os.chmod, os.setxattr)


def refused(call, also=ALSO):
    global calls
    if caches == "cold":
        forget()
    become(thief)
    calls += 1
    try:
        call[0](*call[1:])
        failures.append("succeeded: " + shown(call))
    except OSError as error:
        if error.errno not in DENIED + also:
            failures.append("%s: %s" % (errno.errorcode[error.errno], shown(call)))
    finally:
        become(0)


def attack(path, st, value):
    if stat.S_ISREG(st.st_mode):
        for call in on_file(path, value):
            refused(call, ())
    if stat.S_ISREG(st.st_mode) and not st.st_mode & 0o044:
        refused((opened, path, os.O_RDONLY), ())
    if stat.S_ISDIR(st.st_mode) and path not in SHARED:
        for call in on_folder(path):
            refused(call)
    if path != mount:
        for call in on_any(path):
            if not may(call, st.st_mode):
                refused(call)


prey = [(path, os.lstat(path)) for path in nodes()]
prey = [(path, st) for path, st in prey if st.st_uid != thief]
values = read_all(0)
secrets = [values[path] for path, _ in prey if path.endswith("/auth_password")]
if caches == "warm":
    read_all(victim)
seen = read_all(thief)
for path, value in seen.items():
    for secret in secrets:
        if secret.strip() in value:
            failures.append("has a secret of another user: " + path)
for path, st in prey:
    attack(path, st, values.get(path, b""))
print(len(prey), "nodes,", len(secrets), "secrets,", calls, "calls")
if len(secrets) < 2:
    failures.append("too few secrets to look for")
print("\n".join(failures))
sys.exit(1 if failures else 0)
