# SPDX-License-Identifier: Apache-2.0
"""Networks that part, in one way or another, while clients work."""
import os
import time

import redis

from load import Load
from network import Network
from world import eventually

STALL_SECONDS = 4  # the longest that any client may be without a good answer
HEAL_SECONDS = 60  # until all nodes hold the same again
MANY = 10000


def cluster_on(world, network, count=3):
    key = os.path.join(world.directory, "key")
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write("0123456789abcdef" * 4 + "\n")
    return world.cluster(count, "--key-file", key, network=network)


def work_through(world, trouble):
    """Clients work; the network is in trouble for some seconds and heals; nothing was lost."""
    with Network(3) as network:
        nodes = cluster_on(world, network)
        with Load(nodes) as load:
            eventually(load.is_moving(), 20, "the load runs")
            trouble(network, nodes, load)
            network.heal()
            eventually(load.is_moving(), 20, "clients go on when it has healed")
            longest = load.longest()
        load.check()
        assert longest < STALL_SECONDS, f"a client had no good answer for {longest:.2f} s"
        world.wait_equal(HEAL_SECONDS)
        for node in nodes:
            for client in load.clients:
                client.check_all(node)


def go_on(load, seconds=5):
    eventually(load.is_moving(), 20, "clients go on")
    before = load.operations()
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > end and load.operations() > before + 500, 30,
               "and do so for a while")


def answer(node, *command):
    with node.client(10) as client:
        try:
            return client.execute_command(*command)
        except redis.ResponseError as error:
            return str(error)


def wait_for_sight(nodes, *counts):
    """Until each node sees so many members, itself among them."""
    for node, count in zip(nodes, counts):
        with node.client(10) as client:
            eventually(lambda: client.info("quoit")["members_up"] == count, 20,
                       f"{node.name} sees {count}")


def test_a_node_that_is_cut_off_refuses_what_needs_others(world):
    def trouble(network, nodes, load):
        network.cut(1, 0, 2)
        wait_for_sight(nodes, 2, 1, 2)
        go_on(load)
        for command in (["SET", "lonely", "1"], ["GET", "lonely"]):
            said = answer(nodes[1], *command)
            assert str(said).startswith(("NOQUORUM", "UNKNOWN")), said
        said = answer(nodes[1], "KV.GET", "load:0:0", "R", "ONE")
        assert not str(said).startswith("NOQUORUM"), said
    work_through(world, trouble)


def test_two_nodes_that_do_not_see_each_other_work_by_way_of_the_third(world):
    def trouble(network, nodes, load):
        network.cut(0, 1)
        wait_for_sight(nodes, 2, 2, 3)
        go_on(load)
        for i in range(20):
            assert answer(nodes[i % 2], "SET", f"seen{i}", "1") is True
            assert answer(nodes[1 - i % 2], "GET", f"seen{i}") == b"1"
    work_through(world, trouble)


def test_a_node_that_is_heard_and_hears_nobody_harms_nobody(world):
    def trouble(network, nodes, load):
        network.deafen(1, 0, 2)
        wait_for_sight(nodes, 2, 1, 2)
        go_on(load)
    work_through(world, trouble)


def test_a_link_that_comes_and_goes_harms_nobody(world):
    def trouble(network, nodes, load):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            network.cut(1, 0, 2)
            time.sleep(0.3)
            network.heal()
            time.sleep(0.7)
        go_on(load, 1)
    work_through(world, trouble)


def test_ten_thousand_differences_are_made_good_within_a_minute(world):
    with Network(3) as network:
        nodes = cluster_on(world, network)
        network.cut(2, 0, 1)

        def is_alone():
            return str(answer(nodes[2], "GET", "a")).startswith("NOQUORUM")
        eventually(is_alone, 20, "the node knows that it is alone")
        with nodes[0].client(30) as client:
            pipeline = client.pipeline(transaction=False)
            for i in range(MANY):
                pipeline.set(f"key{i}", "value")
            assert all(pipeline.execute())
        assert nodes[2].digest() != nodes[0].digest()
        network.heal()
        world.wait_equal(HEAL_SECONDS)
