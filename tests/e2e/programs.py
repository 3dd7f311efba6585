# SPDX-License-Identifier: Apache-2.0
"""Client programs that other people's libraries are used in: built, installed, run beside a test."""
import filecmp
import os
import shutil
import subprocess
import threading

from world import Skip, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIENTS = os.path.join(HERE, "clients")
EXAMPLES = os.path.join(ROOT, "examples")
PLACE = os.path.join(ROOT, "build/e2e-clients")
BUILD_SECONDS = 300


class Program:
    """A client under way. It says `running` when it has begun to work for as long as its input is
    open, and `done` when all went well."""

    def __init__(self, *command, **environment):
        self.process = subprocess.Popen(
            [str(word) for word in command], env={**os.environ, **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def output(self):
        return "".join(self.lines[-40:])

    def wait_line(self, text, seconds):
        def has_come():
            if text + "\n" in self.lines:
                return True
            assert self.process.poll() is None, f"it ended:\n{self.output()}"
            return False
        try:
            eventually(has_come, seconds, f"the client says {text}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def finish(self, seconds):
        """Ends its input; it must come to a good end."""
        self.process.stdin.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the client does not end:\n{self.output()}") from None
        self.reader.join()
        assert code == 0 and "done\n" in self.lines, f"exit status {code}:\n{self.output()}"

    def failures(self):
        return [line for line in self.lines if line.startswith("failed ")]


def run_tool(*command, where):
    done = subprocess.run(command, cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=BUILD_SECONDS)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
    return done.stdout


def compiled(name, directory=CLIENTS):
    """The path of a client in C, built."""
    if shutil.which("cc") is None or shutil.which("pkg-config") is None:
        raise Skip("no C compiler here")
    source = os.path.join(directory, name + ".c")
    program = os.path.join(PLACE, name)
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(PLACE, exist_ok=True)
        flags = run_tool("pkg-config", "--cflags", "--libs", "hiredis", where=PLACE).split()
        run_tool("cc", "-std=c17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
                 program, source, *flags, where=PLACE)
    return program


def node_modules():
    """The directory of the JavaScript clients, installed as their lock file says."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Skip(f"no {program} here")
    modules = os.path.join(PLACE, "node_modules")
    lock = os.path.join(CLIENTS, "package-lock.json")
    installed = os.path.join(PLACE, "installed.json")  # the lock file, when all of it was there
    if not os.path.exists(installed) or not filecmp.cmp(installed, lock, shallow=False):
        os.makedirs(PLACE, exist_ok=True)
        shutil.copy(os.path.join(CLIENTS, "package.json"), PLACE)
        shutil.copy(lock, PLACE)
        run_tool("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund",
                 where=PLACE)
        shutil.copy(lock, installed)
    return modules


def script(name, *arguments):
    """A JavaScript client, started."""
    modules = node_modules()
    return Program("node", os.path.join(CLIENTS, name), *arguments, NODE_PATH=modules)


def place_of(name, tools, *fetch):
    """A fresh copy of a client's sources beside what is kept of its last build, where all is there
    that the build needs."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise Skip(f"no {tool} here")
    place = os.path.join(PLACE, name)
    shutil.copytree(os.path.join(CLIENTS, name), place, dirs_exist_ok=True)
    try:
        run_tool(*fetch, where=place)
    except AssertionError as error:
        raise Skip(f"cannot be fetched: {error}") from None
    return place


def go_redis(*arguments):
    place = place_of("go_redis", ["go"], "go", "mod", "download")
    run_tool("go", "build", "-mod=readonly", "-o", "client", ".", where=place)
    return Program(os.path.join(place, "client"), *arguments)


def redis_rs(*arguments):
    place = place_of("redis_rs", ["cargo"], "cargo", "fetch", "--quiet")
    run_tool("cargo", "build", "--quiet", "--offline", where=place)
    return Program(os.path.join(place, "target/debug/redis_rs"), *arguments)


def java(*arguments):
    # A plugin that says how it is used has been fetched with all that it stands on.
    place = place_of("java", ["mvn", "java"], "mvn", "--quiet", "--batch-mode", "resources:help",
                     "compiler:help", "dependency:build-classpath", "-Dmdep.outputFile=classpath")
    run_tool("mvn", "--quiet", "--batch-mode", "--offline", "compile", where=place)
    with open(os.path.join(place, "classpath"), encoding="utf-8") as f:
        classpath = f"{place}/target/classes:{f.read().strip()}"
    return Program("java", "-cp", classpath, "Scenario", *arguments)
