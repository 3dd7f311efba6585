# SPDX-License-Identifier: Apache-2.0
"""quoit verify and quoit repair: whether all copies are the same, and making them so."""
import json
import os
import subprocess

from world import eventually

KEYS = 300


def verify(world, node, *options):
    return world.run(world.quoit, "verify", "--port", node.port, *options)


def verify_json(world, node):
    code, output = verify(world, node, "--json")
    return code, json.loads(output[output.index("{"):])


def repair(world, node, *options):
    return world.run(world.quoit, "repair", "--port", node.port, *options)


def status_says_so(world, node):
    return "copies differ or may" in world.check(world.quoit, "status", "--port", node.port)


def write(node, *prefixes):
    with node.client(10) as client:
        for prefix in prefixes:
            client.mset({f"{prefix}:{i}": node.name for i in range(KEYS)})


def slots_of(node, keys):
    with node.client(10) as client:
        return {int(client.execute_command("CLUSTER KEYSLOT", key)) for key in keys}


def start(world, count=3):
    """A cluster with keys of three copies, and of one."""
    nodes = world.cluster(count)
    with nodes[0].client(10) as client:
        client.execute_command("KEYSPACE CREATE one REPLICATION 1 CONFLICT lww")
    write(nodes[0], "key", "one")
    code, output = verify(world, nodes[0], "--wait", 60)
    assert code == 0 and "all copies are the same" in output, output
    return nodes


def stranger(world, node):
    """The node with another key: it serves what it has, and nobody hears it."""
    key = os.path.join(world.directory, "other.key")
    with open(key, "w") as f:
        f.write("5" * 64 + "\n")
    os.chmod(key, 0o600)
    usual = node.arguments
    node.start(*usual, "--key-file", key)
    node.arguments = usual


def test_verify_shows_what_differs_and_who_is_away(world):
    nodes = start(world)
    code, found = verify_json(world, nodes[1])
    assert code == 0 and found["equal"] and found["differences"] == []
    assert [member["name"] for member in found["members"]] == ["n0", "n1", "n2"]
    assert found["keyspaces"] == 2

    nodes[2].kill()
    with nodes[0].client(10) as client:
        client.execute_command("CONSISTENCY WRITE QUORUM")
        client.set("key:1", "after")
        client.delete("key:2")
    code, output = verify(world, nodes[0])
    assert code == 2 and f"n2 (127.0.0.1:{nodes[2].port}) cannot be asked" in output, output
    code, found = verify_json(world, nodes[1])
    assert code == 2 and not found["equal"] and found["differences"] == []
    assert [member["problem"] is None for member in found["members"]] == [True, True, False]

    eventually(lambda: status_says_so(world, nodes[0]), 30, "quoit status shows it")

    stranger(world, nodes[2])
    code, output = verify(world, nodes[0], "--wait", 3)
    assert code == 1 and "2 slots differ" in output, output
    code, found = verify_json(world, nodes[0])
    assert code == 1 and not found["equal"]
    assert {d["slot"] for d in found["differences"]} == slots_of(nodes[0], ["key:1", "key:2"])
    for difference in found["differences"]:
        assert difference["keyspace"] == "default" and not difference["changing"]
        copies = {copy["member"]: copy["digest"] for copy in difference["copies"]}
        assert copies["n0"] == copies["n1"] != copies["n2"], copies
    write(nodes[1], "key")
    code, output = verify(world, nodes[0])
    count = len(slots_of(nodes[0], [f"key:{i}" for i in range(KEYS)]))
    assert code == 1 and output.count("slot ") == 20, output
    assert f"and {count - 20} more" in output and f"{count} slots differ" in output, output

    assert nodes[2].stop() == 0
    nodes[2].start()
    code, output = verify(world, nodes[1], "--wait", 60)
    assert code == 0 and "all copies are the same" in output, output
    code, output = repair(world, nodes[1], "--all")
    assert code == 0 and "repaired" in output, output
    assert verify(world, nodes[0])[0] == 0
    eventually(lambda: not status_says_so(world, nodes[0]), 30, "quoit status shows it no more")


def test_repair_waits_for_who_is_away(world):
    nodes = start(world)
    slot = slots_of(nodes[0], ["key:1"]).pop()
    nodes[1].kill()
    code, output = repair(world, nodes[0], "--slot", slot, "--wait", 1)
    assert code == 1 and f"n1 (127.0.0.1:{nodes[1].port}) cannot be asked" in output, output
    assert "n0 is not done within 1 s" in output and "n2 is not done" in output, output
    with subprocess.Popen([world.quoit, "repair", "--port", str(nodes[2].port), "--all"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert "n1 " in waiting.stderr.readline()
        nodes[1].start()
        output, _ = waiting.communicate(timeout=120)
        assert waiting.returncode == 0 and "repaired" in output, output


def test_repair_is_told_anew_to_who_was_started_anew(world):
    nodes = start(world)
    nodes[1].kill()
    with subprocess.Popen([world.quoit, "repair", "--port", str(nodes[0].port), "--all"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert "n1 " in waiting.stderr.readline()
        nodes[2].kill()
        assert "n2 " in waiting.stderr.readline()
        nodes[2].start()
        nodes[1].start()
        output, _ = waiting.communicate(timeout=120)
        assert waiting.returncode == 0 and "by 2 of 3 members" in output, output


def test_verify_and_repair_alone_and_asked_wrongly(world):
    nodes = start(world, 1)
    code, output = repair(world, nodes[0], "--all")
    assert code == 0 and "nothing to compare" in output, output
    for wrong in ((), ("--all", "--slot", "1"), ("--slot", "16384"), ("--slot", "x"), ("all",),
                  ("--all", "--wait", "-1")):
        assert repair(world, nodes[0], *wrong)[0] == 2, wrong
    for wrong in (("all",), ("--wait", "x"), ("--slot", "1")):
        assert verify(world, nodes[0], *wrong)[0] == 2, wrong
    assert nodes[0].stop() == 0
    code, output = verify(world, nodes[0])
    assert code == 2 and "cannot reach" in output, output
    code, output = repair(world, nodes[0], "--all")
    assert code == 1 and "cannot reach" in output, output


def test_verify_and_repair_give_the_password_to_every_member(world):
    password = os.path.join(world.directory, "password")
    with open(password, "w") as f:
        f.write("sesame\n")
    os.chmod(password, 0o600)
    members = ",".join(f"n{i}=127.0.0.1:{world.port + i}" for i in range(2))
    nodes = [world.node(f"n{i}", i) for i in range(2)]
    for node in nodes:
        node.start("--name", node.name, "--host", node.name, "--initial", members,
                   "--password-file", password)
    given = ("--password-file", password)
    code, output = verify(world, nodes[0], "--wait", 30, *given)
    assert code == 0 and "on 2 of 2 members" in output, output
    code, output = repair(world, nodes[1], "--slot", 7, *given)
    assert code == 0 and "by 1 of 2 members" in output, output
    code, output = verify(world, nodes[0])
    assert code == 2 and "NOAUTH" in output, output
    code, output = repair(world, nodes[0], "--all")
    assert code == 1 and "NOAUTH" in output, output
