"""The idle tick's one look: quiet only when nothing at all needs a full tick."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sexton.store import idle, outbox
from sexton.store.sql import Queries
from sexton.store.sqlite import NEWEST
from sexton.store.store import Store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock
from tests.store.kit import ASKED, DAILY, finish, rows, taken

HOUR_US = 3_600_000_000


def is_quiet(store: Store) -> bool:
    return idle.look(store.db.path) is not None


def test_a_quiet_store_is_marked_and_left(store: Store) -> None:
    assert is_quiet(store)
    assert [(row["name"], row["at"]) for row in rows(store, "SELECT * FROM mark")] == [
        ("tick", store.now())
    ]


def test_what_lies_in_the_future_is_quiet_until_then(store: Store, clock: Clock) -> None:
    store.kinds.ensure(DAILY)
    store.tasks.enqueue(ASKED, Request(at=store.now() + 20 * HOUR_US))
    assert is_quiet(store)

    clock.travel(hours=19, minutes=30)

    assert not is_quiet(store)


def ask(store: Store) -> None:
    store.tasks.enqueue(ASKED, Request())


def run(store: Store) -> None:
    taken(store, ASKED)


def expire(store: Store) -> None:
    too_late = Request(at=store.now() + HOUR_US, start_before=store.now())
    store.kinds.ensure(ASKED)
    with store.db.transaction():
        store.tasks.enqueue_within(ASKED, too_late, store.now())


def change_a_source(store: Store) -> None:
    store.meta.put(sources=f"1 1 {store.db.path}")


def lose_a_source(store: Store) -> None:
    store.meta.put(sources="1 1 /no/such/file.py")


def go_back(store: Store) -> None:
    store.rounds.mark_tick("host-a")
    Clock(lambda: store).travel(hours=-1)


def be_seen_first_by_a_clock_ahead(store: Store) -> None:
    Clock(lambda: store).travel(days=3650)
    store.kinds.ensure(DAILY)
    Clock(lambda: store).travel(days=-3650)


def be_asked_by_a_clock_ahead(store: Store) -> None:
    Clock(lambda: store).travel(days=3650)
    ask(store)
    Clock(lambda: store).travel(days=-3650)


def be_asked_by_a_clock_ahead_and_then_used(store: Store) -> None:
    be_asked_by_a_clock_ahead(store)
    finish(store, taken(store, DAILY, force="a newer row"))


def fill_an_outbox(store: Store) -> None:
    shop = sqlite3.connect(Path(store.db.path).with_name("shop.db"))
    store.outboxes.register(outbox.path_of(shop, store.db.path))
    outbox.write(shop, ASKED, Request(id="r1"))
    shop.commit()
    shop.close()


def be_newer(store: Store) -> None:
    store.db.pragma("user_version", NEWEST + 1)


@pytest.mark.parametrize(
    "happen",
    [
        ask,
        run,
        expire,
        change_a_source,
        lose_a_source,
        go_back,
        be_seen_first_by_a_clock_ahead,
        be_asked_by_a_clock_ahead,
        be_asked_by_a_clock_ahead_and_then_used,
        fill_an_outbox,
        be_newer,
    ],
)
def test_whatever_happens_calls_for_a_full_tick(
    store: Store, happen: Callable[[Store], None]
) -> None:
    assert is_quiet(store)

    happen(store)

    assert not is_quiet(store)


def test_a_drained_outbox_is_quiet_again(store: Store) -> None:
    store.kinds.ensure(ASKED)
    fill_an_outbox(store)
    store.outboxes.drain()
    store.tasks.abort(1, "ann")
    store.outboxes.drain()

    assert is_quiet(store)


def test_a_store_that_is_not_there_is_left_to_the_full_tick(tmp_path: Path) -> None:
    assert idle.look(str(tmp_path / "sexton.db")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_look_takes_the_same_path_however_long_the_history_is(store: Store) -> None:
    plans = [
        row["detail"] for row in rows(store, "EXPLAIN QUERY PLAN " + Queries("idle").look, now=0)
    ]

    assert not [plan for plan in plans if plan.startswith("SCAN task") and "INDEX" not in plan]
