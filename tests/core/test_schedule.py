"""What a schedule answers, in the words of its promises; and that its answers agree."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import OnCalendar

from sexton.core.errors import ScheduleError
from sexton.core.instant import SECOND_US, Instant, from_datetime, parse_iso
from sexton.core.schedule import Period, Schedule, findings, parse
from tests.core import slow_schedule

DAY_US = 86_400 * SECOND_US
YEAR_US = 365 * DAY_US


def following(schedule: Schedule, after: str, count: int) -> list[str]:
    """The names of the next periods."""
    names, at = [], parse_iso(after)
    for _ in range(count):
        period = schedule.next(at)
        assert period is not None
        assert period.due_at > at
        names.append(period.name)
        at = period.due_at
    return names


def between(schedule: Schedule, after: str, until: str) -> list[tuple[str, Instant]]:
    """(name, due_at) of all periods in (after, until]."""
    due = schedule.due(parse_iso(after), parse_iso(until), 1000)
    return [(period.name, period.due_at) for period in due]


def test_a_daily_time_is_named_by_its_local_time_whatever_the_offset() -> None:
    schedule = parse("30 7 * * *", tz="Europe/London")

    assert schedule.latest(0, parse_iso("2026-07-10T12:00Z")) == Period(
        "2026-07-10T07:30", parse_iso("2026-07-10T06:30Z")
    )
    assert schedule.latest(0, parse_iso("2026-12-10T12:00Z")) == Period(
        "2026-12-10T07:30", parse_iso("2026-12-10T07:30Z")
    )


def test_after_is_excluded_and_until_included_to_the_microsecond() -> None:
    schedule = parse("30 7 * * *")
    at = parse_iso("2026-11-22T07:30Z")

    assert schedule.latest(at - 1, at) == Period("2026-11-22T07:30", at)
    assert schedule.latest(at, at + 1) is None
    assert schedule.latest(at - 2, at - 1) is None
    assert schedule.next(at - 1) == Period("2026-11-22T07:30", at)
    assert schedule.next(at) == Period("2026-11-23T07:30", at + DAY_US)
    assert (schedule.count(at - 1, at), schedule.count(at, at + 1)) == (1, 0)


def test_a_fixed_time_in_the_spring_gap_runs_once_at_the_first_moment_after_it() -> None:
    schedule = parse("30 3 * * *", tz="Europe/Riga")

    assert between(schedule, "2021-03-27T12:00Z", "2021-03-29T12:00Z") == [
        ("2021-03-28T03:30", parse_iso("2021-03-28T01:00Z")),
        ("2021-03-29T03:30", parse_iso("2021-03-29T00:30Z")),
    ]
    assert schedule.count(parse_iso("2021-03-27T12:00Z"), parse_iso("2021-03-29T12:00Z")) == 2
    assert schedule.next(parse_iso("2021-03-27T12:00Z")) == Period(
        "2021-03-28T03:30", parse_iso("2021-03-28T01:00Z")
    )


def test_several_fixed_times_in_one_gap_are_one_period_named_by_the_first() -> None:
    schedule = parse("10,20,30 2 * * *", tz="America/New_York")

    assert following(schedule, "2026-03-07T12:00Z", 2) == ["2026-03-08T02:10", "2026-03-09T02:10"]


def test_a_time_that_exists_after_the_gap_gives_its_own_name_to_what_the_gap_made_up() -> None:
    schedule = parse("0,30 2,3 * * *", tz="America/New_York")

    assert between(schedule, "2026-03-08T05:00Z", "2026-03-08T12:00Z") == [
        ("2026-03-08T03:00", parse_iso("2026-03-08T07:00Z")),
        ("2026-03-08T03:30", parse_iso("2026-03-08T07:30Z")),
    ]


def test_midnight_in_the_gap_of_sao_paulo_runs_at_one_oclock() -> None:
    schedule = parse("@daily", tz="America/Sao_Paulo")

    assert between(schedule, "2018-11-03T12:00Z", "2018-11-05T12:00Z") == [
        ("2018-11-04T00:00", parse_iso("2018-11-04T03:00Z")),
        ("2018-11-05T00:00", parse_iso("2018-11-05T02:00Z")),
    ]


def test_a_day_that_a_zone_skipped_is_not_made_up() -> None:
    schedule = parse("0 12 * * *", tz="Pacific/Apia")

    assert following(schedule, "2011-12-29T00:00Z", 2) == ["2011-12-29T12:00", "2011-12-31T12:00"]


def test_a_half_hour_gap_loses_nothing_at_lord_howe() -> None:
    fixed = parse("0 2 * * *", tz="Australia/Lord_Howe")
    repeating = parse("*/30 * * * *", tz="Australia/Lord_Howe")

    assert between(fixed, "2026-10-03T15:00Z", "2026-10-04T14:59Z") == [
        ("2026-10-04T02:00", parse_iso("2026-10-03T15:30Z")),
    ]
    assert following(repeating, "2026-10-03T14:45Z", 3) == [
        "2026-10-04T01:30",
        "2026-10-04T02:30",
        "2026-10-04T03:00",
    ]


def test_a_fixed_time_in_the_autumn_fold_runs_in_its_first_pass_only() -> None:
    schedule = parse("30 1 * * *", tz="America/New_York")

    assert between(schedule, "2026-10-31T12:00Z", "2026-11-02T12:00Z") == [
        ("2026-11-01T01:30", parse_iso("2026-11-01T05:30Z")),
        ("2026-11-02T01:30", parse_iso("2026-11-02T06:30Z")),
    ]


def test_repeating_times_follow_real_time_and_the_second_pass_is_named_with_its_offset() -> None:
    schedule = parse("*/30 * * * *", tz="America/New_York")

    assert following(schedule, "2026-11-01T05:00Z", 4) == [
        "2026-11-01T01:30",
        "2026-11-01T01:00-05:00",
        "2026-11-01T01:30-05:00",
        "2026-11-01T02:00",
    ]


def test_a_field_that_only_starts_with_a_star_follows_real_time_too() -> None:
    schedule = parse("0 */1 * * *", tz="America/New_York")

    assert "2026-11-01T01:00-05:00" in following(schedule, "2026-11-01T04:30Z", 3)


def test_what_was_missed_in_fifty_years_of_minutes_is_counted_and_not_walked() -> None:
    schedule = parse("* * * * *", tz="Europe/Riga")
    until = parse_iso("2026-11-22T10:30:30Z")

    assert schedule.count(until - 50 * YEAR_US, until) == 50 * 365 * 1440
    assert schedule.latest(until - 50 * YEAR_US, until) == Period(
        "2026-11-22T12:30", parse_iso("2026-11-22T10:30Z")
    )
    assert [period.name for period in schedule.due(0, until, 2)] == [
        "2026-11-22T12:29",
        "2026-11-22T12:30",
    ]


def test_due_gives_no_more_than_the_most_and_an_empty_span_has_nothing() -> None:
    schedule = parse("0 * * * *")
    now = parse_iso("2026-11-22T10:30Z")

    assert schedule.due(now - DAY_US, now, 0) == []
    assert schedule.due(now, now - DAY_US, 5) == []
    assert schedule.count(now, now - DAY_US) == 0
    assert schedule.latest(now, now - DAY_US) is None


def test_a_leap_day_is_found_and_a_date_that_has_passed_is_not() -> None:
    leap = parse("0 0 29 2 *").next(parse_iso("2026-11-22T00:00Z"))

    assert leap is not None
    assert leap.name == "2028-02-29T00:00"
    assert parse("2020-01-01 10:00").next(parse_iso("2026-11-22T00:00Z")) is None


def test_nobody_looks_further_ahead_than_fifty_years() -> None:
    schedule = parse("2190-01-01 10:00")

    assert schedule.next(parse_iso("2026-11-22T00:00Z")) is None
    assert schedule.next(parse_iso("2150-11-22T00:00Z")) is not None


def test_an_interval_runs_in_elapsed_time_and_is_named_in_utc() -> None:
    anchor = parse_iso("2026-10-25T00:15Z")
    schedule = parse(every="90m", tz="Europe/Riga", anchor=anchor)

    assert following(schedule, "2026-10-25T00:00Z", 2) == ["2026-10-25T01:45Z", "2026-10-25T03:15Z"]
    assert schedule.latest(0, anchor) is None
    assert schedule.count(0, anchor + 90 * 60 * SECOND_US) == 1
    assert schedule.zone_name == "Europe/Riga"


def test_an_interval_may_be_given_in_microseconds_as_the_store_keeps_it() -> None:
    assert parse(every=5_400_000_000).text == parse(every="90m").text
    with pytest.raises(ScheduleError, match="at least 1 s"):
        parse(every=90)


def test_an_interval_of_seconds_shows_them_in_its_names() -> None:
    assert following(parse(every=timedelta(seconds=30)), "2026-01-01T00:00Z", 2) == [
        "2026-01-01T00:00:30Z",
        "2026-01-01T00:01Z",
    ]


@pytest.mark.parametrize(
    ("text", "after", "names"),
    [
        ("Mon *-*-* 07:30", "2026-11-22T00:00Z", ["2026-11-23T07:30", "2026-11-30T07:30"]),
        ("*-*~1 06:00", "2026-02-01T00:00Z", ["2026-02-28T06:00", "2026-03-31T06:00"]),
        ("*:0/20:15", "2026-01-01T00:00:15Z", ["2026-01-01T00:20:15", "2026-01-01T00:40:15"]),
        ("weekly", "2026-11-22T00:00Z", ["2026-11-23T00:00"]),
        ("@weekly", "2026-11-22T00:00Z", ["2026-11-29T00:00"]),
        ("2027-*-01", "2026-11-22T00:00Z", ["2027-01-01T00:00", "2027-02-01T00:00"]),
    ],
)
def test_systemd_calendars_are_read(text: str, after: str, names: list[str]) -> None:
    assert following(parse(text), after, len(names)) == names


def test_a_systemd_calendar_may_bring_its_zone_but_not_contradict_the_other() -> None:
    schedule = parse("Mon *-*-* 07:30 Europe/Riga")

    assert schedule.zone_name == "Europe/Riga"
    assert schedule.next(parse_iso("2026-11-22T00:00Z")) == Period(
        "2026-11-23T07:30", parse_iso("2026-11-23T05:30Z")
    )
    assert parse("Mon *-*-* 07:30 Europe/Riga", tz="Europe/Riga").zone_name == "Europe/Riga"
    with pytest.raises(ScheduleError, match="contradict"):
        parse("Mon *-*-* 07:30 Europe/Riga", tz="Europe/London")


def test_fixed_and_repeating_systemd_calendars_keep_the_promise_of_crontab_lines() -> None:
    fixed = parse("*-*-* 03:30", tz="Europe/Riga")
    repeating = parse("*-*-* 0/1:30", tz="Europe/Riga")

    assert between(fixed, "2021-03-27T12:00Z", "2021-03-28T12:00Z") == [
        ("2021-03-28T03:30", parse_iso("2021-03-28T01:00Z"))
    ]
    assert following(repeating, "2021-03-28T00:00Z", 2) == ["2021-03-28T02:30", "2021-03-28T04:30"]
    assert repeating.count(parse_iso("2021-10-30T23:40Z"), parse_iso("2021-10-31T01:40Z")) == 2


@pytest.mark.parametrize(
    "text",
    ["30 7 * * *", "@daily", "Mon *-*-* 07:30 Europe/Riga", "every 90m", "every 1 d 4 h 0.5 s"],
)
def test_the_text_of_a_schedule_is_read_back_as_the_same_schedule(text: str) -> None:
    schedule = parse(text)
    again = parse(schedule.text, tz=schedule.zone_name)

    assert again.text == schedule.text
    assert following(again, "2026-01-01T00:00Z", 3) == following(schedule, "2026-01-01T00:00Z", 3)


@pytest.mark.parametrize(
    ("text", "tz", "words"),
    [
        ("30 7 * * *", "Europe/London", "At 07:30 every day, Europe/London time"),
        ("0 0 31 * *", "UTC", "At 00:00 on the 31st day of every month, UTC"),
        ("Mon..Tue *-*~1 07:30", "UTC", "At 07:30 on Monday and Tuesday on the last day, UTC"),
        ("*:0/15", "UTC", "4 times an hour, UTC"),
        ("2027-01-05", "UTC", "At 00:00 on day 5 in January of 2027, UTC"),
        ("every 90m", "UTC", "Every 1 h 30 min of elapsed time"),
    ],
)
def test_a_schedule_explains_itself(text: str, tz: str, words: str) -> None:
    assert parse(text, tz=tz).explain() == words


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Rigga", "Did you mean Europe/Riga?"),
        ("europe/riga", "Did you mean Europe/Riga?"),
        ("New_York", "Did you mean America/New_York?"),
        ("Europe", "Did you mean"),
        ("../etc/passwd", "Write an IANA name"),
        ("/etc/localtime", ""),
        ("Europe/../Europe/Riga", "Did you mean Europe/Riga?"),
        ("localtime", ""),
        ("right/Europe/Riga", "Did you mean Europe/Riga?"),
        ("zone.tab", ""),
        ("", "Write an IANA name"),
        ("Ｅurope/Riga", "Did you mean Europe/Riga?"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(ScheduleError, match="time zone") as refusal:
        parse("0 0 * * *", tz=name)

    assert hint in refusal.value.hint
    assert "localtime" not in refusal.value.hint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either a schedule or every"),
        ({"schedule": "@daily", "every": "1h"}, "either a schedule or every"),
        ({"schedule": "  "}, "empty"),
        ({"every": "0.5s"}, "at least 1 s"),
        ({"every": "P1M"}, "every: .* no fixed length"),
        ({"every": "1h", "tz": "Riga"}, "time zone"),
        ({"schedule": "0 0 * * *\n0 1 * * *"}, "contains"),
        ({"schedule": "0," * 600 + "0 0 * * *"}, "longer than 1000"),
        ({"schedule": "Mon 25:00"}, "^hour"),
        ({"schedule": "*-13-01 00:00"}, "^month"),
        ({"schedule": "*-02-30 00:00"}, "day-of-month: no such date"),
        ({"schedule": "*:0/90"}, "^minute: the step"),
        ({"schedule": "5..1:00"}, "^hour"),
        ({"schedule": "daily Mars/Olympus"}, "time zone"),
    ],
)
def test_what_names_no_moments_is_refused_in_words(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(ScheduleError, match=words):
        parse(**arguments)  # type: ignore[arg-type]


def codes(text: str, tz: str = "UTC", now: str = "2026-01-01T00:00Z") -> dict[str, str]:
    return {one.code: one.text for one in findings(parse(text, tz=tz), parse_iso(now))}


def test_findings_name_the_dates_on_which_a_fixed_time_stands_in_a_gap_or_fold() -> None:
    found = findings(parse("30 3 * * *", tz="Europe/Riga"), parse_iso("2026-01-01T00:00Z"))

    assert [(one.code, one.text) for one in found] == [
        ("gap", "2026-03-29T03:30 does not exist in Europe/Riga: it runs at 2026-03-29T04:00."),
        ("fold", "2026-10-25T03:30 comes twice in Europe/Riga: it runs in the first pass only."),
        ("gap", "2027-03-28T03:30 does not exist in Europe/Riga: it runs at 2027-03-28T04:00."),
        ("fold", "2027-10-31T03:30 comes twice in Europe/Riga: it runs in the first pass only."),
    ]


def test_findings_tell_of_days_without_a_run_and_not_of_an_hourly_line() -> None:
    assert "does not run that day" in codes("*/5 2 * * *", "America/New_York")["gap"]
    assert "in both passes" in codes("*/5 1 * * *", "America/New_York")["fold"]
    assert codes("*/5 * * * *", "America/New_York") == {}
    assert "does not run" in codes("0 12 * * *", "Pacific/Apia", "2011-06-01T00:00Z")["gap"]
    assert codes("0 12 * * *", "Europe/Riga") == {}
    assert codes("every 90m") == {}


def test_findings_explain_the_two_day_fields_and_months_without_the_day() -> None:
    assert "either is enough" in codes("0 0 13 * 5")["either day"]
    assert "match both" in codes("0 0 */2 * 1")["both days"]
    assert "February, April" in codes("0 0 31 * *")["short months"]
    assert list(codes("0 0 28 * *")) == []
    assert "2028-02-29" in codes("0 0 29 2 *")["rare"]
    assert "no moment any more" in codes("2020-01-01 10:00")["ended"]


# From here on: answers that must agree, on seeded random expressions.


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """One field of a valid line: stars, steps, values, rising ranges, lists."""
    value = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    ranges = span.map(lambda ends: f"{ends[0]}-{ends[1]}")
    stepped = span.filter(lambda ends: ends[1] - ends[0] > 1).map(
        lambda ends: f"{ends[0]}-{ends[1]}/{(ends[1] - ends[0]) // 2}"
    )
    stars = st.sampled_from(["*", "*", "*/2", "*/3"])
    items = st.lists(st.one_of(value, ranges, stepped), min_size=1, max_size=3).map(",".join)
    return st.one_of(stars, items)


lines = st.tuples(
    numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12), numbers(0, 7)
).map(" ".join)
zones = st.sampled_from(
    [
        "UTC",
        "Europe/Riga",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Antarctica/Troll",
        "Africa/Casablanca",
        "Asia/Kolkata",
    ]
)
# hypothesis takes naive bounds and adds the zone.
moments = st.datetimes(
    datetime.fromisoformat("1990-01-01"),
    datetime.fromisoformat("2040-01-01"),
    timezones=st.just(UTC),
)
seeded = settings(derandomize=True, max_examples=150, deadline=None)


@seeded
@given(lines, zones, moments, st.integers(0, 3 * 86_400), st.integers(1, 50))
def test_next_latest_count_and_due_agree(
    line: str, name: str, start: datetime, length_s: int, most: int
) -> None:
    schedule = parse(line, tz=name)
    after = from_datetime(start)
    until = after + length_s * SECOND_US

    walked, at = [], after
    while (period := schedule.next(at)) and period.due_at <= until:
        assert period.due_at > at
        walked.append(period)
        at = period.due_at

    assert schedule.count(after, until) == len(walked)
    assert schedule.due(after, until, most) == walked[-most:]
    assert schedule.latest(after, until) == (walked[-1] if walked else None)
    assert len({period.name for period in walked}) == len(walked)


@seeded
@given(lines, zones, moments, st.lists(st.integers(0, 6 * 365 * 86_400), min_size=3, max_size=3))
def test_counts_of_neighbouring_spans_add_up(
    line: str, name: str, start: datetime, cuts: list[int]
) -> None:
    schedule = parse(line, tz=name)
    low, middle, high = (from_datetime(start) + cut * SECOND_US for cut in sorted(cuts))

    assert schedule.count(low, middle) + schedule.count(middle, high) == schedule.count(low, high)


@seeded
@given(lines, moments)
def test_in_utc_the_periods_are_those_of_cronsim(line: str, start: datetime) -> None:
    theirs = [moment.replace(tzinfo=None) for moment in islice(CronSim(line, start), 20)]

    names = following(parse(line), start.isoformat(), 20)

    assert names == [moment.isoformat(timespec="minutes") for moment in theirs]


@seeded
@given(
    st.sampled_from(["", "Mon ", "Mon..Fri ", "Sat,Sun "]),
    st.sampled_from(["*-*-*", "*-*-1/7", "*-*~3", "*-1,7-*", "*-2..4-10..20"]),
    st.sampled_from(["07:30", "*:0/15", "0/6:00", "23:59:59", "0..5:10,40:0/30", "*:*"]),
    moments,
)
def test_in_utc_the_periods_are_those_of_oncalendar(
    weekdays: str, dates: str, times: str, start: datetime
) -> None:
    text = f"{weekdays}{dates} {times}"
    theirs = list(islice(OnCalendar(text, start), 20))

    schedule, at = parse(text), from_datetime(start)
    for moment in theirs:
        period = schedule.next(at)
        assert period is not None
        at = period.due_at
        assert at == from_datetime(moment)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(lines, zones, st.dates(date(1995, 1, 1), date(2036, 1, 1)))
def test_random_lines_agree_with_the_slow_reference_on_any_day(
    line: str, name: str, day: date
) -> None:
    middle = datetime.fromisoformat(f"{day}T00:00+00:00")
    steps = slow_schedule.walk(name, middle - timedelta(days=2), middle + timedelta(days=3))
    matches, fixed = slow_schedule.crontab(line)
    answer = slow_schedule.periods(steps, matches, fixed=fixed)
    low, high = middle - timedelta(days=1), middle + timedelta(days=2)

    due = parse(line, tz=name).due(from_datetime(low), from_datetime(high), 10_000)

    assert [(period.name, period.due_at) for period in due] == [
        (period_name, from_datetime(at)) for at, period_name in answer if low < at <= high
    ]


@seeded
@given(st.text(max_size=40) | st.text("*/,-0123456789 :.~@adlmonfri", max_size=25))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        schedule = parse(text)
    except ScheduleError:
        return

    assert schedule.explain()
    assert schedule.count(0, 30 * YEAR_US) >= 0


@seeded
@given(st.integers(1, 10_000), st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 500))
def test_intervals_agree_with_counting_by_hand(
    every_s: int, anchor: int, after: int, length: int
) -> None:
    schedule = parse(every=timedelta(seconds=every_s), anchor=anchor)
    step = every_s * SECOND_US
    until = after + length * step

    begin = max(1, (after - anchor) // step - 1)
    hand = [anchor + n * step for n in range(begin, begin + length + 4)]
    hand = [at for at in hand if after < at <= until]

    assert [period.due_at for period in schedule.due(after, until, 1000)] == hand
    assert schedule.count(after, until) == len(hand)
