"""Whether a settled attempt is followed by another, and when.

`"30m x 3"` means three attempts in all, 30 minutes apart. Without it, a lost attempt is made good
once and a failed one is not. Every settled attempt counts, also lost and timed out ones; only a
claim whose body never began does not.
"""

from __future__ import annotations

import re

import msgspec

from sexton.core import duration
from sexton.core.errors import DeclarationError
from sexton.core.task import Reason

ATTEMPTS_MAX = 100
# A claim that dies before its body begins is made again without counting. This bounds it.
NEVER_BEGUN_MAX = 20


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many attempts in all, and how long after a failure the next one waits."""

    attempts: int = 1
    delay_us: int = 0
    is_declared: bool = False


def parse(text: str) -> Retry:
    """Read `"30m x 3"`; raises DeclarationError that says how it is written."""
    found = re.fullmatch(r"\s*(.+?)\s*[x×]\s*([0-9]{1,3})\s*", text)
    if not found or not 1 <= int(found[2]) <= ATTEMPTS_MAX:
        raise DeclarationError(
            f"retry={text!r} is not understood",
            hint=f'Write the pause and the attempts in all, as "30m x 3"; at most {ATTEMPTS_MAX}.',
        )
    return Retry(int(found[2]), duration.parse(found[1]), is_declared=True)


def say(retry: Retry) -> str:
    return f"{duration.say(retry.delay_us)} x {retry.attempts}" if retry.is_declared else "none"


def delay_us(retry: Retry, reason: Reason, spent: int) -> int | None:
    """How long the next attempt waits after one that ended so; None: there is none.

    `spent` counts the attempts up to and with this one. What was lost is made good at once: it
    was the machine's fault, and waiting helps nobody.
    """
    if reason not in {"failed", "timed out", "lost"}:
        return None
    spare = 1 if reason == "lost" and not retry.is_declared else 0
    if spent >= retry.attempts + spare:
        return None
    return 0 if reason == "lost" else retry.delay_us


def has_left(retry: Retry, spent: int) -> bool:
    """Whether an explicit call may try again after `spent` attempts."""
    return spent < retry.attempts
