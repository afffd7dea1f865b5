"""A real Kafka and PostgreSQL, orders that flow through them, and what both say about it.

The servers are those of penstock_test_servers; the orders, and their comparison with the truth, are
those of penstock_test_orders (tests/support).
"""

import contextlib
import json
import re
import subprocess
import time
import urllib.parse

import chart
import group_log

PROGRAMS = chart.ROOT / "build" / "release" / "bin"


def wait_until(condition, what, limit_seconds=120):
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_seconds} s still not: {what}")
        time.sleep(0.05)


def program(name):
    file = PROGRAMS / name
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; build it: ./dev build release {name}")
    return str(file)


def output(*command):
    result = chart.run(*command)
    if result.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {result.returncode}: {result.stderr}")
    return result.stdout


def background(*command):
    """A process that ends when we do, however we do."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process):
    process.terminate()
    process.communicate()


@contextlib.contextmanager
def servers():
    """(brokers, PostgreSQL's URI as superuser)."""
    tell = 'printf "%s\\n" "$PENSTOCK_TEST_BROKERS" "$PENSTOCK_TEST_POSTGRES"; exec sleep infinity'
    process = background(program("penstock_test_servers"), "--", "sh", "-c", tell)
    try:
        brokers, conninfo = process.stdout.readline().strip(), process.stdout.readline().strip()
        if not conninfo:
            raise AssertionError("penstock_test_servers did not start; it says why above")
        yield brokers, uri(conninfo)
    finally:
        end(process)


def uri(conninfo):
    """As a Secret has it: postgres://…"""
    part = {name: urllib.parse.quote(value, safe="") for name, value in re.findall(r"(\w+)=(\S+)", conninfo)}
    return f"postgres://{part['user']}:{part['password']}@{part['host']}:{part['port']}/{part['dbname']}"


def psql(database, statement):
    return output("psql", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()


class Stream:
    """A database and a topic, both named `name`, and the orders that go from one into the other."""

    def __init__(self, brokers, server, name, partitions):
        self.brokers, self.name, self.partitions = brokers, name, partitions
        psql(server, f"CREATE DATABASE {name}")
        self.database = f"{server.rpartition('/')[0]}/{name}"
        self.producer = None
        output(program("penstock_test_orders"), "prepare", self.database, brokers, name, partitions)

    def produce(self, records_per_second):
        """Until stop()."""
        self.producer = background(program("penstock_test_orders"), "produce", self.brokers, self.name,
                                   self.partitions, records_per_second)

    def stop(self):
        """{"records": how many the broker has, "seconds": how long they were sent}."""
        self.producer.terminate()
        said, _ = self.producer.communicate()
        if self.producer.returncode != 0:
            raise AssertionError("the records did not all reach the broker; it says why above")
        return json.loads(said)

    def close(self):
        if self.producer is not None and self.producer.poll() is None:
            end(self.producer)

    def query(self, statement):
        return psql(self.database, statement)

    def by_partition(self, statement):
        return {int(partition): int(value) for partition, value in
                (line.split("|") for line in self.query(statement).splitlines())}

    @contextlib.contextmanager
    def locked(self, table):
        """Nobody else reads or writes the table meanwhile."""
        session = background("psql", self.database, "-XAtq", "-v", "ON_ERROR_STOP=1")
        try:
            session.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
            session.stdin.flush()
            if session.stdout.readline() != "locked\n":
                raise AssertionError(f"{table} cannot be locked; psql says why above")
            yield
        finally:
            end(session)

    def ends(self):
        """Partition → the end of its log, as the broker has it."""
        wanted = [word for number in range(self.partitions) for word in ("-t", f"{self.name}:{number}:-1")]
        found = re.findall(r"\[(\d+)\] offset (\d+)", output("kcat", "-b", self.brokers, "-Q", *wanted))
        return {int(partition): int(offset) for partition, offset in found}

    def group(self, name):
        return group_log.read(self.brokers, name)

    def verdict(self, pipeline, records):
        """What PostgreSQL has of the first `records`, compared with the truth one by one."""
        return json.loads(output(program("penstock_test_orders"), "verify", self.database, pipeline,
                                 self.partitions, records))
