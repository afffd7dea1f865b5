"""The port of the gRPC API: what HTTP/2 lets a stranger say, and who comes in with TLS."""

import struct
import subprocess
import threading
import time

import http2
import stand
from http2 import ACK, GREETING, Stranger, frame, header, message, request
from stand import Attack


class Grpc(Attack):
    def attack(self, talk, connections=4):
        """`talk` says things to a stranger again and again, for as long as attacks last."""
        end = time.monotonic() + stand.SECONDS

        def run():
            while time.monotonic() < end:
                try:
                    stranger = Stranger(self.service.grpc)
                except OSError:
                    continue
                talk(stranger, end)
                stranger.close()
        with self.unharmed():
            threads = [threading.Thread(target=run) for _ in range(connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def test_streams_that_are_reset_as_fast_as_they_begin(self):
        def talk(stranger, end):
            stream = 1
            while time.monotonic() < end:
                resets = b"".join(frame(1, 4, stream + 2 * k, request()) + frame(3, 0, stream + 2 * k, b"\0\0\0\x08")
                                  for k in range(100))
                stream += 200
                if not stranger.say(resets):
                    return
        self.attack(talk)

    def test_calls_that_are_never_finished(self):
        def talk(stranger, end):
            for stream in range(1, 100_000, 2):
                if time.monotonic() > end or not stranger.say(frame(1, 4, stream, request())):
                    return
        self.attack(talk)

    def endless(self, piece):
        def talk(stranger, end):
            if not stranger.say(frame(1, 0, 1, request())):
                return
            while time.monotonic() < end and stranger.say(frame(9, 0, 1, piece)):
                pass
        self.attack(talk)

    def test_a_header_block_without_end(self):
        self.endless(b"".join(header(b"x-%05d" % i, b"a" * 100) for i in range(140)))

    def test_a_header_block_without_end_that_is_to_be_remembered(self):
        self.endless(b"".join(b"\x40\x07x-%05d\x64" % i + b"a" * 100 for i in range(140)))

    def test_continuations_of_nothing(self):
        self.endless(b"")

    def test_a_header_that_is_announced_to_be_huge(self):
        def talk(stranger, end):
            stranger.say(frame(1, 0, 1, request()) + frame(9, 0, 1, b"\x00\x01x\x7f\xff\xff\xff\x7f"))
            while time.monotonic() < end and stranger.say(frame(9, 0, 1, b"a" * 16_000)):
                pass
        self.attack(talk)

    def test_floods_of_small_frames(self):
        small = {"pings": frame(6, 0, 0, b"x" * 8), "settings": frame(4, 0, 0, b"\0\x04\0\0\x10\0"),
                 "windows": frame(8, 0, 0, b"\0\0\0\x01"), "unknown": frame(200, 0, 0, b""),
                 "priorities": frame(2, 0, 3, b"\0\0\0\0\x01"), "data": frame(0, 0, 1, b"")}
        kinds = list(small.values())

        def talk(stranger, end):
            kind = kinds[int(time.monotonic() * 1000) % len(kinds)]
            while time.monotonic() < end and stranger.say(kind * 1000):
                pass
        self.attack(talk)

    def test_connections_that_greet_and_say_no_more(self):
        def talk(stranger, end):
            time.sleep(min(0.2, max(0, end - time.monotonic())))
        self.attack(talk, connections=200)

    def test_idle_watches_leave_room_for_calls(self):
        with self.unharmed():
            held = []
            for _ in range(10):
                stranger = Stranger(self.service.grpc)
                for stream in range(1, 9, 2):
                    stranger.say(frame(1, 4, stream, request(b"/grpc.health.v1.Health/Watch"))
                                 + frame(0, 1, stream, message(b"")))
                held.append(stranger)
            for _ in range(5):
                self.service.ctl("list")
            for stranger in held:
                stranger.close()

    def test_a_request_that_brings_600_megabytes(self):
        def talk(stranger, end):
            stranger.say(frame(1, 4, 1, request()) + frame(0, 0, 1, b"\0" + struct.pack(">I", 600_000_000)))
            sent = 0
            while sent < 600_000_000 and time.monotonic() < end and stranger.say(frame(0, 0, 1, b"a" * 16_000)):
                sent += 16_000
        self.attack(talk)

    def test_what_is_no_utf8_leaves_no_line_that_is_no_json(self):
        call = frame(1, 4, 1, request()) + frame(0, 1, 1, message(b"\x0a\x03\xff\xfe\xfd"))
        with self.unharmed():
            for _ in range(50):
                stranger = Stranger(self.service.grpc)
                stranger.say(call)
                time.sleep(0.01)
                stranger.close()
        self.assert_log_is_json()

    def test_protocols_of_others(self):
        with self.unharmed():
            for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 40, b"\x16\x03\x01\x02\x00" + b"x" * 100,
                          bytes(range(256)), GREETING[:-1] + b"\xff", GREETING + b"\xff" * 100,
                          GREETING + ACK + frame(1, 4, 0, request()), GREETING + ACK + frame(1, 4, 2, request()),
                          GREETING + ACK + frame(5, 4, 1, request())):
                stranger = Stranger(self.service.grpc, greet=False)
                stranger.say(words)
                self.assertTrue(stranger.is_cut(), words)
                stranger.close()


class GrpcTls(Attack):
    @classmethod
    def setUpClass(cls):
        import tempfile
        cls.folder = tempfile.TemporaryDirectory(prefix="penstock-abuse-tls-")
        cls.addClassCleanup(cls.folder.cleanup)

        def made(name, signer=None):
            path = f"{cls.folder.name}/{name}"
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                       "1", "-keyout", path + ".key", "-out", path + ".crt", "-subj", f"/CN={name}", "-addext",
                       "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            if signer:
                command += ["-CA", f"{cls.folder.name}/{signer}.crt", "-CAkey", f"{cls.folder.name}/{signer}.key",
                            "-addext", "basicConstraints=critical,CA:FALSE"]
            subprocess.run(command, check=True, capture_output=True)
            return path
        authority, server, cls.client = made("authority"), made("server", "authority"), made("client", "authority")
        cls.authority = authority
        cls.stranger = made("stranger")
        cls.options = {"server": f", grpc_tls: {{certificate_file: {server}.crt, key_file: {server}.key, "
                                 f"client_ca_file: {authority}.crt}}"}
        super().setUpClass()
        ctl = cls.service.ctl
        cls.service.ctl = lambda *words, check=True: ctl(
            *words, "--ca-file", authority + ".crt", "--certificate-file", cls.client + ".crt", "--key-file",
            cls.client + ".key", check=check)

    def test_handshakes_that_are_not_finished(self):
        with self.unharmed():
            held = []
            for _ in range(500 if stand.QUICK else 5000):
                stranger = Stranger(self.service.grpc, greet=False)
                stranger.say(b"\x16\x03\x01\x02\x00\x01")
                held.append(stranger)
            time.sleep(stand.SECONDS / 3)
            for stranger in held:
                stranger.close()

    def test_who_shows_no_certificate_does_not_get_to_speak(self):
        with self.unharmed():
            for shown in (None, self.stranger):
                context = http2.context_without_checks()
                if shown:
                    context.load_cert_chain(shown + ".crt", shown + ".key")
                try:
                    stranger = Stranger(self.service.grpc, tls=context)
                except OSError:
                    continue
                # With TLS 1.3 a client hears of it only now.
                stranger.say(frame(1, 4, 1, request()))
                stranger.socket.settimeout(20)
                try:
                    answer = stranger.socket.recv(1000)
                except OSError:
                    answer = b""
                self.assertEqual(answer, b"", "an answer in HTTP/2")
                stranger.close()

    def test_handshakes_as_fast_as_they_go(self):
        end = time.monotonic() + stand.SECONDS

        def run():
            context = http2.context_without_checks()
            while time.monotonic() < end:
                try:
                    Stranger(self.service.grpc, tls=context).close()
                except OSError:
                    pass
        with self.unharmed():
            threads = [threading.Thread(target=run) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
