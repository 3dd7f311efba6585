# SPDX-License-Identifier: Apache-2.0
"""Nodes that die or hang while clients work."""
import random
import signal
import time

import redis

from load import SLOPPY, Load, define_sloppy
from world import eventually, wait_for_sight

STALL_SECONDS = 2  # the longest that any client may be without a good answer
KILL_SECONDS = 5  # from one kill to the next


def hurt_and_heal(world, hurt, heal):
    """Clients work; a node is hurt; they go on; it is healed; all replicas become equal."""
    nodes = world.cluster(3)
    with Load(nodes) as load:
        eventually(load.is_moving(), 20, "the load runs")
        for victim in nodes[1:]:
            hurt(victim)
            eventually(load.is_moving(), 20, f"clients go on without {victim.name}")
            before = load.operations()
            eventually(lambda: load.operations() > before + 500, 20, "and do so for a while")
            wait_for_sight([node for node in nodes if node is not victim], 2, 2)
            heal(victim)
            victim.wait_ready()
            eventually(load.is_moving(), 20, f"clients go on with {victim.name}")
        longest = load.longest()
    load.check()
    assert longest < STALL_SECONDS, f"a client had no good answer for {longest:.2f} s"
    world.wait_equal()
    load.check_all(nodes)


def test_clients_go_on_when_a_node_is_killed(world):
    hurt_and_heal(world, lambda node: node.kill(), lambda node: node.start())


def test_clients_go_on_when_a_node_hangs(world):
    hurt_and_heal(world, lambda node: node.send(signal.SIGSTOP),
                  lambda node: node.send(signal.SIGCONT))


def test_two_of_three_nodes_away_are_told_apart_from_none(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        client.set("a", "1")
    nodes[1].kill()
    nodes[2].kill()

    def refused():
        with nodes[0].client(10) as client:
            try:
                client.set("a", "2")
                return None
            except Exception as error:
                return str(error)
    answer = refused()
    assert answer is not None and answer.startswith(("NOQUORUM", "UNKNOWN")), answer
    nodes[1].start()
    nodes[1].wait_ready()
    eventually(lambda: refused() is None, 30, "two nodes are enough again")
    with nodes[1].client() as client:
        assert client.get("a") == b"2"


def test_a_refused_level_says_what_is_missing(world):
    nodes = world.cluster(4)
    nodes[3].kill()
    clients = [node.client(10) for node in nodes[:3]]

    def answers(*command):
        """What each node says to the command with each of some keys, in a set."""
        heard = set()
        for client in clients:
            for i in range(12):
                words = [f"key{i}" if word == "KEY" else word for word in command]
                try:
                    reply = client.execute_command(*words)
                    heard.add("done" if b"context" in reply else str(reply))
                except redis.ResponseError as error:
                    heard.add(str(error))
        return heard
    # Whether the node asked has a copy or not, and whether the lost one has.
    wanted = {"done", "NOQUORUM 3 replicas needed, 2 are up; not done"}
    eventually(lambda: answers("KV.PUT", "KEY", "v", "W", "ALL") == wanted, 30,
               "a write to all says how many are up")
    assert answers("KV.PUT", "KEY", "v", "W", "9") == {
        "NOQUORUM level 9 is more than the 3 copies of a key; not done"}
    assert answers("KV.GET", "KEY", "R", "9") == {
        "NOQUORUM level 9 is more than the 3 copies of a key; ask for less"}


def test_acknowledged_writes_survive_the_death_of_all_nodes(world):
    nodes = world.cluster(3)
    load = Load(nodes)
    chance = random.Random(1)
    for _ in range(world.rounds):
        with load:
            eventually(load.is_moving(), 20, "the load runs")
            time.sleep(chance.random())  # a moment that nothing is aligned to
            for node in chance.sample(nodes, len(nodes)):
                node.send(signal.SIGKILL)
            for node in nodes:
                node.process.wait()
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_ready()
        for client in load.clients:
            client.check_all(chance.choice(nodes))
    load.check()
    world.wait_equal()


def test_nodes_killed_every_five_seconds_lose_nothing(world):
    """One of five at a time, at --rounds 120 for ten minutes; it is away for a moment or for as
    long as others need to stand in for it."""
    nodes = world.cluster(5)
    define_sloppy(nodes[0])
    chance = random.Random(1)
    strict = Load(nodes)
    sloppy = Load(nodes, name=SLOPPY)

    def wait_until(moment):
        eventually(lambda: time.monotonic() >= moment, KILL_SECONDS, "time goes on")
    with strict, sloppy:
        for load in strict, sloppy:
            eventually(load.is_moving(), 20, "the load runs")
        for _ in range(world.rounds):
            now = time.monotonic()
            victim = chance.choice(nodes)
            assert victim.process.poll() is None, f"{victim.name} ended by itself"
            victim.kill()
            for load in strict, sloppy:
                eventually(load.is_moving(), 20, f"clients go on without {victim.name}")
            wait_until(now + chance.uniform(0, KILL_SECONDS - 1))
            victim.start().wait_ready()
            wait_until(now + KILL_SECONDS)
        stalls = [load.longest() for load in (strict, sloppy)]
    seconds = world.verify()
    print(f"    {world.rounds} kills, {strict.writes()} writes and {sloppy.writes()} sloppy ones "
          f"acknowledged, equal after {seconds:.1f} s; longest without an answer "
          f"{stalls[0]:.2f} and {stalls[1]:.2f} s")
    for load in strict, sloppy:
        assert load.writes() > 100 * world.rounds
        load.check_all(nodes)
