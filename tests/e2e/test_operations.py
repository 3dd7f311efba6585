# SPDX-License-Identifier: Apache-2.0
"""What the programs of operators ask for: redis-cli's tools, an exporter, a browser of keys, redis-py."""
import re

import redis

from world import eventually

SHARD_PORT = 2000


def fill(node, count):
    with node.client() as client:
        with client.pipeline(transaction=False) as pipeline:
            for i in range(count):
                pipeline.set(f"key:{i}", "x" * i)
            pipeline.execute()


def test_redis_cli_shows_what_goes_on(world):
    nodes = world.cluster(3)
    fill(nodes[0], 100)
    code, output = world.run("timeout", 4, "stdbuf", "-oL", "redis-cli", "-p", nodes[0].port,
                             "--stat")
    assert code == 124, output  # it goes on until it is stopped
    lines = [line.split() for line in output.splitlines() if re.match(r"\d", line)]
    assert len(lines) >= 2, output
    # keys, memory, clients, blocked, requests (and how many since the line before), connections
    sizes = []
    for node in nodes:
        with node.client() as client:
            sizes.append(client.info("keyspace")["db0"]["keys"])
    assert sum(sizes) == 100, sizes
    assert int(lines[0][0]) == sizes[0] and lines[0][3] == "0" and int(lines[0][4]) > 0, output
    assert re.match(r"[\d.]+[KMG]$", lines[0][1]), output


def test_redis_cli_measures_latency(world):
    node = world.node().start().wait_ready()
    output = world.check("redis-cli", "-p", node.port, "--raw", "--latency", "-i", 1, seconds=20)
    lowest, highest, mean, count = output.split()
    assert int(lowest) <= float(mean) <= int(highest) < 1000 and int(count) > 10, output


def test_redis_cli_finds_what_is_large(world):
    node = world.node().start().wait_ready()
    fill(node, 50)
    for option in ("--bigkeys", "--memkeys"):
        output = world.check("redis-cli", "-p", node.port, option)
        assert "Biggest string found '\"key:49\"' has" in output, output
    code, output = world.run("redis-cli", "-p", node.port, "--hotkeys")
    assert code != 0 and "ERR" in output, output


def test_an_exporter_finds_what_it_asks_for(world):
    """The commands of redis_exporter, and the fields behind its dashboard."""
    nodes = world.cluster(3)
    fill(nodes[0], 100)
    with nodes[1].client(decode_responses=True) as client:
        client.get("key:1")
        text = client.execute_command("INFO", "ALL")
        for field in ("uptime_in_seconds", "connected_clients", "blocked_clients", "used_memory",
                      "maxmemory", "total_commands_processed", "keyspace_hits", "keyspace_misses",
                      "total_net_input_bytes", "total_net_output_bytes", "evicted_keys",
                      "cluster_enabled", "cmdstat_get", "used_memory_rss", "used_cpu_user",
                      "latency_percentiles_usec_get"):
            assert field in text, f"no {field} in {text}"
        assert text["used_memory_rss"] > 1 << 20

        def has_worked():
            used = client.info("cpu")
            return used["used_cpu_user"] + used["used_cpu_sys"] > 0
        eventually(has_worked, 20, "the node has used a processor")
        assert text["cmdstat_get"]["calls"] >= 1 and "keys" in text["db0"]
        settings = client.config_get("*")
        for name in ("maxmemory", "maxclients", "slowlog-log-slower-than", "save", "databases"):
            assert name in settings, settings
        assert client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
        assert client.slowlog_len() >= 0 and isinstance(client.slowlog_get(), list)
        assert client.execute_command("LATENCY LATEST") == []
        histogram = client.execute_command("LATENCY HISTOGRAM")
        assert "get" in histogram and "info" in histogram, histogram
        assert any(line["cmd"] == "client|list" for line in client.client_list())


def test_a_browser_of_keys_finds_what_it_asks_for(world):
    """The commands of RedisInsight; what it tries and can do without may be refused."""
    nodes = world.cluster(3)
    fill(nodes[0], 30)
    with nodes[2].client(decode_responses=True) as client:
        for section in ("server", "memory", "keyspace", "clients", "stats", "replication", "cpu"):
            assert client.info(section) or section == "keyspace"
        assert client.info("replication")["role"] == "master"
        assert client.execute_command("MODULE LIST") == []
        assert client.config_get("databases") == {"databases": "1"}
        assert len(client.execute_command("CLUSTER NODES")) == 3
        assert client.dbsize() == 30
        cursor, keys = client.execute_command("SCAN", 0, "COUNT", 1000)
        while cursor != 0:
            cursor, more = client.execute_command("SCAN", cursor, "COUNT", 1000)
            keys += more
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.type(key).ttl(key).memory_usage(key)
            answers = pipeline.execute()
        assert answers[0::3] == ["string"] * 30 and answers[1::3] == [-1] * 30
        assert all(size > 0 for size in answers[2::3])
        assert client.acl_whoami() == "default"
        for refused in ("MONITOR", "PSUBSCRIBE *"):
            try:
                client.execute_command(*refused.split())
                assert False, refused
            except redis.ResponseError:
                pass
        assert client.ping()


def test_redis_py_operates_a_node(world):
    node = world.node().start("--monitor", "yes", "--debug-commands", "yes").wait_ready()
    with node.client(decode_responses=True) as one, node.client(decode_responses=True) as two:
        assert one.config_set("slowlog-log-slower-than", 0)
        two.set("a", "1")
        assert any(e["command"] in ("SET a 1", b"SET a 1") for e in one.slowlog_get())
        assert one.slowlog_reset() and one.config_set("slowlog-log-slower-than", -1)

        other = two.client_id()
        assert [line["id"] for line in one.client_list(client_id=[str(other)])] == [str(other)]
        assert one.client_pause(300)
        assert two.ping()
        assert one.client_kill_filter(_id=other) == 1
        assert two.client_id() != other  # it has connected anew

        with one.monitor() as monitor:
            two.set("b", "with \"quotes\" and more")
            line = next(line for line in monitor.listen() if line["command"].startswith("SET"))
            assert line["command"] == 'SET b with "quotes" and more', line
            assert line["client_type"] == "tcp", line

        assert one.wait(1, 100) == 0
        assert one.role()[0] == "master" and one.save() and one.lastsave()
        assert one.execute_command("DEBUG SLEEP", "0.1") in (True, "OK", b"OK")
        assert len(one.acl_genpass()) == 64


def test_usage_of_a_node_is_told(world):
    node = world.node().start().wait_ready()
    with node.client() as client:
        def has_worked():
            for _ in range(1000):
                client.set("a", "x" * 1000)
            return client.info("cpu")["used_cpu_user"] > 0.05
        eventually(has_worked, 30, "the node has used its processor")
        info = client.info("server")
        assert info["os"].startswith("Linux") and re.match(r"[0-9a-f]{40}$", info["run_id"]), info
    assert node.stop() == 0
    node.start().wait_ready()
    with node.client() as client:
        assert client.info("server")["run_id"] != info["run_id"]


def test_a_node_shows_what_it_is_called(world):
    node = world.node().start().wait_ready()
    with node.client() as client:
        assert client.config_get("name")["name"] == f"node-{node.port}"
        assert client.config_get("host")["host"] == f"node-{node.port}"
        assert client.config_get("address")["address"] == "127.0.0.1"
        for name, other in (("timeout", "idle-timeout"), ("idle-timeout", "timeout")):
            client.config_set(name, 1000 + len(name))
            assert client.config_get(other)[other] == str(1000 + len(name))
        assert len(client.config_get("idle-timeout")) == 1
