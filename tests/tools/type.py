#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Types at a program that wants a terminal. What it shows is printed, its exit status is ours.

usage: type.py KEYS COMMAND...      KEYS with \\n, \\x1b and the like
"""
import fcntl
import os
import pty
import struct
import sys
import termios

keys = sys.argv[1].encode().decode("unicode_escape").encode("latin-1")


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execvp(sys.argv[2], sys.argv[2:])
    shown = os.read(terminal, 4096)  # it has the terminal as it wants it
    os.write(terminal, keys)
    while True:
        sys.stdout.buffer.write(shown)
        try:
            shown = os.read(terminal, 4096)
        except OSError:
            break
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
