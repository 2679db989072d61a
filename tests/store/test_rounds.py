"""What each tick does for the whole store: schedules, catch-up, expiry, a clock that jumped."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import msgspec
import pytest

from sexton.core import retry
from sexton.core.kind import CatchUp, Kind
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.store.kit import ASKED, DAILY, FAILED, GAP, OWNER, code, finish, rows, statuses, taken

HOUR_US = 3_600_000_000
HOURLY = Kind(name="hourly", schedule="0 * * * *")


def with_catch_up(how: CatchUp, **more: int) -> Kind:
    return msgspec.structs.replace(HOURLY, catch_up=how, **more)


def periods(store: Store, status: str = "Pending") -> list[str]:
    return [task.period for task in reversed(store.tasks.newest(status=status, limit=1000))]


def statements(store: Store, act: Callable[[], object]) -> int:
    """How many statements an act takes."""
    seen: list[str] = []

    def trace(_cursor: apsw.Cursor, sql: str, _values: object) -> bool:
        seen.append(sql)
        return True

    store.db.connection.exec_trace = trace
    act()
    store.db.connection.exec_trace = None
    return len(seen)


# --- catch-up -----------------------------------------------------------------------------------


def test_the_newest_missed_period_still_runs(store: Store, clock: Clock) -> None:
    store.kinds.ensure(HOURLY)
    clock.travel(hours=5, minutes=20)
    store.rounds.schedule()

    assert periods(store) == ["2026-03-02T17:00"]
    missed = store.tasks.newest(status="Aborted")
    assert [(task.reason, task.counts) for task in missed] == [("superseded", '{"missed":4}')]
    assert missed[0].outcome == "no tick came for 4 of its moments since 2026-03-02T12:00:00Z"
    assert store.tasks.notices() == []


def test_the_newest_is_not_run_after_its_expiry_and_that_is_an_alert(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(with_catch_up("latest", expires_us=HOUR_US // 4))
    clock.travel(hours=5, minutes=20)
    store.rounds.schedule()

    assert periods(store) == []
    assert sorted(statuses(store)) == ["Aborted/expired", "Aborted/superseded"]
    assert [notice["code"] for notice in store.tasks.notices()] == ["expired"]


def test_all_missed_periods_run_where_that_is_declared(store: Store, clock: Clock) -> None:
    store.kinds.ensure(with_catch_up("all"))
    clock.travel(hours=3, minutes=20)
    store.rounds.schedule()

    assert periods(store) == ["2026-03-02T13:00", "2026-03-02T14:00", "2026-03-02T15:00"]
    assert store.tasks.newest(status="Aborted") == []


def test_all_is_bounded_and_the_older_are_given_up(store: Store, clock: Clock) -> None:
    store.kinds.ensure(with_catch_up("all", catch_up_max=2))
    clock.travel(hours=5)
    store.rounds.schedule()

    assert periods(store) == ["2026-03-02T16:00", "2026-03-02T17:00"]
    assert [task.counts for task in store.tasks.newest(status="Aborted")] == ['{"missed":3}']


@pytest.mark.parametrize(("minutes", "runs"), [(4, 1), (6, 0)])
def test_none_runs_only_what_is_found_in_time(
    store: Store, clock: Clock, minutes: int, runs: int
) -> None:
    store.kinds.ensure(with_catch_up("none"))
    clock.travel(hours=2, minutes=minutes)
    store.rounds.schedule()

    assert len(periods(store)) == runs
    assert store.tasks.notices() == []


@pytest.mark.parametrize("how", ["latest", "none"])
def test_a_year_of_downtime_costs_what_an_hour_costs(
    store: Store, clock: Clock, how: CatchUp
) -> None:
    store.kinds.ensure(with_catch_up(how))
    clock.travel(hours=3, minutes=20)
    after_hours = statements(store, store.rounds.schedule)
    rows_after_hours = len(rows(store))
    clock.travel(days=365)

    after_a_year = statements(store, store.rounds.schedule)

    assert after_a_year <= after_hours + 2  # a row that waited gives way
    assert len(rows(store)) <= 2 * rows_after_hours + 1
    assert sum(msgspec.json.decode(t.counts).get("missed", 0) for t in store.tasks.newest()) > 8750


def test_a_backlog_gives_way_to_the_newest_and_never_bursts(store: Store, clock: Clock) -> None:
    store.kinds.ensure(HOURLY)
    for _ in range(5):
        clock.travel(hours=1)
        store.rounds.schedule()

    assert periods(store) == ["2026-03-02T17:00"]
    assert statuses(store)[:4] == ["Aborted/superseded"] * 4


def test_a_failure_whose_retry_gives_way_to_the_next_period_is_an_alert(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(HOURLY, retry=retry.parse("1h x 3"), expires_us=4 * HOUR_US)
    store.kinds.ensure(kind)
    for _ in range(4):
        clock.travel(hours=1)
        store.rounds.schedule()
        finish(store, taken(store, kind), FAILED)

    texts = [row["text"] for row in store.tasks.notices()]
    assert [text.split(" ")[2] for text in reversed(texts)] == [
        "2026-03-02T13:00",
        "2026-03-02T14:00",
        "2026-03-02T15:00",
    ]


def test_all_asks_for_no_period_that_has_expired(store: Store, clock: Clock) -> None:
    kind = with_catch_up("all", expires_us=3 * HOUR_US)
    store.kinds.ensure(kind)
    clock.travel(days=2, minutes=20)

    assert [task.period for task in store.rounds.schedule()] == [
        "2026-03-04T10:00",
        "2026-03-04T11:00",
        "2026-03-04T12:00",
    ]
    missed = [task for task in store.tasks.newest() if task.period.startswith("missed:")]
    assert [task.counts for task in missed] == ['{"missed":45}']
    assert store.tasks.notices() == []


def test_two_ticks_at_once_ask_once(store: Store, clock: Clock) -> None:
    store.kinds.ensure(DAILY)
    clock.travel(hours=20)

    assert len(store.rounds.schedule()) == 1
    assert store.rounds.schedule() == []


def test_a_kind_that_is_gone_asks_for_nothing_until_it_is_declared_again(
    store: Store, clock: Clock
) -> None:
    store.kinds.sync([HOURLY])
    assert store.kinds.sync([])[2] == ["hourly"]
    clock.travel(hours=5)
    assert store.rounds.schedule() == []

    assert store.kinds.sync([HOURLY])[0] == ["hourly"]
    assert store.rounds.schedule() == []
    clock.travel(hours=1)
    assert [task.period for task in store.rounds.schedule()] == ["2026-03-02T18:00"]


def test_one_kinds_trouble_is_not_anothers_and_a_sync_mends_it(store: Store, clock: Clock) -> None:
    kinds = [msgspec.structs.replace(HOURLY, name=name) for name in ("a", "b", "c")]
    store.kinds.sync(kinds)
    store.db.run("UPDATE kind SET definition = replace(definition, '0 *', '99 *') WHERE name = 'b'")
    store.db.run('UPDATE kind SET definition = \'{"name":"a","new":1}\' WHERE name = \'a\'')
    clock.travel(hours=1)

    assert [task.kind for task in store.rounds.schedule()] == ["c"]
    assert store.rounds.schedule() == []
    assert [notice["kind"] for notice in store.tasks.notices()] == ["b", "a"]
    assert [name for name in store.upkeep.check() if "kind a" in name]

    clock.travel(hours=-1)
    assert store.rounds.mark_tick("host-a") is None
    clock.travel(hours=-1)
    assert store.rounds.mark_tick("host-a") is not None
    store.kinds.sync(kinds)
    clock.travel(hours=1)
    assert sorted(task.kind for task in store.rounds.schedule()) == ["a", "b", "c"]


def test_what_ends_while_its_kind_cannot_be_read_is_an_alert(store: Store, clock: Clock) -> None:
    store.tasks.enqueue(ASKED, Request(start_before=store.now() + HOUR_US))
    definition = store.db.all("SELECT definition FROM kind")[0]["definition"]
    store.db.run("UPDATE kind SET definition = '{'")
    clock.travel(hours=1)

    assert [task.reason for task in store.rounds.expire()] == ["expired"]
    assert [notice["code"] for notice in store.tasks.notices()] == ["expired"]
    store.db.run("UPDATE kind SET definition = :definition", {"definition": definition})


# --- expiry -------------------------------------------------------------------------------------


def test_what_waited_too_long_expires_with_one_alert(store: Store, clock: Clock) -> None:
    store.tasks.enqueue(ASKED, Request(start_before=store.now() + HOUR_US))
    assert store.rounds.expire() == []
    clock.travel(hours=1)

    assert [task.reason for task in store.rounds.expire()] == ["expired"]
    assert store.rounds.expire() == []
    assert [notice["code"] for notice in store.tasks.notices()] == ["expired"]


def test_what_runs_does_not_expire(store: Store, clock: Clock) -> None:
    store.tasks.enqueue(ASKED, Request(start_before=store.now() + HOUR_US))
    claim = store.queue(OWNER).claim(nonce())
    clock.travel(hours=2)

    assert claim is not None
    assert store.rounds.expire() == []
    finish(store, claim)


# --- the clock went back ------------------------------------------------------------------------


def test_a_small_step_back_is_nobodys_alarm(store: Store, clock: Clock) -> None:
    store.rounds.mark_tick("host-a")
    clock.travel(seconds=-119)

    assert store.rounds.mark_tick("host-a") is None
    assert store.tasks.notices() == []


def test_a_clock_that_went_back_is_an_alert_once(store: Store, clock: Clock) -> None:
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    clock.travel(days=-1400)

    assert store.rounds.mark_tick("host-a") == 1400 * 24 * HOUR_US
    assert store.rounds.mark_tick("host-a") is None
    assert [notice["code"] for notice in store.tasks.notices()] == ["clock"]


def test_after_a_tick_from_the_future_the_schedule_goes_on(store: Store, clock: Clock) -> None:
    store.kinds.ensure(HOURLY)
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    store.rounds.schedule()
    clock.travel(days=-1400)
    store.rounds.mark_tick("host-a")
    assert store.rounds.schedule() == []

    clock.travel(hours=1)

    assert [task.period for task in store.rounds.schedule()] == ["2026-03-02T13:00"]


def test_a_period_that_fell_due_while_the_date_was_wrong_is_not_lost(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(HOURLY)
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    store.rounds.schedule()
    clock.travel(days=-1400, hours=2, minutes=10)
    store.rounds.mark_tick("host-a")

    assert [task.period for task in store.rounds.schedule()] == ["2026-03-02T14:00"]


def test_a_period_that_was_done_before_the_date_was_wrong_is_not_done_again(
    store: Store, clock: Clock
) -> None:
    store.kinds.ensure(HOURLY)
    clock.travel(hours=1)
    finish(store, taken(store, HOURLY))
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    clock.travel(days=-1400, minutes=10)
    store.rounds.mark_tick("host-a")

    assert store.rounds.schedule() == []
    assert statuses(store) == ["Complete"]


def test_a_kind_first_seen_in_the_future_begins_now(store: Store, clock: Clock) -> None:
    clock.travel(days=1400)
    store.kinds.ensure(HOURLY)
    store.rounds.mark_tick("host-a")
    clock.travel(days=-1400)
    store.rounds.mark_tick("host-a")
    clock.travel(hours=1)

    assert [task.period for task in store.rounds.schedule()] == ["2026-03-02T13:00"]


def test_a_kind_first_seen_in_the_future_is_mended_though_no_tick_came_there(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=1400)
    store.kinds.ensure(HOURLY)
    clock.travel(days=-1400)

    assert store.rounds.mark_tick("host-a") == 1400 * 24 * HOUR_US
    assert store.rounds.mark_tick("host-a") is None
    clock.travel(hours=1)
    assert [task.period for task in store.rounds.schedule()] == ["2026-03-02T13:00"]


def test_what_was_asked_for_in_the_future_runs_now(store: Store, clock: Clock) -> None:
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    store.tasks.enqueue(ASKED, Request(at=store.now() + HOUR_US))
    clock.travel(days=-1400)
    store.rounds.mark_tick("host-a")
    assert store.queue(OWNER).claim(nonce()) is None

    clock.travel(hours=1)

    assert store.queue(OWNER).claim(nonce()) is not None


def test_what_was_asked_for_in_the_future_runs_now_though_no_tick_came_there(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=1400)
    store.tasks.enqueue(ASKED, Request())
    clock.travel(days=-1400)

    assert store.rounds.mark_tick("host-a") == 1400 * 24 * HOUR_US
    assert store.queue(OWNER).claim(nonce()) is not None
    assert store.rounds.mark_tick("host-a") is None


def test_a_retry_that_was_asked_for_in_the_future_waits_for_its_pause_alone(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(DAILY, expires_us=10 * 24 * HOUR_US)
    store.kinds.ensure(kind)
    clock.travel(days=1)
    claim = taken(store, kind)
    clock.travel(days=5)
    finish(store, claim, FAILED)
    clock.travel(days=-5)
    store.rounds.mark_tick("host-a")

    (waits,) = store.tasks.newest(status="Pending")

    assert waits.due_at == store.now() + HOUR_US // 2


def test_a_period_that_a_wrong_clock_gave_up_runs_when_it_truly_comes(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(DAILY, expires_us=4 * HOUR_US)
    store.kinds.ensure(kind)
    clock.travel(hours=49)
    store.rounds.mark_tick("host-a")
    store.rounds.schedule()
    clock.travel(hours=-49)
    store.rounds.mark_tick("host-a")
    clock.travel(hours=43, minutes=31)

    assert [task.period for task in store.rounds.schedule()] == ["2026-03-04T07:30"]
    assert taken(store, kind).period == "2026-03-04T07:30"


@pytest.mark.parametrize("is_used", [False, True], ids=["no newer row", "a newer row"])
def test_a_period_that_a_call_gave_up_under_a_wrong_clock_runs_when_it_truly_comes(
    store: Store, clock: Clock, *, is_used: bool
) -> None:
    kind = msgspec.structs.replace(DAILY, expires_us=HOUR_US)
    store.kinds.ensure(kind)
    clock.travel(hours=49)
    gave_up = code(store, kind)
    clock.travel(hours=-49)
    if is_used:
        finish(store, taken(store, ASKED))
    is_noticed = store.rounds.mark_tick("host-a") is not None
    clock.travel(hours=43, minutes=31)

    assert (gave_up, is_noticed) == ("expired", True)
    assert [task.period for task in store.rounds.schedule()] == ["2026-03-04T07:30"]
    assert store.rounds.mark_tick("host-a") is None


def test_a_suspicion_of_the_future_lasts_no_longer_than_any_other(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=365)
    store.sweeps.suspect()
    clock.travel(days=-365)
    store.rounds.mark_tick("host-a")
    clock.travel(days=365)
    store.rounds.mark_tick("host-a")
    clock.travel(days=-365)
    store.rounds.mark_tick("host-a")

    assert store.sweeps.suspected_since() == store.now()


def test_a_lease_from_the_future_lapses_in_time(store: Store, clock: Clock) -> None:
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    claim = taken(store, ASKED)
    clock.travel(days=-1400)
    store.rounds.mark_tick("host-a")

    task = store.tasks.get(claim.task)

    assert task.lease_at == store.now() + store.settings.lease_us
    assert task.started_at == store.now()
    assert task.status == "Running"


def test_a_gap_is_held_once_after_the_clock_went_back(store: Store, clock: Clock) -> None:
    clock.travel(days=1400)
    store.rounds.mark_tick("host-a")
    finish(store, taken(store, GAP))
    clock.travel(days=-1400)
    store.rounds.mark_tick("host-a")
    assert store.tasks.enqueue(GAP, Request()).task is not None

    clock.travel(hours=20)

    assert store.queue(OWNER).claim(nonce()) is not None


# --- when anything is due -----------------------------------------------------------------------


def test_the_next_moment_is_the_earlier_of_schedules_and_waiting_rows(store: Store) -> None:
    assert store.rounds.next_at() is None
    store.kinds.ensure(HOURLY)
    assert store.rounds.next_at() == store.now() + HOUR_US

    store.tasks.enqueue(ASKED, Request(at=store.now() + 5))

    assert store.rounds.next_at() == store.now() + 5
