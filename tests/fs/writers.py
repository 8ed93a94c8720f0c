#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several processes write one attribute, in place and by rename, while others read it.

usage: writers.py VOLUME
Every read must be one of the values, whole; in the end it is what the last writer wrote.
"""
import os
import sys

volume = sys.argv[1]
path = os.path.join(volume, "description")
VALUES = [("%c" % (97 + i)).encode() * (10 + 700 * i) + b"\n" for i in range(4)]
ROUNDS = 150


def in_place(value):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, value)
    os.close(fd)


def by_rename(value):
    temp = os.path.join(volume, ".description.%06d" % os.getpid())
    with open(temp, "wb") as f:
        f.write(value)
    os.rename(temp, path)


def write_all(how, value):
    for _ in range(ROUNDS):
        how(value)


def read_all(until):
    n = 0
    while not select_readable(until):
        with open(path, "rb") as f:
            got = f.read()
        if got not in VALUES:
            sys.exit("read %d bytes that nobody wrote: %r…" % (len(got), got[:20]))
        n += 1
    print(n, "reads")


def select_readable(fd):
    import select
    return select.select([fd], [], [], 0)[0]


def spawn(fn, *args):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            fn(*args)
            status = 0
        except SystemExit as e:
            print(e, file=sys.stderr)
        except BaseException as e:  # the child must not go on as the parent
            print(repr(e), file=sys.stderr)
        os._exit(status)
    return pid


in_place(VALUES[0])
end_read, end_write = os.pipe()
readers = [spawn(read_all, end_read) for _ in range(2)]
writers = [spawn(write_all, how, value)
           for how, value in zip((in_place, by_rename, in_place, by_rename), VALUES)]
bad = sum(os.waitpid(pid, 0)[1] != 0 for pid in writers)
for value in VALUES:
    for how in in_place, by_rename:
        how(value)
        with open(path, "rb") as f:
            bad += f.read() != value
os.write(end_write, b"x")
bad += sum(os.waitpid(pid, 0)[1] != 0 for pid in readers)
sys.exit(bad)
