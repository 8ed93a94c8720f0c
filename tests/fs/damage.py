#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Damages a state, a little in each page and at random, and has it read each time.

usage: damage.py ATTACHFS CONFIGURATION DATA_FILE
"""
import os
import random
import subprocess
import sys

PAGE = 4096
ROUNDS = 300


def garbage(rng, data, page):
    data[page * PAGE:page * PAGE + PAGE] = rng.randbytes(PAGE)


def zeros(_rng, data, page):
    data[page * PAGE:page * PAGE + PAGE] = bytes(PAGE)


def sector(rng, data, page):
    at = page * PAGE + rng.randrange(8) * 512
    data[at:at + 512] = rng.randbytes(512)


def other_page(rng, data, page):
    """As when a disk writes to the wrong place."""
    other = rng.randrange(len(data) // PAGE)
    data[page * PAGE:page * PAGE + PAGE] = data[other * PAGE:other * PAGE + PAGE]


def head(rng, data, page):
    """A byte of what says what the page is and where its entries are."""
    data[page * PAGE + rng.randrange(32)] = rng.randrange(256)


def anywhere(rng, data, page):
    for _ in range(rng.randrange(1, 9)):
        data[page * PAGE + rng.randrange(PAGE)] ^= 1 << rng.randrange(8)


KINDS = (garbage, zeros, sector, other_page, head, anywhere)


def main():
    attachfs, conf, path = sys.argv[1:]
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
    rng = random.Random(seed)
    with open(path, "rb") as f:
        good = f.read()
    pages = len(good) // PAGE
    rounds = [(kind, page) for kind in KINDS for page in range(pages)]
    if len(rounds) > ROUNDS:
        rounds = rng.sample(rounds, ROUNDS)
    served = 0
    for kind, page in rounds:
        data = bytearray(good)
        kind(rng, data, page)
        with open(path, "r+b") as f:
            f.write(data)
        done = subprocess.run([attachfs, "-c", conf, "--dump"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        with open(path, "rb") as f:
            same = f.read() == data
        said = done.stderr.splitlines()
        if done.returncode not in (0, 1) or not same or len(said) != done.returncode:
            sys.exit("%s in page %d of %d, SEED=%d: status %d, %s: %s"
                     % (kind.__name__, page, pages, seed, done.returncode,
                        "the same" if same else "changed", done.stderr))
        served += not done.returncode
    print("%d damages in %d pages: %d were not noticed" % (len(rounds), pages, served))
    # Most pages are in use, and bytes of text that were flipped are text.
    if served > len(rounds) // 2:
        sys.exit("hardly anything was noticed, SEED=%d" % seed)


main()
