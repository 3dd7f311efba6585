# SPDX-License-Identifier: Apache-2.0
"""quoit, the program for people."""
import json
import os
import signal
import socket
import subprocess
import threading

from world import eventually


def pid_of(directory, number):
    with open(os.path.join(directory, f"node{number}", "quoitd.pid")) as f:
        return int(f.read())


def is_running(pid):
    """Neither gone nor a corpse that nobody has buried yet."""
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read() != ""
    except FileNotFoundError:
        return False


def test_demo_starts_mends_and_stops_a_cluster(world):
    directory = os.path.join(world.directory, "demo")
    demo = [world.quoit, "demo", "--dir", directory, "--memory", "1g"]
    try:
        output = world.check(*demo, "--detach", "--nodes", 3, "--port", world.port)
        assert f"redis-cli -p {world.port} set" in output, output
        pids = [pid_of(directory, i) for i in (1, 2, 3)]
        assert all(map(is_running, pids))
        assert os.stat(os.path.join(directory, "cluster.key")).st_mode & 0o777 == 0o600
        world.check("redis-cli", "-p", world.port, "set", "a", "1")

        output = world.check(*demo, "--detach")
        assert "0 nodes started, 3 were running" in output, output
        os.kill(pids[1], signal.SIGKILL)
        output = world.check(*demo, "--detach")
        assert "1 nodes started, 2 were running" in output, output
        assert not is_running(pids[1])
        pids[1] = pid_of(directory, 2)
        assert pids == [pid_of(directory, i) for i in (1, 2, 3)]

        code, output = world.run(*demo, "--detach", "--nodes", 5)
        assert code == 1 and "--nodes 3" in output, output
        view = json.loads(world.check(world.quoit, "status", "--port", world.port, "--json"))
        assert [node["name"] for node in view["nodes"]] == ["node1", "node2", "node3"]
        assert {node["state"] for node in view["nodes"]} <= {"up", "mending"}
        assert sum(node["slots"] for node in view["nodes"]) == 16384
        assert all(node["slots_held"] == 16384 for node in view["nodes"])
        assert view["cluster"]["state"] == "ok"
    finally:
        world.run(*demo, "--stop")
    assert not any(map(is_running, pids))
    code, output = world.run(*demo, "--stop")
    assert code == 0 and "0 of 3" in output, output


def test_demo_starts_a_node_that_is_still_dying(world):
    directory = os.path.join(world.directory, "demo")
    data = os.path.join(directory, "node2", "data")
    demo = [world.quoit, "demo", "--dir", directory, "--memory", "1g", "--detach"]
    remains = []
    try:
        world.check(*demo, "--nodes", 3, "--port", world.port)
        pid = pid_of(directory, 2)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid), 20, "the node is gone")
        # What is seen of it for a moment, made longer: the process, and the files that it held.
        remains.append(subprocess.Popen(["quoitd", "-c", "sleep 1; :", data], executable="/bin/sh"))
        remains.append(subprocess.Popen(["flock", os.path.join(data, "LOCK"), "sleep", "2"]))
        with open(os.path.join(directory, "node2", "quoitd.pid"), "w") as f:
            f.write(str(remains[0].pid))
        threading.Thread(target=remains[0].wait).start()  # buries it
        output = world.check(*demo)
        assert "1 nodes started, 2 were running" in output, output
        assert is_running(pid_of(directory, 2))
    finally:
        for process in remains:
            process.wait()
        world.run(world.quoit, "demo", "--dir", directory, "--stop")


def test_demo_needs_no_port_that_nothing_listens_on(world):
    with socket.create_server(("127.0.0.1", world.port + 1000)):
        demo = [world.quoit, "demo", "--dir", os.path.join(world.directory, "demo")]
        try:
            world.check(*demo, "--detach", "--nodes", 1, "--memory", "1g", "--port", world.port)
        finally:
            world.run(*demo, "--stop")


def test_demo_says_which_port_is_taken_and_leaves_nothing(world):
    world.node(number=2).start().wait_ready()
    directory = os.path.join(world.directory, "demo")
    code, output = world.run(world.quoit, "demo", "--detach", "--port", world.port, "--dir",
                             directory)
    assert code == 1 and f"port {world.port + 2}" in output, output
    assert not os.path.exists(directory)


def test_status_shows_a_node_that_is_down(world):
    nodes = world.cluster(3)
    nodes[2].kill()

    def states():
        view = json.loads(world.check(world.quoit, "status", "--port", nodes[0].port, "--json"))
        return {node["name"]: node["state"] for node in view["nodes"]}
    eventually(lambda: states() == {"n0": "up", "n1": "up", "n2": "down"}, 20, "n2 is shown down")
    output = world.check(world.quoit, "status", "--port", nodes[0].port)
    assert "\033" not in output and "down" in output, output
    code, output = world.run(world.quoit, "status", "--port", nodes[2].port)
    assert code == 1 and "cannot reach" in output, output
    nodes[1].send(signal.SIGSTOP)
    code, output = world.run(world.quoit, "status", "--port", nodes[1].port)
    assert code == 1 and "did not answer within 3 s" in output, output
    nodes[1].send(signal.SIGCONT)


def test_nodes_shows_what_each_thinks_of_the_others(world):
    nodes = world.cluster(3)

    def look(*options):
        return world.run(world.quoit, "nodes", "--port", nodes[0].port, *options)

    def seen():
        code, output = world.run(world.quoit, "nodes", "--port", nodes[0].port, "--json")
        view = json.loads(output[output.index("{"):])
        return code, view["not_up"], {(node["name"], sight["name"]): sight["state"]
                                      for node in view["nodes"] for sight in node["sees"]}
    pairs = {(a, b): "up" for a in ("n0", "n1", "n2") for b in ("n0", "n1", "n2") if a != b}
    eventually(lambda: seen() == (0, 0, pairs), 20, "all are up to all")
    code, output = look()
    assert code == 0 and "0 not up" in output and "3 of 3 members" in output, output
    assert output.count(" up ") == 6 and "\033" not in output, output
    nodes[2].kill()
    eventually(lambda: seen() == (2, 2, {("n0", "n1"): "up", ("n1", "n0"): "up", ("n0", "n2"): "down",
                                         ("n1", "n2"): "down"}), 20, "n2 is down to the others")
    code, output = look("--trouble")
    assert code == 2 and "n2 (127.0.0.1:" in output and "2 not up" in output, output
    assert output.count(" down ") == 2 and " up " not in output, output
    nodes[2].start()
    eventually(lambda: seen() == (0, 0, pairs), 20, "all are up to all again")
    nodes[2].send(signal.SIGSTOP)
    code, output = look()
    assert code == 2 and "did not answer within 3 s" in output, output
    nodes[2].send(signal.SIGCONT)
    eventually(lambda: seen() == (0, 0, pairs), 20, "all are up to all once more")


def test_commands_give_the_password(world):
    password = os.path.join(world.directory, "password")
    wrong = os.path.join(world.directory, "wrong")
    for path, text in ((password, "geheim wort"), (wrong, "another")):
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(text + "\n")
    node = world.node().start("--password-file", password)

    def is_ready():
        code, output = world.run(world.quoit, "status", "--port", node.port, "--password-file",
                                 password)
        return code == 0 and "cluster ok" in output
    eventually(is_ready, 20, "status shows a node that wants a password")
    bench = ("bench", "--preload", "--keys", 100, "--requests", 1000, "--json")
    for command in (("status",), ("snapshot", "one"), ("snapshot", "--list"), bench):
        command = (world.quoit, *command, "--port", node.port)
        code, output = world.run(*command)
        assert code == 1 and "NOAUTH" in output, output
        code, output = world.run(*command, "--password-file", wrong)
        assert code == 1 and "WRONGPASS" in output, output
        output = world.check(*command, "--password-file", password)
        assert "NOAUTH" not in output, output
    figures = json.loads(output)
    assert figures["wrong"] == 0 and not figures["errors"] and figures["all"]["ops"] == 1000, output


def test_bench_finds_no_wrong_answer(world):
    nodes = world.cluster(3, "--durability", "interval:1000")
    ports = ",".join(str(node.port) for node in nodes)
    output = world.check(world.quoit, "bench", "--port", ports, "--commands", "get:1,set:1,del:1",
                         "--keys", 1000, "--pipeline", 8, "--seconds", 2, "--json")
    figures = json.loads(output)
    assert figures["wrong"] == 0 and figures["lost"] == 0 and not figures["errors"], output
    assert figures["all"]["ops"] > 1000, output
