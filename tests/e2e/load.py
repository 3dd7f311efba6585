# SPDX-License-Identifier: Apache-2.0
"""Clients that write and read all the time, and know what they may read.

Each client has keys of its own and writes ever higher numbers to them. What it reads may not be
lower than the last number that was acknowledged, nor higher than the last that was tried. A write
without an answer may be done at any time: it may lie unread in the socket of a node that hangs, and
be carried out when that node goes on. So such a number may be read whenever it comes.

Keys of the keyspace SLOPPY are read and written at that level. While members are away a read of
them may miss what was written; when all is healed it may not.
"""
import random
import threading
import time

import redis

from world import wait_for_sight

# Replies after which the client tries again, anywhere, as it does after UNKNOWN; these say that
# nothing was done.
NOT_DONE = ("NOQUORUM", "BUSY", "LOADING", "CLUSTERDOWN")
TIMEOUT = 0.5  # seconds without an answer before a client goes to another node
KEYS = 50
SLOPPY = "sloppy"


def define_sloppy(node):
    with node.client(30) as client:
        client.execute_command("KEYSPACE CREATE", SLOPPY, "READ", "SLOPPY", "WRITE", "SLOPPY")


class Client:
    def __init__(self, nodes, number, name, not_done):
        self.nodes = nodes
        self.number = number
        self.name = name
        self.not_done = not_done
        self.random = random.Random(number)
        self.connections = [node.client(TIMEOUT) for node in nodes]
        self.current = number % len(nodes)
        self.acknowledged = {}
        self.tried = {}
        self.unknown = {}  # of each key, the numbers that may still come
        self.operations = 0
        self.writes = 0  # that were acknowledged
        self.failures = 0
        self.longest = 0.0  # seconds between two operations that went well
        self.last_good = None
        self.wrong = None
        self.last_error = None

    def key(self, i):
        return f"{self.name}:{self.number}:{i}"

    def check(self, key, value, floor):
        number = 0 if value is None else int(value)
        if number in self.unknown.get(key, ()):
            return
        if not floor <= number <= self.tried.get(key, 0):
            self.wrong = (f"{key} is {number}, but {floor} was acknowledged and "
                          f"{self.tried.get(key, 0)} tried (read through "
                          f"{self.nodes[self.current].name})")

    def once(self):
        key = self.key(self.random.randrange(KEYS))
        connection = self.connections[self.current]
        if self.random.random() < 0.5:
            floor = 0 if self.name == SLOPPY else self.acknowledged.get(key, 0)
            self.check(key, connection.get(key), floor)
        else:
            number = self.tried[key] = self.tried.get(key, 0) + 1
            self.unknown.setdefault(key, set()).add(number)
            try:
                connection.set(key, number)
            except redis.ResponseError as error:
                if str(error).startswith(self.not_done):
                    self.unknown[key].remove(number)
                raise
            self.unknown[key].remove(number)
            self.acknowledged[key] = number
            self.writes += 1

    def step(self):
        try:
            self.once()
            now = time.monotonic()
            if self.last_good is not None:
                self.longest = max(self.longest, now - self.last_good)
            self.last_good = now
            self.operations += 1
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError) as error:
            known = self.not_done + ("UNKNOWN",)
            if isinstance(error, redis.ResponseError) and not str(error).startswith(known):
                self.wrong = f"unexpected error: {error}"
            self.failures += 1
            self.last_error = str(error)
            self.current = (self.current + 1) % len(self.nodes)
            time.sleep(0.005)

    def check_all(self, node):
        """Every acknowledged write is there, read through that node."""
        connection = node.client(5)
        for i in range(KEYS):
            key = self.key(i)
            self.check(key, connection.get(key), self.acknowledged.get(key, 0))
        assert self.wrong is None, self.wrong


class Load:
    """Runs in the background between `with` and its end; then nothing may have been wrong."""

    def __init__(self, nodes, clients=4, name="load", first=0, not_done=NOT_DONE):
        self.clients = [Client(nodes, first + i, name, not_done) for i in range(clients)]
        self.is_over = False
        self.threads = []

    def run(self, client):
        while not self.is_over and client.wrong is None:
            client.step()

    def start(self):
        self.is_over = False
        for client in self.clients:
            client.last_good = None
        self.threads = [threading.Thread(target=self.run, args=(client,)) for client in self.clients]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        self.threads = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def operations(self):
        return sum(client.operations for client in self.clients)

    def writes(self):
        return sum(client.writes for client in self.clients)

    def check(self):
        for client in self.clients:
            assert client.wrong is None, client.wrong

    def check_all(self, nodes):
        """Every acknowledged write is there, read through each of the nodes."""
        self.check()
        wait_for_sight(nodes, *[len(nodes)] * len(nodes))
        for node in nodes:
            for client in self.clients:
                client.check_all(node)

    def longest(self):
        """The longest that any client was without a good answer, the present included."""
        now = time.monotonic()
        return max(max(c.longest, now - (c.last_good or now)) for c in self.clients)

    def is_moving(self):
        """A condition: all clients do operations again."""
        before = [client.operations for client in self.clients]

        def all_moved():
            self.check()
            return all(c.operations > b + 20 for c, b in zip(self.clients, before))
        return all_moved
