# SPDX-License-Identifier: GPL-2.0-or-later
"""An attachfs with kill points (include/attachfs/kill.h) on a tgtd of its own, and its hosts."""
import contextlib
import ctypes
import errno
import os
import signal
import subprocess

from lab import BUILD, Failed, Lab, put, tool, within

# Nothing takes longer unless it is broken, however busy the machine is.
PATIENCE = 60
ATTACHFS = os.path.join(BUILD, "kill/attachfs")
HOST = tool("host")
PREFIX = "iqn.2026-11.io.attachfs"
MNT_FORCE, MNT_DETACH = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


class Differs(Failed):
    """What should be so is not so, or not yet."""


def result_of(call):
    """0 or the errno."""
    try:
        call()
        return 0
    except OSError as e:
        return e.errno


def is_lost(result):
    """No answer: the process behind the mount is gone."""
    return result in (errno.ENOTCONN, errno.ECONNABORTED)


class Login:
    """What a host was told; it stays known to that host whatever becomes of the attachment."""

    def __init__(self, victim, attachment):
        def value(name):
            return victim.get(os.path.join(attachment, name))
        self.target = value("connection/target_iqn")
        self.portal = value("connection/target_portal")
        self.user = value("connection/auth_username")
        self.secret = value("connection/auth_password")
        self.initiator = value("initiator")

    def run(self, *words):
        """The exit status of the host tool and what it says."""
        done = subprocess.run(self.command(*words), env=self.environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def command(self, *words):
        return [HOST, words[0], "--portal", self.portal, "--target", self.target, "--user",
                self.user, "--initiator", self.initiator, "--timeout", "20000", *words[1:]]

    def environment(self):
        return {**os.environ, "HOST_SECRET": self.secret}


class Session:
    """A host that stays logged in and writes all the time."""

    def __init__(self, login, block):
        self.child = subprocess.Popen(login.command("hold", "--interval", "5", str(block)),
                                      env=login.environment(), text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        line = self.child.stdout.readline()
        if line != "ready\n":
            raise Failed("the host that was to stay cannot log in: %s" % line)

    def check(self):
        if self.child.poll() is not None:
            raise Failed("a host's session was disturbed: %s" % self.child.stdout.read())

    def end(self):
        self.check()
        self.child.stdin.close()
        said = self.child.stdout.read()
        if self.child.wait() or "error" in said:
            raise Failed("a host's session was disturbed: %s" % said)

    def drop(self):
        self.child.kill()
        self.child.wait()


class Victim(Lab):
    def __init__(self, docks=("ssd",), settings=()):
        super().__init__(docks=docks, settings=settings)
        self.order_file = os.path.join(self.dir, "order")

    def write_conf(self):
        """With one pool: where a volume goes is not what is looked at here."""
        super().write_conf()
        path = os.path.join(self.dir, "docks.d/ssd.yaml")
        with open(path, encoding="utf-8") as f:
            lines = [line for line in f if not line.startswith("  thick:")]
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(lines)

    # ---- the process; a kill leaves the dead mount to the next start ----

    def launch(self, env=()):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                [ATTACHFS, "-c", self.conf, "-f", self.mnt],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "ATTACHFS_KILL": "@" + self.order_file, **dict(env)})

    def is_dead(self):
        return self.daemon.poll() is not None

    def wait_dead(self):
        within(PATIENCE, "attachfs is dead", self.is_dead)

    def serves(self):
        with contextlib.suppress(OSError):
            return self.get("docks/ssd/status") == "available"
        return False

    def start(self, env=()):
        """False if it died before it served."""
        self.launch(env)
        within(PATIENCE, "the mount is served", lambda: self.is_dead() or self.serves())
        return not self.is_dead()

    def check_killed(self):
        """It ended as by SIGKILL, not in another way."""
        self.wait_dead()
        if self.daemon.returncode != -signal.SIGKILL:
            raise Failed("attachfs ended with status %d: %s"
                         % (self.daemon.returncode, self.log_tail()))

    def kill(self):
        self.daemon.kill()
        self.check_killed()

    def revive(self):
        """After a kill."""
        self.check_killed()
        if not self.start():
            raise Failed("it does not start again: status %s" % self.daemon.returncode)

    def kill_tgtd(self):
        """Those that run now: attachfs may start another one at once."""
        pids = self.tgtd_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        within(PATIENCE, "tgtd is dead", lambda: not set(pids) & set(self.tgtd_pids()))

    def close(self):
        """Whatever happened, nothing of it remains."""
        if self.daemon and not self.is_dead():
            self.daemon.kill()
        libc.umount2(self.mnt.encode(), MNT_FORCE)  # whoever waits for an answer gets none
        while libc.umount2(self.mnt.encode(), MNT_DETACH) == 0:
            pass
        super().close()
        self.kill_tgtd()  # one that was just being started when attachfs was killed

    def expect_agreement(self, option):
        """attachfs --check or --repair, while it does not run, says that all agree."""
        done = subprocess.run([ATTACHFS, "-c", self.conf, option], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Failed("%s: %s%s" % (option, done.stdout, done.stderr))

    # ---- kill points ----

    def arm(self, order):
        with open(self.order_file + ".new", "w", encoding="ascii") as f:
            f.write(order)
        os.rename(self.order_file + ".new", self.order_file)

    def disarm(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.order_file)

    def trace(self):
        """Begins to note which points are passed."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.order_file + ".trace")
        self.arm("trace")

    def traced(self):
        """The names of the points that were passed since."""
        self.disarm()
        with contextlib.suppress(FileNotFoundError):
            with open(self.order_file + ".trace", encoding="ascii") as f:
                return f.read().split()
        return []

    # ---- the tree ----

    def get(self, name):
        with open(self.path(name), "rb", buffering=0) as f:
            return f.read().decode().rstrip("\n")

    def put(self, name, value):
        put(self.path(name), value)

    def list(self, name):
        return sorted(os.listdir(self.path(name)))

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def mkdir(self, name):
        """By a process of its own: to its maker an object has no values yet (attachfs(7))."""
        child = os.fork()
        if not child:
            os._exit(result_of(lambda: os.mkdir(self.path(name))))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise OSError(status, os.strerror(status), name)

    def rmdir(self, name):
        os.rmdir(self.path(name))

    def rename(self, old, new):
        os.rename(self.path(old), self.path(new))

    def new_host(self, name):
        self.mkdir("hosts/" + name)
        self.put("hosts/%s/initiator" % name, "iqn.2026-11.test:" + name)

    def new_volume(self, name, size, multiattach=False, pool="ssd:fast"):
        self.mkdir("volumes/" + name)
        self.put("volumes/%s/pool" % name, pool)
        if multiattach:
            self.put("volumes/%s/multiattach" % name, "true")
        if size:
            self.put("volumes/%s/size" % name, size)

    def attach(self, volume, host, mode):
        self.mkdir("volumes/%s/attachments/%s" % (volume, host))
        self.put("volumes/%s/attachments/%s/mode" % (volume, host), mode)

    def login(self, volume, host):
        return Login(self, "volumes/%s/attachments/%s" % (volume, host))

    # ---- what tgtd says of itself ----

    def tgtadm(self, *words):
        done = subprocess.run(["tgtadm", "-C", str(self.port), "--lld", "iscsi", *words], text=True,
                              env={**os.environ, "TGT_IPC_SOCKET": self.state + "/tgt.ssd/s"},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Differs("tgtadm: %s" % done.stdout)
        return done.stdout
