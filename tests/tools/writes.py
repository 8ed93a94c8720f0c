#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that must come of a tool that writes values, for each kind of object.

usage: writes.py [OPTION...] COMMAND MOUNT SCRATCH NAME
The command is given: v the value, f the file to write it to, d its directory, n its name, s a file
elsewhere that has the value and that name, t a folder for whatever it needs.
It runs four times for each file: a good value, the same again, another one, a bad one. With --batch
it runs four times for all of them, and list names a file with "FILE TAB VALUE" a line.
"""
import argparse
import collections
import os
import re
import sys
import time

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
        Place("line", "profiles/%s/description" % o, "a text", "another, longer text", None),
        Place("key", "profiles/%s/extra_specs/advanced.diskType" % o, "SSD", "HDD", None),
        Place("new", "profiles/%s/extra_specs/advanced.new" % o, "carol", "dave", None),
    ]


def as_another(make, *arguments):
    """To the process that makes an object it is empty at first, so that is not to be us."""
    pid = os.fork()
    if not pid:
        try:
            make(*arguments)
        except BaseException as error:
            os.write(2, ("%r\n" % error).encode())
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise Failure("the objects cannot be made")


def make_objects(mount, o):
    """A volume with a host's attachment, another host, a profile, all of the test's own."""
    volume = mount + "/volumes/" + o
    for name in (o, o + ".idle"):
        os.mkdir(mount + "/hosts/" + name)
    put("%s/hosts/%s/initiator" % (mount, o), "iqn.2026-11.test:" + o)
    os.mkdir("%s/profiles/%s" % (mount, o))
    os.mkdir(volume)
    put(volume + "/multiattach", "true")
    put(volume + "/size", "16M")
    os.mkdir("%s/attachments/%s" % (volume, o))


def wait_for(path):
    """A name that a tool has moved away and not put back comes back after a while."""
    end = time.monotonic() + 30
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.05)


class Spot:
    """One file that is written, and what must be true of it."""

    def __init__(self, options, place):
        self.place = place
        self.form = options.form
        self.newline = "" if options.bare else "\n"
        self.file = os.path.join(options.mount, place.file)
        self.folder, self.name = os.path.split(self.file)
        self.source = os.path.join(options.scratch, self.name)
        self.when = 1600000000
        self.backup = self.beside(options.backup) if options.backup else None
        if place.kind in ("line", "key"):
            put(self.file, self.form.replace("VALUE", "before"))
        elif self.name == "initiator" or (self.name == "mode" and options.edits):
            put(self.file, place.other)
        self.before = self.names()

    def beside(self, pattern):
        return os.path.join(self.folder, pattern.replace("NAME", self.name))

    def names(self):
        return {os.path.join(self.folder, name) for name in os.listdir(self.folder)}

    def use(self, value):
        self.was = read(self.file) if os.path.exists(self.file) else None
        self.value = self.form.replace("VALUE", value)
        put(self.source, self.value)
        self.when += 10  # rsync takes equal sizes of one second for equal files
        os.utime(self.source, (self.when, self.when))

    def arrived(self):
        got, want = read(self.file), self.value + self.newline
        if got != want.encode():
            return "reads back as %r" % got
        return effect(self.file, self.value)

    def nothing_left(self, ours):
        """ours: the files of all spots, and their backups."""
        names = self.names()
        if names - self.before - ours:
            return "left behind: %s" % sorted(names - self.before - ours)
        if self.before - names:
            return "gone: %s" % sorted(self.before - names)
        return None

    def backed_up(self):
        """What was there before stands beside it."""
        if self.backup and self.was is not None:
            if not os.path.exists(self.backup) or read(self.backup) != self.was:
                return "no backup of %r" % self.was
        return None

    def explained(self):
        why = text(object_of(self.folder) + "/last_error")
        return None if self.name in why else "last_error: " + why


class Check:
    """A tool and the files that it writes in one run."""

    def __init__(self, options, places):
        self.options = options
        self.spots = [Spot(options, place) for place in places]
        self.tool = Tool(options.command, options.scratch)
        self.list = os.path.join(options.scratch, "list")

    def run(self):
        one = self.spots[0]
        with open(self.list, "w") as f:
            f.writelines("%s\t%s\n" % (spot.file, spot.value) for spot in self.spots)
        self.tool.run(v=one.value, f=one.file, d=one.folder, n=one.name, s=one.source,
                      list=self.list)

    def must_each(self, what, spots=None):
        for spot in spots or self.spots:
            wrong = what(spot)
            self.tool.must(not wrong, "%s: %s" % (spot.place.file, wrong))

    def nothing_left(self, debris=None):
        ours = {spot.file for spot in self.spots} | {spot.backup for spot in self.spots}
        if debris:
            ours |= {spot.beside(debris) for spot in self.spots}
        self.must_each(lambda spot: spot.nothing_left(ours))

    def must_succeed(self, changes):
        self.tool.must(self.tool.says("exit status (%s)$" % self.options.success), "failed")
        if self.options.changed:
            self.tool.must(self.tool.says(self.options.changed) == changes,
                           "says what is not true of whether it changed anything")

    def changes(self, pick):
        for spot in self.spots:
            spot.use(pick(spot.place))
        self.run()
        self.must_succeed(True)
        self.must_each(Spot.arrived)
        self.must_each(Spot.backed_up)
        self.nothing_left()

    def changes_nothing(self):
        trail, before = Trail(self.options.mount), [state(spot.file) for spot in self.spots]
        self.run()
        self.must_succeed(False)
        self.must_each(Spot.arrived)
        if self.options.anew and self.spots[0].place.kind in ("key", "new"):
            return
        for spot, was in zip(self.spots, before):
            self.tool.must(state(spot.file) == was, "%s: changed by the second run: %s to %s" %
                           (spot.place.file, was, state(spot.file)))
        self.tool.must(not trail.since(), "the second run left a trail: " + trail.since())

    def is_refused(self):
        bad = [spot for spot in self.spots if spot.place.bad]
        trail, before = Trail(self.options.mount), [read(spot.file) for spot in self.spots]
        for spot in bad:
            spot.use(spot.place.bad)
        self.run()
        if not self.options.silent:
            self.tool.must(self.tool.says(self.options.reports), "does not report the refusal")
        for spot in bad:
            wait_for(spot.file)
        self.tool.must([read(spot.file) for spot in self.spots] == before, "it was changed")
        for spot in bad:
            self.tool.must(re.search('"refused".*' + spot.name, trail.since()), "no trail of it")
        self.nothing_left(self.options.debris)
        self.must_each(Spot.explained, bad[-1:])

    def all(self):
        self.changes(lambda place: place.good)
        self.changes_nothing()
        self.changes(lambda place: place.other)
        if any(spot.place.bad for spot in self.spots):
            self.is_refused()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edits", action="store_true", help="changes only what is there already")
    parser.add_argument("--bare", action="store_true", help="writes the value without a newline")
    parser.add_argument("--form", default="VALUE", help="what it can write at all")
    parser.add_argument("--only", default="value,line,key,new", help="the kinds of file it can write")
    parser.add_argument("--backup", help="where it leaves the value that was there, for NAME")
    parser.add_argument("--prepare", help="a command to run before all")
    parser.add_argument("--batch", action="store_true", help="all files in one run")
    parser.add_argument("--success", default="0", help="its exit status, a pattern")
    parser.add_argument("--files", help="only files of these names, for tools that take their time")
    parser.add_argument("--anew", action="store_true",
                        help="removes the file and makes another: a key is another then")
    parser.add_argument("--debris", help="what it leaves behind when it was refused, beside NAME")
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
    as_another(make_objects, options.mount, options.name)
    kinds = options.only.split(",")
    chosen = [place for place in places(options.name)
              if place.kind in kinds and not (options.edits and place.kind == "new") and
              (not options.files or os.path.basename(place.file) in options.files.split(","))]
    if options.prepare:
        Tool(options.prepare, options.scratch).run()
    try:
        for part in [chosen] if options.batch else [[place] for place in chosen]:
            Check(options, part).all()
    except Failure as failure:
        sys.exit("%s: %s" % (part[0].file, failure))


main()
