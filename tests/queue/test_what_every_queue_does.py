"""What every queue must do, written once: claim, enter, renew, log, finish."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sexton.core.kind import Kind
from sexton.core.queue import Output, Queue
from sexton.core.settings import Settings
from sexton.core.task import ABORTED, Claim, Result
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.work.holder import encode_leader, encode_owner, nonce
from sexton.work.owner import Owner
from tests.store.kit import ASKED, DONE, FAILED, JOINED, OWNER, lose, statuses, taken

HOUR_US = 3_600_000_000


def ask(store: Store, kind: Kind = ASKED, **request: object) -> int:
    asked = store.tasks.enqueue(kind, Request(**request))  # type: ignore[arg-type]
    return asked.id


def claimed(queue: Queue) -> Claim:
    claim = queue.claim(nonce())
    assert claim is not None
    return claim


# --- claim --------------------------------------------------------------------------------------


def test_an_empty_queue_has_nothing_to_claim(queue: Queue) -> None:
    assert queue.claim(nonce()) is None


def test_a_claim_tells_all_that_a_run_needs(queue: Queue, store: Store) -> None:
    id_ = ask(store, payload='{"image":"a.png"}')

    claim = claimed(queue)

    assert (claim.task, claim.root, claim.kind, claim.target) == (id_, id_, "resize", "any")
    assert (claim.payload, claim.attempt, claim.period) == ('{"image":"a.png"}', 1, "")
    assert claim.deadline_at == store.now() + HOUR_US
    assert store.tasks.get(id_).status == "Running"


def test_a_task_is_claimed_once(queue: Queue, store: Store) -> None:
    ask(store)

    assert queue.claim(nonce()) is not None
    assert queue.claim(nonce()) is None


def test_a_claim_sent_again_answers_the_same(queue: Queue, store: Store) -> None:
    ask(store)
    ask(store)

    first = queue.claim("the same nonce")

    assert queue.claim("the same nonce") == first
    assert statuses(store) == ["Running", "Pending"]


def test_a_nonce_is_forgotten_when_its_task_has_ended(queue: Queue, store: Store) -> None:
    ask(store)
    claim = queue.claim("nonce")
    assert claim is not None
    queue.finish(claim, DONE)

    assert queue.claim("nonce") is None


def test_the_higher_priority_goes_first_then_the_older(queue: Queue, store: Store) -> None:
    plain, urgent, older = ask(store), ask(store, priority=5), ask(store, at=store.now() - 1)

    assert [claimed(queue).task for _ in range(3)] == [urgent, older, plain]


def test_nothing_is_claimed_before_it_is_due(queue: Queue, store: Store, clock: Clock) -> None:
    id_ = ask(store, at=store.now() + HOUR_US)
    assert queue.claim(nonce()) is None
    clock.travel(minutes=59, seconds=59)
    assert queue.claim(nonce()) is None

    clock.travel(seconds=1)

    assert claimed(queue).task == id_


def test_nothing_is_claimed_after_it_expired(queue: Queue, store: Store, clock: Clock) -> None:
    ask(store, start_before=store.now() + HOUR_US)
    clock.travel(hours=1)

    assert queue.claim(nonce()) is None


def test_a_lane_runs_one_at_a_time(queue: Queue, store: Store) -> None:
    kinds = [Kind(name=name, lane="disk") for name in ("backup", "vacuum")]
    first, second = (ask(store, kind) for kind in kinds)

    claim = claimed(queue)
    assert claim.task == first
    assert queue.claim(nonce()) is None
    queue.finish(claim, DONE)

    assert claimed(queue).task == second


def test_a_busy_lane_holds_up_no_other(queue: Queue, store: Store) -> None:
    ask(store, Kind(name="backup", lane="disk"))
    ask(store, Kind(name="vacuum", lane="disk", priority=9))
    other = ask(store)
    claimed(queue)

    assert claimed(queue).task == other


def test_requests_of_one_key_run_one_after_another(queue: Queue, store: Store) -> None:
    ask(store, JOINED)
    claim = claimed(queue)
    behind = ask(store, JOINED)

    assert queue.claim(nonce()) is None
    queue.finish(claim, DONE)

    assert claimed(queue).task == behind


def test_a_kind_that_is_gone_is_claimed_by_nobody(queue: Queue, store: Store) -> None:
    ask(store)
    store.kinds.sync([])

    assert queue.claim(nonce()) is None


def test_a_machine_claims_no_more_than_it_may_run(queue: Queue, store: Store) -> None:
    for _ in range(store.settings.parallel + 1):
        ask(store)

    claims = [queue.claim(nonce()) for _ in range(store.settings.parallel + 1)]

    assert [claim is not None for claim in claims] == [True] * store.settings.parallel + [False]


def test_what_runs_in_its_callers_own_process_takes_no_place_of_a_ticks(
    queue: Queue, store: Store
) -> None:
    for _ in range(store.settings.parallel):
        taken(store, ASKED)
    id_ = ask(store)

    assert claimed(queue).task == id_
    assert statuses(store).count("Running") == store.settings.parallel + 1


def test_what_has_a_process_of_its_own_takes_a_place_also_after_it_began(
    queue: Queue, store: Store
) -> None:
    for _ in range(store.settings.parallel):
        ask(store)
        assert queue.enter(claimed(queue), encode_leader(1234, 5678))
    ask(store)

    assert queue.claim(nonce()) is None


def test_how_many_run_is_counted_for_each_machine(queue: Queue, store: Store) -> None:
    there = store.queue(encode_owner(Owner.of("another-machine", *Owner.here()[1:])))
    for _ in range(store.settings.parallel + 1):
        ask(store)
    for _ in range(store.settings.parallel):
        assert there.claim(nonce()) is not None
    assert there.claim(nonce()) is None

    claim = claimed(queue)

    assert store.tasks.get(claim.task).owner == OWNER


def test_a_row_for_another_server_is_not_ours(
    queue_for: Callable[[str], Queue], store: Store
) -> None:
    ask(store)
    store.db.run("UPDATE task SET target = 'child-1'")

    assert queue_for("child-2").claim(nonce()) is None
    assert queue_for("child-1").claim(nonce()) is not None


# --- enter, renew, log --------------------------------------------------------------------------


def test_a_claim_that_never_entered_is_lost_without_counting(queue: Queue, store: Store) -> None:
    ask(store)
    for attempt in range(1, 5):
        claim = claimed(queue)
        assert claim.attempt == attempt
        lose(store, claim)

    assert statuses(store) == ["Aborted/lost"] * 4 + ["Pending"]


def test_a_claim_that_entered_is_made_good_once(queue: Queue, store: Store) -> None:
    ask(store)
    for _ in range(2):
        claim = claimed(queue)
        assert queue.enter(claim, "")
        lose(store, claim)

    assert statuses(store) == ["Aborted/lost", "Aborted/lost"]
    assert [row["code"] for row in store.tasks.notices()] == ["lost"]


def test_enter_may_be_sent_twice(queue: Queue, store: Store, clock: Clock) -> None:
    ask(store)
    claim = claimed(queue)
    entered_at = store.now()

    assert queue.enter(claim, "")
    clock.travel(seconds=5)
    assert queue.enter(claim, "")
    assert store.tasks.get(claim.task).entered_at == entered_at


def test_a_lease_that_is_renewed_holds(queue: Queue, store: Store, clock: Clock) -> None:
    ask(store)
    claim = claimed(queue)
    for _ in range(10):
        clock.travel(seconds=store.settings.lease_s / 2)
        assert queue.renew([claim])[0].holds

    lease_at = store.tasks.get(claim.task).lease_at

    assert lease_at is not None
    assert lease_at > store.now()


def test_a_fresh_lease_is_not_written_again(queue: Queue, store: Store, clock: Clock) -> None:
    ask(store)
    claim = claimed(queue)
    before = store.tasks.get(claim.task)
    clock.travel(seconds=1)

    assert queue.renew([claim])[0].holds
    assert store.tasks.get(claim.task) == before


def test_a_lease_is_written_again_when_a_third_of_it_is_gone(
    queue: Queue, store: Store, clock: Clock
) -> None:
    ask(store)
    claim = claimed(queue)
    before = store.tasks.get(claim.task).lease_at
    clock.travel(seconds=store.settings.lease_s / 3)
    queue.renew([claim])
    assert store.tasks.get(claim.task).lease_at == before

    clock.travel(seconds=1)
    queue.renew([claim])

    assert store.tasks.get(claim.task).lease_at == store.now() + store.settings.lease_us


def test_a_renewal_tells_each_claim_of_its_end(queue: Queue, store: Store, clock: Clock) -> None:
    ask(store)
    ask(store)
    held, settled = claimed(queue), claimed(queue)
    store.tasks.abort(held.task, "ann", "wrong picture")
    lose(store, settled)

    for _ in range(2):  # with leases that are fresh, and with leases that are written anew
        first, second = queue.renew([held, settled])
        assert (first.holds, first.abort_by) == (True, "aborted by ann: wrong picture")
        assert (second.holds, second.abort_by) == (False, "")
        clock.travel(seconds=Settings().lease_s / 2)


def test_output_is_replaced_by_later_output(queue: Queue, store: Store) -> None:
    ask(store)
    claim = claimed(queue)
    queue.log(claim, Output(b"one", b"", 0))
    queue.log(claim, Output(b"one", b"\xff\x00", 7))

    assert store.tasks.output(claim.task) == Output(b"one", b"\xff\x00", 7)


# --- finish -------------------------------------------------------------------------------------


def test_finish_sent_twice_answers_the_same(queue: Queue, store: Store) -> None:
    ask(store)
    claim = claimed(queue)

    assert queue.finish(claim, DONE, Output(b"hello", b"", 0))
    before = store.tasks.get(claim.task)
    assert queue.finish(claim, DONE, Output(b"hello", b"", 0))
    assert store.tasks.get(claim.task) == before
    assert store.tasks.output(claim.task).head == b"hello"
    assert store.tasks.late(claim.task) == []


def test_a_failure_sent_twice_is_retried_once(queue: Queue, store: Store) -> None:
    kind = Kind(name="flaky", retry=Kind(name="x").retry.__class__(3, HOUR_US, True))
    ask(store, kind)
    claim = claimed(queue)
    queue.enter(claim, "")

    assert queue.finish(claim, FAILED)
    assert queue.finish(claim, FAILED)
    assert statuses(store) == ["Aborted/failed", "Pending"]


def test_an_end_cannot_be_changed_by_another_report(queue: Queue, store: Store) -> None:
    ask(store)
    claim = claimed(queue)
    queue.finish(claim, DONE)

    assert not queue.finish(claim, FAILED)
    assert statuses(store) == ["Complete"]
    assert "finished late as Aborted/failed" in store.tasks.late(claim.task)[0][1]


def test_a_zombie_cannot_finish_a_task_that_was_swept(
    queue: Queue, store: Store, clock: Clock
) -> None:
    ask(store, JOINED)
    claim = claimed(queue)
    clock.travel(minutes=61)
    lose(store, claim)

    assert not queue.finish(claim, DONE, Output(b"too late", b"", 0))
    assert not queue.enter(claim, "")
    assert not queue.renew([claim])[0].holds
    assert store.tasks.count() == {"Aborted": 1, "Pending": 1}
    assert store.tasks.output(claim.task).head == b""


def test_a_zombie_cannot_touch_the_attempt_that_followed(queue: Queue, store: Store) -> None:
    ask(store, JOINED)
    zombie = claimed(queue)
    lose(store, zombie)
    follower = claimed(queue)

    assert not queue.finish(zombie, FAILED)
    assert queue.finish(follower, DONE)
    assert statuses(store) == ["Aborted/lost", "Complete"]


def test_what_a_zombie_reports_is_kept_once_however_often_it_comes(
    queue: Queue, store: Store
) -> None:
    ask(store)
    claim = claimed(queue)
    lose(store, claim)

    assert not queue.finish(claim, DONE)
    assert not queue.finish(claim, DONE)
    assert [text for _, text in store.tasks.late(claim.task)] == [
        "finished late as Complete: returned"
    ]


def test_a_report_of_an_unknown_task_changes_nothing(queue: Queue, store: Store) -> None:
    ask(store)
    claim = claimed(queue)
    queue.finish(claim, DONE)
    store.db.run("DELETE FROM task")

    assert not queue.finish(claim, DONE)
    assert store.tasks.count() == {}


@pytest.mark.parametrize("reason", ["failed", "timed out", "lost", "administrator"])
def test_each_reason_ends_a_task_as_it_is_told(queue: Queue, store: Store, reason: str) -> None:
    ask(store)
    claim = claimed(queue)
    queue.enter(claim, "")

    result = Result(status=ABORTED, reason=reason, outcome="why", counts={"done": 3})  # type: ignore[arg-type]

    assert queue.finish(claim, result)
    task = store.tasks.get(claim.task)
    assert (task.status, task.reason, task.outcome) == (ABORTED, reason, "why")
    assert task.counts == '{"done":3}'


# --- abort --------------------------------------------------------------------------------------


def test_a_task_that_waits_is_aborted_at_once(queue: Queue, store: Store) -> None:
    id_ = ask(store)

    store.tasks.abort(id_, "ann")

    assert queue.claim(nonce()) is None
    assert statuses(store) == ["Aborted/administrator"]


def test_a_task_whose_end_was_asked_for_and_whose_owner_died_is_not_retried(
    queue: Queue, store: Store
) -> None:
    ask(store)
    claim = claimed(queue)
    queue.enter(claim, "")
    store.tasks.abort(claim.task, "ann")

    lose(store, claim)

    assert statuses(store) == ["Aborted/administrator"]
    assert store.tasks.get(claim.task).outcome == "aborted by ann"


def test_a_final_task_is_left_as_it_is_by_an_abort(queue: Queue, store: Store) -> None:
    ask(store)
    claim = claimed(queue)
    queue.finish(claim, DONE)
    before = store.tasks.get(claim.task)

    assert store.tasks.abort(claim.task, "ann") == before


def test_the_owner_is_written_where_the_sweep_can_read_it(queue: Queue, store: Store) -> None:
    ask(store)

    assert store.tasks.get(claimed(queue).task).owner == OWNER
