"""HTTP/2 by hand, as an attacker writes it."""

import socket
import ssl
import struct


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request(path=b"/penstock.v1.PipelineService/GetPipeline"):
    return (header(b":method", b"POST") + header(b":scheme", b"http") + header(b":path", path)
            + header(b":authority", b"x") + header(b"content-type", b"application/grpc") + header(b"te", b"trailers"))


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
ACK = frame(4, 1, 0)


def message(payload):
    """A gRPC message, as a DATA frame's payload."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Stranger:
    """A connection that says what it likes, and stops when nobody listens any more."""

    def __init__(self, port, greet=True, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        if greet:
            self.socket.sendall(GREETING + ACK)

    def say(self, data):
        """False: it is not taken, for two seconds, or the connection has been cut."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def is_cut(self, seconds=20):
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self):
        self.socket.close()


def context_without_checks():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
