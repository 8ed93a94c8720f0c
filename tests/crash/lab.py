# SPDX-License-Identifier: GPL-2.0-or-later
"""What the crash tests share: a private attachfs, waits with a bound, and how to report.

Environment: B, the build folder; TORTURE=1 for the long runs; SEED for the random numbers;
TEST_PORT_BASE, the first of 100 ports of our own.
"""
import contextlib
import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("B") or os.path.join(HERE, "../../build"))
ATTACHFS = os.path.join(BUILD, "attachfs")
TORTURE = os.environ.get("TORTURE", "") not in ("", "0")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
SKIPPED = 77

# Marks of a bug in a daemon's log, whatever else the log may say.
BUGS = ("runtime error", "Sanitizer", "SUMMARY:", "ssertion", "double free", "corrupted")


def tool(name):
    return os.path.join(BUILD, "tests/tools.d", name)


class Failed(Exception):
    """A promise that was not kept."""


MAIN = os.getpid()


def end_by_signal(number, _frame):
    """A test that takes too long still tidies up; what it has forked just ends."""
    if os.getpid() != MAIN:
        os._exit(1)
    raise Failed("ended by signal %d" % number)


signal.signal(signal.SIGTERM, end_by_signal)


def within(seconds, what, condition):
    """Waits until condition() is true, and returns what it returned."""
    end, pause = time.monotonic() + seconds, 0.001
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed("not in time: " + what)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def run(*command, **kwargs):
    """Runs a command that has to succeed; its output is shown only if it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False, **kwargs)
    if done.returncode:
        raise Failed("%s: status %d: %s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout


def free_port():
    base = int(os.environ.get("TEST_PORT_BASE") or 3500)
    for _ in range(200):
        port = base + random.randrange(100)
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
                return port
    raise Failed("no free port")


def put(path, value):
    """As echo VALUE >>PATH does."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.write(fd, value.encode() + b"\n")
    finally:
        os.close(fd)


def get(path):
    with open(path, encoding="utf-8") as f:
        return f.read().rstrip("\n")


def errname(error):
    return errno.errorcode.get(error.errno, str(error.errno))


class Lab:
    """A folder with a configuration, and the attachfs that serves it."""

    def __init__(self, state=None, docks=("mem",), pool=None, settings=()):
        self.dir = tempfile.mkdtemp(prefix="afs.")
        os.chmod(self.dir, 0o755)
        self.mnt = os.path.join(self.dir, "mnt")
        self.state = state or os.path.join(self.dir, "state")
        self.pool = pool or os.path.join(self.dir, "pool")
        self.control = os.path.join(self.dir, "control")
        self.log = os.path.join(self.dir, "log")
        self.conf = os.path.join(self.dir, "attachfs.yaml")
        self.daemon = None
        os.mkdir(self.mnt)
        self.settings = {"attachTimeout": "30", "detachTimeout": "30", "mapSize": "64M"}
        self.settings.update(settings)
        self.docks = docks
        self.port = free_port() if "ssd" in docks else None
        self.write_conf()

    def write_conf(self):
        folder = os.path.join(self.dir, "docks.d")
        os.makedirs(folder, exist_ok=True)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write("state: %s\ndocks: docks.d\n" % self.state)
            for key, value in self.settings.items():
                f.write("%s: %s\n" % (key, value))
        if "mem" in self.docks:
            with open(os.path.join(folder, "mem.yaml"), "w", encoding="utf-8") as f:
                f.write("name: mem\ndriver: memory\nmultiAttach: true\n"
                        "memory: {control: \"%s\"}\npool:\n"
                        "  ram: {storageType: block, availabilityZone: default, "
                        "totalCapacity: 1000000, multiAttach: true}\n" % self.control)
        if "ssd" in self.docks:
            with open(os.path.join(folder, "ssd.yaml"), "w", encoding="utf-8") as f:
                f.write("name: ssd\ndriver: tgt\nmultiAttach: true\n"
                        "tgt: {portal: \"127.0.0.1:%d\", controlPort: %d, spawn: true, chap: true}\n"
                        "pool:\n"
                        "  fast: {storageType: block, availabilityZone: default, path: %s, "
                        "totalCapacity: 10, multiAttach: true}\n"
                        "  thick: {storageType: block, availabilityZone: thick, path: %s, "
                        "totalCapacity: 10, multiAttach: true, "
                        "extras: {dataStorage: {provisioningPolicy: Thick}}}\n"
                        % (self.port, self.port, self.pool, self.pool + ".thick"))

    def path(self, *parts):
        return os.path.join(self.mnt, *parts)

    # ---- the daemon ----

    def launch(self, env=()):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([ATTACHFS, "-c", self.conf, "-f", self.mnt],
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                           env={**os.environ, **dict(env)})

    def is_served(self):
        if self.daemon.poll() is not None:
            raise Failed("attachfs ended with status %d: %s"
                         % (self.daemon.returncode, self.log_tail()))
        try:
            # Nobody but the daemon may answer: on the bare folder there is no such file.
            get(self.path("version"))
            return all(get(self.path("docks", dock, "status")) == "available"
                       for dock in self.docks)
        except OSError:
            return False

    def start(self, env=()):
        self.launch(env)
        within(30, "the mount is served", self.is_served)

    def stop(self, status=0):
        # Somebody else may be looking at all mounts just now.
        within(10, self.mnt + " can be unmounted", lambda: not subprocess.run(
            ["umount", self.mnt], stderr=subprocess.DEVNULL, check=False).returncode)
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            raise Failed("attachfs does not end") from None
        if self.daemon.returncode != status:
            raise Failed("attachfs ended with status %d: %s"
                         % (self.daemon.returncode, self.log_tail()))
        self.daemon = None
        self.check_log()

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None
        subprocess.run(["umount", "-l", self.mnt], stderr=subprocess.DEVNULL, check=False)

    def log_tail(self, lines=20):
        with open(self.log, errors="replace", encoding="utf-8") as f:
            return "".join(f.readlines()[-lines:])

    def check_log(self):
        with open(self.log, errors="replace", encoding="utf-8") as f:
            for line in f:
                if any(bug in line for bug in BUGS):
                    raise Failed("in the log: " + line.strip())

    def faults(self, text):
        """The memory driver's control file, in one step."""
        with open(self.control + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.control + ".new", self.control)

    def dump(self):
        """The stored records (dicts with `path`) and the numbers of what is unsettled."""
        done = subprocess.run([ATTACHFS, "-c", self.conf, "--dump"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Failed("--dump: status %d: %s" % (done.returncode, done.stderr))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return ([line for line in lines if "object" in line],
                [line["unsettled"] for line in lines if "unsettled" in line])

    def tgtd_pids(self):
        """The target daemons whose control sockets are in our state folder."""
        mark = b"TGT_IPC_SOCKET=" + self.state.encode() + b"/"
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/environ" % pid, "rb") as f:
                    if any(v.startswith(mark) for v in f.read().split(b"\0")):
                        with open("/proc/%s/comm" % pid, encoding="utf-8") as comm:
                            if comm.read().strip() == "tgtd":
                                found.append(int(pid))
        return found

    def kill_tgtd(self):
        for pid in self.tgtd_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        within(10, "tgtd is gone", lambda: not self.tgtd_pids())

    def close(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        while not subprocess.run(["umount", "-l", self.mnt], stderr=subprocess.DEVNULL,
                                 check=False).returncode:
            pass  # a dead one may be below it
        self.kill_tgtd()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            with contextlib.suppress(OSError):
                print("# the end of the log:\n# " + self.log_tail().replace("\n", "\n# "))
        self.close()


# ---- reporting, as bats does ----

class Report:
    """Runs tests one after another and says "ok N name" or "not ok N name" of each.

    If the program was given words, only tests with one of them in their names."""

    def __init__(self):
        self.n = 0
        self.failed = 0

    def test(self, name, fn, *args):
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            return
        self.n += 1
        started = time.monotonic()
        try:
            detail = fn(*args)
        except Failed as why:
            self.failed += 1
            print("not ok %d %s\n# %s" % (self.n, name, str(why).replace("\n", "\n# ")), flush=True)
            return
        print("ok %d %s (%s%.1f s)" % (self.n, name, detail + ", " if detail else "",
                                       time.monotonic() - started), flush=True)

    def exit(self):
        sys.exit(1 if self.failed else 0)


def needs_root():
    if os.geteuid():
        print("# needs root")
        sys.exit(SKIPPED)
