# SPDX-License-Identifier: Apache-2.0
"""The same random commands to redis-server and to one node: every reply must be the same."""
import os
import random

from differential import (COMMANDS, OTHERWISE, TRANSACTIONS, VALUE_MAX, Draw, are_equal,
                          is_otherwise, names_of, transaction, words_of)
from raw import Raw, bulk
from redis_peer import redis_server

COMMANDS_A_ROUND = 1000
TRANSACTIONS_A_ROUND = 100
BATCH = 50  # sent before the first reply is read
# One database, the same limit of a value, and values saved as they are.
LIKE_A_NODE = ["--databases", "1", "--proto-max-bulk-len", str(VALUE_MAX), "--rdbcompression", "no"]


def shown(words, reply):
    def short(data):
        return repr(data if len(data) <= 80 else data[:60] + b"..." + data[-17:])
    return " ".join(map(short, words)) + "\n         -> " + short(reply)


def play(theirs, ours, commands, before):
    """Commands to both servers, some at a time. The replies must be the same."""
    queued = []
    for first in range(0, len(commands), BATCH):
        batch = commands[first:first + BATCH]
        for client in (theirs, ours):
            client.send(b"".join(bulk(*words) for _, words in batch))
        for name, words in batch:
            one, other = theirs.reply(), ours.reply()
            if not are_equal(name, one, other, queued):
                story = [entry for entry in before if set(entry[0][1:]) & set(words[1:])][-6:]
                story = story if name != "exec" else before[-12:]
                raise AssertionError("\n    ".join(
                    ["replies differ", *(shown(*entry) for entry in story),
                     "redis-server: " + shown(words, one), "Quoit:        " + shown(words, other)]))
            before.append((words, one))
            if one == b"+QUEUED\r\n":
                queued.append(name)
            elif name in ("exec", "discard"):
                queued.clear()


def compare(world, node, port, rounds):
    """Rounds of commands to both, each with keys of its own."""
    seed = int(os.environ.get("QUOIT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"     seed {seed}, {rounds} rounds")
    with redis_server(world, port, *LIKE_A_NODE), Raw(port) as theirs, Raw(node.port) as ours:
        names = sorted(names_of(ours.ask("COMMAND")))
        missing = [name for name in names if name not in COMMANDS and not is_otherwise(name)]
        assert not missing, f"neither drawn nor left out with a reason: {missing}"
        gone = [name for name in [*COMMANDS, *OTHERWISE] if name not in names]
        assert not gone, f"Quoit does not have them any more: {gone}"
        for number in range(rounds):
            try:
                play_round(theirs, ours, random.Random(f"{seed} {number}"), number, rounds)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, round {number}: {error}") from None


def payloads_of(server):
    """Values as redis-server dumps them, compressed or not; from now on it does not."""
    payloads = []
    for compression in (b"yes", b"no"):
        server.ask("CONFIG", "SET", "rdbcompression", compression)
        for value in (b"", b"1", b"-129", b"70000", b"12345678901", b"abc" * 30, b"x" * 5000,
                      bytes(range(256))):
            server.ask("SET", "payload", value)
            payloads.append(server.ask("DUMP", "payload").split(b"\r\n", 1)[1][:-2])
    server.ask("DEL", "payload")
    return payloads


def play_round(theirs, ours, rng, number, rounds):
    protocol = 2 + number % 2
    may_lapse = number >= rounds // 2
    for client in (theirs, ours):
        client.ask("RESET")  # a transaction may be open
    draw = Draw(rng, may_lapse, payloads_of(theirs))
    for client in (theirs, ours):
        client.ask("HELLO", protocol)
        client.ask("DEL", *draw.all_keys())
    names = [name for name in COMMANDS if name not in TRANSACTIONS]
    if may_lapse:
        names.remove("dbsize")  # what has lapsed is still counted, for how long is each server's own
    rng.shuffle(names)
    extra = rng.choices(["set", "get"], k=COMMANDS_A_ROUND // 5)
    singles = names
    names = (names * (COMMANDS_A_ROUND // len(names) + 1))[:COMMANDS_A_ROUND] + extra
    rng.shuffle(names)
    blocks = [[(name, words_of(draw, name))] for name in names]
    blocks += [transaction(draw, singles) for _ in range(TRANSACTIONS_A_ROUND)]
    rng.shuffle(blocks)
    play(theirs, ours, [command for block in blocks for command in block], [])


def test_one_node_replies_as_redis_server_does(world):
    node = world.node().start("--value-max", str(VALUE_MAX)).wait_ready()
    compare(world, node, world.port + 5, world.rounds)


def test_what_one_dumps_the_other_restores(world):
    node = world.node().start().wait_ready()
    rng = random.Random(7)
    values = [b"", b"0", b"-2147483648", b"2147483648", bytes(range(256)) * 20, b"x" * 500_000,
              rng.randbytes(100_000), bytes(rng.choices(b"abc", k=70_000))]
    port = world.port + 5
    with redis_server(world, port, *LIKE_A_NODE), Raw(port) as theirs, Raw(node.port) as ours:
        for giver, taker in ((theirs, ours), (ours, theirs)):
            for value in values:
                assert giver.ask("SET", "k", value) == b"+OK\r\n"
                dump = giver.ask("DUMP", "k").split(b"\r\n", 1)[1][:-2]
                assert taker.ask("RESTORE", "k", "0", dump, "REPLACE") == b"+OK\r\n"
                assert taker.ask("GET", "k") == b"$%d\r\n%s\r\n" % (len(value), value)
