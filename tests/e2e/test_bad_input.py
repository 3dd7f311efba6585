# SPDX-License-Identifier: Apache-2.0
"""What should never be sent, and what should never happen then."""
import os
import random
import resource
import socket

from raw import Raw, bulk
from world import Skip, eventually

KEY_MAX = 64 * 1024
VALUE_MAX = 1024 * 1024
MIB = 1024 * 1024
PEER_PORT = 10000  # from a node's main port to the one for other nodes
SHARD_PORT = 2000

# What cannot be understood, and the answer before the connection is closed.
BROKEN = [
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*1048577\r\n", "invalid multibulk length"),
    (b"*99999999999999999999\r\n", "invalid multibulk length"),
    (b"*1\n$4\nPING\n", "invalid multibulk length"),
    (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
    (b"*1\r\n:4\r\n", "expected '$', got ':'"),
    (b"*1\r\n\r\n", "expected '$', got ' '"),
    (b"*1\r\n$abc\r\n", "invalid bulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
    (b"*1\r\n$4\r\nPINGxx", "expected CRLF after bulk"),
    (b"GET \"open\r\n", "unbalanced quotes in request"),
    (b"GET 'open\r\n", "unbalanced quotes in request"),
    (b"GET \"a\"b\r\n", "unbalanced quotes in request"),
    (b"x" * 70000, "too big inline request"),
    (b"POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nSET evil 1\r\n", "this is not an HTTP port"),
    (b"Host: example\r\nSET evil 1\r\n", "this is not an HTTP port"),
]

# What only looks broken; the connection goes on.
HARMLESS = [
    (b"\r\n\r\n", b""),
    (b"*0\r\n", b""),
    (b"*-1\r\n", b""),
    (b"PING\n", b"+PONG\r\n"),
    (b"*1\r\n$0\r\n\r\n", b"-ERR unknown command '', with args beginning with: \r\n"),
    # As in Redis, what is repeated ends where a NUL is.
    (b"\x00\xff\r\n", b"-ERR unknown command '', with args beginning with: \r\n"),
    (b"\xff\x00a\r\n", b"-ERR unknown command '\xff', with args beginning with: \r\n"),
    (bulk("GET"), b"-ERR wrong number of arguments for 'get' command\r\n"),
    (bulk("no\r\nsuch", "a\nb"),
     b"-ERR unknown command 'no  such', with args beginning with: 'a b' \r\n"),
]


def memory(node):
    """Bytes of the process that are in memory."""
    with open(f"/proc/{node.process.pid}/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def test_what_is_too_large_is_refused_and_nothing_is_stored(world):
    nodes = world.cluster(3)
    key, value = b"k" * (KEY_MAX + 1), b"v" * (VALUE_MAX + 1)
    with Raw(nodes[0].port) as client:
        for command in (bulk("SET", "a", value), bulk("SET", key, "x"),
                        bulk("MSET", "a", "x", "b", value), bulk("MSET", "a", "x", key, "x"),
                        bulk("PSETEX", "a", 1000, value), bulk("GET", key), bulk("DEL", "a", key),
                        bulk("ECHO", value * 3), bulk("KV.PUT", "a", value),
                        bulk("MGET", *["a"] * 70000)):
            client.send(command + bulk("PING"))
            answer = client.reply()
            assert answer.startswith(b"-TOOLARGE "), (command[:40], answer[:200])
            assert client.reply() == b"+PONG\r\n", command[:40]
        # A bulk as large as nobody would send it is passed over, too.
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n" % (64 * MIB))
        before = memory(nodes[0])
        for _ in range(64):
            client.send(b"x" * MIB)
        client.send(b"\r\n" + bulk("PING"))
        assert client.reply().startswith(b"-TOOLARGE ") and client.reply() == b"+PONG\r\n"
        assert memory(nodes[0]) - before < 16 * MIB
        assert client.ask("DBSIZE") == b":0\r\n"
        # The largest that fit.
        assert client.ask("SET", key[1:], value[1:]) == b"+OK\r\n"
    with Raw(nodes[1].port) as client:
        assert client.ask("GET", key[1:]) == b"$%d\r\n%s\r\n" % (VALUE_MAX, value[1:])


def test_what_cannot_be_understood_is_answered_and_ends_the_connection(world):
    node = world.node().start().wait_ready()
    for port in (node.port, node.port + SHARD_PORT):
        for data, problem in BROKEN:
            with Raw(port) as client:
                # What came before is answered, what comes after is not carried out.
                client.send(bulk("SET", "good", "1") + data + bulk("SET", "evil", "1"))
                answer = client.rest()
                expected = b"+OK\r\n-ERR Protocol error: %s\r\n" % problem.encode()
                assert answer == expected, (data[:40], answer)
    with Raw(node.port) as client:
        assert client.ask("GET", "good") == b"$1\r\n1\r\n"
        assert client.ask("EXISTS", "evil") == b":0\r\n"


def test_what_only_looks_broken_ends_nothing(world):
    node = world.node().start().wait_ready()
    with Raw(node.port) as client:
        for data, answer in HARMLESS:
            client.send(data + bulk("ECHO", "next"))
            if answer:
                assert client.reply() == answer, data
            assert client.reply() == b"$4\r\nnext\r\n", data


def test_a_request_in_small_pieces_is_a_request(world):
    node = world.node().start().wait_ready()
    data = b"".join(bulk("SET", f"k{i}", "v" * i) + bulk("GET", f"k{i}") for i in range(60))
    chance = random.Random(7)
    with Raw(node.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data:
            size = chance.choice((1, 1, 2, 3, 50))
            client.send(data[:size])
            data = data[size:]
        for i in range(60):
            assert client.reply() == b"+OK\r\n"
            assert client.reply() == b"$%d\r\n%s\r\n" % (i, b"v" * i)


def test_who_says_half_a_word_is_not_waited_for(world):
    node = world.node().start("--stall-timeout", "1").wait_ready()
    idle = Raw(node.port)
    halves = [Raw(node.port) for _ in range(50)]
    for i, half in enumerate(halves):
        half.send(bulk("SET", "half", "x" * 20000)[:7 + 400 * i])
    with Raw(node.port) as client:
        for i in range(1000):  # nobody else is held up
            assert client.ask("SET", "whole", i) == b"+OK\r\n"
        for half in halves:
            half.socket.settimeout(20)
            assert half.rest() == b""
        assert client.ask("EXISTS", "half") == b":0\r\n"
        assert idle.ask("PING") == b"+PONG\r\n"  # whoever says nothing does no harm


def test_ten_thousand_idle_connections(world):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12000:
        raise Skip(f"a process may have only {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # as it is nearly everywhere
    node = world.node().start("--clients-max", "10001").wait_ready()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = []
    try:
        before = memory(node)
        for i in range(10000):
            idle.append(Raw(node.port))
        with Raw(node.port) as client:
            assert client.ask("SET", "a", "1") == b"+OK\r\n"
            assert b"connected_clients:10001\r\n" in client.ask("INFO", "clients")
            for connection in idle[::500] + idle[-1:]:
                assert connection.ask("GET", "a") == b"$1\r\n1\r\n"
            with Raw(node.port) as one_more:
                assert one_more.rest() == b"-ERR max number of clients reached\r\n"
            assert client.ask("PING") == b"+PONG\r\n"
            growth = memory(node) - before
            assert growth < 100 * MIB, f"{growth >> 20} MiB"
    finally:
        for connection in idle:
            connection.socket.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def are_gone():
        with Raw(node.port) as client:
            return b"connected_clients:1\r\n" in client.ask("INFO", "clients")
    eventually(are_gone, 20, "closed connections are forgotten")


def test_who_does_not_read_large_replies_costs_little_and_gets_them_all(world):
    nodes = world.cluster(3)
    value = os.urandom(MIB)
    with Raw(nodes[0].port) as writer:
        for i in range(4):
            assert writer.ask("SET", f"large:{i}", value) == b"+OK\r\n"
    before = [memory(node) for node in nodes]
    count = 500
    slow = Raw(nodes[0].port)
    slow.send(b"".join(bulk("GET", f"large:{i % 4}") for i in range(count)))
    with Raw(nodes[0].port) as client:
        for i in range(2000):
            assert client.ask("SET", f"small:{i}", i) == b"+OK\r\n"
        growth = [memory(node) - size for node, size in zip(nodes, before)]
        assert max(growth) < 100 * MIB, growth
    slow.socket.settimeout(30)
    for i in range(count):
        assert slow.reply() == b"$%d\r\n%s\r\n" % (MIB, value), i
    slow.socket.close()


def test_who_sends_without_reading_is_held_back_and_loses_nothing(world):
    nodes = world.cluster(3, "--durability", "interval:1000")
    value = b"x" * 1000
    block = b"".join(bulk("SET", f"k:{i}", value) + bulk("GET", f"k:{i}") for i in range(200))
    greedy = Raw(nodes[0].port)
    before = memory(nodes[0])
    blocks, part = greedy.fill(block)
    assert blocks > 0
    with Raw(nodes[0].port) as client:
        for i in range(2000):
            assert client.ask("SET", f"small:{i}", i) == b"+OK\r\n"
    growth = memory(nodes[0]) - before
    assert growth < 100 * MIB, f"{growth >> 20} MiB after {blocks} blocks"
    # The rest of the last block goes out when there is room again.
    expected = b"+OK\r\n$1000\r\n" + value + b"\r\n"
    for i in range(blocks * 200):
        assert greedy.take(len(expected)) == expected, i
    greedy.send(block[part:])
    for i in range(200):
        assert greedy.take(len(expected)) == expected, i
    greedy.socket.close()


def test_random_bytes_change_nothing(world):
    nodes = world.cluster(3)
    chance = random.Random(2026)
    with Raw(nodes[0].port) as client:
        for i in range(100):
            assert client.ask("SET", f"key:{i}", i) == b"+OK\r\n"
    world.wait_equal()
    digest = nodes[0].digest()
    starts = [b"", b"*", b"$", b"QF\x01", b"*3\r\n$3\r\n", b"\x16\x03\x01"]
    for i in range(150):
        for offset in (0, SHARD_PORT, PEER_PORT):
            with Raw(nodes[i % 3].port + offset) as client:
                # No command is that short, so none is sent by chance.
                client.send(chance.choice(starts) + chance.randbytes(chance.randrange(1, 3000)))
    for node in nodes:
        node.wait_ready()
        with Raw(node.port) as client:
            assert client.ask("GET", "key:42") == b"$2\r\n42\r\n"
        assert node.digest() == digest


def test_silent_connections_keep_no_node_out(world):
    nodes = world.cluster(3)
    silent = [Raw(node.port + PEER_PORT) for node in nodes for _ in range(100)]
    for i, connection in enumerate(silent):
        if i % 2 == 0:
            connection.send(b"QF\x01")
    nodes[2].kill()
    nodes[2].start().wait_ready()
    with Raw(nodes[2].port) as client:
        assert client.ask("SET", "a", "1") == b"+OK\r\n"
    for connection in silent:
        connection.socket.settimeout(30)
        assert connection.rest() == b""


def is_listening(node):
    try:
        with Raw(node.port) as client, Raw(node.port + PEER_PORT):
            return client.ask("PING") == b"+PONG\r\n"
    except (OSError, AssertionError):
        return False


def refusals(node):
    with open(node.log) as f:
        return [line for line in f if "peer refused" in line]


def test_a_node_of_another_cluster_is_refused(world):
    nodes = world.cluster(3)
    with Raw(nodes[0].port) as client:
        assert client.ask("SET", "a", "1") == b"+OK\r\n"
    world.wait_equal()
    digest = nodes[0].digest()
    # It has another list, hence another secret, but believes that ours are members.
    stranger = world.node("x", 7)
    members = ",".join(f"{node.name}=127.0.0.1:{node.port}" for node in nodes)
    stranger.start("--name", "x", "--initial", f"{members},x=127.0.0.1:{stranger.port}")
    for node in nodes:
        eventually(lambda n=node: refusals(n), 20, f"{node.name} refuses the stranger")

    def are_many():  # it tries again and again
        with Raw(nodes[0].port) as client:
            counts = client.ask("INFO").split(b"frames_refused:")[1]
            return int(counts.split(b"\r\n")[0]) >= 4
    eventually(are_many, 30, "the stranger is refused often")
    with Raw(stranger.port) as client:
        answer = client.ask("SET", "a", "evil")
        assert answer.startswith((b"-LOADING", b"-CLUSTERDOWN", b"-NOQUORUM")), answer
    world.nodes.remove(stranger)
    stranger.kill()
    for node in nodes:
        node.wait_ready()
        assert node.digest() == digest
        with Raw(node.port) as client:
            assert client.ask("GET", "a") == b"$1\r\n1\r\n"
            assert b"cluster_known_nodes:3\r\n" in client.ask("CLUSTER", "INFO")
        assert len(refusals(node)) <= 1, refusals(node)  # a log is not to be filled by strangers


def test_a_recorded_greeting_opens_no_door(world):
    # The third member is us: we hear what a true one says first, and say it to another.
    members = ",".join(f"n{i}=127.0.0.1:{world.port + i}" for i in range(3))
    ear = socket.create_server(("127.0.0.1", world.port + 2 + PEER_PORT))
    ear.settimeout(20)
    nodes = [world.node(f"n{i}", i) for i in range(2)]
    for node in nodes:
        node.start("--name", node.name, "--host", node.name, "--initial", members)
    heard = b""
    while len(heard) < 56:
        connection, _ = ear.accept()
        with connection:
            connection.settimeout(1)
            try:
                heard = connection.recv(65536)
            except (socket.timeout, ConnectionResetError):
                continue
    ear.close()
    nodes[0].kill()
    nodes[1].kill()
    for node in nodes:
        node.start("--name", node.name, "--host", node.name, "--initial", members)
        eventually(lambda n=node: is_listening(n), 20, "it answers")
    for data in (heard, heard[:-1] + bytes([heard[-1] ^ 1]), heard * 3, heard[:60]):
        for node in nodes:
            with Raw(node.port + PEER_PORT) as client:
                client.send(data)
                client.socket.settimeout(30)
                client.rest()
    third = world.node("n2", 2)
    third.start("--name", "n2", "--host", "n2", "--initial", members)
    for node in world.nodes:
        node.wait_ready()
    with Raw(third.port) as client:
        assert client.ask("SET", "a", "1") == b"+OK\r\n"
