"""Notices reach real programs, web servers and mail servers, and bad ones cannot hold us up."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sexton.core.notice import CommandTarget, Delivery, HttpTarget, MailTarget, Notice
from sexton.work.notify import compose, deliver
from sexton.work.ping import post

ROOT = Path(__file__).parents[2]
SHORT_S = 0.3  # for servers that never answer
LONG_S = 60.0  # far above what any answer takes

NOTICE = Notice(
    id=7,
    kind="daily_summary",
    target="any",
    period="2026-11-22T07:30",
    code="failed",
    text="3 of 59 items failed.\nŁódź: no such mailbox",
    at=1_795_332_641_000_000,
)
RECOVERED = msgspec.structs.replace(NOTICE, code="recovered")

# Made for these tests alone; for localhost and 127.0.0.1, signed by itself.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtIKFPeGk8m4W+/B8
1IJeo6D1euzhcXJuN+L6EO+CHG6hRANCAAQKXuArvVZ7Q+SmuKDI8gzcxWQHnK95
SPfepPrOnUX9lToS7R8qYNIrSXde3Npt3ZdtIOC/CWpMwVBB1+Fk+5bm
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUTRLXdQ5EYsLcD0I2U/sbgA1t3hYwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjEwNDYwM1oYDzIxMjYxMDI5
MTA0NjAzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQKXuArvVZ7Q+SmuKDI8gzcxWQHnK95SPfepPrOnUX9lToS7R8qYNIr
SXde3Npt3ZdtIOC/CWpMwVBB1+Fk+5bmo28wbTAdBgNVHQ4EFgQUGhwAWxfLpDVC
mdOQ9v0PLFYE4jgwHwYDVR0jBBgwFoAUGhwAWxfLpDVCmdOQ9v0PLFYE4jgwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIga21m7vdgSKMtAvG/dX5LRPO45yc55sG4ioRI737kl3MCICt6
scXPhOqpsgwld5+efzRbWWd82Pi9vF9QGvBN3/wk
-----END CERTIFICATE-----
"""


# --- servers ---


@dataclass
class Web:
    """A web server that answers `status` and keeps what it was sent."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, bytes]] = field(default_factory=list)


@contextlib.contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((self.path, body))
            self.send_response(kept.status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"OK")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that refuses our certificate is what some tests want."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    kept = Web(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@contextlib.contextmanager
def raw_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A server on whose connections `talk` is called until the peer goes or the test ends."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(LONG_S)
                talk(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def say_nothing(connection: socket.socket, _over: threading.Event) -> None:
    while connection.recv(65_536):
        pass


def drip(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(SHORT_S / 20):
        connection.sendall(b"2")


def flood(start: bytes, line: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.is_set():
            connection.sendall(line)

    return talk


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Mailbox:
    """A mail server's side: what it took, and whom and what it refuses."""

    port: int = 0
    refused: frozenset[str] = frozenset()
    goodbye: str = "221 Bye"
    got: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.got.append(envelope.content)
        return "250 kept"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return self.goodbye

    def login(self, _server: SMTP, _s: Any, _e: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password == b"right", handled=False)


@contextlib.contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    ready, loop = threading.Event(), asyncio.new_event_loop()

    def talk() -> SMTP:
        return SMTP(
            mailbox, tls_context=tls, authenticator=mailbox.login, enable_SMTPUTF8=True, loop=loop
        )

    def serve() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(talk, "127.0.0.1", 0))
        mailbox.port = server.sockets[0].getsockname()[1]
        loop.call_soon(ready.set)
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(LONG_S)
    try:
        yield mailbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as server:
        yield server


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "localhost.pem"
    file.write_text(CERTIFICATE)
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def mail_target(port: int, **changes: Any) -> MailTarget:
    target = MailTarget(
        to=("ops@example.com", "night@example.com"),
        sender="sexton@example.org",
        host="127.0.0.1",
        port=port,
        security="none",
    )
    return msgspec.structs.replace(target, **changes)


def one(notice: Notice, target: CommandTarget | HttpTarget | MailTarget) -> Delivery:
    [delivery] = deliver(notice, [target])
    return delivery


# --- all targets ---


def test_one_failing_target_does_not_stop_the_others(
    web: Web, mailbox: Mailbox, tmp_path: Path
) -> None:
    deliveries = deliver(
        NOTICE,
        [
            CommandTarget(argv=("/nonexistent/program",)),
            HttpTarget(url=f"http://127.0.0.1:{refused_port()}/secret"),
            mail_target(refused_port()),
            CommandTarget(argv=("touch", str(tmp_path / "told"))),
            HttpTarget(url=web.url),
            mail_target(mailbox.port),
        ],
    )

    assert [delivery.ok for delivery in deliveries] == [False, False, False, True, True, True]
    assert (tmp_path / "told").exists()
    assert len(web.got) == len(mailbox.got) == 1
    assert "No such file" in deliveries[0].text
    assert "refused" in deliveries[1].text
    assert "secret" not in str(deliveries)


# --- a program ---


def test_a_command_gets_the_notice_on_stdin_and_in_its_environment(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = (
        "/bin/sh",
        "-c",
        f"env >{out}.env; cat >{out}.json; pwd >{out}.cwd; echo $0 $* >{out}.argv",
        "$(id)",
        "a b",
    )

    delivery = one(NOTICE, CommandTarget(argv=argv))

    assert delivery == Delivery("command /bin/sh", True, "ran")
    assert json.loads(Path(f"{out}.json").read_text()) == msgspec.to_builtins(NOTICE)
    variables = Path(f"{out}.env").read_text()
    assert "SEXTON_NOTICE_ID=7\n" in variables
    assert "SEXTON_NOTICE_CODE=failed\n" in variables
    assert "SEXTON_NOTICE_AT=2026-11-22T" in variables
    assert Path(f"{out}.argv").read_text() == "$(id) a b\n"


def test_a_command_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")

    delivery = one(NOTICE, CommandTarget(argv=("/bin/sh", "-c", "env >&2")))

    assert "SEXTON_NOTICE_KIND=daily_summary" in delivery.text
    assert "hunter2" not in delivery.text


def test_a_text_that_no_environment_could_hold_is_delivered() -> None:
    odd = msgspec.structs.replace(NOTICE, text="nul \0, half \udcff, long " + "ł" * 400_000)
    argv = (
        sys.executable,
        "-c",
        "import json,sys; sys.exit(len(json.load(sys.stdin)['text']) < 400000)",
    )

    delivery = one(odd, CommandTarget(argv=argv))

    assert delivery.ok, delivery.text


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no credit >&2; exit 3", "ended with exit code 3: no credit"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        (r"printf '\033[2Jred\n\377' >&2; exit 1", r"exit code 1: [2Jred \xff"),
    ],
)
def test_a_failing_command_says_how_it_ended(script: str, words: str) -> None:
    delivery = one(NOTICE, CommandTarget(argv=("/bin/sh", "-c", script)))

    assert not delivery.ok
    assert delivery.text.endswith(words)


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    children = tmp_path / "children"
    os.mkfifo(children)
    # Shell and child hold the fifo's writing end for as long as they live.
    script = f"exec 3>{children}; trap '' TERM; sleep 1000 & exec sleep 1000"
    with _reading(children):
        delivery = one(NOTICE, CommandTarget(argv=("/bin/sh", "-c", script), timeout_s=1))

        assert not delivery.ok
        assert delivery.text == "did not end within 1 s and was killed"


@contextlib.contextmanager
def _reading(fifo: Path) -> Iterator[None]:
    """Read a fifo meanwhile, and hold that in the end all who had it open for writing are gone."""
    ended = threading.Event()

    def read() -> None:
        fifo.read_bytes()
        ended.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    # A reader waits for ever where there never was a writer: be one, for a moment.
    with contextlib.suppress(OSError):
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    thread.join(LONG_S)
    assert ended.is_set(), "a process that held the fifo is still there"


def test_what_a_command_leaves_running_is_ended(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with _reading(fifo):
        delivery = one(
            NOTICE, CommandTarget(argv=("/bin/sh", "-c", f"exec 3>{fifo}; sleep 1000 & exit 0"))
        )

        assert delivery.ok


def test_a_command_that_says_without_end_is_bounded() -> None:
    delivery = one(
        NOTICE, CommandTarget(argv=("/bin/sh", "-c", "yes too much >&2"), timeout_s=SHORT_S)
    )

    assert not delivery.ok
    assert "did not end within" in delivery.text
    assert len(delivery.text) < 1000


def test_a_command_that_ignores_stdin_and_says_much_still_counts_as_done() -> None:
    much = msgspec.structs.replace(NOTICE, text="x" * 1_000_000)

    delivery = one(much, CommandTarget(argv=("/bin/sh", "-c", "head -c 1000000 /dev/zero >&2")))

    assert delivery.ok


# --- a web check ---


def test_an_alarm_is_posted_to_the_fail_address_with_its_text(web: Web) -> None:
    delivery = one(NOTICE, HttpTarget(url=f"{web.url}/check-uuid/?rid=1"))

    assert delivery == Delivery(web.url, True, "accepted")
    [(path, body)] = web.got
    assert path == "/check-uuid/fail?rid=1"
    assert body.decode().startswith(NOTICE.text)
    assert b"period: 2026-11-22T07:30\n" in body


def test_a_recovery_is_posted_to_the_address_itself(web: Web) -> None:
    delivery = one(RECOVERED, HttpTarget(url=f"{web.url}/check-uuid"))

    assert delivery.ok
    assert [path for path, _ in web.got] == ["/check-uuid"]


def test_a_long_text_is_cut_and_stays_utf_8(web: Web) -> None:
    one(msgspec.structs.replace(NOTICE, text="ł" * 100_000), HttpTarget(url=web.url))

    [(_, body)] = web.got
    assert len(body) <= 100_000
    assert set(body.decode()) == {"ł"}


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_answer_that_is_no_success_is_an_error(web: Web, status: int) -> None:
    web.status = status

    delivery = one(NOTICE, HttpTarget(url=web.url))

    assert not delivery.ok
    assert f"it answered {status}" in delivery.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("scheme", ["same", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_no_redirect_is_followed(web: Web, status: int, scheme: str) -> None:
    web.status = status
    web.headers["Location"] = f"{web.url}/elsewhere" if scheme == "same" else scheme

    delivery = one(NOTICE, HttpTarget(url=f"{web.url}/here"))

    assert not delivery.ok
    assert f"it answered {status} and sends us to" in delivery.text
    assert [path for path, _ in web.got] == ["/here/fail"]


@pytest.mark.parametrize("talk", [say_nothing, drip], ids=["silent", "dripping"])
def test_a_web_server_that_does_not_answer_is_given_up(talk: Any) -> None:
    with raw_server(talk) as port:
        delivery = one(NOTICE, HttpTarget(url=f"http://127.0.0.1:{port}", timeout_s=SHORT_S))

    assert delivery.text == "no complete answer within 0.3 s"
    assert not delivery.ok


@pytest.mark.parametrize(
    ("start", "line", "ok"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 7, False),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 4096, False),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 9, False),
        (b"", b"x" * 4096, False),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096, True),
    ],
    ids=["headers", "one header", "interim answers", "no HTTP at all", "body"],
)
def test_a_web_server_that_sends_without_end_is_bounded(
    start: bytes, line: bytes, ok: bool
) -> None:
    with raw_server(flood(start, line)) as port:
        delivery = one(NOTICE, HttpTarget(url=f"http://127.0.0.1:{port}", timeout_s=LONG_S))

    assert delivery.ok is ok
    assert "within" not in delivery.text


def test_a_certificate_of_nobody_we_trust_is_refused(tls: ssl.SSLContext) -> None:
    with web_server(tls) as web:
        delivery = one(NOTICE, HttpTarget(url=web.url))

    assert not delivery.ok
    assert "the certificate was not accepted" in delivery.text
    assert web.got == []


def test_a_trusted_certificate_is_accepted(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with web_server(tls) as web:
        delivery = one(NOTICE, HttpTarget(url=web.url))

    assert delivery.ok, delivery.text
    assert len(web.got) == 1


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "http://", "http://x:port/", ""])
def test_a_url_that_cannot_be_used_is_an_error_and_no_exception(url: str) -> None:
    assert "the url cannot be used" in post(url)


# --- the ping of a tick, as a process ---


def _ping(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sexton.work.ping", *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=LONG_S,
        check=False,
    )


def test_a_ping_exits_with_0_and_silently_when_it_was_accepted(web: Web) -> None:
    done = _ping(f"{web.url}/uuid")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert web.got == [("/uuid", b"")]


def test_a_ping_exits_with_1_and_silently_when_it_was_not(web: Web) -> None:
    web.status = 500
    with raw_server(drip) as port:
        failed = [
            _ping(f"{web.url}/uuid"),
            _ping(f"http://127.0.0.1:{refused_port()}/"),
            _ping(f"http://127.0.0.1:{port}/", "0.5"),
            _ping("gopher://x"),
            _ping("http://127.0.0.1/", "soon"),
            _ping(f"{web.url}/uuid", "inf"),
            _ping(),
        ]

    assert [(done.returncode, done.stdout, done.stderr) for done in failed] == [(1, b"", b"")] * 7


# --- a mail ---


def test_a_mail_says_what_happened(mailbox: Mailbox) -> None:
    delivery = one(NOTICE, mail_target(mailbox.port))

    assert delivery.ok, delivery.text
    mail = email.message_from_bytes(mailbox.got[0], policy=email.policy.default)
    assert mail["Subject"] == "[sexton] daily_summary failed on any"
    assert mail["To"] == "ops@example.com, night@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert NOTICE.text in mail.get_content().replace("\r\n", "\n")


def test_a_resend_is_recognisable_and_another_notice_is_not_the_same(mailbox: Mailbox) -> None:
    target = mail_target(mailbox.port)
    other = msgspec.structs.replace(NOTICE, id=8)
    later = msgspec.structs.replace(NOTICE, at=NOTICE.at + 1)

    deliver(NOTICE, [target, target])
    names = [compose(notice, target)["Message-ID"] for notice in (NOTICE, other, later)]

    first, second = (email.message_from_bytes(raw) for raw in mailbox.got)
    assert first["Message-ID"] == second["Message-ID"] == names[0]
    assert first["Date"] == second["Date"]
    assert len(set(names)) == 3
    assert names[0].endswith("@example.org>")


def test_no_header_can_be_smuggled_in(mailbox: Mailbox) -> None:
    evil = msgspec.structs.replace(
        NOTICE,
        kind="x\r\nBcc: thief@example.net\r\n\r\nbody",
        code="a\nX-Evil: 1",
        target="\x0bX-V: 1",
    )

    delivery = one(evil, mail_target(mailbox.port))

    assert delivery.ok, delivery.text
    mail = email.message_from_bytes(mailbox.got[0])
    assert mail["Bcc"] is None
    assert {name.lower() for name in mail} == {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }


def test_a_text_of_dots_and_lone_surrogates_arrives(mailbox: Mailbox) -> None:
    odd = msgspec.structs.replace(NOTICE, text=".\r\n.\r\nQUIT\r\n\udcff\0")

    delivery = one(odd, mail_target(mailbox.port))

    assert delivery.ok, delivery.text
    mail = email.message_from_bytes(mailbox.got[0], policy=email.policy.default)
    assert mail.get_content().replace("\r\n", "\n").startswith(".\n.\nQUIT\n\\udcff\ufffd")


def test_one_refused_recipient_is_named_and_the_mail_is_not_sent_again(mailbox: Mailbox) -> None:
    mailbox.refused = frozenset({"night@example.com"})

    delivery = one(NOTICE, mail_target(mailbox.port))

    assert delivery.ok
    assert "refused for some: night@example.com (550 no such mailbox)" in delivery.text
    assert len(mailbox.got) == 1


def test_a_mail_that_nobody_may_have_is_an_error(mailbox: Mailbox) -> None:
    mailbox.refused = frozenset({"night@example.com", "ops@example.com"})

    delivery = one(NOTICE, mail_target(mailbox.port))

    assert not delivery.ok
    assert "550 no such mailbox" in delivery.text


def test_a_bad_goodbye_after_the_mail_was_taken_is_no_error(mailbox: Mailbox) -> None:
    mailbox.goodbye = "500 never heard of it"

    delivery = one(NOTICE, mail_target(mailbox.port))

    assert delivery.ok, delivery.text
    assert len(mailbox.got) == 1


def test_a_login_goes_over_a_verified_connection_only(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tls) as mailbox:
        target = mail_target(mailbox.port, security="starttls", user="me", password="right")
        untrusted = one(NOTICE, target)
        logins_before = list(mailbox.logins)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = one(NOTICE, target)
        wrong = one(NOTICE, msgspec.structs.replace(target, password="hunter2"))

    assert "the certificate was not accepted" in untrusted.text
    assert logins_before == []
    assert trusted.ok, trusted.text
    assert len(mailbox.got) == 1
    assert wrong.text.startswith("refused: 535")
    assert "hunter2" not in str(wrong)


def test_a_server_without_starttls_gets_no_mail_from_us(mailbox: Mailbox) -> None:
    delivery = one(NOTICE, mail_target(mailbox.port, security="starttls"))

    assert not delivery.ok
    assert "STARTTLS" in delivery.text
    assert mailbox.got == []


def test_tls_from_the_first_byte_is_verified_too(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(connection: socket.socket, _over: threading.Event) -> None:
        with tls.wrap_socket(connection, server_side=True) as secured:
            secured.sendall(b"421 closing\r\n")

    with raw_server(talk) as port:
        untrusted = one(NOTICE, mail_target(port, security="tls"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = one(NOTICE, mail_target(port, security="tls"))

    assert "the certificate was not accepted" in untrusted.text
    assert trusted.text == "refused: 421 closing"


@pytest.mark.parametrize("talk", [say_nothing, drip], ids=["silent", "dripping"])
def test_a_mail_server_that_does_not_answer_is_given_up(talk: Any) -> None:
    with raw_server(talk) as port:
        delivery = one(NOTICE, mail_target(port, timeout_s=SHORT_S))

    assert not delivery.ok
    assert "no complete answer" in delivery.text or "timed out" in delivery.text


@pytest.mark.parametrize("line", [b"220-welcome\r\n" * 99, b"2" * 4096], ids=["lines", "one line"])
def test_a_mail_server_that_says_without_end_is_bounded(line: bytes) -> None:
    with raw_server(flood(b"", line)) as port:
        delivery = one(NOTICE, mail_target(port, timeout_s=LONG_S))

    assert not delivery.ok
    assert len(delivery.text) < 500


# --- the shapes in settings ---


@pytest.mark.parametrize(
    ("shape", "given", "words"),
    [
        (CommandTarget, {"argv": []}, "length >= 1"),
        (CommandTarget, {"argv": [""]}, "names no program"),
        (CommandTarget, {"argv": ["a\0b"]}, "NUL"),
        (CommandTarget, {"argv": ["a"], "shell": True}, "unknown field"),
        (CommandTarget, {"argv": ["a"], "timeout_s": 0}, "> 0"),
        (CommandTarget, {"argv": ["a"], "timeout_s": 301}, "<= 300"),
        (HttpTarget, {"url": "ftp://example.com"}, "https://"),
        (HttpTarget, {"url": "https:///x"}, "a host"),
        (HttpTarget, {"url": "https://x/a b"}, "no spaces"),
        (HttpTarget, {"url": "https://x/\r\nHost: y"}, "no spaces"),
        (HttpTarget, {"url": "https://u:p@x/"}, "login"),
        (MailTarget, {"to": [], "sender": "a@b.c", "host": "h"}, "length >= 1"),
        (MailTarget, {"to": ["a@b.c\nBcc: d@e.f"], "sender": "a@b.c", "host": "h"}, "plain mail"),
        (MailTarget, {"to": ["a@b.c,d@e.f"], "sender": "a@b.c", "host": "h"}, "plain mail"),
        (MailTarget, {"to": ["nobody"], "sender": "a@b.c", "host": "h"}, "no name or no domain"),
        (MailTarget, {"to": ["a@b.c"], "sender": "a@b.c", "host": "h", "user": "u"}, "needs both"),
        (
            MailTarget,
            {
                "to": ["a@b.c"],
                "sender": "a@b.c",
                "host": "h",
                "user": "u",
                "password": "p",
                "security": "none",
            },
            "readable on the way",
        ),
        (
            MailTarget,
            {"to": ["a@b.c"], "sender": "a@b.c", "host": "h", "security": "ssl"},
            "Invalid",
        ),
    ],
)
def test_settings_that_could_not_work_are_refused(shape: Any, given: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(given, shape)


def test_no_secret_shows_when_a_target_is_printed() -> None:
    mail = mail_target(25, security="tls", user="me", password="hunter2")
    check = HttpTarget(url="https://checks.example/secret-uuid")

    assert "hunter2" not in f"{mail} {[mail]!r}"
    assert "secret-uuid" not in f"{check} {[check]!r}"
