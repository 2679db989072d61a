"""Lengths of time as people write them: `20h`, `1d 4h`, `90m`, or ISO 8601 `P1DT4H`.

A day is 24 hours and a week 7 days; months and years have no length and are refused, as is
everything else that libraries guess at: negatives, bare numbers, unknown units. The idle tick
reads one (`--for 55s`), so this imports nothing slow, not even `re`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

from sexton.core.errors import DurationError
from sexton.core.instant import DAY_US, HOUR_US, MINUTE_US, SECOND_US

__all__ = ["DAY_US", "HOUR_US", "MAX_US", "MINUTE_US", "SECOND_US", "parse", "say"]

MAX_US = 50 * 366 * DAY_US  # 50 years: longer is a slip of the pen
TEXT_CHARS_MAX = 100
_DIGITS = "0123456789"

# From the largest down: `1d 4h` is read in this order, each unit at most once.
_PLAIN = {"w": 7 * DAY_US, "d": DAY_US, "h": HOUR_US, "m": MINUTE_US, "s": SECOND_US}
_ALIASES = {"min": "m"}
_ISO_DATE = {"W": 7 * DAY_US, "D": DAY_US}
_ISO_TIME = {"H": HOUR_US, "M": MINUTE_US, "S": SECOND_US}
_SAID = ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"))

_CALENDAR = {"mo", "mon", "month", "months", "y", "yr", "year", "years", "M", "Y"}
_HINT = "Write 20h, 1d 4h, 90m, 30s, 2w or PT20H."


def parse(value: str | timedelta, *, allow_zero: bool = False) -> int:
    """The length in microseconds; what is finer than one is cut off.

    Raises DurationError, with what to write instead, for what is not a length from above zero
    (`allow_zero`: from zero) to 50 years.
    """
    length_us = _of_text(value) if isinstance(value, str) else _of_timedelta(value)
    if length_us < 0:
        raise DurationError(f"{value!r} is negative.", hint="A length of time is above zero.")
    if length_us == 0 and not allow_zero:
        raise DurationError(f"{value!r} is no time at all.", hint="A length here is above zero.")
    if length_us > MAX_US:
        raise DurationError(f"{value!r} is longer than 50 years.", hint=_HINT)
    return length_us


def say(length_us: int) -> str:
    """The length in words that `parse` reads back: `20 h`, `1 d 4 h`, `30 min`, `0.25 s`."""
    if length_us < 0:
        return f"-{say(-length_us)}"
    words, rest_us = [], length_us
    for unit_us, unit in _SAID:
        count, rest_us = divmod(rest_us, unit_us)
        if count:
            words.append(f"{count} {unit}")
    if rest_us or not words:
        whole, fraction = divmod(rest_us, SECOND_US)
        words.append(f"{whole}.{fraction:06d}".rstrip("0").rstrip(".") + " s")
    return " ".join(words)


def _of_timedelta(value: object) -> int:
    from datetime import timedelta

    if not isinstance(value, timedelta):
        raise DurationError(f"{value!r} has no unit.", hint=_HINT)
    return value // timedelta(microseconds=1)


def _of_text(text: str) -> int:
    bare = text.strip()
    if not bare or len(bare) > TEXT_CHARS_MAX or not bare.isascii():
        raise DurationError(f"{text[:TEXT_CHARS_MAX]!r} is not a length of time.", hint=_HINT)
    if "-" in bare:
        raise DurationError(f"{text!r} is negative.", hint="A length of time is above zero.")
    if bare[0] not in "Pp":
        return _sum(text, bare, _PLAIN)
    # ISO 8601: the T parts days from hours, and so months from minutes.
    days, t, hours = bare[1:].upper().partition("T")
    if (t and not hours) or not (days or hours):
        raise DurationError(f"{text!r} ends too early.", hint=_HINT)
    return _sum(text, days, _ISO_DATE) + _sum(text, hours, _ISO_TIME)


def _sum(text: str, part: str, units: dict[str, int]) -> int:
    order = list(units)
    total_us, least = 0, -1
    for whole, fraction, written in _terms(text, part):
        unit = _ALIASES.get(written, written)
        if unit not in units:
            raise _unknown_unit(text, written)
        if order.index(unit) <= least:
            raise DurationError(f"{text!r} names {written!r} out of order or twice.", hint=_HINT)
        least = order.index(unit)
        total_us += int(whole + fraction) * units[unit] // 10 ** len(fraction)
    return total_us


def _terms(text: str, part: str) -> Iterator[tuple[str, str, str]]:
    """Split `1d 4.5h` into (whole, fraction, unit); spaces between them do not matter."""
    rest = part.strip()
    while rest:
        whole, rest = _take(rest, _DIGITS)
        fraction = ""
        if rest.startswith("."):
            fraction, rest = _take(rest[1:], _DIGITS)
            whole = whole if fraction else ""
        unit, rest = _take(rest.lstrip(), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if not whole:
            raise DurationError(f"{text!r} is not a length of time.", hint=_HINT)
        yield whole, fraction, unit
        rest = rest.lstrip()


def _take(text: str, allowed: str) -> tuple[str, str]:
    rest = text.lstrip(allowed)
    return text[: len(text) - len(rest)], rest


def _unknown_unit(text: str, unit: str) -> DurationError:
    if not unit:
        return DurationError(f"{text!r} has a number without a unit.", hint=_HINT)
    if unit in _CALENDAR:
        return DurationError(
            f"{text!r} counts in {unit!r}, which has no fixed length.",
            hint="Write days: 30d, 365d. A small m is minutes.",
        )
    return DurationError(f"{text!r} has the unknown unit {unit!r}.", hint=_HINT)
