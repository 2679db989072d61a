"""The promises are constraints: the database itself refuses, whatever the code above it does."""

from __future__ import annotations

from typing import Any

import pytest

from sexton.core.errors import SextonError
from sexton.store.sqlite import Refusal
from sexton.store.store import Store
from tests.store.kit import ASKED, DONE, finish, taken

ROW: dict[str, Any] = {
    "kind": "daily", "target": "any", "key": "", "period": "", "lane": "a lane",
    "status": "Pending", "reason": "", "attempt": 1, "root": 1, "due_at": 0, "asked_at": 0,
    "started_at": None, "ended_at": None, "lease_at": None, "claim": "",
}  # fmt: skip
PENDING: dict[str, Any] = {}
RUNNING = {"status": "Running", "started_at": 1, "lease_at": 2, "claim": "c"}
COMPLETE = {"status": "Complete", "started_at": 1, "ended_at": 2}
ABORTED = {"status": "Aborted", "reason": "failed", "ended_at": 2}
PERIOD = {"period": "2026-03-02T07:30"}


def insert(store: Store, *parts: dict[str, Any], **more: Any) -> None:
    row = ROW | {name: value for part in parts for name, value in part.items()} | more
    if row["status"] == "Complete":
        row["nth_success"] = store.tasks.count().get("Complete", 0) + 1
    names = ", ".join(row)
    store.db.run(
        f"INSERT INTO task ({names}) VALUES ({', '.join(':' + name for name in row)})", row
    )


@pytest.mark.parametrize("first", [PENDING, RUNNING, COMPLETE], ids=["waits", "runs", "is done"])
@pytest.mark.parametrize("second", [PENDING, RUNNING, COMPLETE], ids=["wait", "run", "be done"])
def test_a_period_has_at_most_one_row_that_is_not_aborted(
    store: Store, first: dict[str, Any], second: dict[str, Any]
) -> None:
    insert(store, PERIOD, first)

    with pytest.raises(Refusal, match=r"task\.period"):
        insert(store, PERIOD, second, attempt=2, lane="another")


@pytest.mark.parametrize(
    "other", [{"target": "child-1"}, {"kind": "x"}, {"key": "k"}, {"period": "p"}]
)
def test_a_period_is_one_of_its_target_kind_and_key(store: Store, other: dict[str, Any]) -> None:
    insert(store, PERIOD, COMPLETE)
    insert(store, PERIOD, COMPLETE, **other)

    assert store.tasks.count() == {"Complete": 2}


def test_an_aborted_attempt_leaves_room_for_the_next(store: Store) -> None:
    insert(store, PERIOD, ABORTED)
    insert(store, PERIOD, RUNNING, attempt=2)

    assert store.tasks.count() == {"Aborted": 1, "Running": 1}


def test_two_triggers_cannot_both_make_the_same_attempt(store: Store) -> None:
    insert(store, PERIOD, ABORTED)

    with pytest.raises(Refusal, match=r"task\.attempt"):
        insert(store, PERIOD, ABORTED)


def test_two_requests_of_one_key_cannot_both_wait(store: Store) -> None:
    insert(store, PENDING)

    with pytest.raises(Refusal, match=r"task\.key"):
        insert(store, PENDING)


def test_a_request_may_wait_behind_one_that_runs(store: Store) -> None:
    insert(store, RUNNING)
    insert(store, PENDING)

    assert store.tasks.count() == {"Running": 1, "Pending": 1}


def test_two_cannot_run_in_one_lane(store: Store) -> None:
    insert(store, RUNNING, kind="backup")

    with pytest.raises(Refusal, match=r"task\.lane"):
        insert(store, RUNNING, kind="vacuum")


def test_a_waiting_row_cannot_begin_in_a_busy_lane(store: Store) -> None:
    insert(store, RUNNING, kind="backup")
    insert(store, PENDING, kind="vacuum")

    with pytest.raises(Refusal, match=r"task\.lane"):
        store.db.run(
            "UPDATE task SET status = 'Running', started_at = 1, lease_at = 2, claim = 'd'"
            " WHERE status = 'Pending'"
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "Waiting"},
        {"status": "Aborted", "ended_at": 1},
        {"reason": "failed"},
        {"reason": "bored", "status": "Aborted", "ended_at": 1},
        {"ended_at": 1},
        {"status": "Complete", "started_at": 1},
        {"status": "Complete", "ended_at": 1},
        {"status": "Running", "started_at": 1, "lease_at": 2},
        {"status": "Running", "started_at": 1, "claim": "c"},
        {"status": "Running", "lease_at": 1, "claim": "c"},
        {"started_at": 1},
        {"claim": "c"},
        {"kind": ""},
        {"target": ""},
        {"lane": ""},
        {"attempt": 0},
        {"key": None},
        {"period": None},
        {"due_at": "tomorrow"},
    ],
    ids=str,
)
def test_a_row_that_contradicts_itself_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(SextonError):
        insert(store, wrong)


@pytest.mark.parametrize("final", [COMPLETE, ABORTED], ids=["Complete", "Aborted"])
@pytest.mark.parametrize("change", ["status = 'Running'", "outcome = 'other'", "counts = '{}'"])
def test_a_final_row_is_never_changed(store: Store, final: dict[str, Any], change: str) -> None:
    insert(store, final)

    with pytest.raises(SextonError, match="a final task is never changed"):
        store.db.run(f"UPDATE task SET {change}")


def test_a_running_row_never_goes_back(store: Store) -> None:
    insert(store, RUNNING)

    with pytest.raises(SextonError, match="never goes back to Pending"):
        store.db.run("UPDATE task SET status = 'Pending', started_at = NULL, claim = ''")


def test_a_row_that_waits_is_not_complete_before_it_ran(store: Store) -> None:
    insert(store, PENDING)

    with pytest.raises(SextonError, match="not Complete before it ran"):
        store.db.run("UPDATE task SET status = 'Complete', started_at = 1, ended_at = 2")


@pytest.mark.parametrize("live", [PENDING, RUNNING], ids=["Pending", "Running"])
def test_a_live_row_is_not_deleted(store: Store, live: dict[str, Any]) -> None:
    insert(store, live)

    with pytest.raises(SextonError, match="a live task is not deleted"):
        store.db.run("DELETE FROM task")


def test_an_id_is_never_used_again(store: Store) -> None:
    claim = taken(store, ASKED)
    finish(store, claim, DONE)
    store.db.run("DELETE FROM task")

    assert taken(store, ASKED).task == claim.task + 1


def test_an_item_is_in_a_scope_once(store: Store) -> None:
    store.db.run("INSERT INTO scope (kind, target, key, name) VALUES ('k', 'any', '', 'p')")
    item = (
        "INSERT INTO item (scope, key, status, task, kind, begun_at)"
        " VALUES (1, 'ann', 'Begun', 1, 'k', 0)"
    )
    store.db.run(item)

    with pytest.raises(Refusal):
        store.db.run(item)
    store.db.run("DELETE FROM item")


def test_a_slot_of_a_cap_is_taken_once(store: Store) -> None:
    slot = "INSERT INTO slot VALUES ('mail', 'ann', '2026-03-02', 1, 1, 'k')"
    store.db.run(slot)

    with pytest.raises(Refusal):
        store.db.run(slot)
    store.db.run("DELETE FROM slot")


def test_what_was_settled_stays_settled_when_it_is_settled_again(store: Store) -> None:
    seen = store.tasks.get(taken(store, ASKED).task)
    assert store.sweeps.settle_lost(seen, "it died") is not None

    assert store.sweeps.settle_lost(seen, "it died") is None
