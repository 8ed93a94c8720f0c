#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""format1.py STATE: makes the folder's state one of format 1, as attachfs wrote it before format 2.

Each table was a tree of its own: names and children of an object were two of them, without a byte
that tells them apart; the root had a list of all attachments, and these an index by their initiators; a purge was a volume's number twice,
and what was unfinished of an attachment stood beside it.
"""
import os
import struct
import subprocess
import sys

META, CHILDREN, OBJECTS, PURGES = 2, 3, 1, 5
TABLES = {OBJECTS: "objects", META: "meta", 4: "hosts", PURGES: "unsettled", 6: "events"}
HEAD = struct.Struct("<HBBQ16s12s16sQQB")
ATTACHMENT, LIST_OF_ALL = 5, 8


def rows(state):
    """(table, key, value) of all."""
    text = subprocess.run(["mdb_dump", state], check=True, stdout=subprocess.PIPE, text=True).stdout
    data = text.split("HEADER=END\n")[1].split("DATA=END")[0].splitlines()
    data = [bytes.fromhex(line) for line in data]
    for key, value in zip(data[::2], data[1::2]):
        yield key[0], key[1:], value


def downgrade(state):
    """{table: {key: value}} as format 1 had them."""
    tables = {name: {} for name in [*TABLES.values(), "names", "children"]}
    for table, key, value in rows(state):
        if table == CHILDREN:
            name = {ord("n"): "names", ord("o"): "children"}[key[9]]
            tables[name][key[:9] + key[10:]] = value
            continue
        if table == PURGES:
            key += key
        if table == OBJECTS:
            head = HEAD.unpack_from(value)
            if head[1] == ATTACHMENT:
                name = value[HEAD.size:HEAD.size + head[9]]
                tables["children"][bytes(8) + bytes([LIST_OF_ALL]) + key] = name
                tables["hosts"][b"@iqn.2026-11.test:" + name + b"\0" + key] = b""
                tables["unsettled"][struct.pack(">Q", head[3]) + key] = b""
        tables[TABLES[table]][key] = value
    assert tables["meta"][b"format"] == b"attachfs 2"
    tables["meta"][b"format"] = b"attachfs 1"
    return tables


def main():
    state = sys.argv[1]
    tables = downgrade(state)
    for name in "data.mdb", "lock.mdb":
        os.remove(os.path.join(state, name))
    for name, table in tables.items():
        text = "VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=1073741824\nHEADER=END\n"
        text += "".join(" %s\n %s\n" % (k.hex(), v.hex()) for k, v in sorted(table.items()))
        subprocess.run(["mdb_load", "-s", name, state], check=True, input=text + "DATA=END\n", text=True)
    os.chmod(os.path.join(state, "data.mdb"), 0o600)


main()
