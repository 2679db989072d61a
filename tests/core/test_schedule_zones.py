"""Every zone of the world, at each change of its offset, against the slow reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest

from sexton.core import zone
from sexton.core.instant import from_datetime, to_datetime
from sexton.core.schedule import Schedule, parse
from tests.core import slow_schedule
from tests.core.slow_schedule import Walk

ZONES = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})
DAY, HOUR = timedelta(days=1), timedelta(hours=1)

# Fixed times, in and around where clocks change; then those that follow real time.
SELDOM = (
    "0 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "0 2 * * sun",
    "15 1 * 3,10 *",
    "5,35 0-4 * * *",
    "0-59/20 2,23 * * *",
    "0 0 1-10 * 0",
)
OFTEN = ("* * * * *", "*/15 * * * *", "0 * * * *", "10,40 */2 * * *", "*/20 2 * * *")

# Changes of other years: the issue's, gaps at midnight, skipped days, half hours, three hours.
PAST = (
    ("Europe/Riga", 2021),
    ("America/Sao_Paulo", 2018),
    ("Australia/Lord_Howe", 2021),
    ("Pacific/Apia", 2011),
    ("Pacific/Kwajalein", 1993),
    ("Antarctica/Casey", 2009),
    ("Antarctica/Casey", 2010),
    ("Antarctica/Troll", 2019),
    ("Africa/Casablanca", 2020),
    ("America/Caracas", 2007),
    ("America/Caracas", 2016),
    ("Asia/Pyongyang", 2018),
    ("Asia/Kathmandu", 1985),
    ("Asia/Gaza", 2054),
    ("America/Recife", 2000),
    ("America/New_York", 2050),
)


def windows(name: str, year: int) -> list[datetime]:
    """A midnight two days before each change, or before June where nothing changes."""
    changes = slow_schedule.change_days(name, year)
    return [day - 2 * DAY for day in changes] or [datetime(year, 6, 1, tzinfo=UTC)]


Profile = tuple[tuple[datetime, timedelta], ...]
Answer = list[tuple[datetime, str]]
_answers: dict[tuple[Profile, str], Answer] = {}


def expected(steps: Walk, profile: Profile, line: str) -> Answer:
    """The reference's answer; zones whose clocks show the same share the slow work."""
    if (profile, line) not in _answers:
        matches, fixed = slow_schedule.crontab(line)
        _answers[profile, line] = slow_schedule.periods(steps, matches, fixed=fixed)
    return _answers[profile, line]


def profile_of(steps: Walk) -> Profile:
    """Where the walk's offset changes: what a zone's clock comes down to."""
    runs: list[tuple[datetime, timedelta]] = []
    for moment, _, offset in steps:
        if not runs or runs[-1][1] != offset:
            runs.append((moment, offset))
    return tuple(runs)


def assert_agrees(schedule: Schedule, answer: Answer, low: datetime, high: datetime) -> None:
    """All four questions, for (low, high]: the instants and names of the reference."""
    after, until = from_datetime(low), from_datetime(high)
    wanted = [(name, from_datetime(at)) for at, name in answer if low < at <= high]

    due = schedule.due(after, until, len(wanted) + 1)
    walked, at = [], after
    while (period := schedule.next(at)) and period.due_at <= until:
        walked.append(period)
        at = period.due_at

    assert [(period.name, period.due_at) for period in due] == wanted
    assert walked == due
    assert schedule.count(after, until) == len(wanted)
    assert schedule.latest(after, until) == (due[-1] if due else None)


def check(name: str, start: datetime) -> None:
    """Compare all expressions in the days around one change."""
    end = start + 5 * DAY
    steps = slow_schedule.walk(name, start, end)
    profile = profile_of(steps)
    for line in SELDOM:
        answer = expected(steps, profile, line)
        assert_agrees(parse(line, tz=name), answer, start + DAY, end - DAY)
    centre = profile[-1][0] if len(profile) > 1 else start + 2 * DAY
    for line in OFTEN:
        answer = expected(steps, profile, line)
        # Every minute would be hundreds of periods more, and nothing new.
        near = 1.1 * HOUR if line == "* * * * *" else 3.2 * HOUR
        for low, high in ((centre - near, centre + near), (centre, centre + HOUR / 4)):
            assert_agrees(parse(line, tz=name), answer, low, high)


@pytest.mark.parametrize("name", ZONES)
def test_every_zone_agrees_with_the_reference_around_its_changes_of_2026(name: str) -> None:
    for start in windows(name, 2026):
        check(name, start)


@pytest.mark.parametrize(("name", "year"), PAST)
def test_strange_changes_of_other_years_agree_with_the_reference(name: str, year: int) -> None:
    assert slow_schedule.change_days(name, year), "this year was chosen for its changes"

    for start in windows(name, year):
        check(name, start)


@pytest.mark.parametrize("name", ZONES[::10])
def test_stretches_meet_and_have_the_offset_of_the_zone_throughout(name: str) -> None:
    where = zone.find(name)
    low, high = 0, int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())

    stretches = list(where.stretches(low, high))

    assert stretches[0].start == low
    assert stretches[-1].end == high
    for one, following in pairwise(stretches):
        assert one.end == following.start
    for one in stretches:
        for second in (one.start, (one.start + one.end) // 2, one.end - 1):
            moment = to_datetime(second * 1_000_000, where.info)
            assert moment.utcoffset() == timedelta(seconds=one.offset_s)
    assert sorted(where.stretches_back(low, high), key=lambda one: one.start)[0].start == low


def test_no_two_changes_of_a_zone_lie_closer_together_than_the_probes() -> None:
    """What the search for changes rests on: looked at every hour of the years that come near."""
    for name, year in (("America/Recife", 2000), ("Asia/Gaza", 2040), ("Asia/Gaza", 2054)):
        days = slow_schedule.change_days(name, year)
        found = [
            one.start
            for one in zone.find(name).stretches(
                int(datetime(year, 1, 1, tzinfo=UTC).timestamp()),
                int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()),
            )
            if one.gap_s or one.start + one.offset_s < one.seen
        ]

        assert len(found) == len(days)
        assert min(b - a for a, b in pairwise(days)) < 10 * DAY
