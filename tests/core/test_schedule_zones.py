"""Every zone of the world, at each change of its offset, against the slow reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import available_timezones

import pytest

from sexton.core import crontab, zone
from sexton.core.instant import from_datetime, to_datetime
from sexton.core.schedule import Schedule, WallSchedule, parse
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
    end = start + 4.5 * DAY
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
        schedule = parse(line, tz=name)
        assert_agrees(schedule, answer, centre - near, centre + near)
        assert_agrees(schedule, answer, centre, centre + HOUR / 4)


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


class Shifts(tzinfo):
    """A zone made for a test: offsets in seconds, each from a UTC second on."""

    def __init__(self, *shifts: tuple[int, int]) -> None:
        self.shifts = shifts

    def utcoffset(self, moment: datetime | None) -> None:
        """None of its own: `fromutc` answers with a fixed offset."""

    def dst(self, moment: datetime | None) -> None:
        """Not known."""

    def tzname(self, moment: datetime | None) -> None:
        """Not known."""

    def fromutc(self, moment: datetime) -> datetime:
        second = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
        offset_s = [offset_s for at, offset_s in self.shifts if at <= second][-1]
        offset = timedelta(seconds=offset_s)
        return (moment.replace(tzinfo=None) + offset).replace(tzinfo=timezone(offset))


@pytest.mark.parametrize("hours", range(0, 24 * 12, 13))
def test_changes_seven_days_apart_are_both_found_wherever_they_lie(hours: int) -> None:
    """The nearest of any zone are 6.95 days apart: Recife in 2000, Gaza in 2054."""
    first = 1_000_000_000 + hours * 3600
    second = first + 600_000
    info = Shifts((-(10**9), 0), (first, 3600), (second, 0))

    stretches = zone.Zone("Test/Short", info).stretches(first - 10**6, second + 10**6)

    assert [one.start for one in stretches if one.gap_s] == [first]
    changed = {one.start for one in zone.Zone("T", info).stretches(first, second + 10**6)}
    assert {first, second} <= changed


@pytest.mark.parametrize("minutes", [0, 1, 30, 59, 60])
def test_a_fold_is_remembered_wherever_a_question_begins(minutes: int) -> None:
    """Also where the search for changes begins anew, every 384 days."""
    for border in range(20 * 384 * 86_400, 24 * 384 * 86_400, 384 * 86_400):
        change = border - minutes * 60
        where = zone.Zone("Test/Fold", Shifts((-(10**9), 3600), (change, 0)))
        fixed = WallSchedule("0-59 0-23 * * *", crontab.read("0-59 0-23 * * *"), where)
        repeating = WallSchedule("* * * * *", crontab.read("* * * * *"), where)
        begin, end = change * 1_000_000 - 1, (change + 7200) * 1_000_000 - 1

        for after_s in range(0, 7200, 600):
            after = begin + after_s * 1_000_000
            later = min(120 - after_s // 60, 60)
            names = [one.name for one in repeating.due(after, end, 200)]
            assert fixed.count(after, end) == later
            assert sum(name.endswith("+00:00") for name in names) == 120 - after_s // 60 - later


def test_each_change_of_the_years_in_which_they_come_nearest_is_found() -> None:
    for name, year in (("America/Recife", 2000), ("Asia/Gaza", 2040), ("Asia/Gaza", 2054)):
        days = slow_schedule.change_days(name, year)
        low, high = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
        found = [
            one.start
            for one in zone.find(name).stretches(low, high)
            if one.gap_s or one.start + one.offset_s < one.seen
        ]

        assert len(found) == len(days)
        assert min(b - a for a, b in pairwise(days)) < 10 * DAY
