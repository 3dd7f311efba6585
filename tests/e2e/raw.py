# SPDX-License-Identifier: Apache-2.0
"""A client that sends what it likes."""
import socket
import time


def bulk(*words):
    """A command as clients send it."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Raw:
    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """More bytes; none when the other side has hung up."""
        try:
            return self.socket.recv(1 << 20)
        except ConnectionResetError:
            return b""

    def take(self, size):
        while len(self.pending) < size:
            data = self.receive()
            assert data, f"the connection ended after {self.pending[-100:]}"
            self.pending += data
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def line(self):
        while b"\r\n" not in self.pending:
            data = self.receive()
            assert data, f"the connection ended after {self.pending[-100:]}"
            self.pending += data
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line + b"\r\n"

    def reply(self):
        """The next reply, as its bytes."""
        line = self.line()
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=" and rest != b"-1":
            return line + self.take(int(rest) + 2)
        if kind in b"*~>%" and rest != b"-1":
            count = int(rest) * (2 if kind == b"%" else 1)
            return line + b"".join(self.reply() for _ in range(count))
        return line

    def ask(self, *words):
        self.send(bulk(*words))
        return self.reply()

    def rest(self):
        """All that comes until the other side hangs up, which it must do."""
        parts = [self.pending]
        self.pending = b""
        while True:
            data = self.receive()
            if not data:
                return b"".join(parts)
            parts.append(data)

    def fill(self, data, seconds=0.5):
        """Sends the data again and again until nothing more is taken for so long; how often."""
        self.socket.setblocking(False)
        count, sent, last = 0, 0, time.monotonic()
        while time.monotonic() - last < seconds:
            try:
                size = self.socket.send(data[sent:])
            except BlockingIOError:
                time.sleep(0.01)
                continue
            last = time.monotonic()
            sent += size
            if sent == len(data):
                count, sent = count + 1, 0
        self.socket.settimeout(30)
        return count, sent
