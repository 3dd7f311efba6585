# SPDX-License-Identifier: Apache-2.0
"""quoitd --check: what it says of directories that are whole, hurt, or in use."""
import json
import os
import random
import shutil

from world import eventually

VALUE = 20000
KINDS = ("manifest", "facts-", "log-", "table-")


def check(world, directory, *arguments):
    return world.run(world.quoitd, "--check", directory, *arguments)


def load(node, generation, count):
    noise = random.Random(generation).randbytes(VALUE)
    with node.client(60) as client:
        for first in range(0, count, 100):
            with client.pipeline(transaction=False) as pipeline:
                for i in range(first, first + 100):
                    pipeline.set(f"key:{i}", f"{generation}:{i}:".encode() + noise)
                assert pipeline.execute() == [True] * 100


def start(node):
    """With little memory, so that tables are made soon."""
    return node.start("--memory", "256m", "--value-max", "64k", "--clients-max", "100",
                      "--durability", "interval:200").wait_ready()


def has_tables(node):
    return any(name.startswith("table-") for name in os.listdir(node.directory))


def files_of(directory):
    """Every file with its size and the time of its last change."""
    return {entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in os.scandir(directory)}


def live_offset(path, chance):
    """Of a byte that counts: none of the zeros that fill something up, nor of the end of the log,
    which may always be one that was torn."""
    with open(path, "rb") as f:
        data = f.read().rstrip(b"\0")
    end = len(data) // 2 if os.path.basename(path).startswith("log-") else len(data)
    while True:
        at = chance.randrange(end)
        if data[at] != 0 and any(data[at + 1:at + 8]):
            return at


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def test_check_finds_nothing_after_a_kill(world):
    node = world.node()
    for generation in range(world.rounds):
        start(node)
        load(node, generation, 1500)
        eventually(lambda: has_tables(node), 60, "a table is made")
        load(node, generation + 100, 500)
        node.kill()
        before = files_of(node.directory)
        code, output = check(world, node.directory)
        assert code == 0, output
        assert output.endswith(": clean\n") and node.directory in output, output
        assert " 0 tables" not in output and " 0 segments" not in output, output
        assert files_of(node.directory) == before, "something was changed"


def test_check_names_what_is_hurt(world):
    chance = random.Random(5)
    node = start(world.node())
    load(node, 1, 1500)
    eventually(lambda: has_tables(node), 60, "a table is made")
    load(node, 2, 500)
    assert node.stop() == 0
    code, output = check(world, node.directory)
    assert code == 0, output
    for kind in KINDS:
        # Of segments the first: what lies before the last may not be torn.
        name = min(n for n in os.listdir(node.directory) if n.startswith(kind))
        path = os.path.join(node.directory, name)
        shutil.copyfile(path, path + ".kept")
        for _ in range(5):
            flip(path, live_offset(path, chance))
            code, output = check(world, node.directory)
            assert code == 1, f"{name}: {output}"
            assert any(line.split()[1] == name + ":" for line in output.splitlines()[:-1]), output
            assert output.endswith(" damaged\n"), output
            code, output = check(world, node.directory, "--json")
            said = json.loads(output)
            assert code == 1 and said["damaged"] > 0, output
            assert name in [finding["file"] for finding in said["findings"]], output
            shutil.copyfile(path + ".kept", path)
        os.remove(path + ".kept")
    code, output = check(world, node.directory, "--json")
    assert code == 0 and json.loads(output)["findings"] == [], output
    start(node)
    with node.client() as client:
        assert client.get("key:499").startswith(b"2:499:")
    assert node.stop() == 0


def test_check_refuses_a_directory_in_use(world):
    node = start(world.node())
    code, output = check(world, node.directory)
    assert code == 1, output
    assert output == f"quoitd: the directory {node.directory} is in use by another process\n"
    assert node.stop() == 0
    code, output = check(world, node.directory)
    assert code == 0, output


def test_check_of_what_is_no_directory_of_a_node_is_an_error(world):
    empty = os.path.join(world.directory, "empty")
    os.makedirs(empty)
    for directory, word in ((empty, "no data"), (empty + ".none", "cannot open")):
        code, output = check(world, directory)
        assert code == 1 and word in output and "clean" not in output, output
    assert os.listdir(empty) == [], "something was made"
    code, output = world.run(world.quoitd, "--json", "--check", empty)
    assert code == 1 and '{"findings": []' in output and "no data" in output, output
    for arguments in ((), ("--json",), ("a", "b"), ("a", "--yaml"), ("a", "--check")):
        code, output = world.run(world.quoitd, "--check", *arguments)
        assert code == 2 and output.startswith("usage: "), output


def test_check_tells_of_a_key_that_others_can_read(world):
    node = start(world.node())
    assert node.stop() == 0
    key = os.path.join(node.directory, "cluster.key")
    os.chmod(key, 0o644)
    code, output = check(world, node.directory)
    assert code == 1 and "can be read by others" in output, output
