# SPDX-License-Identifier: Apache-2.0
"""Snapshots of running nodes, and clusters that are made of them."""
import os
import random
import threading
import time

import redis

from world import eventually

KEYS = 3000
MOMENTS = ("before", "after")


def value_of(i, moment):
    return f"{moment}:{i}:" + "v" * (i % 500)


def fill(node, first, last, moment):
    with node.client(10) as client:
        with client.pipeline(transaction=False) as pipeline:
            for i in range(first, last):
                pipeline.set(f"key:{i}", value_of(i, moment))
            assert pipeline.execute() == [True] * (last - first)


def contents(node, count=2 * KEYS):
    with node.client(30) as client:
        return client.mget([f"key:{i}" for i in range(count)])


def snapshots_of(node):
    with node.client(10) as client:
        listed = client.execute_command("QUOIT SNAPSHOTS")
    fields = [dict(zip(one[::2], one[1::2])) if isinstance(one, list) else one for one in listed]
    return {one[b"name"].decode(): one for one in fields}


def info(node, field):
    with node.client(10) as client:
        return client.info("store")[field]


def files_of(node, snapshot):
    return [name for name in os.listdir(node.directory) if name.startswith(f"snapshot-{snapshot}.")]


def snapshot(world, node, name):
    world.check(world.quoit, "snapshot", name, "--port", node.port)


def restore(world, node, name, directory, word):
    world.check(world.quoit, "restore", name, "--from", node.directory, "--to", directory,
                "--new-cluster", word)


def make_and_change(world):
    """Three nodes with a snapshot each, and writes and deletes since."""
    nodes = world.cluster(3)
    with nodes[0].client(30) as client:  # keyspaces and their numbers are restored, too
        client.flushall()
        client.execute_command("KEYSPACE CREATE", "key", "TTL", 10**9)
    fill(nodes[0], 0, KEYS, "before")
    saved = contents(nodes[0])
    for node in nodes:
        snapshot(world, node, "s1")
    fill(nodes[1], KEYS // 2, 2 * KEYS, "after")
    with nodes[2].client(10) as client:
        client.delete(*[f"key:{i}" for i in range(KEYS // 4)])
        client.execute_command("QUOIT COMPACT")
    return nodes, saved


def start_restored(world, nodes, word, suffix):
    members = ",".join(f"{node.name}=127.0.0.1:{node.port}" for node in nodes)
    for node in nodes:
        restore(world, node, "s1", node.directory + suffix, word)
    for node in nodes:
        node.directory += suffix
        node.start("--name", node.name, "--host", node.name, "--initial", members)
    for node in nodes:
        node.wait_ready()


def test_a_whole_cluster_is_restored_as_it_was_when_the_snapshots_were_made(world):
    nodes, saved = make_and_change(world)
    changed = contents(nodes[0])
    assert changed != saved
    for node in nodes:
        assert node.stop() == 0
    start_restored(world, nodes, "a-new-one", "-restored")
    world.wait_equal()
    for node in nodes:
        assert contents(node) == saved
        with node.client() as client:
            assert client.execute_command("KEYSPACE LIST") == [b"default", b"key"]
            assert client.ttl("key:1") > 10**5
    # And it is a cluster like any other: it takes writes, and keeps them through crashes.
    fill(nodes[0], 0, KEYS, "after")
    with nodes[1].client(10) as client:
        client.delete("key:1", "key:2")
    world.wait_equal()
    for node in nodes:
        node.kill()
        node.start()
    for node in nodes:
        node.wait_ready()
    world.wait_equal()
    for node in nodes:
        found = contents(node, KEYS)
        assert found[1] is None and found[2] is None
        assert found[3:] == [value_of(i, "after").encode() for i in range(3, KEYS)]
        assert "s1" not in snapshots_of(node)


def wait_for_line(node, text):
    def has_line():
        with open(node.log, errors="replace") as f:
            return text in f.read()
    eventually(has_line, 30, f"{node.name} says {text}")


def test_a_restored_directory_is_refused_by_the_cluster_it_was_taken_from(world):
    nodes, _ = make_and_change(world)
    changed = contents(nodes[0])
    victim = nodes[2]
    assert victim.stop() == 0
    restore(world, victim, "s1", victim.directory + "-restored", "another")
    victim.directory += "-restored"
    victim.start()
    wait_for_line(nodes[0], "other-cluster")
    with victim.client(5) as client:
        try:
            client.get("key:1")
            raise AssertionError("a restored node serves its old cluster")
        except redis.ResponseError as error:
            assert "CLUSTERDOWN" in str(error), error
    assert contents(nodes[0]) == changed
    assert contents(nodes[1]) == changed


def test_a_cluster_that_was_restored_refuses_the_same_snapshot_again(world):
    nodes, saved = make_and_change(world)
    for node in nodes:
        assert node.stop() == 0
    first = nodes[2].directory
    start_restored(world, nodes, "again", "-restored")
    with nodes[0].client(10) as client:
        client.delete("key:7")
    victim = nodes[2]
    assert victim.stop() == 0
    victim.directory = first
    restore(world, victim, "s1", first + "-second", "again")
    victim.directory = first + "-second"
    victim.start()
    wait_for_line(victim, "restored data is refused")
    assert victim.stop() == 0
    # One with an empty directory has to be told which cluster it belongs to.
    victim.directory = first + "-empty"
    victim.start(*victim.arguments, "--new-cluster", "again")
    world.replace(victim, nodes[0])
    victim.wait_ready()
    world.wait_equal()
    saved[7] = None
    assert contents(victim) == saved


def test_a_member_does_not_start_on_what_was_restored_for_another(world):
    nodes, _ = make_and_change(world)
    for node in nodes:
        assert node.stop() == 0
    other = nodes[0]
    restore(world, nodes[1], "s1", other.directory + "-swapped", "x")
    other.directory += "-swapped"
    other.start()
    assert other.process.wait(20) == 1
    with open(other.log, errors="replace") as f:
        assert "restored from that of another member name=n1" in f.read()


def test_another_word_than_data_was_restored_with_is_refused(world):
    nodes, _ = make_and_change(world)
    for node in nodes:
        assert node.stop() == 0
    node = nodes[0]
    restore(world, node, "s1", node.directory + "-restored", "x")
    node.directory += "-restored"
    node.start(*node.arguments, "--new-cluster", "y")
    assert node.process.wait(20) == 1
    assert "another new-cluster" in node.tail(), node.tail()
    node.start(*node.arguments[:-1], "x")
    wait_for_line(node, "listening")


def test_a_snapshot_is_no_directory_to_start_on(world):
    node = world.node().start().wait_ready()
    fill(node, 0, 100, "before")
    snapshot(world, node, "s1")
    assert node.stop() == 0
    copy = os.path.join(world.directory, "copy")
    os.mkdir(copy, 0o700)
    plain = os.path.join(world.directory, "plain")
    os.mkdir(plain, 0o700)
    for name in files_of(node, "s1"):
        with open(os.path.join(node.directory, name), "rb") as f:
            data = f.read()
        for directory, as_name in ((copy, name), (plain, name.split(".", 1)[1])):
            with open(os.path.join(directory, as_name), "wb") as f:
                f.write(data)
    for directory in (copy, plain):
        before = sorted(os.listdir(directory))
        code, output = world.run(world.quoitd, "--port", node.port, "--dir", directory)
        assert code == 1 and "quoit restore" in output, output
        assert set(before) <= set(os.listdir(directory))
    # From there it is restored, too: one node is a whole cluster.
    world.check(world.quoit, "restore", "s1", "--from", copy, "--to", node.directory + "-new",
                "--new-cluster", "x")
    node.directory += "-new"
    node.start().wait_ready()
    assert contents(node, 100) == [value_of(i, "before").encode() for i in range(100)]


def test_what_is_wrong_with_a_snapshot_is_said(world):
    node = world.node().start().wait_ready()
    fill(node, 0, 100, "before")
    quoit = (world.quoit, "snapshot", "--port", node.port)
    for bad in ("..", "a/b", "x" * 32, ""):
        code, output = world.run(*quoit, bad)
        assert code == 2, output
        with node.client(5) as client:
            try:
                client.execute_command("QUOIT", "SNAPSHOT", bad)
                raise AssertionError(f"{bad!r} is taken for a name")
            except redis.ResponseError as error:
                assert "name" in str(error), error
    output = world.check(*quoit, "s1")
    assert output.startswith("snapshot s1: ") and "files" in output, output
    assert output.endswith(f"snapshot-s1.* in {node.directory}\n"), output
    code, output = world.run(*quoit, "s1")
    assert code == 1 and "there is a snapshot of that name already" in output, output
    code, output = world.run(world.quoit, "restore", "a/b", "--from", node.directory, "--to",
                             os.path.join(world.directory, "r0"), "--new-cluster", "x")
    assert code == 2 and "a name is 1 to 31" in output and "--to" not in output, output
    code, output = world.run(*quoit, "--delete", "none")
    assert code == 1 and "NOTFOUND" in output, output
    assert "s1" in world.check(*quoit, "--list")

    lost = [name for name in files_of(node, "s1") if ".log-" in name][0]
    os.rename(os.path.join(node.directory, lost), os.path.join(world.directory, "lost"))
    code, output = world.run(world.quoit, "restore", "s1", "--from", node.directory, "--to",
                             os.path.join(world.directory, "r1"), "--new-cluster", "x")
    assert code == 1 and "files" in output, output
    assert not os.path.exists(os.path.join(world.directory, "r1"))
    code, output = world.run(world.quoit, "restore", "s2", "--from", node.directory, "--to",
                             os.path.join(world.directory, "r2"), "--new-cluster", "x")
    assert code == 1 and "no whole snapshot" in output, output

    # A manifest that nothing is left of, and a directory with a slash at its end.
    empty = os.path.join(world.directory, "empty")
    os.mkdir(empty, 0o700)
    with open(os.path.join(empty, "snapshot-s1.manifest"), "wb"):
        pass
    code, output = world.run(world.quoit, "restore", "s1", "--from", empty, "--to",
                             os.path.join(world.directory, "r3"), "--new-cluster", "x")
    assert code == 1 and "damaged" in output, output
    world.check(*quoit, "s3")
    world.check(world.quoit, "restore", "s3", "--from", node.directory, "--to",
                os.path.join(world.directory, "r4//"), "--new-cluster", "x")
    assert "manifest" in os.listdir(os.path.join(world.directory, "r4"))
    world.check(*quoit, "--delete", "s3")

    world.check(*quoit, "--delete", "s1")
    assert files_of(node, "s1") == []
    assert info(node, "store_snapshots") == 0


class Load:
    """Writes numbered keys through one node, and knows how many were acknowledged."""

    def __init__(self, node):
        self.node = node
        self.acked = 0
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.is_over:
            try:
                with self.node.client(5) as client:
                    while not self.is_over:
                        client.set(f"n:{self.acked}", f"{self.acked}:" + "w" * 300)
                        self.acked += 1
            except (redis.RedisError, OSError):
                time.sleep(0.02)  # the node is down for a moment

    def end(self):
        self.is_over = True
        self.thread.join()


def test_a_snapshot_under_load_holds_all_that_was_acknowledged_before(world):
    node = world.node().start().wait_ready()
    load = Load(node)
    taken = {}
    # Enough of them that segments are flushed and go: then only the snapshots have them.
    for name in ("one", "two", "three", "four", "five", "six"):
        eventually(lambda: load.acked > 1000 * (len(taken) + 1), 120, "writes go on")
        acked = load.acked
        begin = time.monotonic()
        snapshot(world, node, name)
        taken[name] = acked
        print(f"    {name}: {acked} writes, made in {(time.monotonic() - begin) * 1000:.0f} ms")
    load.end()
    eventually(lambda: info(node, "store_snapshot_bytes") > 0, 60, "what is pinned is counted")
    assert set(snapshots_of(node)) == set(taken)
    assert node.stop() == 0
    source = node.directory
    for name, acked in taken.items():
        node.directory = f"{source}-{name}"
        world.check(world.quoit, "restore", name, "--from", source, "--to", node.directory,
                    "--new-cluster", name)
        node.start().wait_ready()
        with node.client(30) as client:
            found = client.mget([f"n:{i}" for i in range(acked)])
            assert found == [f"{i}:{'w' * 300}".encode() for i in range(acked)]
            assert client.dbsize() <= load.acked + 1
        assert node.stop() == 0


def test_a_node_killed_while_it_makes_snapshots_has_whole_ones_or_none(world):
    rng = random.Random(5)
    node = world.node().start().wait_ready()
    load = Load(node)
    acked = {}
    for number in range(4 * world.rounds):
        eventually(lambda: load.acked >= 100 * (number + 1), 60, "writes go on")
        name = f"k{number}"
        acked[name] = load.acked
        with node.client(5) as client:
            client.connection_pool.get_connection("QUOIT").send_command("QUOIT", "SNAPSHOT", name)
            time.sleep(rng.random() * 0.05)  # somewhere in the middle of it
            node.kill()
        node.start().wait_ready()
        whole = snapshots_of(node)
        there = {file.split(".")[0] for file in os.listdir(node.directory)
                 if file.startswith("snapshot-")}
        assert there == {f"snapshot-{name}" for name in whole}, (there, whole)
        if len(whole) > 4:
            oldest = min(whole, key=lambda one: int(one[1:]))
            world.check(world.quoit, "snapshot", "--delete", oldest, "--port", node.port)
    load.end()
    whole = snapshots_of(node)
    assert node.stop() == 0
    source = node.directory
    for name in whole:
        node.directory = f"{source}-{name}"
        world.check(world.quoit, "restore", name, "--from", source, "--to", node.directory,
                    "--new-cluster", name)
        node.start().wait_ready()
        with node.client(30) as client:
            count = acked[name]
            assert client.mget([f"n:{i}" for i in range(count)]) == [
                f"{i}:{'w' * 300}".encode() for i in range(count)]
        assert node.stop() == 0
