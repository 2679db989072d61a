"""The days on which clocks change, by the real tick and a clock that travels.

Debian cron's meaning: a fixed time in the spring gap runs once, at the first valid instant after
it; one in the autumn fold runs once; wildcard times follow real time. The changes are those of the
zone database: Riga and New York by an hour, Lord Howe by half an hour, São Paulo at midnight.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import pytest

from tests.app.shop import Shop


class Day(NamedTuple):
    """A schedule, when watching begins, and which tick (UTC) has to run which period."""

    zone: str
    schedule: str
    begin: str
    ticks: list[tuple[str, str]]


DAYS = {
    "Riga, spring: 03:30 does not exist and runs at 04:00": Day(
        "Europe/Riga",
        "30 3 * * *",
        "2026-03-28T12:00Z",
        [
            ("2026-03-29T00:59Z", ""),
            ("2026-03-29T01:00Z", "2026-03-29T03:30"),
            ("2026-03-29T01:30Z", ""),
            ("2026-03-30T00:29Z", ""),
            ("2026-03-30T00:30Z", "2026-03-30T03:30"),
        ],
    ),
    "Riga, autumn: 03:30 comes twice and runs once": Day(
        "Europe/Riga",
        "30 3 * * *",
        "2026-10-24T12:00Z",
        [
            ("2026-10-25T00:29Z", ""),
            ("2026-10-25T00:30Z", "2026-10-25T03:30"),
            ("2026-10-25T01:30Z", ""),
            ("2026-10-26T01:29Z", ""),
            ("2026-10-26T01:30Z", "2026-10-26T03:30"),
        ],
    ),
    "Riga, autumn: every hour is every hour": Day(
        "Europe/Riga",
        "30 * * * *",
        "2026-10-24T23:45Z",
        [
            ("2026-10-25T00:30Z", "2026-10-25T03:30"),
            ("2026-10-25T01:30Z", "2026-10-25T03:30+02:00"),
            ("2026-10-25T02:30Z", "2026-10-25T04:30"),
        ],
    ),
    "New York, spring": Day(
        "America/New_York",
        "30 2 * * *",
        "2026-03-07T12:00Z",
        [
            ("2026-03-08T06:59Z", ""),
            ("2026-03-08T07:00Z", "2026-03-08T02:30"),
            ("2026-03-08T07:30Z", ""),
            ("2026-03-09T06:30Z", "2026-03-09T02:30"),
        ],
    ),
    "New York, autumn": Day(
        "America/New_York",
        "30 1 * * *",
        "2026-10-31T12:00Z",
        [
            ("2026-11-01T05:30Z", "2026-11-01T01:30"),
            ("2026-11-01T06:30Z", ""),
            ("2026-11-02T06:30Z", "2026-11-02T01:30"),
        ],
    ),
    "Lord Howe, spring: half an hour is missing": Day(
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2026-10-03T00:00Z",
        [
            ("2026-10-03T15:29Z", ""),
            ("2026-10-03T15:30Z", "2026-10-04T02:15"),
            ("2026-10-03T15:45Z", ""),
            ("2026-10-04T15:15Z", "2026-10-05T02:15"),
        ],
    ),
    "Lord Howe, autumn: half an hour comes twice": Day(
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2026-04-04T00:00Z",
        [
            ("2026-04-04T14:44Z", ""),
            ("2026-04-04T14:45Z", "2026-04-05T01:45"),
            ("2026-04-04T15:15Z", ""),
            ("2026-04-05T15:15Z", "2026-04-06T01:45"),
        ],
    ),
    "São Paulo, spring: midnight does not exist": Day(
        "America/Sao_Paulo",
        "@daily",
        "2018-11-03T12:00Z",
        [
            ("2018-11-04T02:59Z", ""),
            ("2018-11-04T03:00Z", "2018-11-04T00:00"),
            ("2018-11-05T01:59Z", ""),
            ("2018-11-05T02:00Z", "2018-11-05T00:00"),
        ],
    ),
    "São Paulo, autumn: the hour before midnight comes twice": Day(
        "America/Sao_Paulo",
        "30 23 * * *",
        "2019-02-16T12:00Z",
        [
            ("2019-02-17T01:30Z", "2019-02-16T23:30"),
            ("2019-02-17T02:30Z", ""),
            ("2019-02-18T02:30Z", "2019-02-17T23:30"),
        ],
    ),
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("name", DAYS)
def test_a_day_of_changed_clocks_runs_what_debian_cron_would(shop: Shop, name: str) -> None:
    day = DAYS[name]
    shop.travel_to(moment(day.begin))
    shop.declare(
        f"""
        @app.task(schedule={day.schedule!r}, tz={day.zone!r})
        def nightly() -> None:
            did(os.environ["SEXTON_PERIOD"])
        """
    )
    ran = []
    for tick, _ in day.ticks:
        before = shop.effects()
        shop.travel_to(moment(tick))
        shop.tick()
        ran.append((tick, ",".join(shop.effects() - before)))

    assert ran == day.ticks
    assert set(shop.effects().values()) == {1}
    assert set(shop.ends("nightly")) == {"Complete"}


def test_every_quarter_of_an_hour_of_a_long_and_of_a_short_day_is_counted(shop: Shop) -> None:
    shop.travel_to(moment("2026-10-24T21:00Z"))  # midnight in Riga, of a day of 25 hours
    shop.declare(
        """
        @app.task(schedule="*/15 * * * *", tz="Europe/Riga", catch_up="all", catch_up_max=200,
                  isolation="inline")
        def quarterly() -> None:
            did("quarter")
        """
    )
    shop.travel_to(moment("2026-10-24T21:00Z") + timedelta(hours=25))
    shop.tick()

    assert shop.effects() == {"quarter": 100}
