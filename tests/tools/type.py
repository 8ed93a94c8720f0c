#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Types at a program that wants a terminal. What it shows is printed, its exit status is ours.

usage: type.py KEYS COMMAND...

KEYS with \\n, \\x1b and the like. Between two \\0 is no key but a pattern: it is waited for until the
program shows that, as programs show nothing of what is overtaken by the next key.
"""
import fcntl
import os
import pty
import re
import struct
import sys
import termios

steps = sys.argv[1].encode().decode("unicode_escape").encode("latin-1").split(b"\0")


def show(terminal, pattern):
    """Prints what comes, until the pattern is in it or the program has ended."""
    shown = b""
    while not re.search(pattern, shown):
        try:
            new = os.read(terminal, 4096)
        except OSError:
            return
        sys.stdout.buffer.write(new)
        shown += new


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execvp(sys.argv[2], sys.argv[2:])
    show(terminal, b".")  # it has the terminal as it wants it
    for keys, pattern in zip(steps[::2], steps[1::2] + [b"(?!)"]):
        os.write(terminal, keys)
        show(terminal, pattern)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
