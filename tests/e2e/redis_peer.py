# SPDX-License-Identifier: Apache-2.0
"""Debian's redis-server beside a test."""
import contextlib
import subprocess

from raw import Raw
from world import eventually


@contextlib.contextmanager
def redis_server(world, port, *options):
    """Runs it for as long as the block; what it saves is in the world's directory."""
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
         world.directory, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        def answers():
            assert process.poll() is None, "redis-server has ended"
            try:
                with Raw(port) as client:
                    return client.ask("PING").startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False
        eventually(answers, 20, "redis-server answers")
        yield
    finally:
        process.kill()
        process.wait()
