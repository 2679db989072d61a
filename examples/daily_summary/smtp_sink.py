"""A real SMTP server that keeps what it takes, so that a demonstration can count its mails.

    python smtp_sink.py MAILBOX [--port 2525] [--reject ADDRESS …]

It says `listening on 127.0.0.1:PORT` on a line of its own when it takes mail, and ends on SIGTERM
or Ctrl-C. A mail is on the disk, under a name of its own, before the server says yes: a mail that
was accepted is never lost, whenever the server is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
START_TIMEOUT_S = 30


class Mailbox:
    """A directory with one file for each mail: `000001.eml`, `000002.eml`, …

    Each begins with `Return-Path` and one `Delivered-To` for each recipient that was accepted, as
    real mail servers write them; the rest is the mail as it came. Several processes may read, and
    write, the same directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._next = 1 + max((int(file.stem) for file in self.files()), default=0)

    def keep(self, sender: str, recipients: Iterable[str], content: bytes) -> Path:
        """Write one mail for good; returns its file when it would survive a power cut."""
        envelope = [f"Return-Path: <{sender}>", *(f"Delivered-To: {who}" for who in recipients)]
        draft = self.directory / f".{os.getpid()}-{threading.get_ident()}.new"
        with draft.open("wb") as file:
            file.write("".join(f"{line}\r\n" for line in envelope).encode() + content)
            file.flush()
            os.fsync(file.fileno())
        kept = self._link(draft)
        draft.unlink()
        self._sync()
        return kept

    def files(self) -> list[Path]:
        """The files of all mails, oldest first."""
        return sorted(self.directory.glob("*.eml"), key=lambda file: int(file.stem))

    def mails(self) -> list[EmailMessage]:
        """All mails, oldest first."""
        return [
            message_from_bytes(file.read_bytes(), EmailMessage, policy=policy.SMTPUTF8)
            for file in self.files()
        ]

    def count(self) -> Counter[str]:
        """How many mails each address got."""
        return Counter(who for file in self.files() for who in _recipients(file))

    def reject(self, *addresses: str) -> None:
        """Refuse these addresses from now on, also in a server that runs already."""
        with self._rejected.open("a", encoding="utf-8") as file:
            file.writelines(f"{address}\n" for address in addresses)

    def accept_all(self) -> None:
        """Refuse nobody any more."""
        self._rejected.unlink(missing_ok=True)

    def rejects(self, address: str) -> bool:
        try:
            return address in self._rejected.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False

    @property
    def _rejected(self) -> Path:
        return self.directory / "rejected.txt"

    def _link(self, draft: Path) -> Path:
        """Give a finished file the next free number. A link never replaces what is there."""
        while True:
            kept = self.directory / f"{self._next:06}.eml"
            self._next += 1
            with suppress(FileExistsError):
                os.link(draft, kept)
                return kept

    def _sync(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _recipients(file: Path) -> list[str]:
    """The lines that the sink wrote itself, up to the first that is not one of them."""
    found = []
    with file.open(encoding="utf-8", errors="replace") as lines:
        next(lines)
        for line in lines:
            name, _, who = line.partition(": ")
            if name != "Delivered-To":
                break
            found.append(who.strip())
    return found


class _Postmaster:
    """What aiosmtpd asks about each address and each mail; the names are aiosmtpd's."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.mailbox.rejects(address):
            return f"550 5.1.1 no mailbox here for {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        # It blocks the other connections while the disk works. So be it: the answer waits anyway.
        kept = self.mailbox.keep(envelope.mail_from or "", envelope.rcpt_tos, content)
        return f"250 kept as {kept.name}"


class Sink:
    """The server in a thread: `with Sink(mailbox) as sink: … sink.port`."""

    def __init__(self, mailbox: Mailbox, *, port: int = 0) -> None:
        self.mailbox = mailbox
        self.port = port  # 0: the system chooses, and this is its choice once the server is up
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="smtp sink", daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        if not self._up.wait(START_TIMEOUT_S):
            raise TimeoutError(f"the mail server is not up after {START_TIMEOUT_S} s")
        if self._failure:
            raise self._failure
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(serve(self.mailbox, self.port, self._stop, self._ready))
        except OSError as error:
            self._failure = error
        finally:
            self._up.set()
            self._loop.close()

    def _ready(self, port: int) -> None:
        self.port = port
        self._up.set()


async def serve(
    mailbox: Mailbox, port: int, stop: asyncio.Event, ready: Callable[[int], None]
) -> None:
    """Take mail until `stop`; `ready(port)` is called once the server listens."""
    postmaster = _Postmaster(mailbox)
    loop = asyncio.get_running_loop()

    def talk() -> SMTP:
        return SMTP(postmaster, hostname="sink.example", enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(talk, HOST, port)
    ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _serve_until_signal(mailbox: Mailbox, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(mailbox, port, stop, lambda port: print(f"listening on {HOST}:{port}", flush=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Take mail by SMTP and keep it in a directory.")
    parser.add_argument("mailbox", type=Path, help="directory; made if it is not there")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--reject", action="append", default=[], metavar="ADDRESS")
    chosen = parser.parse_args()
    mailbox = Mailbox(chosen.mailbox)
    mailbox.reject(*chosen.reject)
    asyncio.run(_serve_until_signal(mailbox, chosen.port))


if __name__ == "__main__":
    main()
