"""Which crontab lines are read, with what meaning, and with what words the others are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sexton.core.errors import CONFIGURATION, ScheduleError
from sexton.core.instant import from_datetime, parse_iso
from sexton.core.schedule import parse
from tests.core import slow_schedule

# What `crontab -n` of Debian's cron 3.0pl1 takes without a word, and would run or read strangely.
ACCEPTED_BY_DEBIAN = [
    ("5-1 * * * *", "minute", "runs backwards", "5-59,0-1"),
    ("* * * * fri-mon", "day-of-week", "runs backwards", "fri-sat,sun-mon"),
    ("1.5 * * * *", "minute", "not a number", "0 to 59"),
    ("1-2-3 * * * *", "minute", "not a number", "0 to 59"),
    ("1_0 * * * *", "minute", "not a number", "0 to 59"),
]

# What cronsim or other libraries take, and cron does not.
EXTENSIONS = [
    ("5/15 * * * *", "minute", "no range", "5-59/15"),
    ("50/15 * * * *", "minute", "no range", "Write 50."),
    ("* * * * mon/2", "day-of-week", "no range", "mon-7/2"),
    ("* * L * *", "day-of-month", "extension", "*-*~1"),
    ("* * LW * *", "day-of-month", "extension", "*-*~1"),
    ("* * 15W * *", "day-of-month", "extension", "1 to 31"),
    ("* * * * 5#2", "day-of-week", "extension", "0 to 7"),
    ("* * * * 5L", "day-of-week", "extension", "*-*~1"),
    ("? * * * *", "minute", "extension", "0 to 59"),
    ("H * * * *", "minute", "extension", "0 to 59"),
]

NONSENSE = [
    ("60 * * * *", "minute", "outside 0 to 59", "number"),
    ("* 24 * * *", "hour", "outside 0 to 23", "number"),
    ("* * 0 * *", "day-of-month", "outside 1 to 31", "number"),
    ("* * 32 * *", "day-of-month", "outside 1 to 31", "number"),
    ("* * * 13 *", "month", "outside 1 to 12", "number"),
    ("* * * * 8", "day-of-week", "outside 0 to 7", "number"),
    ("* * * 0 *", "month", "outside 1 to 12", "number"),
    ("9999999999999999 * * * *", "minute", "not a number", "0 to 59"),
    ("*/0 * * * *", "minute", "no step above zero", "*/2"),
    ("*/ * * * *", "minute", "no step above zero", "*/2"),
    ("*/-5 * * * *", "minute", "no step above zero", "*/2"),
    ("*/5/2 * * * *", "minute", "no step above zero", "*/2"),
    ("*/60 * * * *", "minute", "beyond its range", "Write 0."),
    ("* */24 * * *", "hour", "beyond its range", "Write 0."),
    ("* * */31 * *", "day-of-month", "beyond its range", "Write 1."),
    ("10-20/11 * * * *", "minute", "beyond its range", "Write 10."),
    ("1,,2 * * * *", "minute", "empty place", "comma"),
    (",1 * * * *", "minute", "empty place", "comma"),
    ("1, * * * *", "minute", "empty place", "comma"),
    ("-5 * * * *", "minute", "not a number", "0 to 59"),
    ("5- * * * *", "minute", "not a number", "0 to 59"),
    ("+5 * * * *", "minute", "not a number", "0 to 59"),
    ("*-5 * * * *", "minute", "not a number", "0 to 59"),
    ("** * * * *", "minute", "not a number", "0 to 59"),
    ("/5 * * * *", "minute", "not a number", "0 to 59"),
    ("0x5 * * * *", "minute", "not a number", "0 to 59"),
    ("10~20 * * * *", "minute", "not a number", "0 to 59"),
    ("mon * * * *", "minute", "is a day-of-week", "minute hour"),
    ("* * * mon *", "month", "is a day-of-week", "minute hour"),
    ("* * * * jan", "day-of-week", "is a month", "minute hour"),
    ("* * * * monday", "day-of-week", "no name here", "Write mon."),
    ("* * * january *", "month", "no name here", "Write jan."),
    ("* * * * xyz", "day-of-week", "not a number", "sun to sat"),
    ("* * * * fri-sun", "day-of-week", "runs backwards", "write 5-7"),
    ("* * * feb-jan *", "month", "runs backwards", "feb-dec,jan."),
    ("0 0 30 2 *", "day-of-month", "no month", "exists"),
    ("0 0 31 4,6 *", "day-of-month", "no month", "exists"),
    ("0 0 31 feb,apr-apr */2", "day-of-month", "no month", "exists"),
]


@pytest.mark.parametrize(
    ("line", "field", "what", "instead"), [*ACCEPTED_BY_DEBIAN, *EXTENSIONS, *NONSENSE]
)
def test_nonsense_is_refused_with_the_field_named_and_what_to_write(
    line: str, field: str, what: str, instead: str
) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse(line)

    assert str(refusal.value).startswith(f"{field}: ")
    assert what in str(refusal.value)
    assert instead in refusal.value.hint
    assert refusal.value.exit_code == CONFIGURATION


@pytest.mark.parametrize(
    ("line", "words", "hint"),
    [
        ("* * * *", "has 4 fields", "Write five"),
        ("5", "has 1 field,", "Write five"),
        ("0 0 0 * * *", "has 6 fields", "Seconds"),
        ("* * * * * * *", "has 7 fields", "Write five"),
        ("@reboot", "names no moment", "systemd unit"),
        ("@every 5m", "not one of cron's words", 'every="90m"'),
        ("@dayly", "not one of cron's words", ""),
        ("١ * * * *", "contains '١'", "ASCII"),
        ("0\u00a00 * * *", "contains", "ASCII"),
        ("0 0 * *\r*", "contains", "ASCII"),
    ],
)
def test_what_is_no_line_at_all_is_refused_in_words(line: str, words: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        parse(line)

    assert words in str(refusal.value)
    assert hint in refusal.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "*/15 * * * *",
        "0-59/7 * * * *",
        "5,10-20/5,45 1-3 * * *",
        "*,5 * * * *",
        "07 03 * * *",
        "0 0 1-7,15 * *",
        "0 0 * JAN,mar-May *",
        "0 0 * * Mon-fri",
        "0 0 * * mon,wed,FRI",
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * 0-7",
        "0 0 * * */2",
        "0 0 * * sun-tue",
        "0 0 13 * 5",
        "0 0 */2 * 1",
        "0 0 13 * */5",
        "0 0 1-31/10 * *",
        "*/59 * * * *",  # a step as long as its range names both ends
        "10-20/10 * * * *",
        "0 */23 * * *",
        "0 0 29 2 *",
        "0\t0  *  * *",
        "0 0 31 1-12 sun",
    ],
)
def test_what_debian_reads_is_read_with_its_meaning(line: str) -> None:
    """By the reference, through a winter with a leap day."""
    matches, _ = slow_schedule.crontab(line)
    schedule = parse(line)
    day = datetime(2028, 1, 20, tzinfo=UTC)

    while day < datetime(2028, 3, 20, tzinfo=UTC):
        after = from_datetime(day) - 1
        until = from_datetime(day + timedelta(days=1)) - 1
        walls = (day.replace(tzinfo=None) + timedelta(minutes=m) for m in range(1440))

        names = [f"{wall:%Y-%m-%dT%H:%M}" for wall in walls if matches(wall)]
        assert schedule.count(after, until) == len(names)
        assert [one.name for one in schedule.due(after, until, 1440)] == names
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_the_words_of_cron_mean_their_lines(word: str, line: str) -> None:
    span = (parse_iso("2026-01-15T12:00Z"), parse_iso("2027-02-15T12:00Z"))

    assert parse(word).due(*span, 10_000) == parse(line).due(*span, 10_000)
    assert parse(word).text == word


def test_hourly_follows_real_time_in_a_fold_as_a_star_in_the_hour_says() -> None:
    fold = (parse_iso("2026-11-01T04:30Z"), parse_iso("2026-11-01T06:30Z"))

    assert parse("@hourly", tz="America/New_York").count(*fold) == 2
    assert parse("0 0-23 * * *", tz="America/New_York").count(*fold) == 1
