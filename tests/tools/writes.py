#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that must come of a tool that writes values, for each kind of object.

usage: writes.py [OPTION...] COMMAND MOUNT SCRATCH NAME
The command is given: v the value, f the file to write it to, d its directory, n its name, s a file
elsewhere that has the value and that name, t a folder for whatever it needs.
It runs four times for each file: a good value, the same again, another one, a bad one.
"""
import argparse
import collections
import os
import sys

from tool import Failure, Tool, Trail, effect, object_of, put, read, state, text

Place = collections.namedtuple("Place", "kind file good other bad")


def places(o):
    """Kinds: a value that is checked, a line of free text, a key, a key that is not there yet."""
    return [
        Place("value", "volumes/%s/attachments/%s/mode" % (o, o), "ro", "rw", "maybe"),
        Place("value", "volumes/%s/max_writers" % o, "2", "13", "many"),
        Place("value", "volumes/%s/size" % o, "32M", "64M", "tiny"),
        Place("value", "hosts/%s.idle/initiator" % o, "iqn.2026-11.test:%s.a" % o,
              "iqn.2026-11.test:%s.b" % o, "iqn.nonsense"),
        Place("line", "volumes/%s/description" % o, "a text", "another, longer text", None),
        Place("key", "volumes/%s/metadata/owner" % o, "alice", "bob", None),
        Place("key", "volumes/%s/attachments/%s/metadata/note" % (o, o), "one", "two", None),
        Place("new", "volumes/%s/metadata/fresh" % o, "carol", "dave", None),
    ]


def make_objects(mount, o):
    """A volume with a host's attachment, and another host, all of the test's own."""
    volume = mount + "/volumes/" + o
    for name in (o, o + ".idle"):
        os.mkdir(mount + "/hosts/" + name)
    put("%s/hosts/%s/initiator" % (mount, o), "iqn.2026-11.test:" + o)
    os.mkdir(volume)
    put(volume + "/multiattach", "true")
    put(volume + "/size", "16M")
    os.mkdir("%s/attachments/%s" % (volume, o))


class Check:
    def __init__(self, options, place):
        self.options = options
        self.place = place
        self.file = os.path.join(options.mount, place.file)
        self.folder, self.name = os.path.split(self.file)
        self.tool = Tool(options.command, options.scratch)
        self.source = os.path.join(options.scratch, self.name)
        self.backup = (options.backup or "").replace("NAME", self.name)

    def use(self, value):
        self.value = value
        put(self.source, value)

    def run(self):
        self.tool.run(v=self.value, f=self.file, d=self.folder, n=self.name, s=self.source)

    def arrived(self):
        got, want = read(self.file), self.value + ("" if self.options.bare else "\n")
        self.tool.must(got == want.encode(), "reads back as %r" % got)
        wrong = effect(self.file, self.value)
        self.tool.must(not wrong, wrong)

    def nothing_left(self):
        names = set(os.listdir(self.folder)) - {self.name}
        left = names - self.names - {self.backup}
        self.tool.must(not left, "left behind: %s" % sorted(left))
        self.tool.must(names >= self.names, "gone: %s" % sorted(self.names - names))

    def backed_up(self, before):
        got = read(os.path.join(self.folder, self.backup))
        self.tool.must(got == before, "its backup is %r" % got)

    def changes(self, value):
        before = read(self.file) if os.path.exists(self.file) else None
        self.use(value)
        self.run()
        self.tool.must(self.tool.says("exit status 0$"), "failed")
        if self.options.changed:
            self.tool.must(self.tool.says(self.options.changed), "does not say that it changed it")
        self.arrived()
        self.nothing_left()
        if self.backup and before is not None:
            self.backed_up(before)

    def changes_nothing(self):
        trail, before = Trail(self.options.mount), state(self.file)
        self.run()
        self.tool.must(self.tool.says("exit status 0$"), "failed the second time")
        if self.options.changed:
            self.tool.must(not self.tool.says(self.options.changed), "says that it changed it again")
        after = state(self.file)
        self.tool.must(after == before, "changed by the second run: %s to %s" % (before, after))
        self.tool.must(not trail.since(), "the second run left a trail: " + trail.since())

    def is_refused(self, value):
        trail, before = Trail(self.options.mount), state(self.file)
        self.use(value)
        self.run()
        if not self.options.silent:
            self.tool.must(self.tool.says(self.options.reports), "does not report the refusal")
        self.tool.must(state(self.file) == before, "a bad value has changed it")
        self.tool.must("refused" in trail.since(), "the trail has no refusal")
        why = text(object_of(self.folder) + "/last_error")
        self.tool.must(self.name in why, "last_error: " + why)
        self.nothing_left()

    def all(self):
        if self.place.kind in ("line", "key"):
            put(self.file, "before")
        elif self.name == "initiator":
            put(self.file, self.place.other)
        self.names = set(os.listdir(self.folder)) - {self.name}
        self.changes(self.place.good)
        self.changes_nothing()
        self.changes(self.place.other)
        if self.place.bad:
            self.is_refused(self.place.bad)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edits", action="store_true", help="changes only what is there already")
    parser.add_argument("--bare", action="store_true", help="writes the value without a newline")
    parser.add_argument("--only", default="value,line,key,new", help="the kinds it can write at all")
    parser.add_argument("--backup", help="where it leaves the value that was there, for NAME")
    parser.add_argument("--silent", action="store_true", help="cannot tell that it was refused")
    parser.add_argument("--reports", default="exit status [1-9]", help="how it tells")
    parser.add_argument("--changed", help="how it tells that it has changed something")
    for name in ("command", "mount", "scratch", "name"):
        parser.add_argument(name)
    return parser.parse_args()


def main():
    options = arguments()
    options.scratch = os.path.join(options.scratch, options.name)
    os.mkdir(options.scratch)
    make_objects(options.mount, options.name)
    kinds = options.only.split(",")
    for place in places(options.name):
        if place.kind not in kinds or (options.edits and place.kind == "new"):
            continue
        try:
            Check(options, place).all()
        except Failure as failure:
            sys.exit("%s: %s" % (place.file, failure))


main()
