"""The guard taken from inside a function: the lease that is renewed, and the ways out."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sexton.app.here import Here
from sexton.core.errors import Fenced, StoreError
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Call, Renewed
from sexton.core.task import COMPLETE, Claim, Reason, Result
from sexton.store.guards import StoreGuard
from sexton.work import guard
from sexton.work.guard import Body, Run
from sexton.work.holder import encode_owner, nonce
from sexton.work.owner import Owner
from tests.app.shop import Shop, opened
from tests.work.process_kit import seen

BOUND_S = 60.0
DAILY = Kind(name="nightly", schedule="@daily")
DONE = Result(status=COMPLETE, outcome="done")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from opened(tmp_path)


@pytest.fixture
def here(shop: Shop) -> Here:
    """A place that looks at its lease all the time."""
    made = Here(shop.store)
    made.lease_s = 0.03
    return made


@pytest.fixture
def due(shop: Shop) -> Kind:
    shop.store.kinds.ensure(DAILY)
    shop.travel(days=1)
    return DAILY


def call(here: Here, kind: Kind, body: Body, **options: Any) -> Outcome[Any]:
    return guard.call(here, kind, Call(nonce=nonce(), **options), body)


def await_stop(run: Run) -> Reason:
    """Wait until no more may begin; return why."""
    wait = threading.Event()
    for _ in range(int(BOUND_S / 0.01)):
        if why := run.stop():
            return why
        wait.wait(0.01)
    raise AssertionError("nothing ever stopped it")


def test_a_body_runs_under_a_claim_that_is_its_own(shop: Shop, here: Here, due: Kind) -> None:
    def body(run: Run) -> tuple[Result, str]:
        row = shop.store.tasks.get(run.claim.task)
        assert (row.status, row.claim) == ("Running", run.claim.nonce)
        assert run.stop() == ""
        return DONE, "value"

    outcome = call(here, due, body)

    assert (outcome.code, outcome.value) == ("done", "value")
    assert not [one for one in threading.enumerate() if one.name.startswith("sexton-lease")]


def test_a_lease_is_renewed_at_least_once_in_every_lease(shop: Shop, due: Kind) -> None:
    renewed: list[Claim] = []

    class Counting(Here):
        def renew(self, claim: Claim) -> Renewed:
            renewed.append(claim)
            return super().renew(claim)

    counting = Counting(shop.store)
    counting.lease_s = 0.5
    leases = 0

    def body(_: Run) -> tuple[Result, None]:
        nonlocal leases
        # It is renewed three times as often, so a machine that is slow has room.
        while len(renewed) < 6 and leases < 6:
            threading.Event().wait(counting.lease_s)
            leases += 1
        return DONE, None

    outcome = call(counting, due, body)

    assert outcome.code == "done"
    assert len(renewed) >= leases
    assert shop.ends() == ["Complete"]


def test_an_abort_reaches_a_direct_call_before_its_next_item(
    shop: Shop, here: Here, due: Kind
) -> None:
    def body(run: Run) -> tuple[Result, None]:
        shop.store.tasks.abort(run.claim.task, "ann")
        why = await_stop(run)
        return Result(status="Aborted", reason=why, outcome="stopped"), None

    outcome = call(here, due, body)
    again = call(here, due, lambda run: (DONE, None))  # noqa: ARG005

    assert outcome.code == "failed"
    assert shop.ends() == ["Aborted/administrator"]
    assert again.code == "aborted"
    assert "was ended by a person" in str(again)


def test_a_claim_that_was_taken_away_stops_the_body(shop: Shop, here: Here, due: Kind) -> None:
    def body(run: Run) -> tuple[Result, None]:
        task = shop.store.tasks.get(run.claim.task)
        assert shop.store.sweeps.settle_lost(task, "nobody heard of it")
        await_stop(run)
        raise Fenced("somebody else has it")

    outcome = call(here, due, body)

    assert (outcome.code, outcome.ok) == ("lost", False)
    assert shop.ends() == ["Aborted/lost", "Pending"]


@pytest.mark.parametrize(
    ("kind", "hours", "why"),
    [
        (Kind(name="nightly", schedule="@daily", timeout_us=3_600_000_000), 1, "timed out"),
        (Kind(name="nightly", schedule="@daily", expires_us=7_200_000_000), 2, "expired"),
    ],
)
def test_nothing_begins_after_the_deadline_or_the_expiry(
    shop: Shop, here: Here, kind: Kind, hours: int, why: str
) -> None:
    shop.store.kinds.ensure(kind)
    shop.travel(days=1)
    asked: list[str] = []

    def body(run: Run) -> tuple[Result, None]:
        asked.append(run.stop())
        shop.travel(hours=hours)
        asked.append(run.stop())
        return DONE, None

    call(here, kind, body)

    assert asked == ["", why]


def test_a_dead_callers_lane_is_taken_over_at_once(shop: Shop, here: Here, due: Kind) -> None:
    process = subprocess.Popen(["true"])
    start = seen(process.pid).start
    process.wait()
    owner = Owner.of(
        here.process.host, here.process.boot_id, here.process.pid_ns, process.pid, start
    )
    shop.store.guard(encode_owner(owner)).take(due, Call(nonce=nonce()))

    outcome = call(here, due, lambda run: (DONE, None))  # noqa: ARG005

    assert outcome.code == "done"
    assert "attempt 2" in str(outcome)
    assert shop.ends() == ["Aborted/lost", "Complete"]


def test_a_living_callers_lane_is_respected(shop: Shop, here: Here, due: Kind) -> None:
    shop.store.guard(here.owner).take(due, Call(nonce=nonce()))

    outcome = call(here, due, lambda run: (DONE, None))  # noqa: ARG005

    assert outcome.code == "running"
    assert shop.store.kinds.skips("nightly")[0]["count"] == 1


def test_the_same_call_sent_twice_is_one(shop: Shop, here: Here, due: Kind) -> None:
    asked = Call(nonce=nonce())
    inner: list[Outcome[Any]] = []

    def body(_: Run) -> tuple[Result, None]:
        inner.append(guard.call(here, due, Call(nonce=nonce()), lambda run: (DONE, None)))  # noqa: ARG005
        return DONE, None

    guard.call(here, due, asked, body)

    assert [one.code for one in inner] == ["running"]
    assert shop.ends() == ["Complete"]


class Deaf(Here):
    """A place whose store answers, until the run's end has to be written."""

    def guard(self) -> StoreGuard:
        return _Deaf(self.store.db, self.store.settings, self.owner)


class _Deaf(StoreGuard):
    def finish(self, *_: Any) -> Result | None:
        raise StoreError("no space is left")


def test_an_end_that_cannot_be_written_is_told_and_not_forgotten(
    shop: Shop, here: Here, due: Kind
) -> None:
    with pytest.raises(StoreError, match="no space is left"):
        call(Deaf(shop.store), due, lambda run: (DONE, None))  # noqa: ARG005
    shop.travel(seconds=61)
    again = call(here, due, lambda run: (DONE, None))  # noqa: ARG005

    # The lease has lapsed: it may have happened, and is tried once more.
    assert again.code == "done"
    assert shop.ends() == ["Aborted/lost", "Complete"]


def test_a_lease_that_its_thread_could_not_renew_is_renewed_before_an_item(
    shop: Shop, due: Kind
) -> None:
    over = threading.Event()
    renewed: list[str] = []

    class Slow(Here):
        """A place whose other threads are kept from running."""

        def renew(self, claim: Claim) -> Renewed:
            if threading.current_thread() is not threading.main_thread():
                over.wait(BOUND_S)
            renewed.append(threading.current_thread().name)
            return super().renew(claim)

    slow = Slow(shop.store)
    slow.lease_s = 0.03

    def body(run: Run) -> tuple[Result, None]:
        for _ in range(int(BOUND_S / 0.001)):
            assert run.stop() == ""
            if renewed:
                break
            threading.Event().wait(0.001)
        over.set()
        return DONE, None

    outcome = call(slow, due, body)

    assert outcome.code == "done"
    assert renewed[0] == threading.main_thread().name
