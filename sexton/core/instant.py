"""Moments of time: one integer, microseconds since 1970-01-01 UTC.

An integer has no zone to lose and no rounding, compares in SQL as it does here, and never
repeats an hour in autumn. Zones only enter where a person reads or writes a moment.
Every tick imports this module, so `datetime` is imported only where one is made.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo

from sexton.core.errors import UsageError

Instant = int

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

# From the largest unit down; `ago` uses the first that fits.
_AGO = ((365 * DAY_US, "y"), (DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s"))


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware datetime, exact to the microsecond.

    Raises UsageError for a naive one: each zone would read it as another instant.
    """
    from datetime import UTC, datetime, timedelta

    if moment.utcoffset() is None:
        raise UsageError(
            f"{moment} has no time zone.", hint="Give it one: datetime.now(UTC), or tzinfo=…"
        )
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def to_datetime(instant: Instant, zone: tzinfo | None = None) -> datetime:
    """The aware datetime of an instant in `zone` (None: UTC).

    Raises OverflowError outside the years 1 to 9999.
    """
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    return moment if zone is None else moment.astimezone(zone)


def iso(instant: Instant, *, exact: bool = False) -> str:
    """ISO 8601 in UTC to the second below, `2026-11-22T07:30:41Z`; `exact`: to the microsecond."""
    naive = to_datetime(instant).replace(tzinfo=None)
    return naive.isoformat(timespec="microseconds" if exact else "seconds") + "Z"


def parse_iso(text: str) -> Instant:
    """The instant that an ISO 8601 text with `Z` or an offset names.

    Raises UsageError if it cannot be read, or names no offset.
    """
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.utcoffset() is not None:
            return from_datetime(moment)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is not a moment.", hint="Write it as 2026-11-22T07:30:41Z."
        ) from None
    raise UsageError(f"{text!r} has no offset.", hint=f"Write {text.strip()}Z if it is in UTC.")


def ago(instant: Instant, now: Instant) -> str:
    """How far away, in words and one unit: `3 min ago`, `in 2 h`, `now`."""
    distance = abs(now - instant)
    for unit_us, unit in _AGO:
        if distance >= unit_us:
            words = f"{distance // unit_us} {unit}"
            return f"{words} ago" if instant < now else f"in {words}"
    return "now"
