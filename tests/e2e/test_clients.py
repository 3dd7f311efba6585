# SPDX-License-Identifier: Apache-2.0
"""The libraries and tools that people come with."""
import logging
import re

import redis
from redis.cluster import RedisCluster

import programs
from world import eventually

LARGE = 1024 * 1024
SHARD_PORT = 2000  # from a node's main port to the one with the manners of Redis Cluster
WORK_SECONDS = 60

logging.getLogger("redis").addHandler(logging.NullHandler())  # it tells every retry


def ports_of(nodes):
    return ",".join(str(node.port) for node in nodes)


def through_trouble(world, start):
    """Runs a client; when it is at work a node is killed; it goes on; the node comes back."""
    nodes = world.cluster(3)
    with start(nodes) as client:
        client.wait_line("running", WORK_SECONDS)
        nodes[2].kill()
        client.finish(WORK_SECONDS)
        failures = client.failures()
    nodes[2].start().wait_ready()
    world.wait_equal()
    return failures


def test_hiredis(world):
    program = programs.compiled("hiredis_client")
    failures = through_trouble(world, lambda nodes: programs.Program(
        program, nodes[0].port, nodes[1].port))
    assert not failures, failures


def test_ioredis(world):
    failures = through_trouble(world, lambda nodes: programs.script(
        "ioredis.js", "plain", ports_of(nodes)))
    assert not failures, failures


def test_ioredis_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.script("ioredis.js", "cluster", ports_of(nodes)))


def test_node_redis(world):
    failures = through_trouble(world, lambda nodes: programs.script(
        "node_redis.js", "plain", ports_of(nodes)))
    assert not failures, failures


def test_node_redis_in_resp3(world):
    failures = through_trouble(world, lambda nodes: programs.script(
        "node_redis.js", "plain3", ports_of(nodes)))
    assert not failures, failures


def test_node_redis_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.script(
        "node_redis.js", "cluster", ports_of(nodes)))


def test_node_redis_as_a_cluster_client_in_resp3(world):
    through_trouble(world, lambda nodes: programs.script(
        "node_redis.js", "cluster3", ports_of(nodes)))


def test_valkey_glide(world):
    failures = through_trouble(world, lambda nodes: programs.script(
        "glide.js", "plain", ports_of(nodes)))
    assert not failures, failures


def test_valkey_glide_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.script("glide.js", "cluster", ports_of(nodes)))


def test_go_redis(world):
    failures = through_trouble(world, lambda nodes: programs.go_redis("plain", ports_of(nodes)))
    assert not failures, failures


def test_go_redis_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.go_redis("cluster", ports_of(nodes)))


def test_redis_rs(world):
    failures = through_trouble(world, lambda nodes: programs.redis_rs("plain", ports_of(nodes)))
    assert not failures, failures


def test_redis_rs_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.redis_rs("cluster", ports_of(nodes)))


def test_jedis(world):
    failures = through_trouble(world, lambda nodes: programs.java(
        "jedis", "plain", ports_of(nodes)))
    assert not failures, failures


def test_jedis_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.java("jedis", "cluster", ports_of(nodes)))


def test_lettuce(world):
    failures = through_trouble(world, lambda nodes: programs.java(
        "lettuce", "plain", ports_of(nodes)))
    assert not failures, failures


def test_lettuce_as_a_cluster_client(world):
    through_trouble(world, lambda nodes: programs.java("lettuce", "cluster", ports_of(nodes)))


def check_redis_py(one, two):
    """What redis-py does, writing through one client and reading through another."""
    assert one.get("py:none") is None
    assert one.set("py:a", "1") and two.get("py:a") == b"1"
    assert two.delete("py:a") == 1 and one.delete("py:a") == 0
    assert one.mset({"{py}:1": "one", "{py}:2": "zwei", "{py}:3": ""})
    assert two.mget("{py}:1", "{py}:2", "{py}:3", "{py}:4") == [b"one", b"zwei", b"", None]
    name = "ключ:\U0001f511:鍵"
    assert one.set(name, "値 \U0010ffff") and two.get(name).decode() == "値 \U0010ffff"
    everything = bytes(range(256)) * 16
    assert one.set(everything[:256], everything) and two.get(everything[:256]) == everything
    large = everything * (LARGE // len(everything))
    assert one.set("py:large", large) and two.get("py:large") == large
    assert one.set("py:brief", "x", ex=100) and 90 < two.ttl("py:brief") <= 100
    assert two.pexpire("py:brief", 30)
    eventually(lambda: one.get("py:brief") is None, 5, "the value has expired")
    assert two.ttl("py:brief") == -2 and two.ttl("py:large") == -1


def check_redis_py_many(one, two):
    keys = [f"py:p:{i}" for i in range(1000)]
    with one.pipeline(transaction=False) as pipeline:
        for i, key in enumerate(keys):
            pipeline.set(key, i)
        assert pipeline.execute() == [True] * 1000
    with two.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.get(key)
        assert pipeline.execute() == [b"%d" % i for i in range(1000)]
    for client in (one, two):
        assert {key.decode() for key in client.scan_iter(match="py:p:*", count=33)} == set(keys)


def work_without(client, victim):
    """A node is killed; what is written before and after is read."""
    for i in range(300):
        client.set(f"py:t:{i}", i)
    victim.kill()
    for i in range(300):
        assert client.get(f"py:t:{i}") == b"%d" % i
        assert client.set(f"py:t:{i}", i + 1)
    assert [client.get(f"py:t:{i}") for i in range(300)] == [b"%d" % (i + 1) for i in range(300)]


def test_redis_py(world):
    nodes = world.cluster(3)
    with nodes[0].client() as one, nodes[1].client() as two:
        check_redis_py(one, two)
        check_redis_py_many(one, two)
        work_without(one, nodes[2])


def test_redis_py_as_a_cluster(world):
    nodes = world.cluster(3)
    one, two = [RedisCluster(host="127.0.0.1", port=node.port, socket_timeout=5)
                for node in nodes[:2]]
    check_redis_py(one, two)
    check_redis_py_many(one, two)
    # Every node is asked, and together they are first for all slots.
    assert len(one.get_primaries()) == 3
    sizes = [one.dbsize(target_nodes=[node]) for node in one.get_primaries()]
    assert sum(sizes) == nodes[0].client().dbsize() and min(sizes) > 0, sizes
    # This client cannot do without the node that stands first in its list, with no cluster.
    last = one.get_primaries()[-1].port - SHARD_PORT
    work_without(one, next(node for node in nodes if node.port == last))
    one.close()
    two.close()


def test_redis_py_goes_on_through_another_node_when_its_own_dies(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        client.set("a", "1")
        nodes[0].kill()
        try:
            client.get("a")
            assert False, "a dead node answers"
        except (redis.ConnectionError, redis.TimeoutError):
            pass
    with nodes[1].client() as client:
        assert client.get("a") == b"1"


def test_redis_cli(world):
    nodes = world.cluster(3)

    def cli(node, *words):
        return world.check("redis-cli", *words[:-1], "-p", node.port, *words[-1].split())
    assert cli(nodes[0], "set a 1") == "OK\n"
    assert cli(nodes[1], "-3", "get a") == "1\n"
    assert cli(nodes[1], "-3", "get none") == "\n"
    assert cli(nodes[2], "-3", "config get maxclients").split() == ["maxclients", "10000"]
    for i in range(50):  # on all nodes, whichever is asked
        assert cli(nodes[i % 3], "-c", f"set key:{i} {i}") == "OK\n"
    assert [cli(nodes[(i + 1) % 3], "-c", f"get key:{i}") for i in range(50)] == \
        [f"{i}\n" for i in range(50)]
    shard = nodes[0].port + SHARD_PORT
    assert world.check("redis-cli", "-c", "-p", shard, "get", "key:1") == "1\n"
    names = cli(nodes[1], "--scan", "").split()
    assert sorted(names) == sorted(["a"] + [f"key:{i}" for i in range(50)])
    assert sorted(world.check("redis-cli", "-p", nodes[2].port, "--scan", "--pattern",
                              "key:1*").split()) == sorted(f"key:{i}" for i in range(50)
                                                           if str(i).startswith("1"))
    world.check("redis-cli", "-p", nodes[0].port, "set", "biggest", "x" * 1000)
    output = cli(nodes[1], "--bigkeys", "")
    assert 'Biggest string found \'"biggest"\' has 1000 bytes' in output, output
    assert "Sampled 52 keys" in output, output
    output = cli(nodes[2], "--memkeys", "")
    assert "Sampled 52 keys" in output, output


def test_redis_cli_finds_a_healthy_cluster(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        for i in range(100):
            client.set(f"key:{i}", i)
    for node in nodes:
        for port in (node.port, node.port + SHARD_PORT):
            output = world.check("redis-cli", "--cluster", "check", f"127.0.0.1:{port}")
            assert "All nodes agree about slots configuration" in output, output
            assert "All 16384 slots covered" in output, output
            assert "[ERR]" not in output and "[WARNING]" not in output, output
        # A main port speaks of the whole store, so only shards' ports add up.
        assert "[OK] 100 keys in 3 masters" in output, output
    output = world.check("redis-cli", "--cluster", "call", f"127.0.0.1:{nodes[0].port}", "ping")
    assert output.count("PONG") == 3, output


def test_redis_cli_sees_that_a_node_is_gone(world):
    nodes = world.cluster(3)
    nodes[1].kill()

    def are_served_by_two():
        output = world.run("redis-cli", "--cluster", "check",
                           f"127.0.0.1:{nodes[0].port + SHARD_PORT}")[1]
        return "keys in 2 masters" in output and "All 16384 slots covered" in output
    eventually(are_served_by_two, 20, "two nodes serve all slots")


def test_redis_cli_loads_what_is_piped_into_it(world):
    nodes = world.cluster(3)
    count = 20000
    stream = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$1\r\nx\r\n" % (len(str(i)) + 5, i)
                      for i in range(count))
    output = world.feed(stream, "redis-cli", "-p", nodes[0].port, "--pipe")
    assert f"errors: 0, replies: {count}" in output, output
    with nodes[1].client() as client:
        assert client.dbsize() == count


def test_redis_benchmark_as_a_cluster_client(world):
    nodes = world.cluster(3, "--durability", "interval:1000")
    output = world.check("redis-benchmark", "--cluster", "-p", nodes[0].port, "-t", "set,get", "-P",
                         "16", "-n", "200000", "-r", "100000", "-q", seconds=300)
    assert "Cluster has 3 master nodes" in output, output
    assert "rror" not in output and "WARN" not in output, output
    assert len(re.findall(r"^(?:.*\r)?(?:SET|GET): [\d.]+ requests per second", output,
                          re.MULTILINE)) == 2, output
