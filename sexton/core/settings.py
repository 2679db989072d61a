"""The settings, parsed once into a frozen value. Each line has a default, a unit and a bound."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sexton.core.instant import SECOND_US
from sexton.core.notice import CommandTarget, HttpTarget, MailTarget, check_url


class Notify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who hears of alerts; every one that is set does."""

    command: CommandTarget | None = None
    http: HttpTarget | None = None
    mail: MailTarget | None = None

    @property
    def targets(self) -> dict[str, CommandTarget | HttpTarget | MailTarget]:
        """Those that are set, by their names in the settings."""
        found = {"command": self.command, "http": self.http, "mail": self.mail}
        return {name: target for name, target in found.items() if target is not None}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `sexton.toml` may hold, under these names.

    app: where the application declares its kinds, as `module:name`.
    store: the store's URL; a relative path starts at the settings file.
    lease_s: how long a claim holds without being renewed; it is renewed at a third of that.
    parallel: how many tasks run at the same time on one machine, over all ticks.
    grace_s: how long an aborted task has between TERM and KILL.
    keep_days: how long `prune` keeps finished tasks, ledgers and counters.
    ping_url: fetched by a process of its own after every tick, so that something outside notices
    when no tick comes; empty: off.
    """

    app: str = ""
    store: str = ""
    lease_s: Annotated[int, Meta(ge=5, le=3600)] = 60
    parallel: Annotated[int, Meta(ge=1, le=1000)] = 8
    grace_s: Annotated[int, Meta(ge=0, le=600)] = 10
    keep_days: Annotated[int, Meta(ge=1, le=36500)] = 400
    ping_url: Annotated[str, Meta(max_length=2000)] = ""
    notify: Notify = Notify()

    def __post_init__(self) -> None:
        if self.ping_url:
            try:
                check_url(self.ping_url)
            except ValueError as error:
                raise ValueError(f"ping_url: {error}") from None

    @property
    def lease_us(self) -> int:
        return self.lease_s * SECOND_US
