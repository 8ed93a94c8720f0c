#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that must come of a tool that copies trees in, or removes them.

usage: trees.py copies [OPTION...] COMMAND MOUNT SCRATCH NAME
       trees.py declares --detach COMMAND [OPTION...] COMMAND MOUNT SCRATCH NAME
       trees.py removes [OPTION...] COMMAND MOUNT SCRATCH NAME
copies: the command is given src, a tree, and dst, where it goes. It runs for each stage of
        examples/desired, twice, and a third time with a bad value in the tree.
declares: the command makes by itself what examples/desired has; it runs twice. Then the command of
        --detach takes away the attachment of web2, twice.
removes: the command is given d, a directory to remove: an attachment among others, a volume that is
        attached, a host, a profile, and a volume that is protected.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

from tool import Failure, Tool, Trail, effect, put, read, state, text

DESIRED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/desired")
VOLUME, ATTACHED = "volumes/db", "volumes/db/attachments/web2"


def files_of(tree):
    """Every file of it, as a path within."""
    return sorted(os.path.relpath(os.path.join(folder, name), tree)
                  for folder, _, names in os.walk(tree) for name in names)


class Mount:
    def __init__(self, path):
        self.path = path

    def at(self, *names):
        return os.path.join(self.path, *names)

    def clear(self):
        """Removes all objects, by nothing but rmdir."""
        for protected in glob.glob(self.at("volumes/*/protected")):
            put(protected, "0")
        for pattern in ("volumes/*/attachments/*", "volumes/*", "hosts/*", "profiles/*"):
            for path in glob.glob(self.at(pattern)):
                os.rmdir(path)

    def shapes(self):
        """What is in an object of each kind that nobody has touched, by the depth of its path."""
        found = {}
        for path in "hosts", "profiles", "volumes", "volumes/shape/attachments":
            path += "/shape"
            os.mkdir(self.at(path))
            found[kind_of(path)] = names_in(self.at(path))
            if path == "volumes/shape":
                put(self.at(path, "size"), "1M")
        self.clear()
        return found


def kind_of(path):
    """volumes/, volumes/attachments/, hosts/ of an object: every other part is a name."""
    parts = path.split("/")
    return "/".join(parts[::2] + [""] * (len(parts) % 2 == 0))


def is_key(path):
    return os.path.basename(os.path.dirname(path)) in ("metadata", "extra_specs")


def names_in(path):
    """As others see it: we have made it, so to us it is empty at first."""
    return set(subprocess.check_output(["ls", "-A", path], text=True).splitlines())


def must_succeed(tool, options, changes):
    tool.must(tool.says("exit status (%s)$" % options.success), "failed")
    if options.changed:
        tool.must(tool.says(options.changed) == changes,
                  "says what is not true of whether it changed anything")


def undisturbed(path):
    return [read(os.path.join(path, name)) for name in ("status", "generation", "updated_at")]


class Copies:
    def __init__(self, options):
        self.options = options
        self.mount = Mount(options.mount)
        self.tool = Tool(options.command, options.scratch)
        self.shapes = self.mount.shapes()

    def run(self, tree):
        self.tool.run(src=tree or "", dst=self.mount.path, examples=os.path.dirname(DESIRED))

    def arrived(self, tree):
        for name in files_of(tree):
            got = read(self.mount.at(name))
            self.tool.must(got == read(os.path.join(tree, name)), "%s is %r" % (name, got))
            wrong = effect(self.mount.at(name), got.decode().strip())
            self.tool.must(not wrong, "%s: %s" % (name, wrong))

    def nothing_left(self, tree):
        for folder, names, files in os.walk(tree):
            path = os.path.relpath(folder, tree)
            got = names_in(self.mount.at(path))
            if is_key(path + "/x"):
                want = set(files)
            else:
                want = self.shapes.get(kind_of(path), set(names)) if path != "." else got
            self.tool.must(got == want, "%s: left behind or gone: %s" % (path, sorted(got ^ want)))

    def states(self, tree):
        """Of all files; a tool that makes them anew makes another key of each that is one."""
        return {name: state(self.mount.at(name)) for name in files_of(tree)
                if not (self.options.anew and is_key(name))}

    def first(self, tree):
        self.run(tree)
        must_succeed(self.tool, self.options, True)
        self.arrived(tree)
        self.nothing_left(tree)

    def again(self, tree):
        trail, before = Trail(self.mount.path), self.states(tree)
        self.run(tree)
        must_succeed(self.tool, self.options, False)
        after = self.states(tree)
        for name in before:
            self.tool.must(before[name] == after[name], "the second run changed %s: %s to %s" %
                           (name, before[name], after[name]))
        trail = [line for line in trail.since().splitlines()
                 if not (self.options.anew and re.search("/(metadata|extra_specs)/", line))]
        self.tool.must(not trail, "the second run left a trail: %s" % trail)
        self.nothing_left(tree)

    def refused(self, tree):
        bad = os.path.join(self.options.scratch, "bad")
        shutil.copytree(tree, bad)
        put(os.path.join(bad, ATTACHED, "mode"), "maybe")
        before = self.states(tree)
        self.run(bad)
        if not self.options.silent:
            self.tool.must(self.tool.says(self.options.reports), "does not report the refusal")
        for name, was in self.states(tree).items():
            self.tool.must(was[0] == before[name][0], "a refused tree has changed " + name)
        why = text(self.mount.at(ATTACHED, "last_error"))
        self.tool.must("mode" in why, "last_error: " + why)

    def all(self):
        stages = sorted(glob.glob(DESIRED + "/*/"))
        for stage in stages:
            self.first(stage)
        for stage in stages:
            self.again(stage)
        self.refused(stages[-1])


class Declares(Copies):
    """A declaration of the same in the tool's own words: it is all stages in one."""

    def all(self):
        desired = os.path.join(self.options.scratch, "desired")
        for stage in sorted(glob.glob(DESIRED + "/*/")):
            shutil.copytree(stage, desired, dirs_exist_ok=True)
        self.first(desired)
        self.again(desired)
        self.detach()

    def detach(self):
        other = undisturbed(self.mount.at("volumes/db/attachments/web1"))
        self.tool = Tool(self.options.detach, self.options.scratch)
        for changes in (True, False):
            trail = Trail(self.mount.path)
            self.run(None)
            must_succeed(self.tool, self.options, changes)
            self.tool.must(not os.path.exists(self.mount.at(ATTACHED)), "it is still there")
            self.tool.must(bool(trail.since()) == changes, "its trail: " + trail.since())
        self.tool.must(undisturbed(self.mount.at("volumes/db/attachments/web1")) == other,
                       "the other host was disturbed")


class Removes:
    def __init__(self, options):
        self.options = options
        self.mount = Mount(options.mount)
        self.tool = Tool(options.command, options.scratch)

    def desired(self):
        for stage in sorted(glob.glob(DESIRED + "/*/")):
            for name in files_of(stage):
                os.makedirs(self.mount.at(os.path.dirname(name)), exist_ok=True)
            for name in sorted(files_of(stage), key=lambda name: name.endswith("/size")):
                put(self.mount.at(name), text(os.path.join(stage, name)))

    def removed(self, path):
        self.tool.run(d=self.mount.at(path))
        must_succeed(self.tool, self.options, True)
        self.tool.must(not os.path.lexists(self.mount.at(path)), path + " is still there")

    def removed_already(self, path):
        trail = Trail(self.mount.path)
        self.tool.run(d=self.mount.at(path))
        must_succeed(self.tool, self.options, False)
        self.tool.must(not trail.since(), "the second run left a trail: " + trail.since())

    def is_refused(self):
        path = self.mount.at("volumes/kept")
        os.mkdir(path)
        put(path + "/description", "precious")
        put(path + "/metadata/owner", "alice")
        put(path + "/size", "16M")
        put(path + "/protected", "1")
        names = names_in(path)
        self.tool.run(d=path)
        if not self.options.silent:
            self.tool.must(self.tool.says(self.options.reports), "does not report the refusal")
        got = names_in(path)
        self.tool.must(got == names, "gone after a refusal: %s" % sorted(names ^ got))
        self.tool.must(text(path + "/description") == "precious", "a refused removal changed it")
        self.tool.must("protected" in text(path + "/last_error"), "last_error does not say why")

    def all(self):
        self.desired()
        other = undisturbed(self.mount.at("volumes/db/attachments/web1"))
        self.removed(ATTACHED)
        self.tool.must(undisturbed(self.mount.at("volumes/db/attachments/web1")) == other,
                       "the other host was disturbed")
        self.removed(VOLUME)
        self.removed("hosts/web1")
        if self.options.twice:
            self.removed_already(VOLUME)
            self.removed_already("hosts/web1")
        self.removed("hosts/web2")
        self.removed("profiles/shared")
        self.is_refused()
        put(self.mount.at("volumes/kept/protected"), "0")
        self.removed("volumes/kept")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["copies", "declares", "removes", "clear"])
    parser.add_argument("--detach", help="the command that detaches")
    parser.add_argument("--success", default="0", help="its exit status, a pattern")
    parser.add_argument("--silent", action="store_true", help="cannot tell that it was refused")
    parser.add_argument("--anew", action="store_true",
                        help="removes each file and makes another: a key is another then")
    parser.add_argument("--twice", action="store_true", help="removes what is gone without complaint")
    parser.add_argument("--reports", default="exit status [1-9]", help="how it tells")
    parser.add_argument("--changed", help="how it tells that it has changed something")
    for name in ("command", "mount", "scratch", "name"):
        parser.add_argument(name)
    return parser.parse_args()


def main():
    options = arguments()
    if options.what == "clear":
        Mount(options.mount).clear()
        return
    options.scratch = os.path.join(options.scratch, options.name)
    os.mkdir(options.scratch)
    try:
        {"copies": Copies, "declares": Declares, "removes": Removes}[options.what](options).all()
    except Failure as failure:
        sys.exit(str(failure))


main()
