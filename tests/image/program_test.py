"""The program in its image: as a container runtime starts it, on a real Kafka and PostgreSQL."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from image import EXAMPLES, ROOT, contained, run, run_contained

RECORDS = 1000


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what()}")
        time.sleep(0.05)
    return answer


class CommandsTest(unittest.TestCase):
    def test_it_finds_every_library(self):
        result = run_contained("version")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"^penstock \d+\.\d+\.\d+\n$")

    def test_it_checks_and_tests_every_example(self):
        for file in EXAMPLES:
            for command in ("check", "test"):
                with self.subTest(file=file.name, command=command):
                    result = run_contained(command, "--config", file)
                    self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_it_runs_as_any_user_as_openshift_has_it(self):
        result = run_contained("check", "--config", EXAMPLES[0], user="1000660000:0")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_it_knows_the_time_zones(self):
        result = run_contained("eval", "timestamp('2024-07-01T12:00:00Z').getHours('Europe/Berlin')")
        self.assertEqual((result.returncode, result.stdout.strip()), (0, "14"), result.stderr)

    def test_it_says_what_is_wrong_when_no_configuration_is_mounted(self):
        result = run_contained("serve", "--config=/etc/penstock/penstock.yaml")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("/etc/penstock/penstock.yaml", result.stderr)


class TrustTest(unittest.TestCase):
    """TLS to a server that a certificate authority has signed: the image's list decides."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.key, cls.certificate = (pathlib.Path(folder.name) / name for name in ("key.pem", "certificate.pem"))
        made = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost", "-keyout", cls.key, "-out", cls.certificate)
        if made.returncode != 0:
            raise AssertionError(made.stderr)

    def handshake(self, *options):
        """How the handshake ends, as the server sees it, when `penstock migrate status` calls PostgreSQL."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["postgresql"])
        outcome = []

        def serve(listener):
            with listener.accept()[0] as client:
                client.settimeout(20)
                client.recv(8)  # SSLRequest
                client.sendall(b"S")
                try:
                    with context.wrap_socket(client, server_side=True) as secure:
                        # A client that trusts the server goes on, with its startup packet.
                        outcome.append("trusted" if secure.recv(1) else "closed")
                except ssl.SSLError as error:
                    outcome.append(error.reason)

        with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
            listener.settimeout(30)
            server = threading.Thread(target=serve, args=(listener,))
            server.start()
            config = pathlib.Path(folder) / "penstock.yaml"
            url = f"host=localhost hostaddr=127.0.0.1 port={listener.getsockname()[1]} dbname=x user=x " \
                  "sslmode=verify-full sslrootcert=system connect_timeout=20"
            config.write_text(pipeline("t", "127.0.0.1:9", url))
            result = run_contained(*options, "migrate", "status", "--config", config)
            server.join()
        self.assertNotEqual(result.returncode, 0)  # it is no PostgreSQL
        return outcome[0]

    def test_it_trusts_the_authorities_that_the_image_lists(self):
        bundle = f"{self.certificate}:etc/ssl/certs/ca-certificates.crt"
        self.assertEqual(self.handshake("--bind", bundle), "trusted")

    def test_it_trusts_no_others(self):
        self.assertIn("UNKNOWN_CA", self.handshake())


def pipeline(topic, brokers, database):
    return (f"pipelines:\n  - name: p\n    source:\n      topics: [{topic}]\n      group: {topic}\n"
            f"      kafka: {{bootstrap.servers: \"{brokers}\"}}\n"
            f"    sink:\n      postgres: \"{database}\"\n      target:\n        table: t\n"
            "        columns: {n: msg.n, source_offset: record.offset}\n"
            "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nlog: {format: json}\n")


class ServeTest(unittest.TestCase):
    def setUp(self):
        self.name = f"image_{os.getpid()}"
        self.brokers, self.superuser = (os.environ[f"PENSTOCK_TEST_{name}"] for name in ("BROKERS", "POSTGRES"))
        self.sql(f"CREATE DATABASE {self.name}", self.superuser)
        self.addCleanup(self.sql, f"DROP DATABASE {self.name} WITH (FORCE)", self.superuser)
        self.database = re.sub(r"dbname=\S+", f"dbname={self.name}", self.superuser)
        self.sql("CREATE TABLE t (n bigint, source_offset bigint)")
        self.topic("--create", "--partitions", "1")
        self.addCleanup(self.topic, "--delete")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "penstock.yaml"
        self.config.write_text(pipeline(self.name, self.brokers, self.database))

    def sql(self, statement, database=None):
        result = run("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
                     f"--command={statement}", database or self.database)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def topic(self, *options):
        result = run("java", "-cp", f"{os.environ['PENSTOCK_KAFKA_KIT']}/lib/*", "org.apache.kafka.tools.TopicCommand",
                     "--bootstrap-server", self.brokers, "--topic", self.name, *options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def produce(self):
        values = "".join(f'{{"n": {n}}}\n' for n in range(RECORDS))
        result = run("kcat", "-P", "-b", self.brokers, "-t", self.name, "-p", "0", input=values)
        self.assertEqual(result.returncode, 0, result.stderr)

    @contextlib.contextmanager
    def serving(self):
        """(the process that started it, its own id as this machine sees it, its log) of `penstock serve`, as
        process 1 of a namespace, as in a container."""
        log = self.folder / "log"
        with open(log, "wb") as stream:
            outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child",
                                      *contained("serve", "--config", self.config)], stderr=stream, stdout=stream)
        try:
            def started():
                if outer.poll() is not None:
                    raise AssertionError(f"it ended with {outer.returncode}: {log.read_text()}")
                return '"serving"' in log.read_text()
            wait_until(started, lambda: f"it serves: {log.read_text()}")
            children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            yield outer, int(children[0]), log
        finally:
            outer.kill()
            outer.wait()

    def migrate(self):
        result = run_contained("migrate", "up", "--config", self.config)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_records_become_rows_without_rights_and_sigterm_ends_it_well(self):
        self.migrate()
        self.produce()
        with self.serving() as (outer, process, log):
            wait_until(lambda: self.sql("SELECT count(*) FROM t") == str(RECORDS),
                       lambda: f"all records are rows: {log.read_text()}")
            self.assertEqual(self.sql("SELECT sum(n), max(source_offset) FROM t"),
                             f"{RECORDS * (RECORDS - 1) // 2}|{RECORDS - 1}")
            wait_until(lambda: ready(http_port(log)), lambda: f"it is ready: {log.read_text()}")
            self.check_rights(process)
            os.kill(process, signal.SIGTERM)
            self.assertEqual(outer.wait(timeout=30), 0, log.read_text())
        self.assertEqual(self.sql("SELECT next_offset FROM penstock.offsets"), str(RECORDS))

    def check_rights(self, process):
        """It is process 1 of its namespace, has no capability, and no place to write to but devices."""
        words = pathlib.Path(f"/proc/{process}/status").read_text()
        status = dict(re.findall(r"^(\w+):\t(.*)$", words, re.MULTILINE))
        self.assertEqual((status["Uid"].split(), status["Gid"].split()), (["65532"] * 4, ["65532"] * 4))
        self.assertEqual(status["Groups"].strip(), "")
        self.assertEqual((int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"]), (0, 0, "1"))
        self.assertEqual(status["NSpid"].split()[-1], "1")
        writable = [line.split()[4] for line in pathlib.Path(f"/proc/{process}/mountinfo").read_text().splitlines()
                    if "ro" not in line.split()[5].split(",")]
        self.assertEqual([place for place in writable if not place.startswith("/dev/")], [])


class OwnTestsTest(unittest.TestCase):
    def test_the_services_own_tests_pass_with_it(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        program = pathlib.Path(folder.name) / "penstock"
        program.write_text("#!/bin/sh\nexec " + shlex.join(contained()) + ' "$@"\n')
        program.chmod(0o755)
        # Of what lies beside the configuration nothing is mounted, and one test has its certificates there.
        result = run("ctest", "--test-dir", ROOT / "build/release", "--label-regex", "^integration$",
                     "--tests-regex", r"^(Check|Migrate|Control)\.", "--no-tests=error",
                     "--exclude-regex", r"^Control\.AsksTheCommandLineForACertificate$",
                     "--parallel", os.cpu_count(), "--output-on-failure",
                     env={**os.environ, "PENSTOCK_PROGRAM": str(program)})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


def http_port(log):
    (line,) = [line for line in log.read_text().splitlines() if '"serving"' in line]
    return json.loads(line)["http_port"]


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
