# SPDX-License-Identifier: Apache-2.0
"""A data directory that was copied: whoever starts the copy hears what is wrong with that."""
import os
import shutil

from world import eventually


def copy_of(node):
    """A copy of its directory, whether it runs or not."""
    directory = node.directory + "-copy"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(node.directory, directory)
    return directory


def refused(world, node, directory, *words, name=None, port=None, bind="127.0.0.1", initial=True):
    """Starts the copy as that member, and expects it to end with these words."""
    members = node.arguments[node.arguments.index("--initial") + 1]
    name = name or node.name
    more = ["--initial", members] if initial else ["--members-max", "3"]
    code, output = world.run(world.quoitd, "--dir", directory, "--port", port or node.port,
                             "--bind", bind, "--name", name, "--host", name, "--memory", "1g",
                             *more, seconds=60)
    assert code == 1, f"it ended with {code}: {output}"
    for word in words:
        assert word in output, f"no '{word}' in: {output}"


def holds(node, key, value):
    with node.client() as client:
        assert client.get(key) == value, f"{key} is not {value} at {node.name}"


def test_a_copied_directory_is_no_other_member_and_is_nowhere_else(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        client.set("a", "1")
    copy = copy_of(nodes[0])
    of_another = "the data is that of another member name=n0"
    elsewhere = "the cluster knows this member at another address name=n0"
    for is_running in (True, False):
        if not is_running:
            assert nodes[0].stop() == 0
        refused(world, nodes[0], copy, elsewhere, "start it there",
                port=world.port + 5, initial=False)
        refused(world, nodes[0], copy, of_another, name="n1", port=nodes[1].port, bind="127.0.0.2")
    nodes[0].start().wait_ready()
    for node in nodes:
        holds(node, "a", b"1")


def test_of_two_processes_with_copies_of_a_directory_the_second_ends(world):
    nodes = world.cluster(3)
    copy = copy_of(nodes[0])
    refused(world, nodes[0], copy, "another process is this member, and was there first",
            "the data directory was copied", bind="127.0.0.2")
    with nodes[0].client() as client:
        client.set("a", "1")
    assert nodes[0].process.poll() is None
    for node in nodes:
        holds(node, "a", b"1")


def test_an_older_copy_of_a_directory_notices_that_it_is_one(world):
    nodes = world.cluster(3)
    with nodes[0].client() as client:
        for i in range(100):
            client.set(f"k{i}", "old")
        copy = copy_of(nodes[0])
        for i in range(100):
            client.set(f"k{i}", "new")
    nodes[0].kill()
    shutil.rmtree(nodes[0].directory)
    os.rename(copy, nodes[0].directory)
    nodes[0].start().wait_ready()

    def has_noticed():
        with nodes[0].client() as client:
            return client.info("quoit")["epochs_renewed"] > 0
    eventually(has_noticed, 30, "the copy meets what it has forgotten")
    world.wait_equal()
    with nodes[0].client() as client:
        for i in range(100):
            assert client.get(f"k{i}") == b"new"
        client.set("k0", "newer")
    for node in nodes:
        holds(node, "k0", b"newer")
