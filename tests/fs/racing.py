#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""N processes make a directory each, all at the same moment, round after round.

usage: racing.py FOLDER PROCESSES ROUNDS
Prints how often each count of winners and each errno of the losers came about.
"""
import collections
import errno
import os
import sys

folder, n, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
# All wait on one pipe and are let go by one write; two pipes take turns, so that a process
# that is through early cannot take another's start.
starts = [os.pipe(), os.pipe()]
results = os.pipe()


def racer(number):
    path = os.path.join(folder, "h%d" % number)
    for turn in range(rounds):
        os.read(starts[turn % 2][0], 1)
        code = 0
        try:
            os.mkdir(path)
        except OSError as error:
            code = error.errno
        os.write(results[1], bytes([number, code]))
    os._exit(0)


for k in range(n):
    if not os.fork():
        racer(k)

winners, losers = collections.Counter(), collections.Counter()
for turn in range(rounds):
    os.write(starts[turn % 2][1], b"x" * n)
    won = []
    for k in range(n):
        number, code = os.read(results[0], 2)
        if code:
            losers[errno.errorcode[code]] += 1
        else:
            won.append(number)
    winners[len(won)] += 1
    for number in won:
        os.rmdir(os.path.join(folder, "h%d" % number))
for k in range(n):
    os.wait()
print("winners", dict(winners))
print("losers", dict(losers))
