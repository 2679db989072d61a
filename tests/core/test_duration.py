"""Lengths of time and instants: what is read, what is refused, and what people see."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sexton.core import duration
from sexton.core.errors import DurationError, UsageError
from sexton.core.instant import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    ago,
    from_datetime,
    iso,
    parse_iso,
    to_datetime,
)

seeded = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        ("20h", 20 * HOUR_US),
        ("1d 4h", 28 * HOUR_US),
        ("1d4h", 28 * HOUR_US),
        (" 1 d 4 h ", 28 * HOUR_US),
        ("90m", 90 * MINUTE_US),
        ("90 min", 90 * MINUTE_US),
        ("30s", 30 * SECOND_US),
        ("2w", 14 * DAY_US),
        ("1.5h", 90 * MINUTE_US),
        ("0.000001s", 1),
        ("PT20H", 20 * HOUR_US),
        ("P1DT4H", 28 * HOUR_US),
        ("PT1M", MINUTE_US),
        ("P2W", 14 * DAY_US),
        ("pt0.5s", SECOND_US // 2),
    ],
)
def test_a_length_is_read_in_microseconds(text: str, length_us: int) -> None:
    assert duration.parse(text) == length_us


def test_a_timedelta_is_a_length_too() -> None:
    assert duration.parse(timedelta(hours=2, microseconds=1)) == 2 * HOUR_US + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-20h", "negative"),
        ("1h -5m", "negative"),
        ("PT-5M", "negative"),
        ("P1M", "no fixed length"),
        ("P1Y", "no fixed length"),
        ("1M", "no fixed length"),
        ("3 months", "no fixed length"),
        ("1y", "no fixed length"),
        ("1x", "unknown unit 'x'"),
        ("P1H", "unknown unit 'H'"),
        ("PT1D", "unknown unit 'D'"),
        ("1H", "unknown unit 'H'"),
        ("5", "without a unit"),
        ("1_0h", "without a unit"),
        ("1h 30", "without a unit"),
        ("", "not a length"),
        ("  ", "not a length"),
        ("h", "not a length"),
        (".5h", "not a length"),
        ("1.h", "not a length"),
        ("1..5h", "not a length"),
        ("1h,2m", "not a length"),
        ("+1h", "not a length"),
        ("١h", "not a length"),
        ("1h" * 60, "not a length"),
        ("P", "ends too early"),
        ("PT", "ends too early"),
        ("P1DT", "ends too early"),
        ("4h 1d", "out of order"),
        ("1h 1h", "twice"),
        ("0s", "no time at all"),
        ("P0D", "no time at all"),
        ("99999w", "longer than 50 years"),
    ],
)
def test_what_is_no_length_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(DurationError, match=words) as refusal:
        duration.parse(text)

    assert refusal.value.hint


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (timedelta(seconds=-1), "negative"),
        (timedelta(0), "no time"),
        (timedelta(days=20_000), "50 years"),
        (5, "no unit"),
        (5.0, "no unit"),
        (True, "no unit"),
        (None, "no unit"),
    ],
)
def test_other_values_are_refused_too_and_bare_numbers_have_no_unit(
    value: object, words: str
) -> None:
    with pytest.raises(DurationError, match=words):
        duration.parse(value)  # type: ignore[arg-type]


def test_zero_is_a_length_only_where_it_is_allowed() -> None:
    assert duration.parse("0s", allow_zero=True) == 0
    assert duration.parse(timedelta(0), allow_zero=True) == 0


@pytest.mark.parametrize(
    ("length_us", "words"),
    [
        (20 * HOUR_US, "20 h"),
        (28 * HOUR_US, "1 d 4 h"),
        (30 * MINUTE_US, "30 min"),
        (90 * SECOND_US, "1 min 30 s"),
        (SECOND_US // 4, "0.25 s"),
        (14 * DAY_US, "14 d"),
        (0, "0 s"),
        (-HOUR_US, "-1 h"),
    ],
)
def test_a_length_is_said_in_words(length_us: int, words: str) -> None:
    assert duration.say(length_us) == words


@seeded
@given(st.integers(1, duration.MAX_US))
def test_what_is_said_is_read_back_exactly(length_us: int) -> None:
    assert duration.parse(duration.say(length_us)) == length_us


@seeded
@given(
    st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Europe/Riga"), ZoneInfo("Asia/Tokyo")]))
)
def test_an_instant_keeps_each_microsecond_of_a_datetime(moment: datetime) -> None:
    instant = from_datetime(moment)

    assert to_datetime(instant) == moment.astimezone(UTC)
    assert parse_iso(iso(instant, exact=True)) == instant
    assert 0 <= instant - parse_iso(iso(instant)) < SECOND_US


def test_an_instant_is_written_in_utc_to_the_second() -> None:
    instant = parse_iso("2026-11-22T09:30:41.999999+02:00")

    assert iso(instant) == "2026-11-22T07:30:41Z"
    assert iso(instant, exact=True) == "2026-11-22T07:30:41.999999Z"
    assert iso(-1) == "1969-12-31T23:59:59Z"
    assert to_datetime(instant, ZoneInfo("Europe/Riga")).hour == 9


def test_a_fold_is_two_instants() -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime(2026, 11, 1, 1, 30, tzinfo=zone)

    assert from_datetime(first.replace(fold=1)) - from_datetime(first) == HOUR_US


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="no time zone"):
        from_datetime(datetime(2026, 11, 22))  # noqa: DTZ001 -- the naive one is what is refused
    with pytest.raises(UsageError, match="no offset") as refusal:
        parse_iso("2026-11-22T07:30")

    assert refusal.value.hint == "Write 2026-11-22T07:30Z if it is in UTC."


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01T00:00Z", "2026-11-22T25:00Z", "1700000000"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a moment"):
        parse_iso(text)


@pytest.mark.parametrize(
    ("distance_us", "words"),
    [
        (0, "now"),
        (-SECOND_US + 1, "now"),
        (-3 * MINUTE_US, "3 min ago"),
        (-119 * MINUTE_US, "1 h ago"),
        (-2 * DAY_US, "2 d ago"),
        (-800 * DAY_US, "2 y ago"),
        (5 * SECOND_US, "in 5 s"),
        (2 * HOUR_US, "in 2 h"),
    ],
)
def test_how_far_away_an_instant_is_in_words(distance_us: int, words: str) -> None:
    now = parse_iso("2026-11-22T07:30:41Z")

    assert ago(now + distance_us, now) == words


def test_reading_a_length_imports_nothing_that_a_bare_interpreter_has_not() -> None:
    """`tick --for 55s` reads one on every idle minute."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "from sexton.core import duration; duration.parse('55s')\n"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('sexton')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["__future__"]
