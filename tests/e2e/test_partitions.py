# SPDX-License-Identifier: Apache-2.0
"""Networks that part, in one way or another, while clients work."""
import random
import time

from load import Load
from network import Network
from world import eventually, wait_for_sight

STALL_SECONDS = 4  # the longest that any client may be without a good answer
HEAL_SECONDS = 60  # until all nodes hold the same again
MANY = 10000


def work_through(world, trouble, count=3):
    """Clients work; the network is in trouble for some seconds and heals; nothing was lost."""
    with Network(count) as network:
        nodes = network.cluster(world, count)
        with Load(nodes) as load:
            eventually(load.is_moving(), 20, "the load runs")
            trouble(network, nodes, load)
            network.heal()
            eventually(load.is_moving(), 20, "clients go on when it has healed")
            longest = load.longest()
        load.check()
        assert longest < STALL_SECONDS, f"a client had no good answer for {longest:.2f} s"
        world.verify(HEAL_SECONDS)
        load.check_all(nodes)


def go_on(load, seconds=5):
    eventually(load.is_moving(), 20, "clients go on")
    before = load.operations()
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > end and load.operations() > before + 500, 30,
               "and do so for a while")


def test_a_node_that_is_cut_off_refuses_what_needs_others(world):
    def trouble(network, nodes, load):
        network.cut(1, 0, 2)
        wait_for_sight(nodes, 2, 1, 2)
        go_on(load)
        for command in (["SET", "lonely", "1"], ["GET", "lonely"], ["DEL", "lonely"],
                        ["KV.PUT", "lonely", "1", "W", "TWO"], ["KV.GET", "lonely", "R", "ALL"]):
            said = nodes[1].answer(*command)
            assert str(said).startswith("NOQUORUM"), (command, said)
        said = nodes[1].answer("KV.GET", "load:0:0", "R", "ONE")
        assert not str(said).startswith("NOQUORUM"), said
    work_through(world, trouble)


def test_two_nodes_that_do_not_see_each_other_work_by_way_of_the_third(world):
    def trouble(network, nodes, load):
        network.cut(0, 1)
        wait_for_sight(nodes, 2, 2, 3)
        go_on(load)
        for i in range(20):
            assert nodes[i % 2].answer("SET", f"seen{i}", "1") is True
            assert nodes[1 - i % 2].answer("GET", f"seen{i}") == b"1"
    work_through(world, trouble)


def test_two_pairs_that_only_one_node_connects_lose_nothing(world):
    def trouble(network, nodes, load):
        network.part((0, 1), (3, 4))
        wait_for_sight(nodes, 3, 3, 5, 3, 3)
        go_on(load, 2)
    work_through(world, trouble, 5)


def test_a_node_that_is_heard_and_hears_nobody_harms_nobody(world):
    def trouble(network, nodes, load):
        network.deafen(1, 0, 2)
        wait_for_sight(nodes, 2, 1, 2)
        go_on(load)
    work_through(world, trouble)


def test_a_node_that_hears_all_and_is_heard_by_nobody_harms_nobody(world):
    def trouble(network, nodes, load):
        network.deafen(0, 1)
        network.deafen(2, 1)
        wait_for_sight(nodes, 2, 1, 2)
        go_on(load, 2)
        said = nodes[1].answer("SET", "unheard", "1")
        assert str(said).startswith("NOQUORUM"), said
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


def test_links_that_come_and_go_at_random_harm_nobody(world):
    chance = random.Random(1)

    def trouble(network, nodes, load):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            a, b = chance.sample(range(len(nodes)), 2)
            chance.choice((network.cut, network.deafen))(a, b)
            time.sleep(chance.uniform(0.05, 2))
            network.heal()
            time.sleep(chance.uniform(0.05, 0.5))
        go_on(load, 1)
    work_through(world, trouble)


def values(node):
    """What it holds itself of the many keys."""
    with node.client(30, single_connection_client=True) as client:
        client.execute_command("CONSISTENCY", "READ", "ONE")
        return client.mget(*(f"key{i}" for i in range(MANY)))


def put(node, wanted):
    """Sets each of the many keys, and deletes those of which no value is wanted."""
    left = list(range(MANY))

    def is_done():
        pipeline = client.pipeline(transaction=False)
        for i in left:
            if wanted[i] is None:
                pipeline.delete(f"key{i}")
            else:
                pipeline.set(f"key{i}", wanted[i])
        said = pipeline.execute(raise_on_error=False)
        errors = [str(one) for one in said if isinstance(one, Exception)]
        assert all(error.startswith("BUSY") for error in errors), errors[0]
        left[:] = [i for i, one in zip(left, said) if isinstance(one, Exception)]
        return not left
    with node.client(30) as client:
        eventually(is_done, 60, "all keys are written")


def heal_ten_thousand(world, *arguments):
    """One of three is cut off, and misses so many new, changed and deleted keys; then it is
    brought up to date. Returns the hints that others had for it."""
    old = [b"old" if i % 2 == 0 else None for i in range(MANY)]
    new = [None if i % 10 == 0 else b"new" for i in range(MANY)]
    with Network(3) as network:
        nodes = network.cluster(world, 3, *arguments)
        put(nodes[0], old)
        world.verify()
        network.cut(2, 0, 1)
        wait_for_sight(nodes, 2, 2, 1)
        if not arguments:  # what was still sent to who was cut off leaves no hint
            eventually(lambda: nodes[0].answer("SET", "probe", "x") and nodes[0].info("hints") > 0,
                       30, "the link to it is given up")
        put(nodes[0], new)
        assert values(nodes[0]) == new
        assert values(nodes[2]) == old
        hints = sum(node.info("hints") for node in nodes)
        begin = time.monotonic()
        network.heal()
        world.verify(HEAL_SECONDS)
        seconds = time.monotonic() - begin
        print(f"    {MANY} differences, {hints} hints: equal after {seconds:.1f} s")
        assert seconds <= HEAL_SECONDS
        assert values(nodes[2]) == new
        return hints


def test_ten_thousand_differences_are_made_good_within_a_minute(world):
    assert heal_ten_thousand(world) >= MANY // 2


def test_ten_thousand_differences_without_hints_are_made_good_within_a_minute(world):
    assert heal_ten_thousand(world, "--hints-max", "1") == 0
