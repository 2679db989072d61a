"""How rows end that their owner will not end, and who is told."""

from __future__ import annotations

import msgspec

from sexton.core import retry
from sexton.core.kind import Kind
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.store.kit import (
    ASKED,
    DONE,
    FAILED,
    JOINED,
    OWNER,
    PLAN,
    begin,
    finish,
    ledger_of,
    lose,
    rows,
    statuses,
    taken,
)

REBOOT = Kind(name="reboot", key="", ends_with_reboot=True)


def test_a_lost_task_is_made_good_at_once_and_then_an_alert_is_given_once(store: Store) -> None:
    lose(store, taken(store, ASKED))
    second = store.queue(OWNER).claim(nonce())
    assert second is not None
    store.queue(OWNER).enter(second, "")
    lose(store, second)

    assert statuses(store) == ["Aborted/lost", "Aborted/lost"]
    (notice,) = store.tasks.notices()
    assert notice["text"].startswith("resize: task 1 ended Aborted/lost after all 2 attempts: ")
    assert notice["task"] == second.task


def test_what_is_lost_waits_for_no_pause_however_long_it_is_declared(store: Store) -> None:
    kind = msgspec.structs.replace(ASKED, retry=retry.parse("10m x 3"))
    store.tasks.enqueue(kind, Request())
    queue = store.queue(OWNER)
    first = queue.claim(nonce())
    assert first is not None
    queue.enter(first, "")
    lose(store, first)

    second = queue.claim(nonce())

    assert second is not None
    assert second.attempt == 2


def test_retries_wait_their_delay_and_the_last_failure_alerts_once(
    store: Store, clock: Clock
) -> None:
    kind = msgspec.structs.replace(ASKED, retry=retry.parse("10m x 3"))
    store.tasks.enqueue(kind, Request())
    queue = store.queue(OWNER)
    for attempt in (1, 2, 3):
        assert store.tasks.notices() == []
        claim = queue.claim(nonce())
        assert claim is not None
        assert claim.attempt == attempt
        queue.enter(claim, "")
        queue.finish(claim, FAILED)
        assert queue.claim(nonce()) is None
        clock.travel(minutes=10)

    assert statuses(store) == ["Aborted/failed"] * 3
    assert [(row["retry_of"], row["root"]) for row in rows(store)] == [(None, 1), (1, 1), (2, 1)]
    assert [notice["name"] for notice in store.tasks.notices()] == ["failed:1"]


def test_what_waits_behind_a_lost_task_is_its_next_attempt_and_no_alert(store: Store) -> None:
    plain = msgspec.structs.replace(JOINED, retry=retry.parse("1s x 3"))
    claim = taken(store, plain, key="")
    store.tasks.enqueue(plain, Request(payload='{"n":"newer"}'))
    finish(store, claim, FAILED)

    assert statuses(store) == ["Aborted/failed", "Pending"]
    assert store.tasks.notices() == []
    assert store.tasks.newest(status="Pending")[0].payload == '{"n":"newer"}'


def test_a_claim_that_never_begins_is_given_up_after_a_bound(store: Store) -> None:
    store.tasks.enqueue(ASKED, Request())
    for _ in range(retry.NEVER_BEGUN_MAX + 5):
        claim = store.queue(OWNER).claim(nonce())
        if claim is None:
            break
        lose(store, claim)

    assert len(statuses(store)) == retry.NEVER_BEGUN_MAX
    assert len(store.tasks.notices()) == 1


def test_a_reboot_completes_what_ends_with_it(store: Store) -> None:
    claim = taken(store, REBOOT, key="")
    task = store.tasks.get(claim.task)
    assert store.sweeps.ends_with_reboot(task)

    settled = store.sweeps.settle_rebooted(task)

    assert settled is not None
    assert (settled.status, settled.outcome) == ("Complete", "completed by the reboot")
    assert not store.sweeps.ends_with_reboot(store.tasks.get(taken(store, ASKED).task))
    assert statuses(store, "reboot") == ["Complete"]


def test_a_verdict_about_a_claim_that_moved_on_changes_nothing(store: Store) -> None:
    claim = taken(store, ASKED)
    seen = store.tasks.get(claim.task)
    finish(store, claim, DONE)

    assert store.sweeps.settle_lost(seen, "it looked dead") is None
    assert statuses(store) == ["Complete"]


def test_a_suspicion_is_remembered_since_its_first_moment_until_it_is_dropped(
    store: Store, clock: Clock
) -> None:
    assert store.sweeps.suspected_since() is None
    since = store.sweeps.suspect()
    clock.travel(minutes=5)

    assert store.sweeps.suspect() == since == store.sweeps.suspected_since()
    store.sweeps.trust()
    assert store.sweeps.suspected_since() is None


def test_what_is_gone_from_the_table_is_settled_without_a_retry(store: Store) -> None:
    claim = taken(store, ASKED)
    store.db.run("DELETE FROM kind")

    lose(store, claim)

    assert statuses(store) == ["Aborted/lost"]


def test_an_alert_asks_for_its_delivery_where_somebody_wants_to_hear(store: Store) -> None:
    store.meta.put(notify="yes")
    finish(store, taken(store, ASKED), FAILED)

    (task,) = store.tasks.newest(status="Pending")
    assert (task.kind, task.asked_by) == ("sexton.notify", "alert")
    assert '"code":"failed"' in task.payload


def test_what_is_sent_back_and_fails_again_is_an_alert_of_its_own(
    store: Store, clock: Clock
) -> None:
    plan = msgspec.structs.replace(PLAN, retry=retry.Retry())
    store.kinds.ensure(plan)
    clock.travel(hours=20)
    first = taken(store, plan)
    begin(ledger_of(store, plan, first), "ann")
    lose(store, first)
    second = taken(store, plan)
    begin(ledger_of(store, plan, second), "ann")
    finish(store, second, FAILED)
    store.items.settle(plan.name, "ann", "retry", "eve")
    queue = store.queue(OWNER)
    again = queue.claim(nonce())
    assert again is not None
    queue.enter(again, "")
    queue.finish(again, FAILED)

    assert [row["name"] for row in store.tasks.notices()] == [
        f"failed:{first.task}:{again.period}",
        f"failed:{first.task}",
    ]
