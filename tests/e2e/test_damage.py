# SPDX-License-Identifier: Apache-2.0
"""Disks that lose, change or refuse what they were given."""
import errno
import json
import os
import random
import shutil
import signal
import subprocess

import redis

from load import NOT_DONE, Load
from world import Skip, eventually

KEYS = 500
MIB = 1024 * 1024


def fill(node, generation, count=KEYS):
    with node.client(10) as client:
        with client.pipeline(transaction=False) as pipeline:
            for i in range(count):
                pipeline.set(f"key:{i}", f"{generation}:{i}:" + "x" * (i % 300))
            assert pipeline.execute() == [True] * count


def check(node, generation, count=KEYS):
    """Whatever is read is right, also while the node mends."""
    with node.client(10) as client:
        with client.pipeline(transaction=False) as pipeline:
            for i in range(count):
                pipeline.get(f"key:{i}")
            for i, value in enumerate(pipeline.execute()):
                assert value == f"{generation}:{i}:{'x' * (i % 300)}".encode(), (i, value)


def logs_of(node):
    return sorted(os.path.join(node.directory, name) for name in os.listdir(node.directory)
                  if name.startswith("log-"))


def data_size(path):
    """Bytes up to the last that is not zero: segments are made larger than what is in them."""
    with open(path, "rb") as f:
        return len(f.read().rstrip(b"\0"))


def hurt_one_of_three(world, hurt, is_replaced=False):
    """A node's files are hurt while it is down and others go on; it mends and never lies."""
    nodes = world.cluster(3)
    victim = nodes[1]
    fill(nodes[0], "first")
    fill(victim, "second")
    world.wait_equal()
    victim.kill()
    fill(nodes[0], "third", KEYS // 2)
    hurt(victim)
    victim.start()
    if is_replaced:
        world.replace(victim, nodes[0], "--wait", 0)
    victim.wait_ready()
    # It has no vote while it mends, and a node that was started just before may not know it yet.
    eventually(lambda: can_read(victim), 20, "two members can be asked")
    check_halves(victim)
    world.wait_equal()
    for node in nodes:
        check_halves(node)
    # Then it is a member like any other: with another one down it holds the data.
    eventually(lambda: state_of(victim) == "up", 60, "the node has mended")
    nodes[2].kill()
    for node in nodes[:2]:
        eventually(lambda n=node: can_write(n), 20, "two members are enough")
    fill(victim, "fourth")
    check(nodes[0], "fourth")


def check_halves(node):
    with node.client(10) as client:
        values = client.mget([f"key:{i}" for i in range(KEYS)])
    for i, value in enumerate(values):
        generation = "third" if i < KEYS // 2 else "second"
        assert value == f"{generation}:{i}:{'x' * (i % 300)}".encode(), (i, value)


def state_of(node):
    view = json.loads(node.world.check(node.world.quoit, "status", "--port", node.port, "--json"))
    return next(entry["state"] for entry in view["nodes"] if entry["name"] == node.name)


def can_read(node):
    try:
        with node.client() as client:
            client.mget([f"key:{i}" for i in range(KEYS)])
        return True
    except redis.ResponseError as error:
        assert str(error).startswith("NOQUORUM "), error
        return False


def can_write(node):
    try:
        with node.client(5) as client:
            return client.set("probe", "1")
    except redis.RedisError:
        return False


def test_a_truncated_log_is_mended(world):
    def truncate(node):
        path = logs_of(node)[-1]
        os.truncate(path, data_size(path) // 2)
    hurt_one_of_three(world, truncate)


def test_a_log_with_flipped_bits_is_mended(world):
    chance = random.Random(11)

    def flip(node):
        path = logs_of(node)[0]
        size = data_size(path)
        with open(path, "r+b") as f:
            for _ in range(20):
                at = chance.randrange(size)
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ (1 << chance.randrange(8))]))
    hurt_one_of_three(world, flip)


def test_a_log_that_cannot_be_read_at_all_is_left_alone(world):
    chance = random.Random(12)

    def overwrite(node):
        """All of it: not even whose it is can be read. That is for people to look at."""
        path = logs_of(node)[-1]
        with open(path, "r+b") as f:
            size = f.seek(0, os.SEEK_END)
            f.seek(0)
            f.write(chance.randbytes(size))
        node.start()
        assert node.process.wait(20) == 1
        assert node.tail().endswith(
            "quoitd: cannot start: the data cannot be read; move it away, and the other members, "
            "if there are any, give back what was in it: recovery_failed at=log "
            'status="stored bytes do not match their checksum"\n'), node.tail()
        os.rename(node.directory, node.directory + ".bad")
    hurt_one_of_three(world, overwrite, is_replaced=True)


def test_a_node_that_lost_all_its_files_gets_its_data_back(world):
    def remove(node):
        shutil.rmtree(node.directory)
    hurt_one_of_three(world, remove, is_replaced=True)


def test_the_directory_of_another_member_is_refused(world):
    def take_that_of_another(node):
        other = world.nodes[0]
        other.kill()
        shutil.rmtree(node.directory)
        shutil.copytree(other.directory, node.directory)
        other.start()
        node.start()
        assert node.process.wait(20) == 1
        assert node.tail().endswith(
            "quoitd: cannot start: the data in this directory does not fit how this node is "
            "started: the data is that of another member name=n0; give this node its own dir\n"), \
            node.tail()
        shutil.rmtree(node.directory)
    hurt_one_of_three(world, take_that_of_another, is_replaced=True)


class SmallDisk:
    def __init__(self, world, size):
        self.place = os.path.join(world.directory, "disk")
        self.filler = os.path.join(self.place, "filler")
        os.makedirs(self.place)
        if os.geteuid() != 0 or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.place],
                stderr=subprocess.DEVNULL).returncode != 0:
            raise Skip("no disk of its own can be mounted here")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], check=True)

    def free(self):
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

    def leave(self, size):
        """A node that runs takes space at the same time."""
        def has_filled():
            try:
                with open(self.filler, "wb") as f:
                    os.posix_fallocate(f.fileno(), 0, self.free() - size)
                return True
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                return False
        eventually(has_filled, 20, "the disk is filled")

    def clear(self):
        os.remove(self.filler)


def test_a_full_disk_refuses_writes_and_nothing_else(world):
    with SmallDisk(world, 400 * MIB) as disk:
        node = world.node()
        node.directory = os.path.join(disk.place, "n0")
        node.start().wait_ready()
        fill(node, "before")
        for round_number in range(2):
            disk.leave(20 * MIB)
            error = eventually(lambda: refusal(node), 20, "writes are refused")
            assert error.startswith("DISKFULL "), error
            check(node, "before")
            with node.client() as client:
                assert client.ping()
                assert client.dbsize() >= KEYS
            disk.clear()
            eventually(lambda: can_write(node), 20, "writes are taken again")
        fill(node, "after")
        node.kill()
        node.start().wait_ready()
        check(node, "after")
        assert node.stop() == 0


def is_full(node):
    with node.client() as client:
        return client.info("store")["store_is_full"] == 1


def refusal(node):
    """Of a write that this node coordinates; None: it was done."""
    said = node.answer("SET", "probe", "x" * 1000)
    return None if said is True else said


def test_clients_go_on_when_one_disk_of_three_is_full(world):
    with SmallDisk(world, 400 * MIB) as disk:
        victim = os.path.join(world.directory, "n1")
        os.mkdir(os.path.join(disk.place, "n1"))
        os.symlink(os.path.join(disk.place, "n1"), victim)
        nodes = world.cluster(3)
        with Load(nodes, not_done=NOT_DONE + ("DISKFULL",)) as load:
            eventually(load.is_moving(), 20, "the load runs")
            disk.leave(20 * MIB)
            eventually(lambda: is_full(nodes[1]), 20, "its disk is full")
            before = load.operations()
            eventually(lambda: load.operations() > before + 2000, 30, "clients go on")
            assert all(refusal(node) is None for node in nodes)
            assert is_full(nodes[1]) and not is_full(nodes[0])
            disk.clear()
            eventually(lambda: not is_full(nodes[1]), 20, "there is room again")
            eventually(load.is_moving(), 20, "clients go on when there is room")
        world.verify()
        load.check_all(nodes)


def test_a_node_starts_on_a_full_disk_again_and_again(world):
    with SmallDisk(world, 400 * MIB) as disk:
        node = world.node()
        node.directory = os.path.join(disk.place, "n0")
        node.start().wait_ready()
        fill(node, "before")
        disk.leave(0)
        for round_number in range(6):
            if round_number == 3:
                assert node.stop() == 0
            else:
                node.kill()
            node.start().wait_ready()
            check(node, "before")
            assert not can_write(node)
        disk.clear()
        eventually(lambda: can_write(node), 20, "writes are taken again")
        fill(node, "after")
        node.kill()
        node.start().wait_ready()
        check(node, "after")


def test_a_disk_that_fills_up_to_its_last_byte_loses_nothing(world):
    """Written by the store itself, until it will take no more."""
    with SmallDisk(world, 300 * MIB) as disk:
        node = world.node()
        node.directory = os.path.join(disk.place, "n0")
        node.start("--durability", "interval:1000").wait_ready()
        count = 0
        value = os.urandom(100 * 1024)
        with node.client(20) as client:
            try:
                while count < 5000:
                    client.set(f"fill:{count}", value)
                    count += 1
                assert False, "it takes more than there is"
            except redis.ResponseError as error:
                assert str(error).startswith(("DISKFULL ", "OOM ")), error
            for i in range(count):
                assert client.get(f"fill:{i}") == value
        node.send(signal.SIGKILL)
        node.process.wait()
        node.start().wait_ready()
        with node.client(20) as client:
            assert client.dbsize() >= count
            for i in range(count):
                assert client.get(f"fill:{i}") == value
