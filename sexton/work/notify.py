"""Deliver one notice to those who asked for it: a program, a web check, a mailbox.

Every target gets its try whatever happened to the one before, and what happened is a value. Nothing
here is tried twice: the caller keeps what was not taken and calls again, and a notice keeps its id,
so that a second copy can be recognised as one.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime
from os import killpg
from signal import SIGKILL, Signals
from tempfile import TemporaryFile
from typing import IO, Any, assert_never
from urllib.parse import urlsplit, urlunsplit

import msgspec

from sexton.core.instant import iso, to_datetime
from sexton.core.notice import CommandTarget, Delivery, HttpTarget, MailTarget, Notice, Target
from sexton.work.ping import Bounded, post

REPLIES_BYTES_MAX = 262_144
REASON_CHARACTERS_MAX = 400
# One string of an environment may have 128 KiB on Linux; the whole text comes on stdin.
VARIABLE_BYTES_MAX = 32_768
# Healthchecks keeps 100 kB of a ping's body.
BODY_BYTES_MAX = 100_000
# A notifier gets the same environment from each of cron, systemd and a person's shell.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


def deliver(notice: Notice, targets: Sequence[Target]) -> list[Delivery]:
    """Give the notice to each target in turn; one Delivery for each, in their order.

    Time: the sum of the targets' timeouts (a web check may take its own to connect, to agree on TLS
    and to answer, a mail to connect and to talk), and what the system's resolver takes for names.
    """
    return [_deliver(_cleaned(notice), target) for target in targets]


def _deliver(notice: Notice, target: Target) -> Delivery:
    match target:
        case CommandTarget():
            return _run(notice, target)
        case HttpTarget():
            return _ping(notice, target)
        case MailTarget():
            return _mail(notice, target)
        case _:
            assert_never(target)


def _cleaned(notice: Notice) -> Notice:
    """The notice without what no environment, JSON or mail can carry: NUL and lone surrogates."""
    words = {
        name: value.encode(errors="backslashreplace")
        .decode()
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        for name, value in msgspec.structs.asdict(notice).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(notice, **words)


def one_line(text: str) -> str:
    """Text of somebody else's as part of a sentence: printable, on one line, not too long."""
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return shown[:REASON_CHARACTERS_MAX]


# --- a program ---


def _run(notice: Notice, target: CommandTarget) -> Delivery:
    to = f"command {one_line(target.argv[0])}"
    with TemporaryFile() as given:
        given.write(msgspec.json.encode(notice))
        given.seek(0)
        try:
            # A file as stdin: a program that never reads it cannot hold us up.
            process = subprocess.Popen(
                target.argv,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=CLEAN_ENVIRONMENT | _variables(notice),
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Delivery(to, False, f"could not be started: {one_line(str(error))}")
        return _watch(process, to, target.timeout_s)


def _variables(notice: Notice) -> dict[str, str]:
    values = {**msgspec.structs.asdict(notice), "at": iso(notice.at, exact=True)}
    return {
        f"SEXTON_NOTICE_{name.upper()}": _cut(str(value), VARIABLE_BYTES_MAX).decode()
        for name, value in values.items()
    }


def _cut(text: str, bytes_max: int) -> bytes:
    """The text as UTF-8 up to a size, without half a character at its end."""
    return text.encode()[:bytes_max].decode(errors="ignore").encode()


def _watch(process: subprocess.Popen[bytes], to: str, timeout_s: float) -> Delivery:
    """Wait for the program, then end whatever it left in its process group."""
    said = bytearray()
    assert process.stderr is not None  # noqa: S101 -- Popen was given a pipe
    reader = threading.Thread(target=_keep_head, args=(process.stderr, said), daemon=True)
    reader.start()
    try:
        process.wait(timeout_s)
        ended = _ended(process.returncode)
    except subprocess.TimeoutExpired:
        ended = f"did not end within {timeout_s:g} s and was killed"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            killpg(process.pid, SIGKILL)
        process.wait()
    # Who left the group may keep the pipe open: then we have what came so far.
    reader.join(1)
    if not reader.is_alive():
        process.stderr.close()
    words = one_line(bytes(said).decode(errors="backslashreplace"))
    return Delivery(to, ended == "", f"{ended or 'ran'}{': ' if words else ''}{words}")


def _keep_head(stream: IO[bytes], said: bytearray) -> None:
    """Read to the end, so that the writer never blocks, and keep only the beginning."""
    with suppress(OSError, ValueError):
        while chunk := stream.read1(65_536):  # type: ignore[attr-defined] # a BufferedReader
            said += chunk[: max(0, 4 * REASON_CHARACTERS_MAX - len(said))]


def _ended(code: int) -> str:
    if code < 0:
        return f"was killed by {Signals(-code).name}"
    return f"ended with exit code {code}" if code else ""


# --- a web check ---


def _ping(notice: Notice, target: HttpTarget) -> Delivery:
    url = _failing(target.url) if notice.is_alarm else target.url
    error = post(url, _cut(_letter(notice), BODY_BYTES_MAX), timeout_s=target.timeout_s)
    return Delivery(target.place, not error, one_line(error) or "accepted")


def _failing(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail", fragment=""))


# --- a mail ---


def compose(notice: Notice, target: MailTarget) -> EmailMessage:
    """The notice as a mail. The same notice gives the same Message-ID and date each time."""
    message = EmailMessage()
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Subject"] = one_line(f"[sexton] {_subject(notice)}")
    message["Date"] = format_datetime(to_datetime(notice.at))
    # The instant too, since the ids of two stores are both 1 once.
    domain = target.sender.rpartition("@")[2].encode("idna").decode()
    message["Message-ID"] = f"<sexton.notice.{notice.id}.{notice.at}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers it
    message.set_content(_letter(notice), cte="quoted-printable")
    return message


def _subject(notice: Notice) -> str:
    what = " ".join(part for part in (notice.kind, notice.code) if part)
    return what + (f" on {notice.target}" if notice.target else "")


def _letter(notice: Notice) -> str:
    facts = {
        "kind": notice.kind,
        "target": notice.target,
        "period": notice.period,
        "code": notice.code,
        "noticed": iso(notice.at),
        "notice": str(notice.id),
    }
    lines = [f"{name}: {one_line(value)}" for name, value in facts.items() if value]
    return "\n".join([notice.text.rstrip(), "", *lines, ""])


class _BoundedSmtp(smtplib.SMTP):
    """An SMTP client whose server has one deadline, and one size, for all that it says."""

    def __init__(self, target: MailTarget) -> None:
        self.deadline = time.monotonic() + target.timeout_s
        # The library would ask the name service for our full name, and wait for it.
        name = socket.gethostname()
        helo = name if re.fullmatch(r"[A-Za-z0-9.-]+\.[A-Za-z0-9-]+", name) else "[127.0.0.1]"
        super().__init__(target.host, target.port, helo, target.timeout_s)

    def getreply(self) -> tuple[int, bytes]:
        """As the library's; it makes `file` of the socket where there is none, and so do we."""
        if self.file is None and self.sock is not None:
            replies = Bounded(self.sock, deadline=self.deadline, bytes_max=REPLIES_BYTES_MAX)
            self.file = replies.makefile("rb")
        return super().getreply()


class _BoundedSmtpTls(_BoundedSmtp):
    """The same with TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _mail(notice: Notice, target: MailTarget) -> Delivery:
    to = f"mail to {', '.join(target.to)} by {target.host}:{target.port}"
    try:
        refused = _send(compose(notice, target), target)
    except smtplib.SMTPRecipientsRefused as error:
        return Delivery(to, False, one_line(f"refused: {_refusals(error.recipients)}"))
    except smtplib.SMTPResponseException as error:
        said = _said(error.smtp_error)
        return Delivery(to, False, one_line(f"refused: {error.smtp_code} {said}"))
    except ssl.SSLCertVerificationError as error:
        return Delivery(to, False, f"the certificate was not accepted: {error.verify_message}")
    except (OSError, ValueError) as error:
        return Delivery(to, False, one_line(f"not sent: {str(error) or type(error).__name__}"))
    # Somebody has it; sending all of it again for an address that is wrong would not help anyone.
    text = f"accepted, but refused for some: {_refusals(refused)}" if refused else "accepted"
    return Delivery(to, True, one_line(text))


def _send(message: EmailMessage, target: MailTarget) -> dict[str, tuple[int, bytes]]:
    """Hand the mail to the server; the recipients that it refused while it took others."""
    smtp = (_BoundedSmtpTls if target.security == "tls" else _BoundedSmtp)(target)
    try:
        if target.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if target.user:
            smtp.login(target.user, target.password)
        refused = smtp.send_message(message, target.sender, target.to)
        # The mail is theirs now: a bad answer to our goodbye must not make us send it again.
        with suppress(OSError):
            smtp.quit()
        return refused
    finally:
        smtp.close()


def _refusals(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{who} ({code} {_said(why)})" for who, (code, why) in refused.items())


def _said(reply: Any) -> str:
    return reply.decode(errors="backslashreplace") if isinstance(reply, bytes) else str(reply)
