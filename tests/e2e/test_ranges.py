# SPDX-License-Identifier: Apache-2.0
"""KV.RANGE and SCAN over many keys of one tag."""
import itertools
import time

import redis

KEYS = 100_000
PAGE = 1000
RETRY_SECONDS = 30


def ask(clients, *command):
    """The reply of the next client that has one: a node may be gone, or not see another one go."""
    end = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return next(clients).execute_command(*command)
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError) as error:
            assert time.monotonic() < end, error
            time.sleep(0.02)


def pages(clients, first, last, *options):
    """The pages of a range, each a list of keys and values."""
    bound = first
    while bound is not None:
        bound, pairs = ask(clients, "KV.RANGE", "t", bound, last, *options)
        yield [tuple(pair) for pair in pairs]


def load(node, entries):
    for first in range(0, len(entries), 500):
        ask(itertools.repeat(node.client()), "MSET", *itertools.chain(*entries[first:first + 500]))


def test_a_long_range_is_paged_while_a_node_is_killed(world):
    nodes = world.cluster(3)
    entries = [(b"{t}:%06d" % i, b"value of %d" % i) for i in range(KEYS)]
    load(nodes[0], entries)
    extra = [(b"{t}:%06dx{u}" % i, b"-") for i in range(50)]  # the first braces count
    load(nodes[1], extra)
    load(nodes[1], [(b"{u}:%06d" % i, b"-") for i in range(50)])
    with nodes[2].client() as client:
        client.delete(*[key for key, _ in entries[::1000]])
    expected = [entry for i, entry in enumerate(entries) if i % 1000 != 0]
    expected = sorted(expected + extra)
    clients = itertools.cycle([node.client() for node in nodes])

    seen = []
    for number, page in enumerate(pages(clients, "-", "+", "LIMIT", PAGE)):
        assert len(page) <= PAGE
        seen += page
        if number == 40:
            nodes[1].kill()
    assert seen == expected

    seen = []
    for number, page in enumerate(pages(clients, "+", "-", "LIMIT", PAGE, "REVERSE")):
        seen += page
        if number == 40:
            nodes[1].start()
        if number == 60:
            nodes[1].wait_ready()
            nodes[2].kill()
    assert seen == expected[::-1]

    # What was written while a node was away is there when it is asked first.
    nodes[2].start()
    nodes[2].wait_ready()
    nodes[0].kill()
    load(nodes[1], [(key, b"new") for key, _ in expected[:3000]])
    nodes[0].start()
    nodes[0].wait_ready()
    seen = []
    for page in pages(itertools.repeat(nodes[0].client()), "-", b"(" + expected[3000][0]):
        seen += page
    assert seen == [(key, b"new") for key, _ in expected[:3000]]


def test_a_reply_is_bounded_whatever_the_values(world):
    nodes = world.cluster(3)
    entries = [(b"{t}:%03d" % i, bytes([i]) * (900_000 if i % 3 == 0 else 50_000)) for i in range(30)]
    with nodes[0].client() as client:
        for key, value in entries:
            client.set(key, value)
    for options, wanted in (((), entries), (("REVERSE",), entries[::-1])):
        first, last = ("+", "-") if options else ("-", "+")
        seen = []
        for page in pages(itertools.cycle([node.client() for node in nodes]), first, last, *options):
            assert 0 < sum(len(key) + len(value) for key, value in page) < 2 * 1024 * 1024
            seen += page
        assert seen == wanted


def test_a_scan_of_one_tag_goes_on_at_any_node(world):
    nodes = world.cluster(3)
    load(nodes[0], [(b"{t}:%06d" % i, b"v") for i in range(KEYS)])
    for clients in ([nodes[1].client()], [node.client() for node in nodes]):
        seen = []
        cursor = 0
        begin = time.monotonic()
        for client in itertools.cycle(clients):
            cursor, keys = client.scan(cursor, count=PAGE)
            seen += keys
            if cursor == 0:
                break
        print(f"     {len(seen)} keys by {len(clients)} nodes in {time.monotonic() - begin:.1f} s")
        assert sorted(seen) == [b"{t}:%06d" % i for i in range(KEYS)]


def test_programs_can_ask_what_a_range_is(world):
    node = world.node().start().wait_ready()
    with node.client() as client:
        client.set("{t}a", "1")
        assert client.execute_command("KV.RANGE", "t", "-", "+") == [None, [[b"{t}a", b"1"]]]
        assert client.execute_command("COMMAND GETKEYS", "KV.RANGE", "t", "-", "+") == ["t"]
        assert "kv.range" in str(client.execute_command("COMMAND INFO", "kv.range"))
        assert "hash tag" in str(client.execute_command("COMMAND DOCS", "kv.range"))
