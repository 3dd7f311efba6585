# SPDX-License-Identifier: Apache-2.0
"""Bits that flip in every kind of file of a node, while it is down and while it runs.

    tests/e2e/run --rounds 50 random_bit_flips      ten thousand of them
"""
import contextlib
import os
import random
import shutil

import redis

from test_damage import can_write, data_size, state_of
from world import eventually

KEYS = 8000
SIZE_MAX = 4000
POOL = random.Random(1).randbytes(1 << 20)  # values are cut out of it
BATCH = 500
FLIPS = 200  # a round
NODE = ["--memory", "280m", "--clients-max", "64", "--value-max", "64k"]
TAIL = 50  # the last so many parts of a table hold its filter, index, partitions and footer
UNREADABLE = ("quoitd: cannot start: the data cannot be read; move it away, and the other members, "
              "if there are any, give back what was in it: ")
SIGNS = ("damaged", "unreadable", "segments_missing", "log_ends_early")  # in the log of a node


class Values:
    """What each key holds."""

    def __init__(self, chance):
        self.chance = chance
        self.generation = [0] * KEYS

    def of(self, i):
        at = (self.generation[i] * KEYS + i) * 7919
        size = 100 + at % (SIZE_MAX - 100)
        at %= len(POOL) - SIZE_MAX
        return b"%d:%d:" % (self.generation[i], i) + POOL[at:at + size]

    def write(self, node, share):
        """A share of the keys, anew."""
        keys = [i for i in range(KEYS) if self.chance.random() < share]
        with node.client(20) as client:
            for at in range(0, len(keys), BATCH):
                batch = keys[at:at + BATCH]
                for i in batch:
                    self.generation[i] += 1
                with client.pipeline(transaction=False) as pipeline:
                    for i in batch:
                        pipeline.set(f"rot:{i}", self.of(i))
                    assert pipeline.execute() == [True] * len(batch)

    def check(self, node, level=None):
        """Whatever is read is right. Where a copy cannot be read, a quorum can."""
        with node.client(20, single_connection_client=True) as client:
            if level is not None:
                client.execute_command("CONSISTENCY", "READ", level)
            for at in range(0, KEYS, BATCH):
                values = client.mget([f"rot:{i}" for i in range(at, at + BATCH)])
                for i, value in enumerate(values, at):
                    assert value == self.of(i), f"rot:{i} is {len(value or b'')} bytes long"


def files_of(node):
    """Each kind of file, and how many of its bytes can be flipped."""
    kinds = {}
    for name in sorted(os.listdir(node.directory)):
        path = os.path.join(node.directory, name)
        kind = name.split("-")[0]
        with contextlib.suppress(FileNotFoundError):  # a node that runs removes files
            size = data_size(path) if kind in ("log", "spare", "blank") else os.path.getsize(path)
            if os.path.isfile(path) and size > 0:
                kinds.setdefault(kind, []).append((path, size))
    return kinds


def flip(chance, path, at):
    try:
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ (1 << chance.randrange(8))]))
        return 1
    except FileNotFoundError:  # a node that runs has merged it
        return 0


def flip_some(chance, files, count):
    """Flips so many bits in files as their size is, half of those in tables in what is behind the
    blocks."""
    paths = [file for kind in files for file in kind]
    flipped = 0
    for path, size in chance.choices(paths, [size for _, size in paths], k=count):
        at = chance.randrange(size)
        if "table-" in path and chance.random() < 0.5:
            at = size - 1 - at // TAIL
        flipped += flip(chance, path, at)
    return flipped


def flip_at_rest(chance, node, counts):
    """In all that is large, and in some rounds in each of the small files."""
    kinds = files_of(node)
    large = {kind: kinds[kind] for kind in ("table", "log") if kind in kinds}
    for kind, files in large.items():
        counts[kind] = counts.get(kind, 0) + flip_some(chance, [files], FLIPS // 4)
    for kind in kinds.keys() - large.keys():
        if chance.random() < 0.4:
            path, size = chance.choice(kinds[kind])
            counts[kind] = counts.get(kind, 0) + flip(chance, path, chance.randrange(size))


def start_or_replace(world, node, other):
    """True when it could not start: then it says so, and gets an empty directory."""
    node.start()
    ended = eventually(lambda: node.process.poll() is not None or node.digest() is not None, 60,
                       "it starts or says why not")
    if node.process.poll() is None:
        return False
    assert ended and node.process.returncode == 1, node.tail()
    assert node.tail().splitlines()[-1].startswith(UNREADABLE), node.tail()
    shutil.rmtree(node.directory)
    node.start()
    world.replace(node, other, "--wait", 0)
    return True


def signs_in(node):
    with open(node.log, errors="replace") as f:
        return sum(any(sign in line for sign in SIGNS) for line in f)


def wait_mended(values, node):
    """Until its own copies are all there, and right."""
    def is_mended():
        if state_of(node) != "up":
            return False
        try:
            values.check(node, "ONE")
            return True
        except redis.ResponseError as error:
            assert str(error).startswith(("DAMAGED", "NOQUORUM")), error
            return False
    eventually(is_mended, 120, f"{node.name} has mended")


def test_random_bit_flips_are_never_served_and_are_mended(world):
    chance = random.Random(21)
    nodes = world.cluster(3, *NODE)
    values = Values(chance)
    values.write(nodes[0], 2)
    counts, refused, silent = {}, 0, 0
    for number in range(world.rounds):
        victim, other = nodes[1], nodes[number % 2 * 2]
        values.write(victim, 0.2)
        before = signs_in(victim)
        if number % 2 == 0:
            victim.kill()
        else:
            assert victim.stop() == 0
        eventually(lambda n=other: can_write(n), 20, "two members go on")
        values.write(other, 0.01)
        flip_at_rest(chance, victim, counts)
        refused += start_or_replace(world, victim, other)
        victim.wait_ready()
        for node in nodes:
            values.check(node)
        wait_mended(values, victim)
        running = flip_some(chance, [files_of(victim).get("table", [])], FLIPS // 2)
        counts["running"] = counts.get("running", 0) + running
        for node in nodes:
            values.check(node)
        wait_mended(values, victim)
        silent += signs_in(victim) == before
        world.wait_equal()
        for node in nodes:
            values.check(node)
    assert silent == 0, f"{silent} rounds of damage were not reported"
    assert counts["table"] > 0 and counts["log"] > 0 and counts["running"] > 0
    print(f"    {sum(counts.values())} bits flipped ({counts}); "
          f"{refused} of {world.rounds} directories could not be started from")
