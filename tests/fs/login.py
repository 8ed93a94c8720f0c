# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries to log in under another host's name with its own secret, by every trick that it knows.

login.py PORTAL TARGET OWN-NAME OWN-USER OWN-SECRET OTHER-NAME OTHER-USER OTHER-SECRET

Prints "TRICK in" or "TRICK out" for each. Tricks that begin with "honest" use its own name.
"""
import hashlib
import socket
import struct
import sys

LOGIN, SECURITY, OPERATIONAL, FULL = 0x43, 0, 1, 3


class Refused(Exception):
    pass


class Connection:
    def __init__(self, portal, piece=None, ahs=b"", isid=b"\x80\x12\x34\x56\x00\x01", tsih=0):
        address, port = portal.rsplit(":", 1)
        self.socket = socket.create_connection((address, int(port)), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.piece, self.ahs, self.isid, self.tsih = piece, ahs, isid, tsih

    def send(self, flags, keys):
        data = "".join(f"{k}\0" for k in keys).encode()
        header = struct.pack(">BBBBB", LOGIN, flags, 0, 0, len(self.ahs) // 4)
        header += len(data).to_bytes(3, "big") + self.isid + struct.pack(">HIHHII", self.tsih, 1,
                                                                         1, 0, 1, 0)
        whole = header.ljust(48, b"\0") + self.ahs + data + b"\0" * (-len(data) % 4)
        for i in range(0, len(whole), self.piece or len(whole)):
            self.socket.sendall(whole[i:i + (self.piece or len(whole))])

    def receive(self):
        def exactly(n):
            got = b""
            while len(got) < n:
                more = self.socket.recv(n - len(got))
                if not more:
                    raise Refused("hung up")
                got += more
            return got

        header = exactly(48)
        n = int.from_bytes(header[5:8], "big")
        data = exactly(header[4] * 4 + (n + 3) // 4 * 4)[header[4] * 4:][:n]
        if header[0] & 0x3f == 0x23 and header[36]:
            raise Refused(f"status {header[36]:02x}{header[37]:02x}")
        return header, dict(k.split("=", 1) for k in data.decode().split("\0") if "=" in k)

    def ask(self, stage, to, keys):
        self.send(stage << 2 | (0x80 | to if to is not None else 0), keys)
        return self.receive()


def chap(secret, answer):
    number, challenge = int(answer["CHAP_I"]), bytes.fromhex(answer["CHAP_C"][2:])
    return "CHAP_R=0x" + hashlib.md5(bytes([number]) + secret.encode() + challenge).hexdigest()


def log_in(portal, target, names, users, secret, first=(), late=(), **connection):
    """Returns once it is in the full feature phase; Refused otherwise."""
    c = Connection(portal, **connection)
    c.ask(SECURITY, None, [*first, *(f"InitiatorName={n}" for n in names), "SessionType=Normal",
                           f"TargetName={target}", "AuthMethod=CHAP,None"])
    _, answer = c.ask(SECURITY, None, ["CHAP_A=5"])
    c.ask(SECURITY, OPERATIONAL, [*late, *(f"CHAP_N={u}" for u in users), chap(secret, answer)])
    for _ in range(4):
        header, _ = c.ask(OPERATIONAL, FULL, ["HeaderDigest=None", "DataDigest=None"])
        if header[1] & 0x83 == 0x83:
            return c, struct.unpack(">H", header[14:16])[0]
    raise Refused("no end")


def tricks(portal, target, own, user, secret, other, others_user, others_secret):
    def attempt(names, users, **more):
        return lambda: log_in(portal, target, names, users, secret, **more)

    def second_connection():
        """Joins a session that the other host has, and whose number it has guessed."""
        c, tsih = log_in(portal, target, [other], [others_user], others_secret)
        log_in(portal, target, [other], [user], secret, tsih=tsih)

    return {
        "honest": attempt([own], [user]),
        "honest, byte by byte": attempt([own], [user], piece=1),
        "honest, twice named": attempt([own, own], [user]),
        "the other name": attempt([other], [user]),
        "byte by byte": attempt([other], [user], piece=1),
        "in pieces": attempt([other], [user], piece=7),
        "both names": attempt([other, own], [user]),
        "its own name later": attempt([other], [user], late=[f"InitiatorName={own}"]),
        "its own name in another key": attempt([other], [user], first=[f"X=InitiatorName={own}"]),
        "both accounts": attempt([other], [user, others_user]),
        "the other account in another key": attempt([other], [user],
                                                    late=[f"X=CHAP_N={others_user}"]),
        "the other account first": attempt([other], [user], first=[f"CHAP_N={others_user}"]),
        "behind more header": attempt([other], [user], ahs=b"\0\2\0\0" * 200),
        "a second connection": second_connection,
    }


def main():
    for name, trick in tricks(*sys.argv[1:]).items():
        try:
            trick()
            print(name, "in", sep=": ")
        except (Refused, ConnectionError, KeyError) as e:
            print(name, "out", sep=": ")
            print(name, repr(e), file=sys.stderr)


main()
