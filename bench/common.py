# SPDX-License-Identifier: Apache-2.0
"""What the programs that measure side by side have in common."""
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START_SECONDS = 30
STOP_SECONDS = 20
TICK = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Something that the person who runs this should read."""


def pinned(core, command):
    """Keeps a command on one core, where there is more than one."""
    if core is None or os.cpu_count() < 2:
        return command
    return ["taskset", "-c", str(core)] + command


def medians(runs):
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


class Progress:
    """One line on standard error, on a terminal only."""

    def __init__(self, total):
        self.total, self.done, self.start = total, 0, time.monotonic()

    def show(self, text):
        if sys.stderr.isatty():
            bar = "#" * (30 * self.done // max(1, self.total))
            sys.stderr.write(f"\r[{bar:.<30}] {self.done}/{self.total} {text}\033[K")
            sys.stderr.flush()

    def clear(self):
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")


def human(count):
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.1f}k"


def human_us(us):
    return f"{us / 1000:.2f} ms" if us >= 1000 else f"{us:.0f} us"


def aligned(cells, left=1):
    """Lines of a table; the first `left` columns begin together, the others end together."""
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        yield "  ".join([cell.ljust(width) for cell, width in zip(line[:left], widths)] +
                        [cell.rjust(width) for cell, width in
                         zip(line[left:], widths[left:])]).rstrip()


def numbers(text):
    return [int(n) for n in text.split(",")]


def draw_svg(script, plot):
    """Runs gnuplot, which makes the file; it is then a text without tabs and loose ends."""
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError:
        raise Failure("--plot needs the program gnuplot") from None
    with open(plot, encoding="utf-8") as picture:
        lines = [line.expandtabs(1).rstrip() for line in picture]
    with open(plot, "w", encoding="utf-8") as picture:
        picture.write("\n".join(lines).strip("\n") + "\n")


def refuse_memory(directory):
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True)
    if kind.stdout.strip() == "tmpfs":
        raise Failure(f"{directory} is in memory: forcing to disk would cost nothing there")


def ask(port, *words):
    """Sends one command and returns the beginning of what comes back."""
    request = b"*%d\r\n" % len(words)
    for word in words:
        request += b"$%d\r\n%s\r\n" % (len(word), word.encode())
    with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
        s.sendall(request)
        return s.recv(65536)


def is_ready(port, is_cluster):
    try:
        if is_cluster:
            return b"cluster_state:ok" in ask(port, "CLUSTER", "INFO")
        return ask(port, "PING").startswith(b"+PONG")
    except OSError:
        return False


class Server:
    """One process, or several that are one server to its clients."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = os.path.join(directory, name.replace(" ", "-"))
        self.ports = []
        self.commands = []
        self.processes = []
        self.is_cluster = False
        os.makedirs(self.directory)

    def start(self, port, command, core):
        with socket.socket() as s:
            s.settimeout(1)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                raise Failure(f"{self.name} cannot have port {port}: another program uses it")
        self.ports.append(port)
        self.commands.append(pinned(core, command))
        self.processes.append(self.spawn(port, self.commands[-1]))

    def spawn(self, port, command):
        with open(os.path.join(self.directory, f"{port}.log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    cwd=self.directory)

    def stop_last(self):
        self.processes[-1].send_signal(signal.SIGTERM)
        self.processes[-1].wait(STOP_SECONDS)

    def start_last(self):
        self.processes[-1] = self.spawn(self.ports[-1], self.commands[-1])

    def wait(self):
        end = time.monotonic() + START_SECONDS
        for port, process in zip(self.ports, self.processes):
            while not is_ready(port, self.is_cluster):
                if process.poll() is not None or time.monotonic() > end:
                    raise Failure(f"{self.name} did not start on port {port}:\n{self.log(port)}")
                time.sleep(0.05)

    def log(self, port):
        with open(os.path.join(self.directory, f"{port}.log"), errors="replace") as f:
            return "".join(f.readlines()[-10:])

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def cpu_seconds(self):
        total = 0
        for process in self.processes:
            if process.poll() is not None:
                raise Failure(f"{self.name} ended while it was measured")
            with open(f"/proc/{process.pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK


def start_quoit(args, server, port, is_durable, count=1):
    server.is_cluster = True
    members = ",".join(f"n{i}=127.0.0.1:{port + i}" for i in range(count))
    for i in range(count):
        data = os.path.join(server.directory, f"n{i}")
        os.mkdir(data)
        command = [os.path.join(args.build, "quoitd"), "--port", str(port + i), "--dir", data,
                   "--name", f"n{i}", "--host", f"n{i}", "--bind", "127.0.0.1",
                   "--memory", args.memory,
                   "--durability", "always" if is_durable else "interval:1000"]
        if count > 1:
            command += ["--initial", members]
        server.start(port + i, command, core=0 if count == 1 else None)


def generate(args, server, core, *options):
    """What `quoit bench` says of its load, over args.keys keys."""
    command = [os.path.join(args.build, "quoit"), "bench", "--json", "--port",
               ",".join(map(str, server.ports)), "--keys", str(args.keys), *map(str, options)]
    done = subprocess.run(pinned(core, command), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=args.seconds + 600)
    if done.returncode != 0:
        raise Failure(f"{server.name}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)
