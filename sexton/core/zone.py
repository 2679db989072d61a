"""IANA zones: one found by name, and its time cut into stretches of constant UTC offset.

All zone arithmetic of schedules is done here and nowhere else, on integers: within a stretch a
wall time is the UTC second plus the offset, so nothing about summer time is left to guess. The
libraries that match calendars never see a zone (theirs loses fires at half-hour changes).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

import msgspec

from sexton.core.errors import ScheduleError

# Probes lie closer together than any two changes of one zone (the nearest since 1970 are 6.9
# days apart: Recife, October 2000), so each step holds at most one change.
# See tests/core/test_schedule_zones.py.
_PROBE_S = 3 * 86_400
_BLOCK_S = 128 * _PROBE_S  # 384 days: the unit in which changes are looked up and kept
_NAME_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")
# Files beside the zones: copies, zones with leap seconds, and this machine's own zone.
_NOT_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")


class Stretch(msgspec.Struct, frozen=True):
    """UTC seconds `start` up to before `end`, in which wall time is UTC plus `offset_s`.

    `seen`: wall times below it had already passed when this offset came (a fold repeats them).
    `gap_s`: how many wall seconds were skipped at `start`; 0 unless it opens with such a change.
    """

    start: int
    end: int
    offset_s: int
    seen: int
    gap_s: int


class Zone:
    """A zone's name and its offsets; what was looked up is kept, and never changes."""

    def __init__(self, name: str, info: tzinfo) -> None:
        self.name = name
        self.info = info
        self._changes: dict[int, tuple[tuple[int, int, int], ...]] = {}

    def offset_s(self, second: int) -> int:
        """Seconds to add to this UTC second to get the wall time."""
        # Added to the epoch, since fromtimestamp() would ask the platform's C library.
        moment = (_EPOCH + timedelta(seconds=second)).astimezone(self.info)
        offset = moment.utcoffset() or timedelta(0)
        return offset.days * 86_400 + offset.seconds

    def stretches(self, low: int, high: int) -> Iterator[Stretch]:
        """Cut the UTC seconds from `low` up to before `high` where the offset changes, or oftener.

        Lazy, and in order: a caller that finds its moment early pays for no more.
        """
        # One block earlier, so that the change before `low` is known if `low` stands in a fold.
        block = low // _BLOCK_S - 1
        at = block * _BLOCK_S
        offset_s = before_s = self.offset_s(at)
        while block * _BLOCK_S < high:
            for change_at, old_s, new_s in self._changes_in(block):
                if low < min(change_at, high):
                    yield _cut(at, before_s, offset_s, low, min(change_at, high))
                    low = change_at
                at, before_s, offset_s = change_at, old_s, new_s
            block += 1
            # Cut at each block as well, or a zone without changes would be searched to the end.
            if low < min(block * _BLOCK_S, high):
                yield _cut(at, before_s, offset_s, low, min(block * _BLOCK_S, high))
                low = block * _BLOCK_S

    def stretches_back(self, low: int, high: int) -> Iterator[Stretch]:
        """The same, newest first."""
        while low < high:
            start = max(low, high - _BLOCK_S)
            yield from reversed(list(self.stretches(start, high)))
            high = start

    def _changes_in(self, block: int) -> tuple[tuple[int, int, int], ...]:
        """The changes of a block, each (UTC second, offset before, offset from then on)."""
        if block not in self._changes:
            start = block * _BLOCK_S
            probes = range(start - 1, start + _BLOCK_S, _PROBE_S)
            offsets = [self.offset_s(second) for second in probes]
            self._changes[block] = tuple(
                (self._first_with(new_s, second, second + _PROBE_S), old_s, new_s)
                for second, old_s, new_s in zip(probes, offsets, offsets[1:], strict=False)
                if old_s != new_s
            )
        return self._changes[block]

    def _first_with(self, offset_s: int, low: int, high: int) -> int:
        """Bisect: the first second after `low`, at the latest `high`, that has this offset."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.offset_s(middle) == offset_s else (middle, high)
        return high


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _cut(at: int, before_s: int, offset_s: int, low: int, end: int) -> Stretch:
    """The part from `low` up to before `end` of what began `at`, which is not after `low`."""
    gap_s = max(0, offset_s - before_s) if low == at else 0
    return Stretch(low, end, offset_s, at + before_s, gap_s)


@lru_cache(maxsize=64)
def find(name: str) -> Zone:
    """The zone of an IANA name, `Europe/Riga`.

    One object for each name, so that kinds share what was looked up.
    Raises ScheduleError for any other text, with the nearest name; no text is ever used as a
    path outside the zone files.
    """
    if name == "UTC":
        return Zone(name, UTC)
    # Late, since most calls of a schedule in UTC need none of it.
    from zoneinfo import ZoneInfo

    plain = 0 < len(name) <= 64 and set(name) <= _NAME_CHARS
    if plain and not name.startswith(("/", "-", *_NOT_ZONES)):
        try:
            return Zone(name, ZoneInfo(name))
        except (KeyError, ValueError, OSError):
            # Not found; not in normal form; or a directory such as "Europe".
            pass
    raise ScheduleError(f"time zone: {name!r} is not known.", hint=_suggestion(name))


def _suggestion(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    names = (zone for zone in sorted(available_timezones()) if not zone.startswith(_NOT_ZONES))
    known = {zone.lower(): zone for zone in names}
    cities = {zone.rpartition("/")[2]: zone for zone in known}
    near = get_close_matches(name.lower()[:64], [*known, *cities], n=1)
    if not near:
        return "Write an IANA name such as Europe/Riga, America/New_York or UTC."
    return f"Did you mean {known[cities.get(near[0], near[0])]}?"
