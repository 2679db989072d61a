"""`why` and `status`: what a kind waits for, did last, skipped, and whom it left in doubt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sexton import Sexton
from sexton.core.errors import UnknownKind
from sexton.core.ledger import Wanted
from sexton.core.queue import Call, Taken
from sexton.work.holder import encode_owner, nonce
from sexton.work.owner import Owner
from tests.app.shop import Shop


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


def test_why_tells_a_schedule_and_its_coming_period(shop: Shop, app: Sexton) -> None:
    @app.task(schedule="30 7 * * *", tz="Europe/London", retry="30m x 3")
    def morning() -> None: ...

    shop.store.kinds.ensure(morning.kind)

    [line] = morning.why().splitlines()

    assert line == (
        "morning runs at 07:30 every day, Europe/London time (30 7 * * *);"
        " next period 2026-01-01T07:30; known since 00:00:00; retry: 30 min x 3"
    )


def test_why_tells_what_was_done_and_what_was_not(shop: Shop, app: Sexton) -> None:
    @app.task(schedule="@daily", retry="1h x 2")
    def nightly() -> None:
        raise OSError("down")

    shop.store.kinds.ensure(nightly.kind)
    shop.travel(days=1)
    with pytest.raises(OSError, match="down"):
        nightly()
    waiting = nightly.why()
    shop.travel(hours=1)
    with pytest.raises(OSError, match="down"):
        nightly()
    for _ in range(3):
        nightly()
    after = nightly.why().splitlines()

    assert "waits for period 2026-01-02T00:00 until 01:00:00, attempt 2" in waiting
    assert any("attempt 2: Aborted/failed at 01:00:00: OSError: down" in one for one in after)
    assert any(one.startswith("3 calls, the last at 01:00:00: skipped: all 2") for one in after)
    assert any(one.startswith("alert at 01:00:00: nightly: period 2026-01-02") for one in after)


def test_why_tells_what_runs_and_who_asked_for_its_end(shop: Shop, app: Sexton) -> None:
    said: list[str] = []

    @app.task(key="")
    def rebuild() -> None:
        [task] = shop.store.tasks.newest(kind="rebuild", status="Running")
        shop.store.tasks.abort(task.id, "ann", "wrong branch")
        said.append(rebuild.why())

    rebuild()

    assert "runs since 00:00:00 on" in said[0]
    assert "its end was asked for: aborted by ann: wrong branch" in said[0]


def test_why_names_the_way_to_settle_what_is_in_doubt(shop: Shop, app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[str]:
        return ["a", "b"]

    letters.each(key=str)(lambda thing: None)  # noqa: ARG005
    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    owner = encode_owner(Owner.here())
    taken = shop.store.guard(owner).take(letters.kind, Call(nonce=nonce()))
    assert isinstance(taken, Taken)
    shop.store.ledger(letters.kind, taken.claim).advance([], [Wanted("a")])
    shop.store.sweeps.settle_lost(taken.task, "it died")

    outcome = letters()

    assert outcome.counts == {"done": 1, "parked": 1, "planned": 2}
    assert "sexton settle letters KEY done|failed|retry" in letters.why()
    assert letters.status().in_doubt == 1


def test_a_status_counts_and_shows_the_last(shop: Shop, app: Sexton) -> None:
    @app.task(schedule="@daily")
    def nightly() -> None:
        """Tidy up."""

    shop.store.kinds.ensure(nightly.kind)
    shop.travel(days=1)
    nightly()
    nightly()
    nightly()
    status = nightly.status()

    assert (status.summary, status.schedule) == ("Tidy up.", "@daily")
    assert status.next_period == "2026-01-03T00:00"
    assert status.last is not None
    assert status.last.status == "Complete"
    assert (status.running, status.waiting, status.in_doubt) == ([], [], 0)
    assert status.skips == {"complete": 2}
    assert not status.is_gone


def test_a_kind_that_is_gone_says_so_and_keeps_its_history(shop: Shop, app: Sexton) -> None:
    @app.task(schedule="@daily")
    def nightly() -> None: ...

    shop.store.kinds.ensure(nightly.kind)
    shop.travel(days=1)
    nightly()
    shop.store.kinds.sync([])

    assert "nightly is no longer declared since 2026-01-02T00:00:00Z" in nightly.why()
    assert "Complete" in nightly.why()
    assert nightly.status().is_gone


@pytest.mark.parametrize("ask", ["why", "status"])
def test_an_unregistered_kind_is_named_with_what_comes_near(
    shop: Shop, app: Sexton, ask: str
) -> None:
    @app.task
    def nightly() -> None: ...

    @app.task
    def nightl() -> None: ...

    shop.store.kinds.ensure(nightly.kind)

    with pytest.raises(UnknownKind) as refused:
        getattr(nightl, ask)()

    assert refused.value.hint.startswith("Did you mean nightly? A new kind is registered by")
