# SPDX-License-Identifier: Apache-2.0
"""What the programs that measure side by side have in common."""
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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


def refuse_memory(directory):
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True)
    if kind.stdout.strip() == "tmpfs":
        raise Failure(f"{directory} is in memory: forcing to disk would cost nothing there")
