# SPDX-License-Identifier: Apache-2.0
"""Sloppy quorums: what is written while replicas are down is kept by others, and handed to them."""
from world import eventually
import redis

KEYS = 2000
SLOPPY = ("CONSISTENCY", "READ", "SLOPPY", "WRITE", "SLOPPY")


def write(node, value, level):
    """Sets all keys, one by one, at a level; returns how many were refused."""
    refused = 0
    with node.client(10, single_connection_client=True) as client:
        client.execute_command("CONSISTENCY", "WRITE", level)
        for i in range(KEYS):
            try:
                client.set(f"key:{i}", value)
            except redis.ResponseError as error:
                assert str(error).startswith("NOQUORUM"), error
                refused += 1
    return refused


def read(node):
    with node.client(10, single_connection_client=True) as client:
        client.execute_command(*SLOPPY)
        return client.mget(*(f"key:{i}" for i in range(KEYS)))


def start_again(world, nodes):
    """All of them, of which some are down; until all is handed off, and the copies are the same."""
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_ready()
    eventually(lambda: all(node.info("members_up") == 5 for node in nodes), 60, "all are up")
    eventually(lambda: sum(node.info("hints") for node in nodes) == 0, 60, "all is handed off")
    assert sum(node.info("hints_handed_off") for node in nodes) > 0
    world.verify(60)


def test_stand_ins_keep_what_is_written_while_two_of_five_are_down(world):
    nodes = world.cluster(5)
    assert write(nodes[0], "old", "QUORUM") == 0
    for node in nodes[3:]:
        node.kill()
    eventually(lambda: nodes[0].info("members_up") == 3, 30, "both are known to be down")
    assert write(nodes[0], "strict", "QUORUM") > 0  # of some keys both are replicas
    assert write(nodes[0], "new", "SLOPPY") == 0
    kept = [node.info("hints") for node in nodes[:3]]
    assert sum(kept) > KEYS, kept
    assert all(node.info("hints_bytes") > 0 for node in nodes[:3])
    for node in nodes[:3]:
        assert read(node) == [b"new"] * KEYS

    # Also after those that keep them have died.
    for node in nodes[:3]:
        node.kill()
    start_again(world, nodes)
    for node in nodes:
        with node.client(10, single_connection_client=True) as client:
            client.execute_command("CONSISTENCY", "READ", "ALL")
            assert client.mget(*(f"key:{i}" for i in range(KEYS))) == [b"new"] * KEYS


def test_stand_ins_take_what_no_replica_is_left_for(world):
    nodes = world.cluster(5)
    assert write(nodes[0], "old", "QUORUM") == 0
    for node in nodes[2:]:
        node.kill()
    eventually(lambda: nodes[0].info("members_up") == 2, 30, "three are known to be down")
    eventually(lambda: nodes[1].info("members_up") == 2, 30, "to both")
    assert write(nodes[0], "strict", "QUORUM") > 0
    assert write(nodes[0], "new", "SLOPPY") == 0
    assert nodes[0].info("hints_minted") + nodes[1].info("hints_minted") > 0
    for node in nodes[:2]:
        assert read(node) == [b"new"] * KEYS
    for node in nodes[:2]:
        node.kill()
    start_again(world, nodes)
    with nodes[4].client(10, single_connection_client=True) as client:
        client.execute_command("CONSISTENCY", "READ", "ALL")
        assert client.mget(*(f"key:{i}" for i in range(KEYS))) == [b"new"] * KEYS
        for i in range(KEYS):
            assert client.delete(f"key:{i}") == 1
    eventually(lambda: all(node.info("tombstones") == 0 for node in nodes), 90, "all is purged")
