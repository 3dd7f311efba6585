# SPDX-License-Identifier: Apache-2.0
"""MULTI and EXEC by redis-py, whose pipelines use them unless they are told not to."""
import threading

import redis

CLIENTS = 4
ROUNDS = 200


def refusal_of(call):
    try:
        call()
    except redis.ResponseError as error:
        return str(error)
    raise AssertionError("it was not refused")


def pipelined(client):
    with client.pipeline(transaction=True) as pipe:
        return pipe.set("p", "1").set("p", "2").get("p").delete("q").mget("p", "q").execute()


def add_three(pipe):
    """The usual way to change what is watched."""
    value = pipe.get("p")
    pipe.multi()
    pipe.set("p", value + "3")


def test_a_pipeline_is_a_transaction_on_one_node(world):
    node = world.node().start().wait_ready()
    client = node.client(decode_responses=True)
    client.set("q", "1")
    assert pipelined(client) == [True, True, "2", 1, ["2", None]]
    with client.pipeline() as pipe:
        pipe.incr("n").get("n")
        error = refusal_of(pipe.execute_command("INCR").execute)
        assert "wrong number of arguments" in error, error
    assert client.get("n") is None
    assert client.transaction(add_three, "p") == [True]
    with client.pipeline() as pipe:
        pipe.watch("p")
        node.client().set("p", "theirs")
        pipe.multi()
        pipe.set("p", "ours")
        try:
            pipe.execute()
            raise AssertionError("the change was not seen")
        except redis.WatchError:
            pass
    assert client.get("p") == "theirs"
    many = client.pipeline()
    for number in range(10_000):
        many.set(f"many{number}", "x" * 40)
    assert many.execute() == [True] * 10_000


def test_several_nodes_refuse_it_and_say_how_to_have_a_batch(world):
    nodes = world.cluster(3)
    error = refusal_of(lambda: pipelined(nodes[0].client()))
    assert error.startswith("NOTATOMIC") and "multi = batch" in error, error
    error = refusal_of(lambda: nodes[0].client().pipeline().watch("p"))
    assert error.startswith("NOTATOMIC"), error


def test_several_nodes_take_a_batch_where_that_is_set(world):
    nodes = world.cluster(3, "--multi", "batch")
    for node in nodes:
        client = node.client(decode_responses=True)
        client.set("q", "1")
        assert pipelined(client) == [True, True, "2", 1, ["2", None]]
        error = refusal_of(client.pipeline().incr("n").execute)
        assert "NOTATOMIC" in error, error
        error = refusal_of(lambda c=client: c.pipeline().watch("p"))
        assert error.startswith("NOTATOMIC"), error


def test_transactions_of_many_clients_keep_apart(world):
    node = world.node().start().wait_ready()
    node.client().mset({"x": 0, "y": 0})
    faults = []

    def count(number):
        client = node.client(timeout=30, decode_responses=True)
        for turn in range(ROUNDS):
            pipe = client.pipeline()
            if number == 0:
                x, y, again = pipe.get("x").get("y").get("x").execute()
                if not x == y == again:
                    faults.append((turn, x, y, again))
            else:
                x, seen, y = pipe.incr("x").get("x").incr("y").execute()
                if not x == int(seen) == y:
                    faults.append((number, turn, x, seen, y))

    threads = [threading.Thread(target=count, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:10]
    assert node.client().mget("x", "y") == [b"%d" % ((CLIENTS - 1) * ROUNDS)] * 2
