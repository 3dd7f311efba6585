# SPDX-License-Identifier: Apache-2.0
"""A cluster that falls into halves: what each of them serves, and what is left of it when they meet."""
import collections

from redis.crc import key_slot

from load import SLOPPY, Load, define_sloppy
from network import Network
from world import eventually, wait_for_sight

EACH = 10  # keys with 0, 1, 2 and 3 replicas in the left half
SLOTS = 16384
PAGE = 256
HEAL_SECONDS = 60


def slots_of(node):
    """Of which it has copies."""
    slots = set()
    with node.client(10) as client:
        for first in range(0, SLOTS, PAGE):
            reply = client.execute_command("QUOIT DIGESTS", first, first + PAGE - 1)
            for _, partitions in reply[reply.index(b"keyspaces") + 1]:
                slots.update(slot for slot, _, _ in partitions)
    return slots


def spread(left):
    """Keys, and how many replicas each has among the nodes on the left: some with each number."""
    slots = [slots_of(node) for node in left]
    keys = {}
    counts = collections.Counter()
    for i in range(100000):
        copies = sum(key_slot(b"key%d" % i) in held for held in slots)
        if counts[copies] < EACH:
            counts[copies] += 1
            keys[f"key{i}"] = copies
        if len(keys) == 4 * EACH:
            return keys
    raise AssertionError(f"not enough keys of each kind: {counts}")


def siblings(reply):
    return {value[value.index(b"value") + 1] for value in reply[reply.index(b"values") + 1]}


class Half:
    """One side, and how many of the three replicas of each key are on it."""

    def __init__(self, name, nodes, copies, first):
        self.name = name
        self.nodes = nodes
        self.copies = copies
        self.load = Load(nodes, 2, SLOPPY, first)

    def ask(self, i, *command):
        """What one of its nodes says, another one for another number."""
        return self.nodes[i % len(self.nodes)].answer(*command)

    def refuses(self, i, *command):
        said = self.ask(i, *command)
        assert str(said).startswith("NOQUORUM"), (self.name, command, said)

    def serve(self):
        """Strict levels where enough replicas are here."""
        for i, (key, copies) in enumerate(self.copies.items()):
            value = f"{self.name} strict".encode()
            if copies >= 2:
                assert self.ask(i, "SET", key, value) is True
                assert self.ask(i + 1, "GET", key) == value
            else:
                self.refuses(i, "SET", key, value)
                self.refuses(i + 1, "GET", key)
            if copies < 3:
                self.refuses(i, "KV.PUT", key, value, "W", "ALL")
                self.refuses(i + 1, "KV.GET", key, "R", "ALL")

    def serve_sloppily(self):
        """All keys, also where no replica is here."""
        for i, (key, copies) in enumerate(self.copies.items()):
            value = f"{self.name} sloppy"
            key = f"{SLOPPY}:{{{key}}}"
            for written in (value + " before", value):
                assert self.ask(i, "SET", key, written) is True, (self.name, key, copies)
                assert self.ask(i + 1, "GET", key) == written.encode()


def test_each_half_serves_what_it_can_and_both_keep_what_either_took(world):
    with Network(6) as network:
        nodes = network.cluster(world, 6)
        define_sloppy(nodes[0])
        copies = spread(nodes[:3])
        halves = (Half("left", nodes[:3], copies, 0),
                  Half("right", nodes[3:], {key: 3 - count for key, count in copies.items()}, 2))
        for key in copies:
            for old in key, f"{SLOPPY}:{{{key}}}":
                assert nodes[0].answer("SET", old, "old") is True
        world.verify()
        network.part(range(3), range(3, 6))
        wait_for_sight(nodes, *[3] * 6)
        with halves[0].load, halves[1].load:
            for half in halves:
                eventually(half.load.is_moving(), 20, f"writers on the {half.name} go on")
                half.serve()
                half.serve_sloppily()
            for half in halves:
                eventually(half.load.is_moving(), 20, f"writers on the {half.name} go on")
            network.heal()
        seconds = world.verify(HEAL_SECONDS)
        print(f"    {sum(half.load.writes() for half in halves)} writes in halves, equal after "
              f"{seconds:.1f} s")
        wait_for_sight(nodes, *[len(nodes)] * len(nodes))
        # What stand-ins have minted is no part of what replicas compare.
        eventually(lambda: sum(node.info("hints") for node in nodes) == 0, HEAL_SECONDS,
                   "all is handed off")
        for i, (key, count) in enumerate(copies.items()):
            node = nodes[i % len(nodes)]
            strict = {b"left strict" if count >= 2 else b"right strict"}
            assert siblings(node.answer("KV.GET", key, "R", "ALL")) == strict
            both = {f"{half.name} sloppy".encode() for half in halves}
            found = siblings(node.answer("KV.GET", f"{SLOPPY}:{{{key}}}", "R", "ALL"))
            assert found == both, (key, count, found)
        for half in halves:
            half.load.check_all(nodes)
