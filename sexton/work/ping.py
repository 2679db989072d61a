"""One POST to an address that watches from outside; also a program of its own.

`python -m sexton.work.ping URL [SECONDS]` is what a tick leaves behind when it ends: silent,
bounded in time whatever the other side does, 0 if the ping was accepted and 1 if not. A tick that
waited for somebody's web server would hold up the tasks; and if cron itself has died, only the
outside notices.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import cast
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 65_536
TIMEOUT_S = 10.0
TIMEOUT_S_MAX = 300.0
REDIRECTS = range(300, 400)


class Bounded(io.RawIOBase):
    """What a peer sends, with one deadline and one size for all of it.

    A socket's own timeout starts anew with each byte, so a peer that drips, or never ends a line,
    would hold us for ever. Raises TimeoutError and OSError in words.
    """

    def __init__(self, peer: socket.socket, *, deadline: float, bytes_max: int) -> None:
        self.peer = peer
        self.deadline = deadline  # of time.monotonic()
        self.bytes_left = bytes_max

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # narrower
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no complete answer in time")
        if self.bytes_left <= 0:
            raise OSError("the answer does not end")
        self.peer.settimeout(left_s)
        size = self.peer.recv_into(buffer, min(len(buffer), self.bytes_left))
        self.bytes_left -= size
        return size

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks of a socket."""
        return io.BufferedReader(self)


def post(url: str, body: bytes = b"", *, timeout_s: float = TIMEOUT_S) -> str:
    """POST to an http or https url; '' if it was accepted (2xx), else what went wrong, in words.

    TLS certificates are verified. A redirect is not followed, since it could lead to another
    scheme or host: it is an error that says where to. The body of the answer is not read.
    Time: at most `timeout_s` each to connect, to agree on TLS and to answer; name lookup takes what
    the system's resolver allows.
    """
    try:
        connection = _connection(url, timeout_s)
    except ValueError as error:
        return f"the url cannot be used: {error}"
    try:
        connection.connect()
        return _exchange(connection, _path(url), body, timeout_s)
    except ssl.SSLCertVerificationError as error:
        return f"the certificate was not accepted: {error.verify_message}"
    except TimeoutError:
        return f"no complete answer within {timeout_s:g} s"
    except (OSError, HTTPException, ValueError) as error:
        return f"the exchange failed: {str(error) or type(error).__name__}"
    finally:
        connection.close()


def _connection(url: str, timeout_s: float) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it must start with https:// (or http://) and a host")
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    context = ssl.create_default_context()
    return HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=context)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _exchange(connection: HTTPConnection, path: str, body: bytes, timeout_s: float) -> str:
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "sexton"}
    connection.request("POST", path, body, {**headers, "Connection": "close"})
    deadline = time.monotonic() + timeout_s
    peer = Bounded(connection.sock, deadline=deadline, bytes_max=ANSWER_BYTES_MAX)
    answer = HTTPResponse(cast(socket.socket, peer), method="POST")
    try:
        answer.begin()
        return _judge(answer)
    finally:
        answer.close()


def _judge(answer: HTTPResponse) -> str:
    if 200 <= answer.status < 300:
        return ""
    if answer.status in REDIRECTS:
        # No more than scheme and host: the path of such an address is often a secret.
        place = "/".join((answer.getheader("Location") or "nowhere").split("/", 3)[:3])[:200]
        return f"it answered {answer.status} and sends us to {place}: set that url if it is right"
    return f"it answered {answer.status} {answer.reason[:100]}".rstrip()


def main(arguments: list[str]) -> int:
    """Ping once: 0 if it was accepted, else 1, also for arguments that cannot be used."""
    try:
        url, timeout_s = arguments[0], float(arguments[1]) if len(arguments) > 1 else TIMEOUT_S
    except (IndexError, ValueError):
        return 1
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        return 1
    # Name lookup has no timeout that we could set, and this process has nothing to tidy up.
    end = threading.Timer(timeout_s, os._exit, [1])
    end.daemon = True
    end.start()
    return 1 if post(url, timeout_s=timeout_s) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
