# SPDX-License-Identifier: Apache-2.0
"""What a Redis holds is brought into a cluster."""
import os
import signal
import socket
import subprocess
import time

import redis

from redis_peer import redis_server
from world import Skip, eventually

SOURCE = 5  # from the port of the first node to that of the Redis
STRINGS = 3000
FAR = 4102444800123  # ms since 1970
SECONDS = 60


def fill(source):
    """Strings of all forms in which a file has them, and some of everything else."""
    wanted = {b"bin:" + bytes(range(256)): bytes(range(255, -1, -1)) * 20, b"empty": b"",
              b"packed": b"abcdefgh" * 4000, b"large": os.urandom(300000)}
    for number in (0, -1, 127, -129, 32767, -32769, 2147483647, -2147483649, 12345678901):
        wanted[f"number:{number}".encode()] = str(number).encode()
    for i in range(STRINGS):
        wanted[b"key:%d" % i] = b"value %d " % i * (i % 50)
    with source.pipeline(transaction=False) as pipeline:
        for key, value in wanted.items():
            pipeline.set(key, value)
        for i in range(600):
            pipeline.rpush("list", i, "x" * 100).sadd("set", f"m{i}").zadd("sorted", {f"m{i}": i / 3})
            pipeline.hset("hash", f"f{i}", i).xadd("stream", {"f": i}).sadd("ints", i)
        pipeline.xgroup_create("stream", "group", 0).xreadgroup("group", "who", {"stream": ">"}, 100)
        pipeline.rpush("short", 1).hset("small", "f", 1).zadd("few", {"a": 1})
        pipeline.execute()
    source.set("lasts", "v", pxat=FAR)
    source.set("brief", "v", px=1)
    wanted[b"lasts"] = b"v"
    return wanted


def counts_of(output):
    """'imported: 5 strings' as {'imported strings': 5}."""
    counts = {}
    for line in output.splitlines():
        name, colon, rest = line.partition(":")
        number, _, what = rest.strip().partition(" ")
        if colon and number.isdigit():
            counts[f"{name} {what}".strip()] = int(number)
    return counts


LEFT_OUT = {"left out lists": 2, "left out sets": 2, "left out sorted sets": 2,
            "left out hashes": 2, "left out streams": 1}


def assert_holds(node, wanted):
    with node.client() as client:
        keys = list(wanted)
        for i in range(0, len(keys), 500):
            some = keys[i:i + 500]
            assert client.mget(some) == [wanted[key] for key in some]
        assert client.dbsize() == len(wanted)
        assert client.execute_command("PEXPIRETIME", "lasts") == FAR


def start_import(world, node, *words):
    return subprocess.Popen([world.quoit, "import", "--port", str(node.port), *map(str, words)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def quoit_import(world, node, *words):
    """Exit status, output."""
    return world.run(world.quoit, "import", "--port", node.port, *words, seconds=SECONDS)


def test_a_redis_is_imported_from_its_file_and_as_it_runs(world):
    nodes = world.cluster(3)
    port = world.port + SOURCE
    path = os.path.join(world.directory, "dump.rdb")
    with redis_server(world, port), redis.Redis(port=port) as source:
        wanted = fill(source)
        eventually(lambda: source.exists("brief") == 0, 5, "a key has expired")
        source.save()
        code, output = quoit_import(world, nodes[0], path)
        assert code == 0, output
        assert counts_of(output) == {"imported strings": len(wanted), **LEFT_OUT}, output
        for node in nodes:
            assert_holds(node, wanted)

        # As it runs, after something has changed.
        source.set("key:1", "other")
        wanted[b"key:1"] = b"other"
        code, output = quoit_import(world, nodes[1], f"redis://127.0.0.1:{port}")
        assert code == 0, output
        assert counts_of(output) == {"imported strings": len(wanted), **LEFT_OUT}, output
        assert_holds(nodes[2], wanted)


def test_an_import_takes_addresses_in_brackets(world):
    with socket.socket(socket.AF_INET6) as here:
        try:
            here.bind(("::1", 0))
        except OSError:
            raise Skip("there is no IPv6 here") from None
    node = world.node().start().wait_ready()
    port = world.port + SOURCE
    with redis_server(world, port, "--bind", "127.0.0.1", "::1"), redis.Redis(port=port) as source:
        source.set("k", "v")
        for address in (f"[::1]:{port}", f"[::1]:{port}/0"):
            code, output = quoit_import(world, node, f"redis://{address}")
            assert code == 0 and counts_of(output) == {"imported strings": 1}, output
    assert node.client().get("k") == b"v"
    code, output = quoit_import(world, node, "redis://[]:1")
    assert code != 0, output


def test_an_import_goes_on_where_it_ended(world):
    node = world.node().start().wait_ready()
    port = world.port + SOURCE
    path = os.path.join(world.directory, "dump.rdb")
    with redis_server(world, port), redis.Redis(port=port) as source:
        wanted = fill(source)
        source.save()
        for where in (path, f"redis://127.0.0.1:{port}"):
            process = start_import(world, node, "--rate", 1000, where)
            with node.client() as client:
                eventually(lambda: client.dbsize() > 200, SECONDS, "some are there")
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=SECONDS)
                assert process.returncode == 1, output
                counts = counts_of(output)
                assert 200 < counts["imported strings"] < 1500, output
                position = output.split("--from ")[1].split()[0]
                code, rest = quoit_import(world, node, "--from", position, where)
                assert code == 0, rest
                both = counts["imported strings"] + counts_of(rest)["imported strings"]
                # What it had asked for but not heard of may come twice.
                assert len(wanted) <= both <= len(wanted) + 600, (output, rest)
                assert_holds(node, wanted)
                client.delete(*wanted)


def test_an_import_waits_for_a_node_that_comes_back(world):
    node = world.node().start().wait_ready()
    port = world.port + SOURCE
    path = os.path.join(world.directory, "dump.rdb")
    with redis_server(world, port), redis.Redis(port=port) as source:
        wanted = fill(source)
        source.save()
    process = start_import(world, node, "--rate", 1000, path)
    with node.client() as client:
        eventually(lambda: client.dbsize() > 200, SECONDS, "some are there")
    node.kill()
    time.sleep(0.5)  # it meets nobody meanwhile
    node.start().wait_ready()
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    assert counts_of(output)["imported strings"] == len(wanted), output
    assert_holds(node, wanted)


def test_what_cannot_be_imported_is_told(world):
    node = world.node().start("--value-max", "100k").wait_ready()
    port = world.port + SOURCE
    path = os.path.join(world.directory, "dump.rdb")
    with redis_server(world, port, "--requirepass", "secret"), \
            redis.Redis(port=port, password="secret") as source:
        wanted = fill(source)
        source.execute_command("SELECT", 2)
        source.set("there", 1)
        source.save()
        code, output = quoit_import(world, node, f"redis://127.0.0.1:{port}")
        assert code == 1 and "NOAUTH" in output, output
        code, output = quoit_import(world, node, f"redis://:wrong@127.0.0.1:{port}")
        assert code == 1 and "WRONGPASS" in output, output
        code, output = quoit_import(world, node, f"redis://:secret@127.0.0.1:{port}/2")
        assert code == 0 and counts_of(output) == {"imported strings": 1}, output
        secret = f"redis://:secret@127.0.0.1:{port}"
        code, output = quoit_import(world, node, secret, "--database", 2)
        assert code == 0 and counts_of(output) == {"imported strings": 1}, output
        code, output = quoit_import(world, node, secret + "/1", "--database", 2)
        assert code == 1 and "another database" in output, output
    code, output = quoit_import(world, node, path)
    assert code == 1, output
    assert "not imported: large: TOOLARGE" in output, output
    counts = counts_of(output)
    counts.pop("expired", None)  # one had a millisecond
    assert counts == {"imported strings": len(wanted) - 1, "refused": 1, **LEFT_OUT,
                      "elsewhere keys of other databases": 1}, output

    with open(path, "rb") as f:
        whole = f.read()
    broken = os.path.join(world.directory, "broken.rdb")
    for data, wanted_text in ((whole[:-1], "damaged or cut short"), (b"not a file", "no RDB file"),
                              (b"", "no file, or empty"),
                              (whole[:500] + b"!" + whole[501:], "damaged or cut short")):
        with open(broken, "wb") as f:
            f.write(data)
        code, output = quoit_import(world, node, broken)
        assert code == 1 and wanted_text in output, output
    for words, wanted_text in (((path + ".none",), "No such file"), ((world.directory,), "no file"),
                               (("redis://127.0.0.1:1",), "Connection refused"),
                               (("redis://:a",), "an address is"), (("--from", "x", path), "--from")):
        code, output = quoit_import(world, node, *words)
        assert code == 1 and wanted_text in output, output
    for source, wanted_text in (("127.0.0.1:6399", "is named by redis://127.0.0.1:6399"),
                                ("valkey://127.0.0.1", "is named by redis://"),
                                ("rediss://127.0.0.1", "no TLS")):
        code, output = quoit_import(world, node, source)
        assert code != 0 and wanted_text in output, output
    node.kill()
    code, output = quoit_import(world, node, "--timeout", "1", path)
    assert code == 1 and "refused" in output, output


def test_an_import_that_nobody_takes_ends_at_once(world):
    password = os.path.join(world.directory, "password")
    with open(password, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write("secret")
    node = world.node().start("--password-file", password)
    port = world.port + SOURCE
    path = os.path.join(world.directory, "dump.rdb")
    with redis_server(world, port), redis.Redis(port=port) as source:
        wanted = fill(source)
        source.save()

    def is_ready():
        try:
            with node.client(password="secret") as client:
                return client.set("there", "1")
        except redis.RedisError:
            return False
    eventually(is_ready, SECONDS, "the node takes writes")
    code, output = quoit_import(world, node, path)
    # Nothing was sent. What is no string may have been passed over before: keys come in any order.
    assert code == 1 and "NOAUTH" in output and "refused" not in output, output
    assert counts_of(output)["imported strings"] == 0, output
    code, output = quoit_import(world, node, "--password-file", password, path)
    assert code == 0 and counts_of(output)["imported strings"] == len(wanted), output
