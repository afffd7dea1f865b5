"""A penstock that is attacked, what it is attacked through, and who watches over it meanwhile."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "release"
PENSTOCK = BUILD / "penstock"
QUICK = bool(os.environ.get("PENSTOCK_ABUSE_QUICK"))
SECONDS = 1.5 if QUICK else 15  # that an attack lasts
# docs/operations.md: twice 64 MiB for each pipeline, and its memory_bytes.
MEMORY_LIMIT_MIB = 256
GRACE_SECONDS = 20  # drain_timeout + 10 s

SERVERS = {}


def wait_until(condition, what, limit_seconds=60):
    deadline = time.monotonic() + limit_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_seconds} s still not: {what}")
        time.sleep(0.05)


def background(*command, **options):
    """A process that ends when we do, however we do."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)], **options)


def output(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {result.returncode}: {result.stderr.decode()}")
    return result.stdout.decode()


@contextlib.contextmanager
def servers():
    tell = 'printf "%s\\n" "$PENSTOCK_TEST_BROKERS" "$PENSTOCK_TEST_POSTGRES"; exec sleep infinity'
    process = background(BUILD / "bin" / "penstock_test_servers", "--", "sh", "-c", tell,
                         stdout=subprocess.PIPE, text=True)
    try:
        brokers, conninfo = process.stdout.readline().strip(), process.stdout.readline().strip()
        if not conninfo:
            raise AssertionError("penstock_test_servers did not start; it says why above")
        SERVERS.update(brokers=brokers, **dict(re.findall(r"(\w+)=(\S+)", conninfo)))
        yield
    finally:
        process.terminate()
        process.communicate()


def database_uri(name, user=None, password=None):
    quote = lambda text: urllib.parse.quote(text, safe="")  # noqa: E731
    return (f"postgres://{quote(user or SERVERS['user'])}:{quote(password or SERVERS['password'])}"
            f"@{SERVERS['host']}:{SERVERS['port']}/{name}")


class Memory:
    """The memory that a process takes: a cgroup's, if one can be made, where more than the limit ends it;
    else what is resident, looked at again and again."""

    def __init__(self, pid, limit_mib):
        self.pid, self.limit_mib, self.peak_mib, self.cgroup = pid, limit_mib, 0, None
        for root, limit, in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
            folder = pathlib.Path(root, f"penstock-abuse-{pid}")
            try:
                folder.mkdir()
                (folder / limit).write_text(str(limit_mib << 20))
                (folder / "cgroup.procs").write_text(str(pid))
                self.cgroup = folder
                break
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def look(self):
        with contextlib.suppress(OSError, IndexError):
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
            self.peak_mib = max(self.peak_mib, int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) // 1024)

    def close(self):
        if self.cgroup is not None:
            with contextlib.suppress(OSError):
                self.cgroup.rmdir()


class Watcher:
    """Asks /livez ten times a second as a kubelet does, over a connection of its own each time."""

    def __init__(self, port, memory):
        self.port, self.memory = port, memory
        self.slowest, self.asked, self.failed = 0.0, 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ask(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")

    def run(self):
        last = False
        while not last:
            last = self.ending.wait(0.1)  # once more when it is over
            begin = time.monotonic()
            try:
                good = self.ask()
            except OSError as error:
                good = error
            seconds = time.monotonic() - begin
            self.slowest, self.asked = max(self.slowest, seconds), self.asked + 1
            if good is not True:
                self.failed.append(f"{good} after {seconds:.2f} s")
            self.memory.look()

    def end(self):
        self.ending.set()
        self.thread.join()


class Service:
    """One pipeline from a topic to a table, and the process that runs it."""

    def __init__(self, name, table="(n bigint, s text)", columns=None, limit_mib=MEMORY_LIMIT_MIB, files=None,
                 spec="", server="", kafka="", environment=None, topic=None, target="rows", pipeline=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-abuse-"))
        self.name = pipeline or name
        self.topic = topic or name
        self.database = name
        output("psql", database_uri(SERVERS["dbname"]), "-XAtq", "-c", f"CREATE DATABASE {name}")
        output(BUILD / "bin" / "penstock_test_orders", "prepare", database_uri(name), SERVERS["brokers"], self.topic, 1)
        self.query(f"CREATE TABLE {target} {table}")
        columns = columns or {"n": "msg.n", "s": "msg.s"}
        self.config = (
            f"pipelines:\n  - name: {self.name}\n    source:\n      topics: [\"{self.topic}\"]\n      group: {name}\n"
            f"      start_at: earliest\n"
            f"      kafka: {{bootstrap.servers: \"{SERVERS['brokers']}\"{kafka}}}\n{spec}"
            f"    sink:\n      postgres: \"{database_uri(name)}\"\n      target:\n        table: {json.dumps(target)}\n"
            f"        columns: {json.dumps(columns)}\n"
            f"server: {{grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"{server}}}\nlog: {{format: json}}\n")
        self.file = self.folder / "penstock.yaml"
        self.file.write_text(self.config)
        self.log = self.folder / "log"
        self.command("migrate", "up", "--config", self.file)
        # As few files as a process may open by default in many places; some attacks have fewer.
        command = [PENSTOCK, "serve", "--config", self.file]
        if files is not None:
            command = ["prlimit", f"--nofile={files}:{files}", *command]
        with self.log.open("wb") as log:
            self.process = background(*command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                      env=os.environ | (environment or {}))
        self.http = wait_until(lambda: self.port("http_listening"), "HTTP listens")
        self.grpc = wait_until(lambda: self.port("grpc_listening"), "gRPC listens")
        wait_until(lambda: any('"serving"' in line for line in self.lines()) or self.process.poll(), "it serves")
        self.memory = Memory(self.process.pid, limit_mib)
        self.sent = 0

    def command(self, *words, check=True):
        result = subprocess.run([str(PENSTOCK), *map(str, words)], capture_output=True, stdin=subprocess.DEVNULL)
        if check and result.returncode != 0:
            raise AssertionError(f"{words} ended with {result.returncode}: {result.stderr.decode()}")
        return (result.stdout + result.stderr).decode(errors="surrogateescape")

    def query(self, statement):
        return output("psql", database_uri(self.database), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()

    def lines(self):
        return self.log.read_text(errors="surrogateescape").splitlines()

    def port(self, event):
        if self.process.poll() is not None:
            raise AssertionError("penstock ended:\n" + "\n".join(self.lines()))
        for line in self.lines():
            if f'"{event}"' in line:
                return json.loads(line)["port"]
        return None

    def produce(self, values, *options):
        """One record for each of the values, which have no newline."""
        output("kcat", "-P", "-b", SERVERS["brokers"], "-t", self.topic, "-p", "0", *options,
               input=b"\n".join(values) + b"\n")
        self.sent += len(values)

    def applied(self):
        return int(self.query("SELECT coalesce(sum(next_offset), 0) FROM penstock.offsets"))

    def ctl(self, *words, check=True):
        return self.command("ctl", *words, "--address", f"127.0.0.1:{self.grpc}", check=check)

    def get(self, path):
        with socket.create_connection(("127.0.0.1", self.http), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := connection.recv(65536):
                data += piece
        return data.partition(b"\r\n\r\n")[2]

    def terminate(self):
        """Seconds until it has ended after SIGTERM, and its exit status."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=GRACE_SECONDS + 20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "killed"
        return time.monotonic() - begin, status

    def close(self):
        if self.process.poll() is None:
            self.terminate()
        self.memory.close()
        shutil.rmtree(self.folder)


class Attack(unittest.TestCase):
    """Tests of one service, which has to come through each attack as if it had not been."""

    options = {}
    good_record = b'{"n":1,"s":"after"}'  # one that becomes a row

    @classmethod
    def setUpClass(cls):
        # What attacks take files, too.
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        cls.service = Service(f"abuse_{cls.__name__.lower()}", **cls.options)
        cls.addClassCleanup(cls.service.close)

    @contextlib.contextmanager
    def unharmed(self, moves_on=True):
        """What is attacked within answers for its life within a second throughout and keeps to its memory;
        afterwards control and pipeline work."""
        service = self.service
        service.memory.peak_mib = 0
        watcher = Watcher(service.http, service.memory)
        begin = time.monotonic()
        try:
            yield
        finally:
            watcher.end()
        print(f"\n    {self.id().rpartition('.')[2]}: {time.monotonic() - begin:.0f} s, {watcher.asked} probes, slowest"
              f" {watcher.slowest * 1000:.0f} ms, at most {service.memory.peak_mib} MiB", end=" ")
        self.assertIsNone(service.process.poll(), "\n".join(service.lines()[-20:]))
        self.assertEqual(watcher.failed, [])
        self.assertLess(watcher.slowest, 1.0)
        self.assertLess(service.memory.peak_mib, service.memory.limit_mib)
        if moves_on:
            self.assert_works()

    def assert_works(self):
        service = self.service
        wait_until(lambda: service.name in service.ctl("list", check=False), "ctl lists the pipeline", 20)
        service.ctl("pause", service.name)
        service.ctl("resume", service.name)
        service.produce([self.good_record] * 100)
        wait_until(lambda: service.applied() >= service.sent, "new records are applied")

    def assert_log_is_json(self):
        for line in self.service.lines():
            json.loads(line)
