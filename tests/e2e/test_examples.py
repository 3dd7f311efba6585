# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/, as somebody would run them."""
import os
import subprocess
import sys

import programs

ITEMS = 40  # of each program
SECONDS = 60


def carts():
    """The same program in three languages: how each is called, and what its environment needs."""
    return [([sys.executable, os.path.join(programs.EXAMPLES, "cart.py")], {}),
            (["node", os.path.join(programs.EXAMPLES, "cart.js")],
             {"NODE_PATH": programs.node_modules()}),
            ([programs.compiled("cart", programs.EXAMPLES)], {})]


def start(cart, node, *words):
    command, environment = cart
    return subprocess.Popen([*command, str(node.port), "anna", *words],
                            env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_examples_say_how_they_are_called(world):
    cart = os.path.join(programs.EXAMPLES, "cart")
    for command in ([cart + ".py"], ["node", cart + ".js"]):
        for words in ((), ("7001",), ("7001", "anna", "remove")):
            code, output = world.run(*command, *words)
            assert code == 1 and "PORT NAME add ITEM" in output and "redis" in output, output


def output_of(process):
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    return output


def test_a_cart_that_three_programs_fill_at_once_has_the_items_of_all(world):
    nodes = world.cluster(3)
    lists = [[f"{kind}{i:03}" for i in range(ITEMS)] for kind in ("python", "node", "c")]
    fillers = [start(cart, node, "add", *items)
               for cart, node, items in zip(carts(), nodes, lists)]
    assert [output_of(filler) for filler in fillers] == [""] * 3
    wanted = sorted(sum(lists, []))
    for cart, node in zip(carts(), reversed(nodes)):
        assert output_of(start(cart, node)).split() == wanted
    # Whoever writes what he has read leaves one value.
    assert output_of(start(carts()[0], nodes[0], "add", "last")) == ""
    with nodes[1].client() as client:
        reply = client.execute_command("KV.GET", "cart:anna")
    assert len(reply[3]) == 1, reply
