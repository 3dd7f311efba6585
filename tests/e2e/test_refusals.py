# SPDX-License-Identifier: Apache-2.0
"""A server that cannot start says why, at once, and ends with an error."""
import os

import redis

from world import eventually


def refuses(world, *arguments, word):
    code, output = world.run(world.quoitd, *arguments, seconds=20)
    assert code not in (0, None) and code > 0, f"{arguments} ended with {code}: {output}"
    assert word in output, f"{arguments}: no '{word}' in: {output}"
    assert len(output) < 2000, f"{arguments}: too much to read: {output}"


def test_a_pipe_in_place_of_the_key_is_refused_and_not_waited_for(world):
    data = os.path.join(world.directory, "data")
    os.makedirs(data)
    os.mkfifo(os.path.join(data, "cluster.key"), 0o600)
    refuses(world, "--dir", data, "--port", str(world.port), word="cluster.key is not a plain file")


def test_bad_options_are_refused_with_their_name(world):
    data = os.path.join(world.directory, "data")
    base = ["--dir", data, "--port", str(world.port)]
    refuses(world, *base, "--colour", "red", word="--colour")
    refuses(world, "--dir", data, "--port", "nine", word="nine")
    refuses(world, "--dir", data, "--port", "70000", word="70000")
    refuses(world, *base, "--memory", "plenty", word="plenty")
    refuses(world, *base, "--memory", "1k", word="memory")
    refuses(world, *base, "--durability", "sometimes", word="sometimes")
    refuses(world, *base, "--compression", "zip", word="--compression zip: must be none, lz4 or zstd")
    refuses(world, *base, "--initial", "a=b=c", word="initial")
    refuses(world, *base, "--bind", "256.0.0.1", word="bind 256.0.0.1: no such host")
    refuses(world, *base, "--bind", "nosuch.invalid", word="bind nosuch.invalid: no such host")
    refuses(world, *base, "--address", "my host", word="address my host: neither the name")


def test_help_is_given_by_both_names(world):
    text = world.check(world.quoitd, "--help")
    assert "--initial" in text and world.check(world.quoitd, "-h") == text


def test_more_memory_than_a_store_can_use_is_refused(world):
    base = ["--dir", os.path.join(world.directory, "data"), "--port", str(world.port)]
    for size in ("66g", "80g", "999999999g"):
        refuses(world, *base, "--memory", size, word="M is more than a node can use")


def test_more_memory_than_the_machine_has_is_refused(world):
    mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 + 1024
    base = ["--dir", os.path.join(world.directory, "data"), "--port", str(world.port)]
    refuses(world, *base, "--memory", f"{mib}m", word=f"{mib}M is more than")


def test_io_uring_is_not_replaced_where_it_was_asked_for(world):
    data = os.path.join(world.directory, "data")
    command = ["env", "QUOIT_IO=portable", world.quoitd]  # as if the kernel did not allow it
    code, output = world.run(*command, "--dir", data, "--port", world.port, "--io", "uring",
                             seconds=20)
    assert code == 1 and "io_uring" in output, f"it ended with {code}: {output}"


def test_a_bad_configuration_is_refused_with_its_line(world):
    path = os.path.join(world.directory, "quoit.conf")
    with open(path, "w") as f:
        f.write("port = 1234\nno-such-thing = 1\n")
    refuses(world, "--config", path, word="no-such-thing")
    refuses(world, "--config", path, word="2")
    refuses(world, "--config", path + ".none", word="quoit.conf.none")
    refuses(world, "--config", os.path.dirname(path), word="cannot read")


def test_the_memory_that_is_said_to_do_does(world):
    node = world.node()
    for little in ("1m", "200m", "380m"):
        code, output = world.run(world.quoitd, "--port", node.port, "--dir", node.directory,
                                 "--memory", little, seconds=20)
        assert code == 1, output
        enough = int(output.split("M would do")[0].split()[-1])
        node.start("--memory", f"{enough}m").wait_ready()
        assert node.stop() == 0
        code, output = world.run(world.quoitd, "--port", node.port, "--dir", node.directory,
                                 "--memory", f"{enough - 1}m", seconds=20)
        assert code == 1, f"{enough - 1}M would do, too"


def test_the_lines_of_a_list_may_end_with_a_comma(world):
    path = os.path.join(world.directory, "quoit.conf")
    data = os.path.join(world.directory, "data")
    for end in ("", ",", ", "):
        with open(path, "w") as f:
            f.write(f"initial = a=127.0.0.1:{world.port}{end}\n  b=10.0.0.1:1{end}\n c=10.0.0.2:1\n")
        # That the list was understood: what comes after it is refused.
        refuses(world, "--config", path, "--dir", data, "--port", str(world.port), "--memory", "1k",
                word="is too little")


def test_a_directory_belongs_to_one_process(world):
    node = world.node().start().wait_ready()
    refuses(world, "--dir", node.directory, "--port", str(world.port + 1), word=node.directory)
    with node.client() as client:
        assert client.ping()


def test_a_port_belongs_to_one_process(world):
    world.node().start().wait_ready()
    other = ["--dir", os.path.join(world.directory, "other"), "--port", str(world.port)]
    for io in ("auto", "portable"):
        refuses(world, *other, "--io", io,
                word=f"quoitd: cannot listen for clients, on port or port + 2000: cannot listen "
                     f'address=127.0.0.1:{world.port} why="Address already in use"')


def test_an_address_of_another_machine_is_named(world):
    key = os.path.join(world.directory, "key")
    with open(key, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write("0123456789abcdef\n")
    here = ["--dir", os.path.join(world.directory, "data"), "--port", str(world.port)]
    for io in ("auto", "portable"):
        refuses(world, *here, "--bind", "192.0.2.1", "--key-file", key, "--io", io,
                word='why="Cannot assign requested address"')


def test_a_member_that_is_started_as_if_it_were_alone_is_told_what_to_do(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        client.set("a", "1")
    assert nodes[0].stop() == 0
    alone = ["--port", str(world.port), "--dir", nodes[0].directory, "--name", nodes[0].name]
    refuses(world, *alone, word="start this node with those of the others")
    # Nor does that leave a key behind, which the others would not know.
    nodes[0].start().wait_ready()
    with nodes[0].client() as client:
        assert client.get("a") == b"1"


def test_members_that_take_values_of_other_sizes_say_so(world):
    members = ",".join(f"n{i}=127.0.0.1:{world.port + i}" for i in range(2))
    nodes = [world.node(f"n{i}", i) for i in range(2)]
    for node, size in zip(nodes, ("1m", "64k")):
        node.start("--name", node.name, "--initial", members, "--value-max", size)
    for node, other in ((nodes[0], "member=n1 theirs=65536 ours=1048576"),
                        (nodes[1], "member=n0 theirs=1048576 ours=65536")):
        eventually(lambda n=node, text=other: f'another value-max: give all members the same" {text}'
                   in n.tail(), 20, f"{node.name} says what differs")


def test_an_address_that_contradicts_the_list_is_refused(world):
    here = ["--dir", os.path.join(world.directory, "data"), "--port", str(world.port),
            "--name", "a", "--initial", f"a=127.0.0.1:{world.port}"]
    refuses(world, *here, "--address", "localhost",
            word="a has address 127.0.0.1 there, but address is localhost")
    node = world.node("data").start("--name", "a", "--initial", f"a=127.0.0.1:{world.port}",
                                    "--address", "127.0.0.1").wait_ready()
    assert node.stop() == 0
    refuses(world, *here, "--address", "localhost", word="but address is localhost")


def test_another_word_than_a_cluster_was_founded_with_is_refused(world):
    here = ["--name", "a", "--initial", f"a=127.0.0.1:{world.port}"]
    node = world.node().start(*here, "--new-cluster", "one").wait_ready()
    assert node.stop() == 0
    start = ["--dir", node.directory, "--port", str(node.port), *here]
    refuses(world, *start, "--new-cluster", "two",
            word="does not fit how this node is started: the data was restored or founded with "
                 "another new-cluster")
    for words in (("--new-cluster", "one"), ()):
        node.start(*here, *words).wait_ready()
        assert node.stop() == 0


def test_levels_that_no_operation_can_have_are_refused(world):
    here = ["--dir", os.path.join(world.directory, "data"), "--port", str(world.port)]
    refuses(world, *here, "--read", "LOCAL_QUORUM",
            word="--read LOCAL_QUORUM: needs copies in several data centres, which this version")
    refuses(world, *here, "--read", "5", word="read: 5 is more than the copies that a key can have, 1")
    refuses(world, *here, "--write", "TWO", word="write: 2 is more than")
    two = f"a=127.0.0.1:{world.port},b=127.0.0.1:{world.port + 1}"
    refuses(world, *here, "--initial", two, "--read", "3", word="read: 3 is more than")
    # Of two members on one host only one has a copy: that is known when both are there.
    nodes = [world.node(name, i) for i, name in enumerate("ab")]
    for node in nodes:
        node.start("--initial", two, "--host", "one", "--read", "2")
    for node in nodes:
        eventually(lambda n=node: "a key has fewer copies read=2 copies=1" in n.tail(), 20,
                   "it says that no operation can have this level")
    with nodes[0].client() as client:
        for level in ("READ", "WRITE"):
            try:
                client.execute_command("KEYSPACE", "CREATE", "x", level, 2)
                raise AssertionError(f"{level} 2 of one copy")
            except redis.ResponseError as error:
                assert "more copies than a key has" in str(error), error


def test_who_waits_for_others_says_for_whom(world):
    members = ",".join(f"n{i}=127.0.0.1:{world.port + i}" for i in range(3))
    nodes = [world.node(f"n{i}", i) for i in range(3)]
    for node in nodes[:2]:
        node.start("--name", node.name, "--initial", members)

    def waits_for(name):
        code, output = world.run(world.quoit, "status", "--port", nodes[0].port)
        return code == 1 and output.endswith(f"not formed yet: waiting for {name}\n")
    eventually(lambda: waits_for("n2"), 20, "status says who is missing")
    eventually(lambda: 'waiting for first members missing="n2"' in nodes[1].tail(), 20,
               "the log says who is missing")
    nodes[2].start("--name", "n2", "--initial", members)
    for node in nodes:
        node.wait_ready()
        with open(node.log) as f:
            assert sum("waiting for first members" in line for line in f) <= 1
