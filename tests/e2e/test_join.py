# SPDX-License-Identifier: Apache-2.0
"""A node that is started with seeds becomes a member of a cluster that serves."""
import json
import os
import threading

import redis

from world import eventually, wait_for_sight

SMALL = ["--clients-max", "64", "--value-max", "64k", "--members-max", "8"]


def key_file(world, name, word):
    path = os.path.join(world.directory, name)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(word * 8 + "\n")
    return path


def newcomer(world, number, key, seeds, *more):
    node = world.node(f"n{number}", number)
    seeds = ",".join(f"127.0.0.1:{port}" for port in seeds)
    return node.start("--name", node.name, "--key-file", key, "--seeds", seeds, *SMALL, *more)


def status(world, node):
    return json.loads(world.check(world.quoit, "status", "--json", "--port", node.port))


def write_until(node, stop, done):
    with node.client(10) as client:
        while not stop.is_set():
            client.set("counted", len(done))
            done.append(1)


def test_a_node_with_seeds_joins_while_clients_write(world):
    key = key_file(world, "key", "abcdefgh")
    nodes = world.cluster(3, "--key-file", key, *SMALL)
    nodes[0].fill("a")
    stop, done = threading.Event(), []
    writer = threading.Thread(target=write_until, args=(nodes[1], stop, done))
    writer.start()
    nodes.append(newcomer(world, 3, key, [1, nodes[1].port]))  # nobody is at the first
    nodes[3].wait_ready()
    wait_for_sight(nodes, 4, 4, 4, 4)
    stop.set()
    writer.join()
    assert len(done) > 0
    eventually(lambda: status(world, nodes[0])["cluster"]["up"] == 4, 20, "it is up")
    seen = status(world, nodes[0])
    assert [node["name"] for node in seen["nodes"]] == ["n0", "n1", "n2", "n3"], seen
    assert seen["cluster"]["epoch"] == 2, seen
    assert seen["nodes"][3]["slots_held"] == 0, seen
    assert nodes[3].holds("a")
    nodes[3].fill("b")
    assert nodes[2].holds("b")

    nodes[3].kill()
    wait_for_sight(nodes[:3], 3, 3, 3)
    nodes[3].start().wait_ready()
    wait_for_sight(nodes, 4, 4, 4, 4)
    assert nodes[3].holds("b")
    world.verify()


def test_two_nodes_join_at_once_and_one_of_them_again_as_another(world):
    key = key_file(world, "key", "abcdefgh")
    nodes = [world.node().start("--name", "n0", "--key-file", key, *SMALL).wait_ready()]
    for number in (1, 2):
        nodes.append(newcomer(world, number, key, [nodes[0].port]))
    wait_for_sight(nodes, 3, 3, 3)
    # It has lost its disk: that is not for it to say.
    nodes[2].kill()
    os.rename(nodes[2].directory, nodes[2].directory + ".lost")
    nodes[2].start()
    eventually(lambda: nodes[2].says("refused: the cluster has a member of this name"), 30,
               "it is told that it is not wanted")
    world.replace(nodes[2], nodes[0])
    wait_for_sight(nodes, 3, 3, 3)


def test_who_has_another_key_does_not_join(world):
    key = key_file(world, "key", "abcdefgh")
    node = world.node().start("--name", "n0", "--key-file", key, *SMALL).wait_ready()
    other = newcomer(world, 1, key_file(world, "other", "ijklmnop"), [node.port])
    eventually(lambda: node.says("why=wrong-key"), 30, "it is refused")
    assert other.says("waiting to be admitted")
    try:
        with other.client() as client:
            client.get("a")
        raise AssertionError("it answers")
    except redis.RedisError as error:
        assert "CLUSTERDOWN" in str(error), error


def test_a_seed_that_is_no_address_is_said_to_be_none(world):
    code, output = world.run(world.quoitd, "--seeds", "a:1,,b:2", "--dir", world.directory)
    assert code != 0 and "seeds" in output, output
