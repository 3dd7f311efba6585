# SPDX-License-Identifier: Apache-2.0
"""A network of machines that can be cut: namespaces, a bridge, and rules that drop packets."""
import os
import shutil
import subprocess

from world import Skip

SUBNET = "10.213.77"
HUB = 254  # this end of the bridge, from which clients come
CHAIN = ("add", "chain", "ip", "cut", "in", "{ type filter hook input priority 0 ; }")


def call(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def refuse_where_it_cannot_be():
    for tool in "ip", "nft":
        if shutil.which(tool) is None:
            raise Skip(f"{tool} is not installed, and no network can be made without it")
    probe = f"qp{os.getpid()}"
    try:
        call("ip", "netns", "add", probe)
    except OSError as error:
        raise Skip(f"no namespace can be made here: {error}") from None
    try:
        call("ip", "link", "add", probe, "type", "bridge")
        call("ip", "link", "delete", probe)
        call("ip", "netns", "exec", probe, "nft", "add", "table", "ip", "cut")
        call("ip", "netns", "exec", probe, "nft", *CHAIN)
    except OSError as error:
        raise Skip(f"no network can be made and cut here: {error}") from None
    finally:
        call("ip", "netns", "delete", probe)


class Network:
    """So many machines on one bridge, each in a namespace of its own. `with` takes it down again.

    Packets that are dropped are gone without a word, as they are when a cable is out. Clients are
    never cut off.
    """

    def __init__(self, count):
        self.names = [f"quoit-{os.getpid()}-{i}" for i in range(count)]
        self.bridge = f"qb{os.getpid()}"

    def address(self, i):
        return f"{SUBNET}.{i + 1}"

    def build(self):
        call("ip", "link", "add", self.bridge, "type", "bridge")
        call("ip", "address", "add", f"{SUBNET}.{HUB}/24", "dev", self.bridge)
        call("ip", "link", "set", self.bridge, "up")
        for i, name in enumerate(self.names):
            near, far = self.near(i), f"qw{os.getpid()}n{i}"
            call("ip", "netns", "add", name)
            call("ip", "link", "add", near, "type", "veth", "peer", "name", far)
            call("ip", "link", "set", near, "master", self.bridge, "up")
            call("ip", "link", "set", far, "netns", name)
            call("ip", "-n", name, "address", "add", f"{self.address(i)}/24", "dev", far)
            call("ip", "-n", name, "link", "set", far, "up")
            call("ip", "-n", name, "link", "set", "lo", "up")
            self.nft(i, "add", "table", "ip", "cut")
            self.nft(i, *CHAIN)

    def __enter__(self):
        refuse_where_it_cannot_be()
        try:
            self.build()
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for i, name in enumerate(self.names):
            subprocess.run(["ip", "link", "delete", self.near(i)], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "delete", self.bridge], stderr=subprocess.DEVNULL)

    def near(self, i):
        """This end of the cable to that machine."""
        return f"qv{os.getpid()}n{i}"

    def cluster(self, world, count, *arguments):
        """So many nodes as one cluster; they need a secret, since they are not on one machine."""
        key = os.path.join(world.directory, "key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("0123456789abcdef" * 4 + "\n")
        return world.cluster(count, "--key-file", key, *arguments, network=self)

    def nft(self, i, *words):
        call("ip", "netns", "exec", self.names[i], "nft", *words)

    def place(self, node, i):
        """The node, which does not run yet, is to be on that machine."""
        node.host = self.address(i)
        node.prefix = ["ip", "netns", "exec", self.names[i]]

    def deafen(self, i, *others):
        """What the others send does not come to this machine any more."""
        for other in others:
            self.nft(i, "add", "rule", "ip", "cut", "in", "ip", "saddr", self.address(other),
                     "drop")

    def cut(self, i, *others):
        """Nothing goes between this machine and the others."""
        self.deafen(i, *others)
        for other in others:
            self.deafen(other, i)

    def part(self, some, others):
        """Nothing goes between the one side and the other."""
        for i in some:
            self.cut(i, *others)

    def heal(self):
        for i in range(len(self.names)):
            self.nft(i, "flush", "chain", "ip", "cut", "in")
