"""Receivers that are raw sockets with a script, so that they can break HTTP and TLS at any byte."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Script = Callable[["Receiver", socket.socket], None]


class Receiver:
    """A server on 127.0.0.1 that runs a script for each connection, in a thread of its own."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            if self.tls is None:
                self.script(self, connection)
                return
            with self.tls.wrap_socket(connection, server_side=True) as secured:
                self.script(self, secured)

    def read_request(self, connection: socket.socket) -> bytes:
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n")) + b"\r\n"
            length = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
            body = stream.read(int(length[0].split(b":")[1])) if length else b""
        self.requests.append(head + body)
        return body


def answers(*pieces: bytes) -> Script:
    def script(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read_request(connection)
        for piece in pieces:
            connection.sendall(piece)

    return script


def drips(first: bytes, piece: bytes, *, gap: float = 0.05, reads: bool = True, lasts: float = 5) -> Script:
    """Sends `piece` again and again, until the other side or the test ends, at most `lasts` seconds."""

    def script(receiver: Receiver, connection: socket.socket) -> None:
        if reads:
            receiver.read_request(connection)
        connection.sendall(first)
        ends = time.monotonic() + lasts
        while time.monotonic() < ends and not receiver.stopped.wait(gap):
            connection.sendall(piece)

    return script


def says_nothing(receiver: Receiver, connection: socket.socket) -> None:
    receiver.stopped.wait(15)


def resets(receiver: Receiver, connection: socket.socket) -> None:
    receiver.read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
