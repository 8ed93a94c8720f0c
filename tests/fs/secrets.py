#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Attaches again and again, and looks for the secrets wherever they must not be.

usage: secrets.py MOUNT FOLDER ATTACHMENTS [COMMAND…]
Expects volumes/v0 v1 v2 and hosts/h0 to h3, which it leaves attached, each to one volume. FOLDER holds
the log, the configuration, the state folder `state` and the mount. COMMAND prints the store (--dump).
The secrets never leave this process: what it prints when it fails names the place, not the secret.
"""
import multiprocessing
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time

mount, folder, total = sys.argv[1], sys.argv[2], int(sys.argv[3])
dump_command = sys.argv[4:]
HOSTS, VOLUMES = 4, 3
PART = 16  # so many of a secret's 32 digits in a row are a leak too
DIGITS = re.compile(rb"[0-9a-fA-F]{%d,}" % PART)
failures = []


def read(path):
    with open(path, "rb") as f:
        return f.read()


def runs_of_digits(data):
    return {run.lower() for run in DIGITS.findall(data)}


class Seen:
    """Where which runs of digits were seen. Nothing shorter can hold a part of a secret."""

    def __init__(self):
        self.places = {}
        self.counts = {}

    def add(self, kind, place, data):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        for run in runs_of_digits(data):
            self.places.setdefault(run, "%s %s" % (kind, place))

    def find(self, secrets):
        parts = {s[i:i + PART] for s in secrets for i in range(len(s) - PART + 1)}
        return sorted({place for run, place in self.places.items()
                       if any(run[i:i + PART] in parts for i in range(len(run) - PART + 1))})


# ---- every process's argv and environment, all the while ----

def watch(ready, stop, result):
    """What is new is read in every round, because it may exec; the others in every 20th."""
    seen, old, rounds, known = Seen(), {int(p) for p in os.listdir("/proc") if p.isdigit()}, 0, set()
    while not stop.is_set():
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or (rounds % 20 and int(pid) in old):
                continue
            for name in ("cmdline", "environ"):
                try:
                    data = read("/proc/%s/%s" % (pid, name))
                except OSError:  # it ended
                    continue
                if data not in known:
                    known.add(data)
                    program = os.fsdecode(data.split(b"\0")[0])[:40] if name == "cmdline" else pid
                    seen.add("process", "%s of %s" % (name, program), data)
        rounds += 1
        if rounds == 1:
            ready.set()
    result.put((seen, rounds))


def canaries():
    """Short-lived processes with what looks like secrets: a watcher that misses them proves nothing."""
    made = []
    for _ in range(4):
        argument, variable = os.urandom(16).hex(), os.urandom(16).hex()
        made += [argument.encode(), variable.encode()]
        subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(.05)", argument],
                       env={"CANARY": variable}, check=True)
        time.sleep(.3)
    return made


# ---- attaching ----

def attach(volume, host, mode):
    path = "%s/volumes/v%d/attachments/h%d" % (mount, volume, host)
    os.mkdir(path)
    with open(path + "/mode", "w") as f:
        f.write(mode + "\n")
    return path


def password(path):
    with open(path + "/connection/auth_password", "rb") as f:
        return f.read()


class Host(threading.Thread):
    def __init__(self, number, times):
        super().__init__()
        self.number, self.times = number, times
        self.secrets, self.switched, self.texts, self.error = [], [], [], None

    def run(self):
        try:
            for i in range(self.times):
                path = attach((i + self.number) % VOLUMES, self.number, "rw" if i % 2 else "ro")
                self.secrets.append(password(path))
                if i % 10 == 0:  # while it is attached
                    for name in ("info.json", "../../info.json", "last_error"):
                        self.texts.append((name, read(os.path.join(path, name))))
                if i % 25 == 3:  # and what another mode brings
                    with open(path + "/mode", "w") as f:
                        f.write("ro\n" if i % 2 else "rw\n")
                    self.switched.append(password(path))
                if i != self.times - 1:
                    os.rmdir(path)
        except Exception as error:  # pylint: disable=broad-except
            self.error = "h%d: %s" % (self.number, error)


# ---- the places ----

def look_at_mount(seen):
    """Every name, link and readable file; the passwords themselves are the exception."""
    passwords = 0
    for where, folders, files in os.walk(mount):
        for name in folders + files:
            path = os.path.join(where, name)
            seen.add("name", path, os.fsencode(name))
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                seen.add("link", path, os.fsencode(os.readlink(path)))
                continue
            if not stat.S_ISREG(mode):
                continue
            if name == "auth_password":
                passwords += 1
                if stat.S_IMODE(mode) != 0o600:
                    failures.append("%s has mode %04o" % (path, stat.S_IMODE(mode)))
            elif os.lstat(path).st_mode & 0o444:
                seen.add("file", path, read(path))
    if passwords != HOSTS:
        failures.append("%d passwords in the mount, not %d" % (passwords, HOSTS))


def look_at_folder(seen, state):
    """Outside of the state folder: no trace; inside: nobody else's business."""
    for where, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if os.path.join(where, f) not in (mount, state)]
        for name in folders + files:
            seen.add("name", os.path.join(where, name), os.fsencode(name))
        for name in files:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                seen.add("log" if name == "log" else "outside", path, read(path))
    for place in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/run"}:
        if os.path.isdir(place):
            for name in os.listdir(place):
                seen.add("name", os.path.join(place, name), os.fsencode(name))


def look_at_state(secrets, state):
    """There the store alone holds them, and all is for its owner only. Sockets: their folder is."""
    holding = 0
    for where, folders, files in os.walk(state):
        for path in [where] + [os.path.join(where, name) for name in files]:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                continue
            if mode & 0o077 and not stat.S_ISSOCK(mode):
                failures.append("%s has mode %04o" % (path, stat.S_IMODE(mode)))
            if stat.S_ISREG(mode):
                seen = Seen()
                seen.add("state", path, read(path))
                holding += bool(seen.find(secrets))
    if holding != 1:
        failures.append("%d files of the state folder hold secrets, not the store alone" % holding)


def main():
    state = os.path.join(folder, "state")
    ready, stop, result = (multiprocessing.Event(), multiprocessing.Event(),
                           multiprocessing.Queue())
    watcher = multiprocessing.Process(target=watch, args=(ready, stop, result))
    watcher.start()
    ready.wait(30)
    hosts = [Host(n, total // HOSTS) for n in range(HOSTS)]
    start = time.monotonic()
    for host in hosts:
        host.start()
    known = canaries()
    for host in hosts:
        host.join()
    seconds = time.monotonic() - start
    stop.set()
    seen, rounds = result.get(timeout=30)
    watcher.join()

    failures.extend(host.error for host in hosts if host.error)
    taken = [line for host in hosts for line in host.secrets]
    if len(set(taken)) != len(taken):
        failures.append("%d secrets, only %d of them distinct" % (len(taken), len(set(taken))))
    taken += [line for host in hosts for line in host.switched]
    secrets = {line.rstrip(b"\n") for line in taken}
    failures.extend("a secret is not 128 bits: %d bytes" % len(line) for line in taken
                    if not re.fullmatch(rb"[0-9a-f]{32}\n", line))
    missed = [c for c in known if not seen.find([c])]
    if len(missed) > len(known) // 4:
        failures.append("the watcher missed %d of %d canaries" % (len(missed), len(known)))

    for host in hosts:
        for name, data in host.texts:
            seen.add("file", name + " at the time", data)
    look_at_mount(seen)
    look_at_folder(seen, state)
    dumped = subprocess.run(dump_command, check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT).stdout
    seen.add("--dump", "", dumped)
    for name, where in (("--dump", dumped), ("events", read(mount + "/events"))):
        if b"/attachments/h0" not in where:
            failures.append("%s, which was searched, does not tell of the attachments" % name)
    failures.extend("a secret is in: " + place for place in seen.find(secrets))
    look_at_state({password("%s/hosts/h%d/attachments/%s" % (mount, n, name)).strip()
                   for n in range(HOSTS)
                   for name in os.listdir("%s/hosts/h%d/attachments" % (mount, n))}, state)
    print("%d attachments in %.1f s, %d secrets; %d looks at all processes; searched: %s" %
          (sum(host.times for host in hosts), seconds, len(secrets), rounds,
           ", ".join("%d %s" % (n, kind) for kind, n in sorted(seen.counts.items()))))


main()
print("\n".join(failures[:40]))
sys.exit(1 if failures else 0)
