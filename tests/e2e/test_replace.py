# SPDX-License-Identifier: Apache-2.0
"""quoit replace: a node whose disk was lost goes on with an empty directory, when it is told to."""
import os
import shutil

import redis

from world import eventually


def times_ready(node):
    with open(node.log, errors="replace") as f:
        return f.read().count(" ready port=")


def replace(world, node, name, *options):
    return world.run(world.quoit, "replace", name, "--port", node.port, *options)


def lose_disk(node):
    node.kill()
    shutil.rmtree(node.directory)


def refusal_of(node):
    with node.client() as client:
        try:
            client.get("a0")
        except redis.RedisError as error:
            return str(error)
    return ""


def test_a_node_that_lost_its_disk_is_refused_until_it_is_replaced(world):
    nodes = world.cluster(3)
    victim = nodes[1]
    nodes[0].fill("a")
    lose_disk(victim)
    nodes[2].fill("b")
    victim.start()
    eventually(lambda: victim.says("run `quoit replace n1` on any other member"), 20, "it is told")
    for other in (nodes[0], nodes[2]):
        eventually(lambda n=other: n.says("member=n1 storage="), 20, "the others say so")
    assert "run `quoit replace n1`" in refusal_of(victim)
    code, output = world.run(world.quoit, "status", "--port", victim.port)
    assert code == 1 and "run `quoit replace n1` on another node" in output, output
    eventually(lambda: " refused " in world.check(world.quoit, "status", "--port", nodes[0].port),
               20, "the others show it")
    assert times_ready(victim) == 1

    output = world.check(world.quoit, "replace", "n1", "--port", nodes[2].port)
    assert output.splitlines() == ["replaced, n1 fetches what it lacks from the others",
                                   "mended"], output
    victim.wait_ready()
    eventually(lambda: times_ready(victim) == 2, 20, "it says that it is ready")
    world.check(world.quoit, "verify", "--port", nodes[0].port, "--wait", 60)
    nodes[0].kill()
    eventually(lambda: victim.holds("a") and victim.holds("b"), 30, "it holds the data")


def test_only_a_node_that_is_gone_is_replaced_and_only_by_an_empty_directory(world):
    nodes = world.cluster(3)
    nodes[0].fill("a")
    for name, words in (("n7", "no member of that name"), ("n1", "that member is up")):
        code, output = replace(world, nodes[0], name)
        assert code == 1 and words in output, output
    code, output = world.run(world.quoit, "replace", "--port", nodes[0].port)
    assert code == 2, output
    victim, old = nodes[1], nodes[1].directory + ".old"
    victim.kill()
    os.rename(victim.directory, old)
    eventually(lambda: "NOTFOUND" in replace(world, nodes[0], "n1", "--wait", 0)[1], 30,
               "nobody was met")
    victim.start()
    world.replace(victim, nodes[0])
    # The disk that was lost is found.
    assert victim.stop() == 0
    os.rename(victim.directory, victim.directory + ".new")
    os.rename(old, victim.directory)
    victim.start()
    assert victim.process.wait(60) == 1
    assert victim.says("this data directory was replaced by another one"), victim.tail()
    code, output = replace(world, nodes[0], "n1", "--wait", 0)
    assert code == 1 and ("is not empty" in output or "NOTFOUND" in output), output
    shutil.rmtree(victim.directory)
    os.rename(victim.directory + ".new", victim.directory)
    victim.start().wait_ready()
    world.wait_equal()
    for node in nodes:
        assert node.holds("a")


def test_of_two_nodes_one_can_be_replaced(world):
    nodes = world.cluster(2)
    nodes[0].fill("a")
    lose_disk(nodes[0])
    nodes[0].start()
    world.replace(nodes[0], nodes[1])
    nodes[0].wait_ready()
    world.wait_equal()
    assert nodes[0].holds("a")


def test_two_of_three_that_are_lost_are_no_quorum(world):
    nodes = world.cluster(3)
    for node in nodes[:2]:
        lose_disk(node)
    nodes[0].start()
    eventually(lambda: "NOQUORUM" in replace(world, nodes[2], "n0", "--wait", 0)[1], 30,
               "it is refused")
