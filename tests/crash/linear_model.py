# SPDX-License-Identifier: GPL-2.0-or-later
"""A small model of a volume and its attachments, and a checker of histories against it.

The model is what attachfs(7) says of volumes and attachments, and nothing of how it is done. An
operation takes effect at one moment between its call and its answer; what it sets off in the
backend is done later, at a moment of its own, and those who wait for it are answered after that.
"""
import random

# What a volume is: nothing, made, being provisioned, or there.
ABSENT, NEW, CREATING, AVAILABLE = range(4)
# What an attachment is.
RESERVED, ATTACHING, ATTACHED, DETACHING, ERROR = "reserved attaching attached detaching error".split()
OK = "OK"
VOLUME = "volume"  # the key of work for the volume itself; else it is the host's number
UNKNOWN = "?"      # nobody heard an answer: it has happened by the end, or never will

NOTHING = (ABSENT, False, 0, ())


def initial(hosts):
    return (ABSENT, False, 0, (None,) * hosts)


def with_host(state, host, attachment):
    return state[:3] + (state[3][:host] + (attachment,) + state[3][host + 1:],)


def writers(state, without=None):
    return sum(1 for h, a in enumerate(state[3])
               if a and h != without and a[0] != RESERVED and a[1] == "rw")


class Answer:
    """What an operation gives: an answer at once, or a wait for the work under `key`. If it
    begins new work under that key, those who waited for the old work have been overtaken."""

    def __init__(self, state, result=None, key=None, begins=False):
        self.state = state
        self.result = result
        self.key = key
        self.begins = begins


# ---- the operations: each gets the state and its arguments ----

def make(state):
    if state[0] != ABSENT:
        return Answer(state, "EEXIST")
    return Answer((NEW,) + NOTHING[1:3] + (state[3],), OK)


def size(state):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    if state[0] == AVAILABLE:
        return Answer(state, OK)
    return Answer((CREATING,) + state[1:], key=VOLUME, begins=state[0] == NEW)


def remove(state):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    if any(state[3]):
        return Answer(state, "EBUSY")
    return Answer((ABSENT, False, 0, state[3]), OK, VOLUME, begins=True)


def multiattach(state, value):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    if value == state[1]:
        return Answer(state, OK)
    if any(state[3]):
        return Answer(state, "EBUSY")
    return Answer((state[0], value) + state[2:], OK)


def max_writers(state, value):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    if value and writers(state) > value and value != state[2]:
        return Answer(state, "EBUSY")
    return Answer(state[:2] + (value, state[3]), OK)


def reserve(state, host):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    if state[3][host]:
        return Answer(state, "EEXIST")
    if state[0] == NEW or any(state[3]) and not state[1]:
        return Answer(state, "EBUSY")
    return Answer(with_host(state, host, (RESERVED, "rw", "")), OK)


def attach(state, host, mode):
    attachment = state[3][host]
    if not attachment:
        return Answer(state, "ENOENT")
    status, old, seen = attachment
    if status == ATTACHING and mode == old:
        return Answer(state, key=host)
    if status == ATTACHED and mode == old:
        return Answer(state, OK)
    if status in (ATTACHING, DETACHING):
        return Answer(state, "EBUSY")
    if status != ATTACHED and state[0] != AVAILABLE:
        return Answer(state, "EBUSY")
    if mode == "rw" and state[2] and writers(state, host) >= state[2]:
        return Answer(state, "EBUSY")
    return Answer(with_host(state, host, (ATTACHING, mode, seen)), key=host, begins=True)


def detach(state, host):
    attachment = state[3][host]
    if not attachment:
        return Answer(state, "ENOENT")
    status, mode, seen = attachment
    if status == RESERVED:
        return Answer(with_host(state, host, None), OK)
    if status == DETACHING:
        return Answer(state, key=host)
    return Answer(with_host(state, host, (DETACHING, mode, seen)), key=host, begins=True)


def volume_status(state):
    if state[0] in (ABSENT, NEW, CREATING):
        return Answer(state, ("ENOENT", "new", "creating")[state[0]])
    statuses = {a[0] for a in state[3] if a}
    for status, shown in ((ATTACHED, "in-use"), (ATTACHING, ATTACHING), (DETACHING, DETACHING),
                          (RESERVED, RESERVED), (ERROR, RESERVED)):
        if status in statuses:
            return Answer(state, shown)
    return Answer(state, "available")


def listing(state):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    return Answer(state, " ".join("h%d" % h for h, a in enumerate(state[3]) if a))


def read(field):
    def look(state, host):
        attachment = state[3][host]
        return Answer(state, attachment[field] if attachment else "ENOENT")
    return look


def read_mode(state, host):
    """Empty while it is not in force."""
    attachment = state[3][host]
    if not attachment:
        return Answer(state, "ENOENT")
    return Answer(state, "" if attachment[0] in (RESERVED, ERROR) else attachment[1])


def read_settings(state):
    if state[0] == ABSENT:
        return Answer(state, "ENOENT")
    return Answer(state, "%s %d" % (str(state[1]).lower(), state[2]))


OPERATIONS = {
    "make": make, "size": size, "remove": remove, "multiattach": multiattach,
    "max_writers": max_writers, "reserve": reserve, "attach": attach, "detach": detach,
    "volume_status": volume_status, "list": listing, "settings": read_settings,
    "status": read(0), "mode": read_mode, "effective_mode": read(2),
}
READS = {"volume_status", "list", "settings", "status", "mode", "effective_mode"}


def settle(state, key, faults):
    """What the work under `key` may come to: (state, what those who wait for it are told)."""
    if key == VOLUME:
        return [((AVAILABLE,) + state[1:], OK)] if state[0] == CREATING else []
    attachment = state[3][key]
    if attachment and attachment[0] == ATTACHING:
        mode = attachment[1]
        done = [(with_host(state, key, (ATTACHED, mode, mode)), OK)]
        if not faults:
            return done
        done.append((with_host(state, key, (ERROR, mode, "")), "EIO"))
        # The old mode could not be withdrawn: told, and tried again.
        return done + [(state, "EIO")] if attachment[2] not in ("", mode) else done
    if attachment and attachment[0] == DETACHING:
        done = [(with_host(state, key, None), OK)]
        return done + [(state, "EIO")] if faults else done  # told, and tried again
    return []


# ---- the checker ----

class Op:
    """One operation as its client saw it; times in ns."""

    def __init__(self, client, name, args, start, end, result):
        self.client, self.name, self.args = client, name, tuple(args)
        self.start, self.end, self.result = start, end, result

    def __str__(self):
        return "%d %d client %s: %s%s = %s" % (self.start, self.end, self.client, self.name,
                                               self.args, self.result)


CALL, RETURN, QUIET = range(3)
QUIESCE = "quiesce"


def events_of(ops):
    """Calls and answers in the order of time; an Op named QUIESCE says that all is settled."""
    events = []
    for op in ops:
        if op.name == QUIESCE:
            events.append((op.start, 0, QUIET, op))
            continue
        events.append((op.start, 0, CALL, op))
        events.append((op.end, 1, RETURN, op))
    events.sort(key=lambda e: e[:2])
    return [(kind, op) for _, _, kind, op in events]


# What has become of an operation that has been called: not yet anything; it waits for its work;
# it was overtaken while it waited; its work is done. One that had its effect is not pending.
CALLED, WAITS, OVERTAKEN, DONE = range(4)
LATE_ANSWERS = {OK, "EIO", "ETIMEDOUT", "ECANCELED"}


def matches(phase, value, result):
    """May one who has waited be answered so?"""
    return result == "ETIMEDOUT" or phase == OVERTAKEN and result == "ECANCELED" or \
        phase == DONE and result == value


class Checker:
    """Looks for an order in which the operations can have taken effect: depth first, and never
    the same situation twice. Whoever gets lost begins anew and tries things in another order.

    pending: a sorted tuple of (number of the op, phase, key or answer)."""

    LIMITS = (50000, 100000, 200000, 400000, 800000, 1600000)

    def __init__(self, ops, hosts, start=None, faults=False):
        self.events = events_of(ops)
        self.numbers = {id(op): i for i, op in enumerate(ops)}
        self.ops = ops
        self.faults = faults
        self.keys = (VOLUME,) + tuple(range(hosts))
        self.start = start or initial(hosts)
        self.end = None  # the state after a history that was explained
        self.furthest = self.situations = 0

    def effects(self, state, pending):
        """Everything that may happen by itself: an operation takes effect, or work is done."""
        for i, (_, phase, _) in enumerate(pending):
            effect = self.take_effect(state, pending, i) if phase == CALLED else None
            if effect:
                yield effect
        for key in self.keys:
            for after, told in settle(state, key, self.faults):
                waiting = any(p[1] == WAITS and p[2] == key for p in pending)
                if after == state and not waiting:
                    continue
                informed = self.move(pending, key, DONE, told)
                if informed is not None:
                    yield after, informed

    def move(self, pending, key, phase, value):
        """Those who wait for `key` go on to another phase; None if their answers forbid it."""
        moved = []
        for entry in pending:
            if entry[1] == WAITS and entry[2] == key:
                if not matches(phase, value, self.ops[entry[0]].result):
                    return None
                entry = (entry[0], phase, value)
            moved.append(entry)
        return tuple(moved)

    def take_effect(self, state, pending, i):
        """None if the answer that was heard forbids it, or if nothing comes of it."""
        number = pending[i][0]
        op = self.ops[number]
        answer = OPERATIONS[op.name](state, *op.args)
        rest = pending[:i] + pending[i + 1:]
        if answer.begins:
            rest = self.move(rest, answer.key, OVERTAKEN, None)
            if rest is None:
                return None
        if op.result == UNKNOWN:
            return (answer.state, rest) if answer.state != state or answer.begins else None
        if answer.result is None and op.result in LATE_ANSWERS:
            return answer.state, tuple(sorted(rest + ((number, WAITS, answer.key),)))
        return (answer.state, rest) if answer.result == op.result else None

    def plain(self, state, pending):
        """What only looks, or is refused, is best done as soon as its answer is right: it could
        not change anything later either."""
        left = []
        for entry in pending:
            if entry[1] == CALLED:
                op = self.ops[entry[0]]
                if op.result not in (OK, UNKNOWN) and \
                        OPERATIONS[op.name](state, *op.args).result == op.result:
                    continue
            left.append(entry)
        return state, tuple(left)

    def successors(self, index, state, pending):
        """What may come next, the likeliest last."""
        kind, op = self.events[index]
        number = self.numbers[id(op)]
        if kind == CALL:
            return [(index + 1, state, tuple(sorted(pending + ((number, CALLED, None),))))]
        found = [(index,) + effect for effect in self.effects(state, pending)]
        if kind == QUIET:
            settled = not any(settle(state, key, False) for key in self.keys)
            return [(index + 1, state, pending)] if settled else found
        i = next((i for i, entry in enumerate(pending) if entry[0] == number), None)
        if i is None:  # it has had its effect
            return [(index + 1, state, pending)]
        rest = pending[:i] + pending[i + 1:]
        if pending[i][1] != CALLED:
            done = matches(pending[i][1], pending[i][2], op.result)
            return [(index + 1, state, rest)] if done else found
        if op.result == UNKNOWN:
            return found + [(index + 1, state, rest)]
        effect = self.take_effect(state, pending, i)
        return found + [(index,) + effect] if effect else found

    def check(self):
        """None if the history is explained by the model, else why it is not."""
        for attempt, limit in enumerate(self.LIMITS):
            found = self.search(limit, random.Random(attempt) if attempt else None)
            if found is not None:
                return None if found else "no order explains it\n" + self.context()
        return "undecided after %d situations\n%s" % (self.situations, self.context())

    def search(self, limit, rng):
        """True, False, or None if the limit was reached."""
        stack = [(0, self.start, ())]
        seen = set(stack)
        while stack and len(seen) < limit:
            node = stack.pop()
            if node[0] == len(self.events):
                self.end = node[1]
                break
            self.furthest = max(self.furthest, node[0])
            successors = self.successors(*node)
            if rng:
                rng.shuffle(successors)
            for index, state, pending in successors:
                successor = (index,) + self.plain(state, pending)
                if successor not in seen:
                    seen.add(successor)
                    stack.append(successor)
        self.situations += len(seen)
        if self.end:
            return True
        return None if stack else False

    def context(self):
        """The operations around the event that nothing explains."""
        at = self.furthest
        near = {id(op): op for _, op in self.events[max(0, at - 40):at + 1]}
        return "\n".join(str(op) for op in near.values()) + "\nunexplained: %s" % self.events[at][1]
