"""The story of the owner of an application: everybody gets it, and gets it once.

Each test is one of the ways in which the well-known ways send it twice, or never. The effects are
counted outside of the store, in a file.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.app.shop import Shop, finish

PEOPLE = 20
EVERYBODY_ONCE = Counter({f"mail {number}": 1 for number in range(PEOPLE)})

LETTERS = f"""
@app.plan(schedule="30 7 * * *", tz="Europe/London", retry="30m x 3", expires="4h")
def letters() -> Iterator[int]:
    yield from range({PEOPLE})

@letters.each(key=str, width=4)
def send(person: int, item: Item) -> None:
    did(f"mail {{person}}")
"""


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def twice(counts: Counter[str], times: int = 2) -> Counter[str]:
    return Counter({key: times * count for key, count in counts.items()})


# --- triggers ---


def test_three_triggers_a_day_send_one_mail_a_day(shop: Shop) -> None:
    shop.declare(LETTERS)
    for day in (1, 2):
        for hour, minute in ((7, 30), (8, 0), (8, 30)):
            shop.travel_to(at(hour, minute, day))
            shop.tick()

    assert shop.effects() == twice(EVERYBODY_ONCE)


def test_three_triggers_of_a_script_without_any_tick_send_one_mail_each(shop: Shop) -> None:
    shop.declare(LETTERS)
    said = []
    for hour, minute in ((7, 30), (8, 0), (8, 30)):
        shop.travel_to(at(hour, minute))
        said.append(shop.sexton("run", "letters").stdout)

    assert shop.effects() == EVERYBODY_ONCE
    assert said[0].startswith("done: 20 done of 20 planned")
    assert all("skipped: period 2026-01-01T07:30 completed at 07:30:00" in one for one in said[1:])


def test_a_trigger_that_fires_twice_at_once_sends_one_mail_each(shop: Shop) -> None:
    shop.declare(LETTERS)
    shop.travel_to(at(7, 30))
    ticks = [shop.start("tick"), shop.start("tick")]
    ends = [finish(tick).returncode for tick in ticks]

    assert ends == [0, 0]
    assert shop.effects() == EVERYBODY_ONCE


def test_fifty_ticks_at_once_send_one_mail_each(shop: Shop) -> None:
    shop.declare(LETTERS)
    shop.travel_to(at(7, 30))
    ticks = [shop.start("tick") for _ in range(50)]
    ends = Counter(finish(tick).returncode for tick in ticks)

    assert ends == {0: 50}
    assert shop.effects() == EVERYBODY_ONCE
    assert shop.ends("letters") == ["Complete"]


def test_a_crowd_of_consoles_and_ticks_sends_one_mail_each(shop: Shop) -> None:
    shop.declare(LETTERS)
    shop.travel_to(at(7, 30))
    crowd = [shop.start(*words) for _ in range(10) for words in (("tick",), ("run", "letters"))]
    done = [finish(one) for one in crowd]

    assert {one.returncode for one in done} == {0}
    assert shop.effects() == EVERYBODY_ONCE
    assert sum("done: 20 done" in one.stdout for one in done) <= 1


def test_the_hand_that_sends_the_mornings_mail_at_five_is_the_one_that_did(shop: Shop) -> None:
    shop.declare(LETTERS.replace('expires="4h"', 'expires="4h", early="4h"'))
    shop.travel_to(at(5))
    by_hand = shop.sexton("run", "letters").stdout
    shop.travel_to(at(7, 30))
    shop.tick()
    by_cron = shop.sexton("run", "letters").stdout

    assert by_hand.startswith("done: ")
    assert by_cron.startswith("skipped: period 2026-01-01T07:30 completed at 05:00:00")
    assert shop.effects() == EVERYBODY_ONCE


# --- when nobody works for hours ---


def test_hours_of_asking_while_no_worker_runs_are_one_call_for_each_person(shop: Shop) -> None:
    shop.declare(
        f"""
        @app.task(key="person")
        def remind(person: int) -> None:
            did(f"mail {{person}}")

        @app.plan(min_gap="20h")
        def digest() -> Iterator[int]:
            yield from range({PEOPLE})

        @digest.each(key=str)
        def send(person: int) -> None:
            did(f"digest {{person}}")
        """
    )
    shop.python(
        f"""
        from tasks import app, digest, remind
        now = app.store.now()
        for minutes in range(0, 6 * 60, 5):  # a five-minute cron, for six hours
            app.store.db.set_clock(f"frozen:{{now + minutes * 60_000_000}}")
            for person in range({PEOPLE}):
                remind.enqueue(person)
            digest.enqueue()
        """
    )
    waiting = shop.ends()
    shop.travel(hours=6)
    shop.tick()
    shop.tick()

    assert waiting == ["Pending"] * (PEOPLE + 1)
    assert shop.effects() == EVERYBODY_ONCE + Counter(f"digest {n}" for n in range(PEOPLE))


def test_after_hours_without_a_tick_the_newest_period_runs_once_and_the_rest_is_counted(
    shop: Shop,
) -> None:
    shop.declare(LETTERS.replace('"30 7 * * *"', '"*/5 * * * *"').replace('expires="4h"', ""))
    shop.travel(hours=6)
    shop.tick()
    shop.tick()

    assert shop.effects() == EVERYBODY_ONCE
    assert sorted(shop.ends("letters")) == ["Aborted/superseded", "Complete"]
    missed = [task for task in shop.store.tasks.newest() if task.reason == "superseded"]
    assert "no tick came for 71 of its moments" in missed[0].outcome


def test_a_morning_without_a_tick_until_noon_sends_nothing_late_and_says_so(shop: Shop) -> None:
    shop.declare(LETTERS)
    shop.travel_to(at(12))
    shop.sexton("tick")
    after = shop.sexton("run", "letters")

    assert shop.effects() == {}
    assert "expired" in after.stdout
    assert after.returncode == 1
    assert len(shop.store.tasks.notices("letters")) == 1


# --- long runs ---


def test_a_run_longer_than_its_gap_does_not_make_the_next_day_skip(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(min_gap="20h")
        def rotate() -> None:
            did("rotated")
            app.store.db.set_clock(f"frozen:{app.store.now() + 23 * 3600 * 1_000_000}")
        """
    )
    first = shop.sexton("run", "rotate").stdout  # takes 23 hours, more than the gap
    shop.travel(hours=24)
    second = shop.sexton("run", "rotate").stdout

    assert first.startswith("done: ")
    assert second.startswith("done: ")
    assert shop.effects() == {"rotated": 2}


def travel_with_its_lease(shop: Shop, *moments: datetime) -> None:
    """Travel no further at once than a lease allows, and wait until the tick has renewed it."""
    for moment in moments:
        shop.travel_to(moment)
        shop.until(
            lambda: (
                (shop.store.tasks.newest(status="Running")[0].lease_at or 0)
                == shop.store.now() + 3600 * 1_000_000
            )
        )


def test_a_run_that_overruns_the_next_period_neither_overlaps_nor_bursts(shop: Shop) -> None:
    shop.declare(
        """
        @app.task(schedule="@hourly", timeout="10h")
        def report() -> None:
            did(os.environ.get("SEXTON_PERIOD", "?"))
            if os.environ["SEXTON_PERIOD"] == "2026-01-01T01:00":
                (HERE / "running").write_text("yes\\n")
                while not (HERE / "go").exists():
                    time.sleep(0.01)
        """
    )
    shop.settings("lease_s = 3600\n")
    shop.travel_to(at(1))
    tick = shop.start("tick")
    shop.await_file("running")
    travel_with_its_lease(shop, at(1, 30), at(2, 0))
    said = []
    for minute in (0, 10, 20):
        shop.travel_to(at(2, minute))
        said.append(shop.sexton("run", "report").stdout)
        assert shop.sexton("tick").returncode == 0
    while_it_ran = Counter(shop.effects())
    shop.file("go").touch()
    finish(tick)
    shop.tick()

    assert all("report runs since" in one for one in said)
    assert while_it_ran == {"2026-01-01T01:00": 1}
    assert shop.effects() == {"2026-01-01T01:00": 1, "2026-01-01T02:00": 1}


# --- clocks ---


def test_a_success_dated_in_the_future_delays_one_gap_at_most_and_alerts(shop: Shop) -> None:
    shop.declare("@app.task(min_gap='20h')\ndef rotate() -> None:\n    did('rotated')\n")
    shop.travel_to(datetime(2030, 1, 1, tzinfo=UTC))
    shop.sexton("run", "rotate")
    shop.travel_to(at(9))
    first = shop.sexton("run", "rotate").stdout
    shop.travel(hours=19)
    second = shop.sexton("run", "rotate").stdout
    shop.travel(hours=1)
    third = shop.sexton("run", "rotate").stdout

    assert (first[:7], second[:7], third[:4]) == ("skipped", "skipped", "done")
    assert shop.effects() == {"rotated": 2}
    alerts = shop.store.tasks.notices("rotate")
    assert [alert["code"] for alert in alerts] == ["clock"]


def test_a_tick_from_2030_does_not_stop_the_schedule_of_2026(shop: Shop) -> None:
    shop.declare(LETTERS)
    shop.travel_to(datetime(2030, 1, 1, 0, 0, tzinfo=UTC))
    shop.sexton("tick")
    shop.travel_to(at(7, 0))
    shop.sexton("tick")
    before = Counter(shop.effects())
    shop.travel_to(at(7, 30))
    shop.sexton("tick")

    assert before == {}
    assert shop.effects() == EVERYBODY_ONCE
    assert any(alert["code"] == "clock" for alert in shop.store.tasks.notices())


# --- bad addresses ---


@pytest.mark.parametrize("error", ["Permanent('no such mailbox')", "ConnectionError('refused')"])
def test_one_bad_address_among_ten_thousand_stops_nobody(shop: Shop, error: str) -> None:
    shop.declare(
        f"""
        @app.plan(schedule="30 7 * * *", retry="30m x 3")
        def letters() -> Iterator[int]:
            yield from range(10_000)

        @letters.each(key=str, width=16)
        def send(person: int) -> None:
            did(person)
            if person == 5_000:
                raise {error}
        """
    )
    shop.travel_to(at(7, 30))
    for _ in range(4):
        shop.sexton("tick")
        shop.travel(minutes=30)

    counts = shop.effects()
    is_permanent = error.startswith("Permanent")
    assert counts.pop("5000") == (1 if is_permanent else 3)
    assert counts == Counter(map(str, (n for n in range(10_000) if n != 5_000)))
    assert len(shop.store.tasks.notices("letters")) == (0 if is_permanent else 1)


# --- kills ---


@pytest.mark.parametrize("after", [1, 7, 19])
def test_a_run_that_is_killed_is_finished_by_the_next_tick(shop: Shop, after: int) -> None:
    shop.declare(
        LETTERS.replace(
            'did(f"mail {person}")',
            f"""did(f"mail {{person}}")
    if person == {after} and os.environ["SEXTON_ATTEMPT"] == "1":
        (HERE / "there").write_text("yes\\n")
        time.sleep(1000)""",
        )
    )
    shop.travel_to(at(7, 30))
    tick = shop.start("tick")
    shop.await_file("there")
    tick.kill()
    finish(tick)
    shop.travel(minutes=1)
    shop.tick()

    doubtful = {entry.key for entry in shop.store.items.entries("letters", in_doubt=True)}
    assert str(after) in doubtful
    assert len(doubtful) <= 4  # as many as run at the same time
    assert max(shop.effects().values()) == 1
    forgotten = set(EVERYBODY_ONCE) - set(shop.effects())
    assert forgotten <= {f"mail {key}" for key in doubtful}


def test_the_store_cannot_be_written_so_nobody_is_served_and_the_next_tick_is_fine(
    shop: Shop,
) -> None:
    shop.declare(LETTERS)
    shop.travel_to(at(7, 30))
    limited = ["bash", "-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "limited"]
    done = subprocess.run(
        [*limited, *map(str, (shop.start_line("tick")))],
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    nobody = Counter(shop.effects())
    shop.tick()

    assert done.returncode == 75, done.stderr
    assert nobody == {}
    assert shop.effects() == EVERYBODY_ONCE
