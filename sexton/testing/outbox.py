"""A real SMTP server in a thread, that keeps what it takes: `outbox.messages`.

def test_everybody_gets_a_mail(sexton_outbox):
    send_all(host=sexton_outbox.host, port=sexton_outbox.port)

    assert sexton_outbox.recipients == ["ann@example.org", "ben@example.org"]
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from sexton.core.errors import ConfigurationError

HOST = "127.0.0.1"
START_TIMEOUT_S = 30


class Outbox:
    """What was sent. A mail is kept before the server says yes, whoever sent it and died since."""

    host = HOST

    def __init__(self) -> None:
        self.port = 0  # the system's choice, once the server is up
        self._mails: list[tuple[list[str], EmailMessage]] = []
        self._refused: set[str] = set()

    @property
    def messages(self) -> list[EmailMessage]:
        """Every mail that was accepted, oldest first."""
        return [message for _, message in self._mails]

    @property
    def recipients(self) -> list[str]:
        """Whom each mail went to, by its envelope, oldest first: one entry for each recipient."""
        return [whom for recipients, _ in self._mails for whom in recipients]

    def refuse(self, *addresses: str) -> None:
        """Answer 550 to these addresses from now on."""
        self._refused.update(addresses)

    def clear(self) -> None:
        """Forget the mails; who is refused stays refused."""
        self._mails.clear()

    def keep(self, recipients: list[str], content: bytes) -> None:
        message = message_from_bytes(content, EmailMessage, policy=policy.SMTPUTF8)
        self._mails.append((recipients, message))

    def refuses(self, address: str) -> bool:
        return address in self._refused


@contextmanager
def serving() -> Iterator[Outbox]:
    """An outbox whose server is up; raises ConfigurationError where aiosmtpd is not installed."""
    outbox, loop, up = Outbox(), asyncio.new_event_loop(), threading.Event()
    talk = _protocol(outbox, loop)

    def serve() -> None:
        server = loop.run_until_complete(loop.create_server(talk, HOST, 0))
        outbox.port = server.sockets[0].getsockname()[1]
        up.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(_end_all(loop))
        loop.close()

    thread = threading.Thread(target=serve, name="sexton outbox", daemon=True)
    thread.start()
    try:
        if not up.wait(START_TIMEOUT_S):
            raise TimeoutError(f"the mail server is not up after {START_TIMEOUT_S} s")
        yield outbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    rest = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _protocol(outbox: Outbox, loop: asyncio.AbstractEventLoop) -> Any:
    """What answers one connection."""
    try:
        from aiosmtpd.smtp import SMTP  # noqa: PLC0415 -- an extra: only who asks for mail needs it
    except ImportError as error:
        raise ConfigurationError(
            "the fixture sexton_outbox needs aiosmtpd", hint='pip install "sexton[testing]"'
        ) from error

    def talk() -> SMTP:
        return SMTP(_Postmaster(outbox), hostname="outbox.example", enable_SMTPUTF8=True, loop=loop)

    return talk


class _Postmaster:
    """What aiosmtpd asks about each address and each mail; the names are aiosmtpd's."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self._outbox.refuses(address):
            return f"550 5.1.1 no mailbox here for {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self._outbox.keep(list(envelope.rcpt_tos), envelope.original_content or b"")
        return "250 kept"
