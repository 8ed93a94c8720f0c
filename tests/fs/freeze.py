# SPDX-License-Identifier: GPL-2.0-or-later
"""Stops all threads of a process but its main one, until standard input ends: a tgtd whose disk
hangs, and which itself goes on.

freeze.py PID
"""
import ctypes
import os
import sys

SEIZE, INTERRUPT, ALL = 0x4206, 0x4207, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, thread):
    if libc.ptrace(ctypes.c_long(request), thread, None, None):
        raise OSError(ctypes.get_errno(), f"ptrace of thread {thread}")


def main():
    pid = int(sys.argv[1])
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        if thread != pid:
            ptrace(SEIZE, thread)
            ptrace(INTERRUPT, thread)
            os.waitpid(thread, ALL)
    print("frozen", flush=True)
    sys.stdin.read()


main()
