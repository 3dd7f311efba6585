# SPDX-License-Identifier: Apache-2.0
"""Keyspaces and flushes, with processes that are killed."""
import json
import os
import threading
import time

import redis

from world import eventually

KEYS = 2000
BATCH = 500  # in one command


def fill(node, prefix, value, batch=BATCH):
    with node.client(10) as client:
        for begin in range(0, KEYS, batch):
            client.mset({f"{prefix}{i}": value for i in range(begin, begin + batch)})


def found(node, prefix):
    """The values that there are, and how many keys have one."""
    values = []
    with node.client(10) as client:
        for begin in range(0, KEYS, BATCH):
            values += client.mget([f"{prefix}{i}" for i in range(begin, begin + BATCH)])
    return set(values) - {None}, sum(value is not None for value in values)


def describe(node, name):
    with node.client(10) as client:
        reply = client.execute_command("KEYSPACE DESCRIBE", name)
    return dict(zip(reply[::2], reply[1::2]))


def test_keyspaces_are_the_same_on_all_nodes_and_survive_their_death(world):
    nodes = world.cluster(3)
    with nodes[0].client(30) as client:
        client.execute_command("KEYSPACE CREATE", "feed:", "REPLICATION", 1, "READ", "ONE",
                               "CONFLICT", "lww", "TTL", 10**7)
        client.execute_command("KEYSPACE CREATE", "shop")
    fill(nodes[1], "feed:", "one")
    fill(nodes[2], "shop:", "three")
    fill(nodes[2], "plain", "three")
    told = describe(nodes[2], "feed")
    assert told[b"replication"] == 1 and told[b"conflict"] == b"LWW" and told[b"read"] == b"ONE"
    with nodes[1].client(10) as client:
        digest = client.execute_command("QUOIT DIGEST")
    assert KEYS * 2 < digest[digest.index(b"live") + 1] < KEYS * 3
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_ready()
    for node in nodes:
        assert describe(node, "feed") == told
        # Of these there is one copy, with a node that may not have greeted this one yet.
        eventually(lambda: readable(node, "feed:") == KEYS, 30, "all keys can be read")
        assert found(node, "feed:") == ({b"one"}, KEYS)
        assert found(node, "shop:") == ({b"three"}, KEYS)
        assert found(node, "plain") == ({b"three"}, KEYS)
        with node.client(10) as client:
            assert client.dbsize() == 3 * KEYS
            assert client.ttl("feed:1") > 10**3 and client.ttl("shop:1") == -1
    # With one of three away a keyspace of one copy has lost a third of its keys, for a while.
    nodes[2].kill()
    eventually(lambda: 0 < readable(nodes[0], "feed:") < KEYS, 30, "some keys cannot be read")
    assert found(nodes[0], "shop:")[1] == KEYS


def readable(node, prefix):
    count = 0
    with node.client(10) as client:
        for i in range(0, KEYS, 20):
            try:
                count += client.get(f"{prefix}{i}") is not None
            except redis.ResponseError as error:
                assert str(error).startswith(("NOQUORUM", "UNKNOWN")), error
    return count * 20


class Flush(threading.Thread):
    def __init__(self, node):
        super().__init__()
        self.node = node
        self.outcome = None

    def run(self):
        with self.node.client(60) as client:
            try:
                client.flushall()
                self.outcome = "OK"
            except redis.ResponseError as error:
                self.outcome = str(error).split(" ")[0]


def test_what_was_flushed_does_not_come_back_with_a_node_that_is_killed_meanwhile(world):
    nodes = world.cluster(3)
    outcomes = []
    for round_number in range(6):
        old = f"old{round_number}".encode()
        fill(nodes[0], "key:", old)
        flush = Flush(nodes[round_number % 2])
        flush.start()
        time.sleep(0.01 * round_number)
        nodes[2].kill()
        time.sleep(1)
        nodes[2].start()
        nodes[2].wait_ready()
        flush.join(60)
        outcomes.append(flush.outcome)
        if flush.outcome == "OK":
            for node in nodes:
                assert old not in found(node, "key:")[0], round_number
        else:
            assert flush.outcome in ("NOQUORUM", "UNKNOWN"), flush.outcome
            eventually(lambda: again(nodes[2]), 60, "a flush is done")
    for node in nodes:
        assert found(node, "key:") == (set(), 0)
    for node in nodes:
        node.kill()
        node.start()
    for node in nodes:
        node.wait_ready()
    for node in nodes:
        assert found(node, "key:") == (set(), 0)
        with node.client(10) as client:
            assert client.dbsize() == 0
    world.wait_equal()
    print(f"    {' '.join(outcomes)}")


def again(node):
    flush = Flush(node)
    flush.run()
    assert flush.outcome in ("OK", "NOQUORUM", "UNKNOWN"), flush.outcome
    return flush.outcome == "OK"


def words(prefix):
    return prefix.encode() * 300


def in_the_clear(node):
    """Of all tables: how many values of each keyspace can be seen, and bytes. In a block that is
    compressed nothing is repeated so often."""
    tables = b""
    for name in os.listdir(node.directory):
        if name.startswith("table-"):
            with open(os.path.join(node.directory, name), "rb") as f:
                tables += f.read()
    return {prefix: tables.count(words(prefix)) for prefix in ("one:", "two:")}, len(tables)


def is_merged(node, clear, compressed):
    with node.client(10) as client:
        client.execute_command("QUOIT COMPACT")
        info = client.info("store")
    is_one = info["store_tables"] == 1 and info["store_is_compacting"] == 0
    return is_one and in_the_clear(node)[0] == {clear: KEYS, compressed: 0}


def write_and_merge(node, clear, compressed):
    """Writes all anew, and waits until all is in one table, the two as they should be. Returns the
    size of that."""
    for prefix in (clear, compressed):
        fill(node, prefix, words(prefix), 50)
    for pad in (b"~", b"-"):  # so that what was written before is not only in the log
        fill(node, "pad:", pad * 2000, 50)
    eventually(lambda: is_merged(node, clear, compressed), 60, "each is in its codec")
    return in_the_clear(node)[1]


def test_keyspaces_are_compressed_each_in_its_way(world):
    node = world.node().start("--memory", "256m", "--value-max", "64k", "--clients-max", "100",
                              "--compression", "lz4")
    node.wait_ready()
    with node.client(30) as client:
        client.execute_command("KEYSPACE CREATE", "one", "COMPRESSION", "none")
        client.execute_command("KEYSPACE CREATE", "two")
    data = KEYS * len(words("one:"))
    assert data < write_and_merge(node, "one:", "two:") < data * 3 // 2

    with node.client(30) as client:
        client.execute_command("KEYSPACE ALTER", "one", "COMPRESSION", "zstd")
        client.execute_command("KEYSPACE ALTER", "two", "COMPRESSION", "none")
    node.kill()
    node.start().wait_ready()
    told = [describe(node, name)[b"compression"] for name in ("one", "two", "default")]
    assert told == [b"zstd", b"none", b"configuration"], told
    assert found(node, "one:") == ({words("one:")}, KEYS)
    assert data < write_and_merge(node, "two:", "one:") < data * 3 // 2
    with node.client(30) as client:
        client.execute_command("KEYSPACE ALTER", "two", "COMPRESSION", "zstd")
        client.execute_command("KEYSPACE CREATE", "three", "COMPRESSION", "none")
    fill(node, "three:", b"-")
    assert node.stop() == 0
    output = world.check(world.quoitd, "--check", node.directory, "--json")
    assert json.loads(output)["findings"] == [], output
    node.start().wait_ready()
    for prefix in ("one:", "two:"):
        assert found(node, prefix) == ({words(prefix)}, KEYS)
    assert found(node, "three:") == ({b"-"}, KEYS)
