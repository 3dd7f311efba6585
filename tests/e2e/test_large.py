# SPDX-License-Identifier: Apache-2.0
"""More data than memory, killed again and again, every acknowledged write looked for.

    tests/e2e/run --mib 10240 --rounds 50 larger_than_memory
"""
import contextlib
import os
import random
import re
import resource
import time

import redis

from programs import Program, compiled
from world import eventually

MIB = 1024 * 1024
VALUE = 2000  # bytes, on average
SMALL = ["--memory", "268m", "--clients-max", "64", "--value-max", "64k"]
LARGE = ["--memory", "512m", "--clients-max", "64", "--value-max", "64k"]
LARGE_FROM = 2048  # MiB of data
LOAD_SECONDS = 3600
SAMPLE = 20000  # keys read after each kill
RECOVERY = 10  # seconds for a GiB of log
START = 10  # for the rest, on a machine that does other things, too


def used(directory):
    """Bytes on the disk of all files, and of those of the log."""
    every, log = 0, 0
    for entry in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):  # a node that runs removes files
            size = entry.stat().st_blocks * 512
            every += size
            log += size if entry.name.startswith("log-") else 0
    return every, log


def peak(node):
    """Bytes that the process had in memory at most."""
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) * 1024


class Book:
    """What was written, and who writes it (clients/ledger.c)."""

    def __init__(self, world, node, mib):
        self.keys = mib * MIB // VALUE
        self.program = compiled("ledger")
        self.path = os.path.join(world.directory, "ledger")
        self.node = node

    def begin(self, *what):
        # New keys come on top of those that were loaded.
        keys = self.keys if what[0] == "load" else self.keys * 5 // 4
        return Program(self.program, self.node.port, self.path, keys, VALUE, *what)

    @staticmethod
    def finish(client, seconds):
        """Waits for its end, which has to be a good one: its figures."""
        code = client.process.wait(seconds)
        client.reader.join()
        said = client.output()
        assert code == 0 and "done " in said, f"exit status {code}:\n{said}"
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", said)}

    def run(self, *what, seconds=LOAD_SECONDS):
        with self.begin(*what) as client:
            return self.finish(client, seconds)


def restart(node, log_size):
    """Starts it; seconds until it serves."""
    begin = time.monotonic()
    node.start().wait_ready()
    seconds = time.monotonic() - begin
    assert seconds < START + RECOVERY * log_size / 2**30, f"{seconds:.1f} s for {log_size >> 20} MiB"
    return seconds


def test_data_larger_than_memory_survives_kills(world):
    chance = random.Random(5)
    arguments = LARGE if world.mib >= LARGE_FROM else SMALL
    limit = int(arguments[1][:-1]) * MIB * 105 // 100
    node = world.node().start(*arguments).wait_ready()
    book = Book(world, node, world.mib)
    begin = time.monotonic()
    loaded = book.run("load")
    load_seconds = time.monotonic() - begin
    assert loaded["bytes"] > world.mib * MIB * 9 // 10
    written, slowest, rss, most_disk = 0, (0.0, 0), 0, 0
    for number in range(world.rounds):
        with book.begin("work", number) as client:
            time.sleep(0.5 + 3 * chance.random())  # a moment that nothing is aligned to
            assert client.process.poll() is None, client.output()
            rss = max(rss, peak(node))
            most_disk = max(most_disk, used(node.directory)[0])
            node.kill()
            written += book.finish(client, 60)["bytes"]
        log_size = used(node.directory)[1]
        slowest = max(slowest, (restart(node, log_size), log_size))
        book.run("verify", number, SAMPLE)
        rss = max(rss, peak(node))
        assert rss < limit, f"{rss >> 20} MiB in memory"
    verified = book.run("verify", 0, 0)
    rss = max(rss, peak(node))
    assert rss < limit, f"{rss >> 20} MiB in memory"
    assert node.client().info("store")["store_damaged"] == 0
    assert node.stop() == 0
    print(f"    {verified['bytes'] >> 20} MiB in {verified['keys']} keys, loaded at "
          f"{loaded['bytes'] / load_seconds / MIB:.0f} MiB/s; {world.rounds} kills, "
          f"{written >> 20} MiB written meanwhile; at most {rss >> 20} MiB in memory of "
          f"{arguments[1]}; slowest start {slowest[0]:.2f} s with {slowest[1] >> 20} MiB of log; "
          f"disk {used(node.directory)[0] / verified['bytes']:.2f} of the data at the end, at most "
          f"{most_disk / verified['bytes']:.2f}")


def test_a_node_without_descriptors_says_so_and_loses_nothing(world):
    node = world.node().start(*SMALL).wait_ready()
    pid = node.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    chance = random.Random(8)
    value = chance.randbytes(30000)
    written = {}

    def write(number):
        key = f"files:{chance.randrange(3000)}"
        client.set(key, value + b"%d" % number)
        written[key] = value + b"%d" % number

    def check():
        for key, wanted in written.items():
            assert client.get(key) == wanted, key
    with node.client(20) as client:
        few = len(os.listdir(f"/proc/{pid}/fd")) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, old[1]))
        refusal = None
        for number in range(10000):
            try:
                write(number)
            except redis.ResponseError as error:
                refusal = str(error)
                break
        assert refusal is not None, "it needs no files"
        assert refusal.startswith(("OOM ", "BUSY ")), refusal
        assert "a limit was reached" in node.tail(), node.tail()
        check()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)

        def is_taken():
            try:
                write(10000)
                return True
            except redis.ResponseError:
                return False
        eventually(is_taken, 20, "with more files it takes writes again")
        node.kill()
        node.start().wait_ready()
    with node.client(20) as client:
        check()
