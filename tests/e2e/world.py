# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests are written with: nodes to start and to hurt, and bounded waiting."""
import os
import signal
import subprocess
import time

import redis

READY_SECONDS = 60
EXIT_SECONDS = 20
EQUAL_SECONDS = 120
LOG_LINES = 15
FILL_KEYS = 2000


class Skip(Exception):
    """Raised by a test that cannot be run here; says why."""


def eventually(condition, seconds, what):
    """The first true value of the condition. There are no sleeps in tests: only this, with a bound."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Node:
    """One quoitd process, or the place for one."""

    def __init__(self, world, name, port):
        self.world = world
        self.name = name
        self.port = port
        self.host = "127.0.0.1"
        self.prefix = []  # words in front of its command
        self.directory = os.path.join(world.directory, name)
        self.log = os.path.join(world.directory, name + ".log")
        self.process = None
        self.arguments = []

    def start(self, *arguments):
        """Starts it, the next time with the same arguments unless others are given."""
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs"
        if arguments:
            self.arguments = list(arguments)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.world.quoitd, "--port", str(self.port), "--dir",
                 self.directory, "--bind", self.host, "--memory", "1g", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def client(self, timeout=5, **options):
        return redis.Redis(host=self.host, port=self.port, socket_timeout=timeout,
                           socket_connect_timeout=timeout, **options)

    def is_ready(self):
        for node in self.world.nodes:
            code = None if node.process is None else node.process.poll()
            assert code is None or code <= 0, f"{node.name} ended with exit status {code}"
        try:
            with self.client(2) as client:
                return client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
        except (redis.RedisError, OSError):
            return False

    def wait_ready(self):
        eventually(self.is_ready, READY_SECONDS, f"{self.name} is ready")
        return self

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait(EXIT_SECONDS)

    def stop(self):
        """Ends it in order; its exit status."""
        self.send(signal.SIGTERM)
        return self.process.wait(EXIT_SECONDS)

    def info(self, field):
        """A number of its INFO quoit."""
        with self.client(10) as client:
            return int(client.info("quoit")[field])

    def answer(self, *command):
        """What it says to the command; the text of an error."""
        with self.client(10) as client:
            try:
                return client.execute_command(*command)
            except redis.ResponseError as error:
                return str(error)

    def fill(self, prefix):
        """Writes FILL_KEYS keys with that prefix."""
        with self.client(10) as client, client.pipeline(transaction=False) as pipeline:
            for i in range(FILL_KEYS):
                pipeline.set(f"{prefix}{i}", f"{prefix}{i}")
            pipeline.execute()

    def holds(self, prefix):
        """Whether it reads all that `fill` has written."""
        with self.client(10) as client:
            values = client.mget([f"{prefix}{i}" for i in range(FILL_KEYS)])
        return values == [f"{prefix}{i}".encode() for i in range(FILL_KEYS)]

    def says(self, words):
        """Whether these words stand in its log."""
        with open(self.log, errors="replace") as f:
            return words in f.read()

    def digest(self):
        """What its own store holds; None when it does not answer, or not yet."""
        try:
            with self.client(2) as client:
                return client.execute_command("QUOIT DIGEST")
        except (redis.ConnectionError, redis.TimeoutError):
            return None
        except redis.ResponseError as error:
            assert str(error).startswith(("LOADING", "CLUSTERDOWN")), error
            return None

    def tail(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-LOG_LINES:])


def wait_for_sight(nodes, *counts):
    """Until each node sees so many members, itself among them."""
    for node, count in zip(nodes, counts):
        eventually(lambda: node.info("members_up") == count, 20, f"{node.name} sees {count}")


class World:
    """The directory, ports and processes of one test."""

    def __init__(self, directory, build, port, rounds, mib):
        self.directory = directory
        self.build = build
        self.quoitd = os.path.join(build, "quoitd")
        self.quoit = os.path.join(build, "quoit")
        self.port = port
        self.rounds = rounds
        self.mib = mib
        self.nodes = []
        os.makedirs(directory)

    def node(self, name="n0", number=0):
        node = Node(self, name, self.port + number)
        self.nodes.append(node)
        return node

    def cluster(self, count=3, *arguments, network=None):
        """Starts so many nodes as one cluster, on a network (network.py) or on this machine's own,
        and waits until each sees all of it."""
        nodes = [self.node(f"n{i}", i) for i in range(count)]
        for i, node in enumerate(nodes):
            if network is not None:
                network.place(node, i)
        members = ",".join(f"{node.name}={node.host}:{node.port}" for node in nodes)
        for node in nodes:
            node.start("--name", node.name, "--host", node.name, "--initial", members, *arguments)
        for node in nodes:
            node.wait_ready()
        return nodes

    def wait_equal(self, seconds=EQUAL_SECONDS):
        """Until all nodes hold the same records."""
        def are_equal():
            digests = [node.digest() for node in self.nodes]
            return digests[0] is not None and digests.count(digests[0]) == len(digests)
        eventually(are_equal, seconds, "all nodes hold the same")

    def verify(self, seconds=60):
        """Has all copies compared until they are the same; the seconds that it took."""
        begin = time.monotonic()
        self.check(self.quoit, "verify", "--wait", seconds, "--host", self.nodes[0].host, "--port",
                   self.nodes[0].port)
        return time.monotonic() - begin

    def replace(self, node, by, *options):
        """Has a node that came back with an empty directory replaced, as soon as it was met."""
        def is_replaced():
            code, _ = self.run(self.quoit, "replace", node.name, "--port", by.port, *options)
            return code == 0
        eventually(is_replaced, 120, f"{node.name} is replaced")

    def run(self, *command, seconds=120):
        """Runs a program to its end: exit status, output and errors together."""
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds)
        return done.returncode, done.stdout

    def check(self, *command, seconds=120):
        """The output of a program that must succeed."""
        code, output = self.run(*command, seconds=seconds)
        assert code == 0, f"{command} ended with {code}:\n{output}"
        return output

    def feed(self, data, *command, seconds=120):
        """The output of a program that must succeed on this input."""
        done = subprocess.run([str(word) for word in command], input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds)
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{output}"
        return output

    def print_logs(self):
        for node in self.nodes:
            state = "never started"
            if node.process is not None:
                code = node.process.poll()
                state = "running" if code is None else f"ended with {code}"
            print(f"--- {node.name}, {state}\n{node.tail()}", end="")

    def close(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
