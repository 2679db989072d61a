"""The guard on the store: once per period, not again before a gap, one at a time, retries."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from sexton.core import retry
from sexton.core.errors import UsageError
from sexton.core.instant import to_datetime
from sexton.core.kind import Kind
from sexton.core.queue import Call, Refused, Taken
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.store.kit import (
    ASKED,
    DAILY,
    DONE,
    FAILED,
    GAP,
    JOINED,
    OWNER,
    begin,
    code,
    finish,
    ledger_of,
    lose,
    rows,
    statuses,
    take,
    taken,
)

HOUR_US = 3_600_000_000


def fall_due(store: Store, clock: Clock, kind: Kind = DAILY) -> None:
    """Let the kind be known, and its first period fall due: tomorrow at 07:30."""
    store.kinds.ensure(kind)
    clock.travel(hours=19, minutes=30)


# --- once per period ----------------------------------------------------------------------------


def test_a_new_kind_is_not_due_before_its_first_period(store: Store) -> None:
    answer = take(store, DAILY)

    assert isinstance(answer, Refused)
    assert (answer.skip.code, answer.period) == ("not due", "2026-03-03T07:30")


def test_a_period_is_done_once_whoever_calls(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    claim = taken(store, DAILY)
    assert claim.period == "2026-03-03T07:30"
    assert code(store, DAILY) == "running"
    finish(store, claim)

    assert code(store, DAILY) == "complete"
    clock.travel(hours=23)
    assert code(store, DAILY) == "complete"
    clock.travel(hours=1)
    assert taken(store, DAILY).period == "2026-03-04T07:30"


def test_a_call_and_a_tick_share_the_period(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    asked = store.rounds.schedule()

    assert taken(store, DAILY).task == asked[0].id
    assert store.rounds.schedule() == []
    assert store.queue(OWNER).claim(nonce()) is None


def test_a_tick_after_a_call_asks_for_nothing(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    finish(store, taken(store, DAILY))

    assert store.rounds.schedule() == []


def test_a_call_shortly_before_takes_the_coming_period(store: Store, clock: Clock) -> None:
    early = msgspec.structs.replace(DAILY, early_us=4 * HOUR_US)
    store.kinds.ensure(early)
    clock.travel(hours=17)

    claim = taken(store, early)
    assert claim.period == "2026-03-03T07:30"
    finish(store, claim)
    clock.travel(hours=2, minutes=30)
    assert store.rounds.schedule() == []
    assert code(store, early) == "complete"


def test_an_edited_schedule_never_fires_retroactively(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    edited = msgspec.structs.replace(DAILY, schedule="0 6 * * *")

    assert code(store, edited) == "not due"
    assert store.rounds.schedule() == []


def test_an_edit_between_a_moment_and_its_tick_keeps_what_both_schedules_name(
    store: Store, clock: Clock
) -> None:
    fall_due(store, clock)
    edited = msgspec.structs.replace(DAILY, schedule="30 7 * * 1-5")

    store.kinds.sync([edited])

    assert [task.period for task in store.rounds.schedule()] == ["2026-03-03T07:30"]
    finish(store, taken(store, edited))
    assert code(store, DAILY) == "complete"
    assert code(store, edited) == "complete"


def test_two_releases_at_once_starve_no_period(store: Store, clock: Clock) -> None:
    edited = msgspec.structs.replace(DAILY, schedule="30 7 * * 1-5")
    store.kinds.ensure(DAILY)
    clock.travel(hours=19, minutes=29)
    code(store, edited)
    code(store, DAILY)
    clock.travel(minutes=1)

    assert taken(store, edited).period == "2026-03-03T07:30"


def test_a_process_of_an_older_release_changes_no_kind(store: Store, clock: Clock) -> None:
    early = msgspec.structs.replace(DAILY, schedule="0 6 * * *", retry=retry.parse("5m x 9"))
    source = Path(store.db.path).with_name("tasks.py")
    source.write_text("the newer release")
    store.kinds.sync([early])
    found = source.stat()
    store.meta.put(kinds=DAILY.name, sources=f"{found.st_mtime_ns} {found.st_size} {source}")
    clock.travel(hours=18, minutes=1)

    assert taken(store, DAILY).period == "2026-03-03T06:00"
    assert store.kinds.ensure(DAILY).kind == early

    source.write_text("and a newer one, which no tick has read yet")
    assert store.kinds.ensure(DAILY).kind == DAILY


def test_a_process_of_an_older_release_brings_no_kind_back(store: Store, clock: Clock) -> None:
    source = Path(store.db.path).with_name("tasks.py")
    source.write_text("the newer release")
    store.kinds.sync([DAILY])
    store.kinds.sync([])
    found = source.stat()
    store.meta.put(sources=f"{found.st_mtime_ns} {found.st_size} {source}")

    assert code(store, DAILY) == "not due"
    assert store.kinds.ensure(DAILY).gone_at is not None
    clock.travel(days=2)
    assert store.rounds.schedule() == []

    source.write_text("a release that has it again")
    assert store.kinds.ensure(DAILY).gone_at is None


def test_a_schedule_first_seen_in_the_future_is_seen_anew(store: Store, clock: Clock) -> None:
    clock.travel(days=3650)
    store.kinds.ensure(DAILY)
    clock.travel(days=-3650)
    assert code(store, DAILY) == "not due"

    clock.travel(hours=20)

    assert taken(store, DAILY).period == "2026-03-03T07:30"


def test_an_edited_limit_keeps_the_schedule(store: Store, clock: Clock) -> None:
    fall_due(store, clock)

    assert taken(store, msgspec.structs.replace(DAILY, timeout_us=5)).period == "2026-03-03T07:30"


def test_a_call_adopts_no_request_that_came_too_late(store: Store, clock: Clock) -> None:
    asked = store.tasks.enqueue(JOINED, Request(start_before=store.now() + HOUR_US))
    clock.travel(hours=2)

    claim = taken(store, JOINED, key="")

    assert (claim.task, claim.expires_at) == (asked.id + 1, None)
    assert store.tasks.get(asked.id).reason == "expired"


def test_force_opens_a_period_of_its_own_with_its_reason(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    finish(store, taken(store, DAILY))

    claim = taken(store, DAILY, force="the mails were lost")

    assert claim.period == f"forced:{claim.task}"
    assert store.tasks.get(claim.task).note == "the mails were lost"
    finish(store, claim)
    assert code(store, DAILY) == "complete"


def test_force_does_not_run_beside_a_live_run(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    taken(store, DAILY)

    assert code(store, DAILY, force="now") == "running"


# --- retries ------------------------------------------------------------------------------------


def test_a_call_tries_again_at_once_until_the_attempts_are_used_up(
    store: Store, clock: Clock
) -> None:
    fall_due(store, clock)
    for attempt in (1, 2, 3):
        claim = taken(store, DAILY)
        assert claim.attempt == attempt
        finish(store, claim, FAILED)

    assert code(store, DAILY) == "exhausted"
    assert statuses(store, "daily") == ["Aborted/failed"] * 3
    assert [notice["name"] for notice in store.tasks.notices()] == ["failed:1"]


def test_a_tick_waits_for_the_delay(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    store.rounds.schedule()
    queue = store.queue(OWNER)
    claim = queue.claim(nonce())
    assert claim is not None
    queue.enter(claim, "")
    queue.finish(claim, FAILED)

    assert queue.claim(nonce()) is None
    clock.travel(minutes=30)
    again = queue.claim(nonce())
    assert again is not None
    assert (again.attempt, again.period, again.root) == (2, claim.period, claim.root)


def test_without_retry_a_failure_is_final_and_a_loss_is_made_good_once(
    store: Store, clock: Clock
) -> None:
    plain = msgspec.structs.replace(DAILY, retry=retry.Retry())
    fall_due(store, clock, plain)
    lose(store, taken(store, plain))
    lose(store, taken(store, plain))

    assert code(store, plain) == "exhausted"
    assert statuses(store, "daily") == ["Aborted/lost", "Aborted/lost"]
    clock.travel(hours=24)
    finish(store, taken(store, plain), FAILED)
    assert code(store, plain) == "exhausted"
    assert [notice["code"] for notice in store.tasks.notices()] == ["failed", "lost"]


def test_an_attempt_past_midnight_still_belongs_to_its_period(store: Store, clock: Clock) -> None:
    late = msgspec.structs.replace(DAILY, schedule="50 23 * * *")
    store.kinds.ensure(late)
    clock.travel(hours=11, minutes=50)
    finish(store, taken(store, late), FAILED)
    clock.travel(hours=1)

    claim = taken(store, late)

    assert (claim.period, claim.attempt) == ("2026-03-02T23:50", 2)


def test_no_retry_begins_after_the_expiry(store: Store, clock: Clock) -> None:
    short = msgspec.structs.replace(DAILY, expires_us=HOUR_US // 2)
    fall_due(store, clock, short)

    finish(store, taken(store, short), FAILED)

    assert statuses(store, "daily") == ["Aborted/failed"]
    assert len(store.tasks.notices()) == 1


def test_a_period_that_a_person_ended_is_not_begun_again(store: Store, clock: Clock) -> None:
    fall_due(store, clock)
    store.rounds.schedule()
    store.tasks.abort(1, "ann")

    assert code(store, DAILY) == "aborted"
    assert store.tasks.notices() == []
    clock.travel(hours=24)
    assert taken(store, DAILY).period == "2026-03-04T07:30"


# --- minimum gap --------------------------------------------------------------------------------


def test_a_gap_is_measured_from_the_start_of_the_last_success(store: Store, clock: Clock) -> None:
    claim = taken(store, GAP)
    clock.travel(hours=3)
    finish(store, claim)
    clock.travel(hours=16, minutes=59)
    assert code(store, GAP) == "gap"

    clock.travel(minutes=1)

    assert taken(store, GAP).period == f"after:{claim.task}"


def test_a_run_longer_than_the_gap_may_be_followed_at_once(store: Store, clock: Clock) -> None:
    claim = taken(store, GAP)
    clock.travel(hours=21)
    assert code(store, GAP) == "running"
    finish(store, claim)

    assert taken(store, GAP).attempt == 1


def test_a_failure_opens_no_gap(store: Store) -> None:
    finish(store, taken(store, GAP), FAILED)

    assert taken(store, GAP).attempt == 2


@pytest.mark.parametrize("how", ["aborted", "expired"])
def test_a_gap_that_a_person_or_an_expiry_ended_is_no_stop_for_ever(
    store: Store, clock: Clock, how: str
) -> None:
    request = Request(start_before=store.now() + HOUR_US)
    id_ = store.tasks.enqueue(GAP, request).id
    if how == "aborted":
        store.tasks.abort(id_, "ann")
    clock.travel(hours=2)
    store.rounds.expire()

    finish(store, taken(store, GAP))

    assert code(store, GAP) == "gap"


def test_a_request_for_a_kind_with_a_gap_waits_until_it_is_over(store: Store, clock: Clock) -> None:
    finish(store, taken(store, GAP))
    asked = store.tasks.enqueue(GAP, Request()).task
    assert asked is not None
    assert asked.due_at == store.now() + 20 * HOUR_US
    assert store.queue(OWNER).claim(nonce()) is None

    clock.travel(hours=20)

    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_small_step_back_of_the_clock_neither_hurries_a_gap_nor_stops_it(
    store: Store, clock: Clock
) -> None:
    minute = msgspec.structs.replace(GAP, min_gap_us=60_000_000)
    clock.travel(seconds=100)
    finish(store, taken(store, minute))
    clock.travel(seconds=-90)
    store.tasks.enqueue(minute, Request())
    clock.travel(seconds=61)
    too_early = store.queue(OWNER).claim(nonce())
    clock.travel(minutes=2)

    assert too_early is None
    assert finish(store, taken(store, minute))
    clock.travel(hours=1)
    assert finish(store, taken(store, minute))


def test_a_success_that_a_clock_dated_before_the_one_it_followed_is_the_last(
    store: Store, clock: Clock
) -> None:
    minute = msgspec.structs.replace(GAP, min_gap_us=60_000_000)
    finish(store, taken(store, minute))
    clock.travel(minutes=2)
    finish(store, taken(store, minute))
    (trigger,) = rows(store, "SELECT sql FROM sqlite_schema WHERE name = 'task_final'")
    store.db.run("DROP TRIGGER task_final")
    store.db.run("UPDATE task SET started_at = started_at - 300000000 WHERE id = 2")
    store.db.run(trigger["sql"])
    clock.travel(hours=1)

    assert finish(store, taken(store, minute))


def test_what_is_sent_back_keeps_no_gap_and_gives_none(store: Store, clock: Clock) -> None:
    plan = msgspec.structs.replace(GAP, family="plan")
    claim = taken(store, plan)
    begin(ledger_of(store, plan, claim), "ann")
    lose(store, claim)
    again = taken(store, plan)
    begin(ledger_of(store, plan, again), "ann")
    finish(store, again)
    clock.travel(hours=2)
    store.items.settle(plan.name, "ann", "retry", "eve")

    at_once = store.queue(OWNER).claim(nonce())
    assert at_once is not None
    store.queue(OWNER).finish(at_once, DONE)
    clock.travel(hours=18)

    assert taken(store, plan).period == f"after:{again.task}"


def test_a_request_for_a_kind_with_a_gap_joins_the_one_that_waits(store: Store) -> None:
    first = store.tasks.enqueue(GAP, Request(payload='{"x":1}', at=store.now() + HOUR_US))
    second = store.tasks.enqueue(GAP, Request(payload='{"x":2}', priority=9))

    assert (second.id, second.is_new) == (first.id, False)
    assert second.task is not None
    assert (second.task.payload, second.task.priority) == ('{"x":2}', 9)
    assert second.task.due_at == store.now()


def test_a_request_behind_a_run_with_a_gap_waits_for_its_success(
    store: Store, clock: Clock
) -> None:
    claim = taken(store, GAP)
    behind = store.tasks.enqueue(GAP, Request(payload='{"x":2}'))
    joined = store.tasks.enqueue(GAP, Request(payload='{"x":3}'))
    finish(store, claim)

    assert (behind.is_new, joined.id, joined.is_new) == (True, behind.id, False)
    assert store.queue(OWNER).claim(nonce()) is None
    clock.travel(hours=20)
    second = store.queue(OWNER).claim(nonce())
    assert second is not None
    assert (second.period, second.payload) == (f"after:{claim.task}", '{"x":3}')


def test_a_request_behind_a_run_that_fails_for_good_is_its_next_attempt(store: Store) -> None:
    claim = taken(store, GAP)
    behind = store.tasks.enqueue(GAP, Request(payload='{"x":2}'))
    finish(store, claim, FAILED)

    next_one = store.queue(OWNER).claim(nonce())

    assert next_one is not None
    assert (next_one.task, next_one.period, next_one.attempt) == (behind.id, "after:0", 2)
    assert next_one.root == claim.task
    assert [row["code"] for row in store.tasks.notices()] == []


def test_a_request_behind_a_run_that_is_tried_again_waits_for_that_attempt(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("30m x 2"))
    claim = taken(store, kind)
    behind = store.tasks.enqueue(kind, Request(payload='{"x":2}'))
    finish(store, claim, FAILED)
    clock.travel(minutes=30)
    again = store.queue(OWNER).claim(nonce())
    assert again is not None
    nothing_beside = store.queue(OWNER).claim(nonce())
    store.queue(OWNER).finish(again, DONE)
    clock.travel(hours=20)
    after_all = store.queue(OWNER).claim(nonce())

    assert (again.attempt, nothing_beside) == (2, None)
    assert after_all is not None
    assert (after_all.task, after_all.period) == (behind.id, f"after:{again.task}")


def test_a_request_behind_a_run_comes_after_its_next_attempt_however_urgent_it_is(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("30m x 2"))
    claim = taken(store, kind)
    behind = store.tasks.enqueue(kind, Request(priority=9))
    finish(store, claim, FAILED)
    clock.travel(hours=21)  # no tick came, and both are due by now
    assert store.tasks.get(behind.id).due_at <= store.now()

    first = store.queue(OWNER).claim(nonce())

    assert first is not None
    assert (first.root, first.attempt) == (claim.task, 2)
    assert store.tasks.get(behind.id).status == "Pending"


def test_a_request_behind_a_run_waits_for_it_also_where_its_lane_was_renamed_meanwhile(
    store: Store, clock: Clock
) -> None:
    claim = taken(store, GAP)
    renamed = msgspec.structs.replace(GAP, lane="disk")
    store.kinds.sync([renamed])
    behind = store.tasks.enqueue(renamed, Request())
    clock.travel(hours=21)  # longer than the gap
    assert store.tasks.get(behind.id).due_at <= store.now()

    assert store.queue(OWNER).claim(nonce()) is None
    finish(store, claim)
    assert store.queue(OWNER).claim(nonce()) is not None


@pytest.mark.parametrize("how", ["adopted", "aborted", "expired", "run late by a tick"])
def test_a_request_behind_a_run_waits_for_no_gap_of_a_run_that_never_succeeded(
    store: Store, clock: Clock, how: str
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("30m x 2"))
    claim = taken(store, kind)
    behind = store.tasks.enqueue(kind, Request(payload='{"x":2}'))
    finish(store, claim, FAILED)
    (again,) = [row for row in store.tasks.newest(status="Pending") if row.attempt == 2]
    clock.travel(minutes=5)
    if how == "adopted":
        finish(store, taken(store, kind), FAILED)
    elif how == "aborted":
        store.tasks.abort(again.id, "ann")
    elif how == "run late by a tick":
        clock.travel(minutes=29)
        claimed = store.queue(OWNER).claim(nonce())
        assert claimed is not None
        store.queue(OWNER).enter(claimed, "")
        store.queue(OWNER).finish(claimed, FAILED)
    else:
        store.db.run("UPDATE task SET expires_at = 1 WHERE id = :id", {"id": again.id})
        store.rounds.expire()

    found = store.queue(OWNER).claim(nonce())

    assert found is not None
    assert (found.task, found.attempt, found.period) == (behind.id, 3, "after:0")


def test_a_request_that_was_not_to_run_before_a_moment_waits_for_it_in_any_case(
    store: Store,
) -> None:
    claim = taken(store, GAP)
    later = store.now() + 50 * HOUR_US
    behind = store.tasks.enqueue(GAP, Request(at=later))
    finish(store, claim, FAILED)

    assert store.tasks.get(behind.id).due_at == later


def test_a_forced_request_keeps_no_gap(store: Store) -> None:
    finish(store, taken(store, GAP))
    store.tasks.enqueue(GAP, Request(force="now"))

    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_request_of_an_older_release_is_one_of_the_kind_that_was_synced(store: Store) -> None:
    source = Path(store.db.path).with_name("tasks.py")
    source.write_text("the newer release")
    found = source.stat()
    joined = msgspec.structs.replace(ASKED, key="")
    daily = Kind(name="letters", schedule="30 7 * * *")
    store.kinds.sync([joined, daily])
    store.meta.put(
        kinds=f"{joined.name} {daily.name}", sources=f"{found.st_mtime_ns} {found.st_size} {source}"
    )
    first = store.tasks.enqueue(ASKED, Request())
    second = store.tasks.enqueue(ASKED, Request())

    assert (second.id, second.is_new) == (first.id, False)
    with pytest.raises(UsageError, match="could touch everyone again"):
        store.tasks.enqueue(Kind(name="letters"), Request())


def test_a_kind_that_no_sync_registered_is_edited_by_its_next_call(store: Store) -> None:
    source = Path(store.db.path).with_name("tasks.py")
    source.write_text("the application")
    found = source.stat()
    store.meta.put(kinds="others", sources=f"{found.st_mtime_ns} {found.st_size} {source}")
    finish(store, taken(store, GAP))
    shorter = msgspec.structs.replace(GAP, min_gap_us=1)

    assert store.kinds.ensure(shorter).kind == shorter


def test_a_request_that_came_too_late_takes_no_later_one_with_it(
    store: Store, clock: Clock
) -> None:
    late = store.tasks.enqueue(GAP, Request(start_before=store.now() + HOUR_US // 6))
    clock.travel(minutes=20)
    second = store.tasks.enqueue(GAP, Request())

    assert (second.id != late.id, second.is_new) == (True, True)
    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_call_of_a_kind_with_a_gap_adopts_no_request_that_came_too_late(
    store: Store, clock: Clock
) -> None:
    store.tasks.enqueue(GAP, Request(start_before=store.now() + HOUR_US // 6))
    clock.travel(minutes=20)

    assert taken(store, GAP).expires_at is None


def test_a_kind_with_a_gap_that_fails_every_day_has_its_attempts_and_its_alert_every_day(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("30m x 3"))
    queue = store.queue(OWNER)
    attempts = []
    for _ in range(3):
        finish(store, taken(store, kind), FAILED)
        attempts.append(1)
        for _ in range(6):
            clock.travel(minutes=30)
            if claim := queue.claim(nonce()):
                queue.enter(claim, "")
                queue.finish(claim, FAILED)
                attempts[-1] += 1
        clock.travel(hours=21)

    assert attempts == [3, 3, 3]
    assert len(store.tasks.notices()) == 3


def test_a_success_in_the_future_delays_by_one_gap_and_alerts_once(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=1400)
    claim = taken(store, GAP)
    finish(store, claim)
    clock.travel(days=-1400)

    assert code(store, GAP) == "gap"
    clock.travel(hours=19)
    assert code(store, GAP) == "gap"
    clock.travel(hours=1)
    again = taken(store, GAP)
    assert again.period == f"after:{claim.task}"
    finish(store, again)
    assert [notice["name"] for notice in store.tasks.notices("rotate")] == [f"future:{claim.task}"]


def test_a_clock_that_comes_back_in_two_steps_delays_by_one_gap(store: Store, clock: Clock) -> None:
    clock.travel(days=3650)
    finish(store, taken(store, GAP))
    clock.travel(days=-1000)
    assert code(store, GAP) == "gap"
    clock.travel(days=-2650)
    assert code(store, GAP) == "gap"

    clock.travel(hours=20)

    assert taken(store, GAP).attempt == 1


def test_after_a_success_in_the_future_the_gap_goes_on_from_what_came_since(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=1400)
    finish(store, taken(store, GAP))
    clock.travel(days=-1400)
    assert code(store, GAP) == "gap"
    clock.travel(hours=20)
    finish(store, taken(store, GAP))

    assert code(store, GAP) == "gap"
    clock.travel(hours=20)
    assert isinstance(take(store, GAP), Taken)


def test_a_request_older_than_a_success_in_the_future_is_a_success_like_any_other(
    store: Store, clock: Clock
) -> None:
    at = store.now() + 3 * HOUR_US
    older = store.tasks.enqueue(GAP, Request(at=at))
    clock.travel(days=2)
    finish(store, taken(store, GAP, force="by a wrong clock"))
    clock.travel(days=-2)
    store.rounds.mark_tick("host-a")
    clock.travel(hours=21)
    claim = store.queue(OWNER).claim(nonce())
    assert claim is not None
    assert claim.task == older.id
    finish(store, claim)

    clock.travel(minutes=1)
    assert code(store, GAP) == "gap"
    for days in (1, 30, 3000):
        clock.travel(days=days)
        finish(store, taken(store, GAP))


def test_a_request_behind_a_run_that_the_future_ended_blocks_nothing(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("1m x 3"))
    queue = store.queue(OWNER)
    first = taken(store, kind)
    store.tasks.enqueue(kind, Request())
    finish(store, first, FAILED)
    clock.travel(days=2)
    second = queue.claim(nonce())
    assert second is not None
    finish(store, second)
    clock.travel(days=-2)
    store.rounds.mark_tick("host-a")
    clock.travel(hours=21)
    third = queue.claim(nonce())
    assert third is not None
    finish(store, third)

    clock.travel(days=1)
    store.tasks.enqueue(kind, Request())
    last = queue.claim(nonce())
    assert last is not None
    finish(store, last)
    assert statuses(store) == ["Aborted/failed", "Complete", "Complete", "Complete"]


def test_a_success_in_the_future_that_only_a_call_saw_holds_a_request_for_one_gap(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=30)
    finish(store, taken(store, GAP))
    clock.travel(days=-30)
    store.tasks.enqueue(GAP, Request())
    queue = store.queue(OWNER)

    assert queue.claim(nonce()) is None
    clock.travel(hours=20)
    store.rounds.mark_tick("host-a")
    assert queue.claim(nonce()) is not None


def test_a_request_that_waits_when_a_call_comes_from_the_future_waits_for_one_gap(
    store: Store, clock: Clock
) -> None:
    store.tasks.enqueue(GAP, Request(at=store.now() + HOUR_US))
    clock.travel(days=30)
    finish(store, taken(store, GAP, force="by a wrong clock"))
    clock.travel(days=-30)
    queue = store.queue(OWNER)

    store.rounds.mark_tick("host-a")
    clock.travel(hours=2)
    assert queue.claim(nonce()) is None
    clock.travel(hours=18)
    assert queue.claim(nonce()) is not None


def test_a_machine_that_wakes_in_the_past_runs_nothing_too_early_afterwards(
    store: Store, clock: Clock
) -> None:
    finish(store, taken(store, GAP))
    clock.travel(days=-365 * 20)
    assert code(store, GAP) == "gap"

    clock.travel(days=365 * 20, hours=1)

    assert code(store, GAP) == "gap"
    clock.travel(hours=19)
    assert isinstance(take(store, GAP), Taken)


def test_the_date_of_a_success_in_the_future_delays_nothing_when_it_comes(
    store: Store, clock: Clock
) -> None:
    queue = store.queue(OWNER)
    clock.travel(hours=50)
    finish(store, taken(store, GAP))
    clock.travel(hours=-50)
    store.rounds.mark_tick("host-a")
    for _ in range(2):
        clock.travel(hours=20)
        finish(store, taken(store, GAP))
    clock.travel(hours=19)
    store.tasks.enqueue(GAP, Request())

    assert queue.claim(nonce()) is None
    clock.travel(hours=1)
    assert queue.claim(nonce()) is not None


def test_a_success_in_the_future_is_never_again_the_last_once_others_came(
    store: Store, clock: Clock
) -> None:
    clock.travel(days=10)
    finish(store, taken(store, GAP))
    clock.travel(hours=20)
    finish(store, taken(store, GAP))
    clock.travel(days=-10)
    assert code(store, GAP) == "gap"
    clock.travel(hours=9)
    finish(store, taken(store, GAP, force="a person"))
    for _ in range(10):
        clock.travel(hours=20)
        finish(store, taken(store, GAP))

    clock.travel(hours=10, minutes=5)  # the wrong date of the first success has come

    assert code(store, GAP) == "gap"
    clock.travel(hours=9, minutes=55)
    finish(store, taken(store, GAP))


def test_a_date_in_the_future_that_comes_while_ticks_come_was_wrong(
    store: Store, clock: Clock
) -> None:
    clock.travel(hours=19)
    finish(store, taken(store, GAP))
    clock.travel(hours=-19)
    for minute in range(20 * 60):
        store.rounds.mark_tick("host-a")
        clock.travel(seconds=59 if minute == 7 else 61 if minute == 8 else 60)
    clock.travel(seconds=-1)  # as a time service corrects it
    store.rounds.mark_tick("host-a")
    clock.travel(seconds=1)
    store.tasks.enqueue(GAP, Request())

    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_clock_that_was_behind_for_a_while_makes_no_call_come_too_early_before_a_tick(
    store: Store, clock: Clock
) -> None:
    store.rounds.mark_tick("host-a")
    finish(store, taken(store, GAP))
    clock.travel(hours=1, days=-1)
    for _ in range(10):
        store.rounds.mark_tick("host-a")
        clock.travel(minutes=1)
    clock.travel(days=1)

    assert code(store, GAP) == "gap"
    clock.travel(hours=7)  # and no tick comes any more
    assert code(store, GAP) == "gap"


def test_a_request_put_off_by_a_wrong_clock_waits_for_the_next_gap_alone(
    store: Store, clock: Clock
) -> None:
    finish(store, taken(store, GAP))
    asked = store.tasks.enqueue(GAP, Request())
    clock.travel(days=1000)
    finish(store, taken(store, GAP, force="by a wrong clock"))
    clock.travel(days=-1000)
    finish(store, taken(store, GAP, force="by the right one"))

    assert store.tasks.get(asked.id).due_at == store.now() + 20 * HOUR_US


def test_what_two_wrong_clocks_dated_is_seen_by_the_right_one(store: Store, clock: Clock) -> None:
    clock.travel(days=1000)
    finish(store, taken(store, GAP))
    clock.travel(days=-300)
    store.rounds.mark_tick("host-a")
    store.tasks.enqueue(GAP, Request())
    clock.travel(days=-700)
    for _ in range(21 * 60):
        store.rounds.mark_tick("host-a")
        clock.travel(minutes=1)

    assert store.queue(OWNER).claim(nonce()) is not None


def test_a_call_and_a_claim_judge_a_gap_alike(store: Store, clock: Clock) -> None:
    chance = random.Random(14)
    now, verdicts = store.now(), set()
    for case in range(300):
        kind = msgspec.structs.replace(GAP, name=f"kind{case}")
        apart = chance.choice([-30, -20, -19, -1, 0.02, 1, 19, 500])
        clock.travel(hours=apart)
        success = taken(store, kind)
        finish(store, success)
        clock.travel_to(to_datetime(now))
        at, since = (now - chance.choice([-60, 0, 60, 600, 90_000]) * 1_000_000 for _ in range(2))
        tick = {"at": at, "since": min(since, at)}
        store.db.run("INSERT OR REPLACE INTO mark VALUES ('tick', :at, :since, '')", tick)
        if chance.random() < 0.7:
            seen_at = now - chance.choice([-500, 0, 1, 19, 20, 500]) * HOUR_US
            values = {"task": success.task, "seen_at": seen_at}
            store.db.run("INSERT INTO ahead VALUES (:task, :seen_at)", values)
        store.tasks.enqueue(kind, Request())
        store.db.run("UPDATE task SET due_at = 0 WHERE status = 'Pending'")

        may_call = isinstance(store.guard(OWNER).peek(kind, Call(nonce=nonce())), Taken)
        claim = store.queue(OWNER).claim(nonce())
        assert may_call == (claim is not None), (case, apart, tick)
        verdicts.add(may_call)
        if claim:
            finish(store, claim)
        else:
            store.tasks.abort(store.tasks.newest(limit=1)[0].id, "ann")

    assert verdicts == {True, False}


# --- requests behind a run ----------------------------------------------------------------------


def test_a_second_request_behind_a_run_goes_on_as_its_next_attempt(store: Store) -> None:
    first = taken(store, GAP)
    withdrawn = store.tasks.enqueue(GAP, Request())
    store.tasks.abort(withdrawn.id, "ann")
    second = store.tasks.enqueue(GAP, Request())
    finish(store, first, FAILED)

    claim = store.queue(OWNER).claim(nonce())

    assert claim is not None
    assert (claim.task, claim.period, claim.attempt) == (second.id, "after:0", 2)
    assert store.tasks.notices() == []


def test_requests_before_and_after_a_forced_run_join(store: Store, clock: Clock) -> None:
    finish(store, taken(store, GAP))
    clock.travel(hours=1)
    before = store.tasks.enqueue(GAP, Request(payload='{"n":1}'))
    forced = taken(store, GAP, force="now")
    finish(store, forced)
    after = store.tasks.enqueue(GAP, Request(payload='{"n":2}'))

    assert (after.id, after.is_new) == (before.id, False)
    clock.travel(hours=19)
    assert store.queue(OWNER).claim(nonce()) is None
    clock.travel(hours=1)
    claim = taken(store, GAP)
    assert (claim.task, claim.period) == (before.id, f"after:{forced.task}")


def test_an_attempt_that_goes_on_keeps_its_period_beside_a_forced_run(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(GAP, retry=retry.parse("1m x 3"))
    first = taken(store, kind)
    finish(store, first, FAILED)
    finish(store, taken(store, kind, force="now"))
    clock.travel(hours=21)

    claim = store.queue(OWNER).claim(nonce())

    assert claim is not None
    assert (claim.period, claim.attempt, claim.root) == ("after:0", 2, first.task)


# --- asked for ----------------------------------------------------------------------------------


def test_calls_of_a_kind_that_is_asked_for_do_not_wait_for_each_other(store: Store) -> None:
    assert taken(store, ASKED).task != taken(store, ASKED).task


def test_a_call_adopts_the_request_that_waits(store: Store) -> None:
    asked = store.tasks.enqueue(JOINED, Request(payload='{"n":1}'))

    claim = taken(store, JOINED, key="", payload='{"n":2}')

    assert (claim.task, claim.payload) == (asked.id, '{"n":2}')


def test_a_call_behind_a_live_run_is_refused_and_leaves_the_request_that_waits(
    store: Store,
) -> None:
    running = taken(store, JOINED, key="")
    store.tasks.enqueue(JOINED, Request())

    assert code(store, JOINED, key="") == "running"
    assert statuses(store) == ["Running", "Pending"]
    finish(store, running)
    assert isinstance(take(store, JOINED, key=""), Taken)


def test_a_lane_is_one_for_all_kinds_that_name_it(store: Store) -> None:
    backup, vacuum = (Kind(name=name, lane="disk") for name in ("backup", "vacuum"))
    claim = taken(store, backup)

    assert code(store, vacuum) == "lane"
    finish(store, claim)
    assert isinstance(take(store, vacuum), Taken)


# --- joining ------------------------------------------------------------------------------------


def test_the_highest_priority_of_those_that_join_wins(store: Store) -> None:
    store.tasks.enqueue(JOINED, Request(priority=5))
    store.tasks.enqueue(JOINED, Request(priority=3))
    joined = store.tasks.enqueue(JOINED, Request(priority=7))

    assert joined.task is not None
    assert joined.task.priority == 7


@pytest.mark.parametrize("kind", [JOINED, GAP], ids=lambda kind: kind.name)
@pytest.mark.parametrize("hours", [(1, 2), (2, 1)])
def test_the_earliest_moment_of_those_that_join_wins_whichever_came_first(
    store: Store, kind: Kind, hours: tuple[int, int]
) -> None:
    now = store.now()
    first, second = (
        store.tasks.enqueue(kind, Request(at=now + count * HOUR_US)) for count in hours
    )

    assert (second.id, second.is_new) == (first.id, False)
    assert store.tasks.get(first.id).due_at == now + HOUR_US


def test_requests_that_wait_join_and_lose_no_change(store: Store) -> None:
    now = store.now()
    first = store.tasks.enqueue(JOINED, Request(payload='{"n":"old"}', at=now + 5, priority=7))
    second = store.tasks.enqueue(JOINED, Request(payload='{"n":"new"}', at=now + 2, priority=1))

    assert (second.is_new, second.id) == (False, first.id)
    task = store.tasks.get(first.id)
    assert (task.payload, task.due_at, task.priority) == ('{"n":"new"}', now + 2, 7)


def test_a_request_without_an_expiry_takes_it_from_the_one_it_joins(store: Store) -> None:
    store.tasks.enqueue(JOINED, Request(start_before=store.now() + 5))
    asked = store.tasks.enqueue(JOINED, Request())

    assert store.tasks.get(asked.id).expires_at is None


def test_a_request_while_one_runs_waits_behind_it_once(store: Store) -> None:
    taken(store, JOINED, key="")
    first = store.tasks.enqueue(JOINED, Request(payload='{"n":"a"}'))
    second = store.tasks.enqueue(JOINED, Request(payload='{"n":"b"}'))

    assert first.id == second.id
    assert statuses(store) == ["Running", "Pending"]
    assert store.tasks.get(first.id).payload == '{"n":"b"}'


def test_a_request_sent_again_is_obeyed_once(store: Store) -> None:
    first = store.tasks.enqueue(ASKED, Request(id="r1"))
    finish(store, taken(store, ASKED))
    again = store.tasks.enqueue(ASKED, Request(id="r1"))

    assert (again.is_new, again.id) == (False, first.id)
    assert store.tasks.count() == {"Pending": 1, "Complete": 1}


def test_a_kind_with_a_schedule_is_not_asked_for_without_a_reason(store: Store) -> None:
    with pytest.raises(Exception, match="could touch everyone again"):
        store.tasks.enqueue(DAILY, Request())

    assert store.tasks.enqueue(DAILY, Request(force="lost mails")).is_new
