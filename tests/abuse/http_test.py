"""The port of the probes: slow, many, and strange requests."""

import contextlib
import socket
import threading
import time

import stand
from stand import Attack, Service


def hold(port, seconds, drip=False, again=True, begin=b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: "):
    """A connection that is never done: it says nothing, or a byte a second; it comes back when it is cut."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if drip:
                connection.sendall(begin)
            while time.monotonic() < end:
                if drip:
                    connection.sendall(b"a")
                    time.sleep(1)
                else:
                    connection.settimeout(max(0.1, end - time.monotonic()))
                    if not connection.recv(10):
                        break
        if not again:
            return
        time.sleep(0.05)


class Http(Attack):
    def crowd(self, count, **how):
        threads = [threading.Thread(target=hold, args=(self.service.http, stand.SECONDS), kwargs=how, daemon=True)
                   for _ in range(count)]
        with self.unharmed():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def test_eight_connections_that_drip(self):
        self.crowd(8, drip=True)

    def test_sixty_four_connections_that_say_nothing_and_come_back(self):
        self.crowd(64)

    def test_two_hundred_connections_that_drip_and_come_back(self):
        self.crowd(200, drip=True)

    def test_a_burst_of_a_thousand_idle_connections(self):
        with self.unharmed():
            idle = [socket.create_connection(("127.0.0.1", self.service.http)) for _ in range(1000)]
            time.sleep(stand.SECONDS)
            for connection in idle:
                connection.close()

    def test_scrapes_whose_answers_nobody_takes(self):
        with self.unharmed():
            deaf = []
            end = time.monotonic() + stand.SECONDS
            while time.monotonic() < end:
                connection = socket.create_connection(("127.0.0.1", self.service.http))
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip\r\n\r\n")
                deaf.append(connection)
                time.sleep(0.005)
            for connection in deaf:
                connection.close()

    def test_requests_that_are_none(self):
        strange = [
            b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /livez HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nRange: bytes=" + b"0-1," * 3000 + b"\r\n\r\n",
            b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9000,
            b"GET /livez\0 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, bytes(range(256)) * 100,
        ]
        with self.unharmed():
            for request in strange:
                with contextlib.suppress(OSError), \
                        socket.create_connection(("127.0.0.1", self.service.http), timeout=5) as connection:
                    connection.sendall(request)
                    connection.shutdown(socket.SHUT_WR)
                    answer = b""
                    while piece := connection.recv(65536):
                        answer += piece
                    self.assertTrue(not answer or answer.startswith(b"HTTP/1."), answer[:100])
                    self.assertNotIn(b"root:", answer)

    def test_headers_without_end(self):
        with self.unharmed():
            with socket.create_connection(("127.0.0.1", self.service.http), timeout=5) as connection:
                connection.sendall(b"GET /livez HTTP/1.1\r\n")
                sent = 0
                with contextlib.suppress(OSError):
                    while sent < 100_000_000:
                        sent += connection.send(b"A: " + b"b" * 8000 + b"\r\n")
            self.assertLess(sent, 20_000_000)


    def test_a_request_that_brings_600_megabytes(self):
        """Of which it may send what fits into the buffers on the way, until it is cut."""
        piece = b"a" * 1_000_000
        with self.unharmed():
            for length in (b"Content-Length: 600000000", b"Transfer-Encoding: chunked"):
                sent = 0
                with contextlib.suppress(OSError), \
                        socket.create_connection(("127.0.0.1", self.service.http), timeout=5) as connection:
                    connection.sendall(b"POST /livez HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
                    for _ in range(600):
                        connection.sendall(b"f4240\r\n" + piece + b"\r\n" if b"chunked" in length else piece)
                        sent += len(piece)
                self.assertLess(sent, 100_000_000, length)


class Ending(Attack):
    """SIGTERM while connections on both ports go on with what they do."""

    def test_ends_in_time_whatever_is_connected(self):
        held = [threading.Thread(target=hold, args=(port, 60), kwargs={"drip": True, "again": False}, daemon=True)
                for port in (self.service.http, self.service.grpc) for _ in range(50)]
        for thread in held:
            thread.start()
        time.sleep(1)
        self.assert_works()
        seconds, status = self.service.terminate()
        print(f"\n    ended after {seconds:.1f} s", end=" ")
        self.assertEqual(status, 0)
        self.assertLess(seconds, stand.GRACE_SECONDS)


class FewFiles(Attack):
    """Where the process may open 300 files."""

    options = {"files": 300}

    def take_all(self, port):
        with self.unharmed():
            connections = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(600)]
            time.sleep(stand.SECONDS / 3)
            # The lanes have to connect again meanwhile.
            self.service.query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                               "WHERE datname = current_database() AND pid <> pg_backend_pid()")
            self.service.produce([b'{"n":2,"s":"meanwhile"}'] * 10)
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "rows are written meanwhile")
            for connection in connections:
                connection.close()
        self.assertFalse(any('"error":" (' in line for line in self.service.lines()), "an error without a word")

    def test_more_connections_to_the_probes_than_there_are_files(self):
        self.take_all(self.service.http)

    def test_more_connections_to_the_api_than_there_are_files(self):
        self.take_all(self.service.grpc)
