# SPDX-License-Identifier: Apache-2.0
"""Deleted keys: what is left of them goes by itself, and not while somebody who has copies is away."""
import json

from world import eventually

KEYS = 2000


def write(node):
    with node.client(10) as client:
        client.mset({f"key:{i}": "value" for i in range(KEYS)})


def delete(node):
    with node.client(10) as client:
        assert client.delete(*(f"key:{i}" for i in range(KEYS))) == KEYS


def nothing_is_left(nodes):
    return all(node.info("tombstones") == 0 for node in nodes)


def status(world, node):
    return world.check(world.quoit, "status", "--port", node.port)


def test_deleted_keys_go_when_all_copies_have_them(world):
    nodes = world.cluster(3)
    write(nodes[0])
    delete(nodes[1])
    eventually(lambda: nothing_is_left(nodes), 60, "all tombstones are purged")
    assert all(node.info("purged") >= KEYS for node in nodes)
    assert "deleted keys" not in status(world, nodes[0])

    write(nodes[2])
    nodes[2].kill()
    delete(nodes[1])
    eventually(lambda: nodes[0].info("purge_blocked") > 0, 60, "it says that purging waits")
    assert nodes[0].info("tombstones") == KEYS
    shown = status(world, nodes[0])
    assert "deleted keys take room in" in shown and "until n2 is back" in shown, shown
    told = json.loads(world.check(world.quoit, "status", "--port", nodes[0].port, "--json"))
    assert told["cluster"]["purge_waits_for"] == "n2"

    nodes[2].start(*nodes[2].arguments)
    eventually(lambda: nothing_is_left(nodes), 60, "all tombstones are purged")
    with nodes[2].client(10) as client:
        assert client.mget(*(f"key:{i}" for i in range(KEYS))) == [None] * KEYS
    eventually(lambda: "deleted keys" not in status(world, nodes[0]), 30, "and status says nothing")
