# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a tool against the mount, and looks at what it has done to an object."""
import os
import re
import signal
import subprocess

# No tool may take longer, whatever it is answered; those that are many programs may.
SECONDS = int(os.environ.get("TOOL_SECONDS", 60))

DEBIAN = "/usr/sbin:/usr/bin:/sbin:/bin"

# type KEYS COMMAND...: on a terminal
PRELUDE = 'type() { python3 -B "%s" "$@"; }\n' % os.path.join(os.path.dirname(os.path.abspath(__file__)), "type.py")


class Failure(Exception):
    pass


def read(path):
    with open(path, "rb") as f:
        return f.read()


def text(path):
    return read(path).decode().strip()


def put(path, value):
    with open(path, "wb") as f:
        f.write(value.encode() + b"\n")


class Tool:
    """A command for bash, in a folder of its own; what it said last is in `said`."""

    def __init__(self, command, folder):
        self.command = command
        self.folder = folder
        self.said = ""

    def run(self, **variables):
        process = subprocess.Popen(
            ["bash", "-c", PRELUDE + self.command], cwd=self.folder, start_new_session=True,
            env=dict(os.environ, PATH=DEBIAN, LC_ALL="C.UTF-8", t=self.folder, **variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output = process.communicate(timeout=SECONDS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise self.failure("it hangs")
        self.said = "%sexit status %d" % (output.decode(errors="replace"), process.returncode)

    def says(self, pattern):
        return re.search(pattern, self.said) is not None

    def failure(self, why):
        return Failure("%s\ncommand: %s\n%s" % (why, self.command, self.said))

    def must(self, condition, why):
        if not condition:
            raise self.failure(why)


def object_of(path):
    """The nearest directory above that is an object: it has an updated_at."""
    while not os.path.exists(os.path.join(path, "updated_at")):
        path = os.path.dirname(path)
        if path == "/":
            raise Failure("no object")
    return path


def state(path):
    """Whatever a change would show in: a file's bytes, time and size, and its object's time."""
    st = os.stat(path)
    return (read(path), st.st_mtime_ns, st.st_size, st.st_mode, st.st_uid,
            read(os.path.join(object_of(path), "updated_at")))


def effect(path, value):
    """What the backend has made of a value; None if it is as it should be."""
    folder, name = os.path.split(path)
    if name == "mode":
        seen = text(folder + "/status"), text(folder + "/effective_mode")
        return None if seen == ("attached", value) else "status and effective_mode: %s, %s" % seen
    if name == "size":
        seen = int(text(folder + "/size_bytes"))
        want = int(value[:-1]) << {"M": 20, "G": 30}[value[-1]]
        return None if seen == want else "size_bytes: %d" % seen
    return None


class Trail:
    """What the audit log has been told since."""

    def __init__(self, mount):
        self.path = mount + "/events"
        self.start = os.stat(self.path).st_size

    def since(self):
        return read(self.path)[self.start:].decode()
