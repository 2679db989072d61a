"""What people are told when something went wrong, and the shapes of where it is sent.

The shapes are read from the settings file: unknown fields are refused, every length and time has
a bound. Addresses are checked here once, so that what sends needs no second look.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sexton.core import retry
from sexton.core.instant import MINUTE_US, Instant
from sexton.core.kind import Kind

RECOVERED = "recovered"
"""The one code of a notice that says that all is well again."""

Seconds = Annotated[float, Meta(gt=0, le=300)]
Word = Annotated[str, Meta(max_length=2000)]
Address = Annotated[str, Meta(min_length=3, max_length=254)]


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to tell, once.

    `id`: of its row, 0 before it has one; a resend keeps it. `kind`, `target`, `period`: what it is
    about, each may be ''. `code`: the reason in one word, `recovered` if all is well. `text`: for a
    person, any length. `at`: when it was noticed.
    """

    id: int = 0
    kind: str = ""
    target: str = ""
    period: str = ""
    code: str
    text: str
    at: Instant

    @property
    def is_alarm(self) -> bool:
        """Whether something is wrong; else it says that it no longer is."""
        return self.code != RECOVERED


NOTIFY = Kind(
    name="sexton.notify",
    family="builtin",
    summary="Deliver one notice to whoever the settings name.",
    retry=retry.parse("2m x 5"),
    timeout_us=2 * MINUTE_US,
)
"""The kind whose tasks deliver notices: a payload is one `Notice`."""


class Delivery(msgspec.Struct, frozen=True):
    """How one target took a notice.

    `to`: the target in words, without its secrets. `ok`: whether it took it, so that nothing needs
    to be sent again. `text`: one sentence, what it said or what went wrong.
    """

    to: str
    ok: bool
    text: str


class CommandTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that is started for each notice, without a shell.

    `argv`: fixed; the notice comes as JSON on stdin and as `SEXTON_NOTICE_…` in the environment.
    `timeout_s`: after it the program's whole process group is killed.
    """

    argv: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=100)]
    timeout_s: Seconds = 30

    def __post_init__(self) -> None:
        if not self.argv[0] or any("\0" in word for word in self.argv):
            raise ValueError("argv names no program, or one of its words holds a NUL character")


class HttpTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check in the style of Healthchecks: POST to `url`, or to `url`/fail for an alarm.

    `url`: http or https; its path may be a secret and is never shown. `timeout_s`: from the
    connection to the answer.
    """

    url: Word
    timeout_s: Seconds = 10

    def __post_init__(self) -> None:
        check_url(self.url)

    def __repr__(self) -> str:
        return f"HttpTarget(url='{self.place}/…', timeout_s={self.timeout_s})"

    @property
    def place(self) -> str:
        """Scheme and host: what may be shown."""
        return "/".join(self.url.split("/", 3)[:3])


class MailTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses that get a mail, and the server that takes it.

    `security`: `starttls`, `tls` (from the first byte, port 465), or `none`, which is refused
    together with a login. `user`, `password`: the login, or both ''. `timeout_s`: for the whole
    talk with the server.
    """

    to: Annotated[tuple[Address, ...], Meta(min_length=1, max_length=50)]
    sender: Address
    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, Meta(max_length=500)] = ""
    password: Annotated[str, Meta(max_length=500)] = ""
    timeout_s: Seconds = 30

    def __post_init__(self) -> None:
        for address in (self.sender, *self.to):
            _check_address(address)
        if bool(self.user) != bool(self.password):
            raise ValueError("a login needs both user and password")
        if self.user and self.security == "none":
            raise ValueError('a login would be readable on the way: set security = "starttls"')

    def __repr__(self) -> str:
        login = f", user={self.user!r}, password=…" if self.user else ""
        return f"MailTarget(to={self.to!r}, host={self.host!r}, port={self.port}{login})"


Target = CommandTarget | HttpTarget | MailTarget


def check_url(url: str) -> None:
    """Raise ValueError for what no request can be sent to."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in {"http", "https"} or not separator or rest[:1] in {"", "/", "?", "#"}:
        raise ValueError("a url starts with https:// (or http://) and a host")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a url holds no spaces, control characters or letters beyond ASCII")
    if "@" in rest.split("/", 1)[0]:
        raise ValueError("a url with a login is not supported: use one with a secret path")


def _check_address(address: str) -> None:
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError(f"{address!r} is not a mail address: it has no name or no domain")
    # Angle brackets, commas and quotes would let one line name further people.
    if not address.isprintable() or any(sign in address for sign in ' <>,;:"\\()[]'):
        raise ValueError(f"{address!r} is not a plain mail address: write name@example.com")
