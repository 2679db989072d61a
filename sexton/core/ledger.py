"""What may be done for one item of a plan, given what the ledger has of it. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sexton.core.errors import DeclarationError
from sexton.core.instant import Instant

ItemStatus = Literal["Begun", "Done", "Failed", "Rejected", "Parked", "Skipped"]
Step = Literal["leave", "doubt", "elsewhere"]


class Ended(msgspec.Struct, frozen=True):
    """How an effect ended: `Done`, `Failed` (tried again by the next attempt), `Rejected` (never),
    or `Unbegun`: it surely never started, so its mark is taken back."""

    key: str
    status: Literal["Done", "Failed", "Rejected", "Unbegun"]
    note: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """An item about to be begun; `whom` fills its cap's slot, '' where there is no cap."""

    key: str
    whom: str = ""


class Begun(msgspec.Struct, frozen=True):
    """The answer for one wanted item.

    `begin`: it is yours, on disk. `leave`: its status says that nothing is to be done.
    `elsewhere`: another live task does it now. `capped`: no slot was left today.
    """

    key: str
    step: Literal["begin", "leave", "elsewhere", "capped", "parked", "skipped", "probe"]
    tries: int = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger, as people and pages see it."""

    kind: str
    scope: str
    key: str
    status: str
    task: int
    tries: int
    begun_at: Instant
    ended_at: Instant | None
    note: str
    settled_by: str
    is_in_doubt: bool


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` a calendar day for each value of the thing's field `per`, over all kinds
    whose cap has this `name`."""

    count: int
    per: str
    name: str


_CAP = re.compile(r"([0-9]{1,4})/day per ([A-Za-z_][A-Za-z0-9_]*)(?: in ([A-Za-z0-9_.-]+))?")


def parse_cap(text: str, kind: str) -> Cap:
    """Read `"1/day per email"`, or `"1/day per email in marketing"` to share it between kinds."""
    found = _CAP.fullmatch(text.strip())
    if not found or int(found[1]) < 1:
        raise DeclarationError(
            f"cap={text!r} of {kind} is not understood",
            hint='Write how many a day for which field, as "1/day per email".',
        )
    return Cap(int(found[1]), found[2], found[3] or kind)


def step(status: str, is_mine: bool, is_live: bool) -> Step:
    """What to do about an item that the ledger knows; one that failed is begun again unasked.

    `is_mine`: begun by the task that asks. `is_live`: by a task that is Running.
    """
    if status != "Begun":
        return "leave"
    if is_mine:
        return "leave"  # a key that the plan yielded twice
    return "elsewhere" if is_live else "doubt"
