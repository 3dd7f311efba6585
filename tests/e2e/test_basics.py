# SPDX-License-Identifier: Apache-2.0
"""What everybody tries first."""
import signal
import time

import redis
from redis.cluster import RedisCluster

from world import eventually


def test_a_value_set_on_one_node_is_read_on_the_others(world):
    nodes = world.cluster(3)
    assert world.check("redis-cli", "-p", nodes[0].port, "set", "greeting", "hello").strip() == "OK"
    for node in nodes:
        assert world.check("redis-cli", "-p", node.port, "get", "greeting").strip() == "hello"


def test_one_node_alone_is_a_cluster(world):
    node = world.node().start().wait_ready()
    with node.client() as client:
        assert client.set("a", "1")
        assert client.get("a") == b"1"
        assert client.dbsize() == 1


def test_redis_benchmark_runs_to_its_end(world):
    nodes = world.cluster(3, "--durability", "interval:1000")
    output = world.check("redis-benchmark", "-p", nodes[0].port, "-t", "set,get", "-P", "16", "-n",
                         "1000000", "-r", "100000", "-q", seconds=600)
    assert "rror" not in output, output
    assert output.count("requests per second") == 2, output


def test_redis_py_finds_what_it_knows(world):
    nodes = world.cluster(3)
    one, two, three = [node.client(decode_responses=True) for node in nodes]
    one.mset({f"key:{i}": str(i) for i in range(100)})
    assert two.mget([f"key:{i}" for i in range(100)]) == [str(i) for i in range(100)]
    assert sorted(three.scan_iter(match="key:*", count=17)) == sorted(f"key:{i}" for i in range(100))
    assert two.dbsize() == 100
    assert one.delete("key:1", "key:2", "key:none") == 2
    assert three.exists("key:1", "key:2", "key:3") == 1
    one.set("brief", "x", px=300)
    assert 0 < two.pttl("brief") <= 300
    eventually(lambda: three.get("brief") is None, 5, "the value has expired")
    with two.pipeline(transaction=False) as pipeline:
        for i in range(1000):
            pipeline.set(f"p:{i % 10}", str(i)).get(f"p:{i % 10}")
        answers = pipeline.execute()
    assert answers[1::2] == [str(i) for i in range(1000)]


def test_bytes_of_all_kinds_are_keys_and_values(world):
    nodes = world.cluster(3)
    one, two = nodes[0].client(), nodes[1].client()
    everything = bytes(range(256))
    one.set(everything, everything * 16)
    assert two.get(everything) == everything * 16
    one.set("empty", b"")
    assert two.get("empty") == b""
    large = b"x" * (1024 * 1024)
    one.set("large", large)
    assert two.get("large") == large


def test_redis_py_as_a_cluster_client(world):
    nodes = world.cluster(3)
    client = RedisCluster(host="127.0.0.1", port=nodes[0].port, decode_responses=True)
    for i in range(1000):
        assert client.set(f"key:{i}", str(i))
    for i in range(1000):
        assert client.get(f"key:{i}") == str(i)
    assert client.dbsize(target_nodes=RedisCluster.PRIMARIES) == 1000
    client.close()


def test_appendfsync_promises_no_more_than_is_so(world):
    for durability, word in (("always", "always"), ("interval:1000", "everysec"),
                             ("interval:1001", "no")):
        node = world.nodes[0] if world.nodes else world.node()
        node.start("--durability", durability).wait_ready()
        with node.client() as client:
            assert client.config_get("appendfsync") == {"appendfsync": word}
            assert client.config_get("durability") == {"durability": durability}
        node.stop()


def test_sigterm_ends_a_node_in_order_and_its_data_stays(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        for i in range(100):
            client.set(f"key:{i}", i)
    for node in nodes:
        assert node.stop() == 0, node.tail()
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_ready()
    with nodes[2].client() as client:
        assert [client.get(f"key:{i}") for i in range(100)] == [b"%d" % i for i in range(100)]


def test_sigint_ends_a_node_like_sigterm(world):
    node = world.node().start().wait_ready()
    node.send(signal.SIGINT)
    assert node.process.wait(20) == 0


def test_a_node_that_ends_does_not_wait_for_idle_clients(world):
    node = world.node().start().wait_ready()
    with node.client() as client:
        client.ping()
        begin = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - begin < 10


def test_a_value_from_a_time_of_larger_limits_is_shown_and_not_rewritten(world):
    node = world.node().start("--value-max", "1m").wait_ready()
    value = b"v" * 500000
    with node.client() as client:
        client.set("old", value)
        client.set("small", "x")
    assert node.stop() == 0
    node.start("--value-max", "100k").wait_ready()
    with node.client() as client:
        assert client.get("old") == value
        for command in ("EXPIRE old 100", "RENAME old new", "RENAMENX old new", "COPY old new",
                        "GETEX old EX 100", "SETBIT old 1 1", "BITFIELD old SET u8 0 1",
                        "BITOP OR new old", "BITOP NOT new old", "BITOP AND new small old",
                        "APPEND old x", "SETRANGE old 0 x"):
            try:
                answer = client.execute_command(*command.split())
            except redis.ResponseError as error:
                answer = str(error)
            wanted = ("TOOLARGE the value is from a time when larger ones were allowed",
                      "string exceeds maximum allowed size")
            assert str(answer).startswith(wanted), (command, answer)
        assert client.get("old") == value
        assert client.delete("old") == 1 and client.get("old") is None
