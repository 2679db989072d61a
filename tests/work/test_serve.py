"""Serving a plan: each item once, one commit an item, and nobody left out on any way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sexton import Item, Permanent, Sexton
from sexton.core.errors import DeclarationError, Fenced, StoreError
from sexton.core.kind import Kind
from sexton.core.ledger import Begun, Ended, Wanted
from sexton.core.retry import Retry
from sexton.core.task import Claim
from sexton.store.ledger import StoreLedger
from sexton.work.effect import Effect, takes_item
from sexton.work.holder import encode_owner, nonce
from sexton.work.owner import Owner
from sexton.work.serve import Serving
from tests.app.shop import Shop, opened

KIND = Kind(name="letters", family="plan", schedule="0 0 * * *", retry=Retry(9, 0, True))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from opened(tmp_path)


@pytest.fixture(params=[1, 4], ids=["one by one", "four at once"])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


class Attempts:
    """Attempts at the plan `letters`, each by a claim of its own."""

    def __init__(self, shop: Shop, policy: str = "park", probe: Any = None) -> None:
        self.store = shop.store
        self.shop = shop
        self.kind = msgspec.structs.replace(KIND, in_doubt=policy)
        self.probe = probe
        self.done: list[str] = []
        self.store.kinds.ensure(self.kind)
        shop.travel(days=1)
        self.store.rounds.schedule()

    def claim(self) -> Claim:
        owner = encode_owner(Owner.here())
        claim = self.store.queue(owner).claim(nonce())
        assert claim is not None
        assert self.store.queue(owner).enter(claim, "")
        return claim

    def ledger(self, claim: Claim) -> StoreLedger:
        return self.store.ledger(self.kind, claim)

    def die(self, claim: Claim) -> None:
        """Settle an attempt as its owner's death would be."""
        task = self.store.tasks.get(claim.task)
        assert self.store.sweeps.settle_lost(task, "it died") is not None

    def serve(
        self,
        claim: Claim,
        plan: Callable[[], Iterable[Any]],
        *,
        width: int = 1,
        do: Callable[[Any], None] = lambda _: None,
        stop: Callable[[], Any] = lambda: "",
        ledger: Any = None,
        **options: Any,
    ) -> Any:
        def function(thing: Any, item: Item) -> None:
            do(thing)
            self.done.append(item.key)

        effect = Effect(function, str, True, width=width, probe=self.probe, **options)
        return Serving(claim, effect, ledger or self.ledger(claim), stop=stop).run(plan)

    def statuses(self) -> dict[str, str]:
        return self.store.items.statuses("letters", "2026-01-02T00:00")


# --- nobody twice, nobody left out ---


def test_each_item_is_done_once_and_counted(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)

    result = attempts.serve(attempts.claim(), lambda: range(20), width=width)

    assert result.is_ok
    assert result.counts == {"done": 20, "planned": 20}
    assert Counter(attempts.done) == Counter(map(str, range(20)))
    assert set(attempts.statuses().values()) == {"Done"}


@pytest.mark.parametrize("doubtful", [1, 3, 4, 5, 9])
def test_a_crowd_in_doubt_at_the_front_hides_nobody_behind_it(
    shop: Shop, width: int, doubtful: int
) -> None:
    attempts = Attempts(shop)
    first = attempts.claim()
    attempts.ledger(first).advance([], [Wanted(str(key)) for key in range(doubtful)])
    attempts.die(first)

    result = attempts.serve(attempts.claim(), lambda: range(12), width=width)

    assert result.counts == {"parked": doubtful, "done": 12 - doubtful, "planned": 12}
    assert sorted(map(int, attempts.done)) == list(range(doubtful, 12))


def test_a_key_that_the_plan_yields_twice_is_served_once(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)

    result = attempts.serve(attempts.claim(), lambda: [1, 2, 1, 2, 2, 3], width=width)

    assert result.counts == {"done": 3, "planned": 6, "twice": 3}
    assert sorted(attempts.done) == ["1", "2", "3"]


def test_a_later_attempt_skips_what_is_done_and_tries_again_what_failed(
    shop: Shop, width: int
) -> None:
    attempts = Attempts(shop)

    def one_is_down(thing: int) -> None:
        if thing == 3:
            raise ConnectionError("the server went away")

    claim = attempts.claim()
    first = attempts.serve(claim, lambda: range(6), width=width, do=one_is_down)
    attempts.store.queue(encode_owner(Owner.here())).finish(claim, first)
    second = attempts.serve(attempts.claim(), lambda: range(6), width=width)

    assert (first.status, first.reason) == ("Aborted", "failed")
    assert first.counts == {"done": 5, "failed": 1, "planned": 6}
    assert second.counts == {"before": 5, "done": 1, "planned": 6}
    assert Counter(attempts.done) == Counter(map(str, range(6)))


def test_what_cannot_succeed_is_rejected_and_does_not_fail_the_attempt(
    shop: Shop, width: int
) -> None:
    attempts = Attempts(shop)

    def refuse(thing: int) -> None:
        if thing == 1:
            raise Permanent("no such mailbox")
        if thing == 2:
            raise KeyError("declared as permanent")

    result = attempts.serve(
        attempts.claim(), lambda: range(4), width=width, do=refuse, permanent=(KeyError,)
    )

    assert result.is_ok
    assert result.counts == {"done": 2, "rejected": 2, "planned": 4}
    [note] = [e.note for e in attempts.store.items.entries("letters") if e.key == "1"]
    assert note == "Permanent: no such mailbox"


# --- ways out ---


def test_a_plan_that_raises_leaves_nobody_in_doubt(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)

    def plan() -> Iterator[int]:
        yield from range(7)
        raise OSError("the database of users went away")

    result = attempts.serve(attempts.claim(), plan, width=width)

    assert (result.status, result.reason) == ("Aborted", "failed")
    assert "the plan raised OSError: the database of users went away" in result.outcome
    assert attempts.statuses() == dict.fromkeys(map(str, range(7)), "Done")


@pytest.mark.parametrize("after", [0, 1, 4, 6])
def test_an_interrupted_plan_leaves_nobody_in_doubt(shop: Shop, width: int, after: int) -> None:
    attempts = Attempts(shop)

    def plan() -> Iterator[int]:
        yield from range(after)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempts.serve(attempts.claim(), plan, width=width)

    assert set(attempts.statuses().values()) <= {"Done"}
    assert set(attempts.statuses()) == set(attempts.done)


def test_a_thing_without_the_declared_key_stops_no_other_and_fails_the_attempt(
    shop: Shop, width: int
) -> None:
    attempts = Attempts(shop)
    effect = Effect(lambda thing: attempts.done.append(thing["id"]), "id", False, width=width)
    claim = attempts.claim()

    result = Serving(claim, effect, attempts.ledger(claim), stop=lambda: "").run(
        lambda: [{"id": "a"}, {"name": "b"}, {"id": "c"}]
    )

    assert result.reason == "failed"
    assert "a planned dict has no 'id'" in result.outcome
    assert attempts.done == ["a", "c"]
    assert result.counts == {"planned": 3, "done": 2, "failed": 1}


@pytest.mark.parametrize("key", [1.5, None, True, b"x", "", "a\x1fb", "x" * 501, "\ud800"])
def test_a_key_without_a_stable_text_is_refused(shop: Shop, key: object) -> None:
    attempts = Attempts(shop)
    effect = Effect(lambda _: attempts.done.append("x"), lambda _: key, False)
    claim = attempts.claim()

    result = Serving(claim, effect, attempts.ledger(claim), stop=lambda: "").run(lambda: [1])

    assert result.reason == "failed"
    assert "an item's key must" in result.outcome
    assert attempts.done == []


def test_nothing_begins_after_a_stop_and_what_runs_is_written(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)
    stop = iter(["", "", "", "", "timed out"] + ["timed out"] * 100)

    result = attempts.serve(
        attempts.claim(), lambda: range(50), width=width, stop=lambda: next(stop)
    )

    assert (result.status, result.reason) == ("Aborted", "timed out")
    assert "stopped before the rest: timed out" in result.outcome
    assert sorted(attempts.done) == ["0", "1", "2", "3"]
    assert attempts.statuses() == dict.fromkeys("0123", "Done")


def test_a_storm_of_failures_stops_the_attempt(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)

    def down(_: int) -> None:
        raise ConnectionError("down")

    result = attempts.serve(
        attempts.claim(), lambda: range(1000), width=width, do=down, failures_max=10
    )

    assert "stopped after 10 failures" in result.outcome
    assert 10 <= result.counts["failed"] <= 10 + 2 * width


def test_what_no_try_can_mend_counts_in_a_storm_of_failures_as_well(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)

    def unknown(_: int) -> None:
        raise Permanent("no such mailbox")

    result = attempts.serve(
        attempts.claim(), lambda: range(1000), width=width, do=unknown, failures_max=10
    )

    assert "stopped after 10 failures" in result.outcome
    assert 10 <= result.counts["rejected"] <= 10 + 2 * width


def test_a_zombie_is_stopped_at_its_next_item_and_its_report_is_kept(
    shop: Shop, width: int
) -> None:
    attempts = Attempts(shop)
    claim = attempts.claim()

    def plan() -> Iterator[int]:
        for number in range(40):
            if number == 20:
                attempts.die(claim)
            yield number

    with pytest.raises(Fenced):
        attempts.serve(claim, plan, width=width)

    done = [key for key, status in attempts.statuses().items() if status == "Done"]
    late = [text for _, text in attempts.store.tasks.late(claim.task)]
    assert len(attempts.done) <= 20 + width
    assert set(attempts.done) == set(done) | {text.split()[1] for text in late}


def test_what_ran_is_written_though_the_store_fails_in_between(shop: Shop) -> None:
    attempts = Attempts(shop)
    claim = attempts.claim()

    class Failing:
        """A ledger whose store cannot be written once, while effects still run."""

        def __init__(self, real: StoreLedger) -> None:
            self.real = real
            self.calls = 0
            self.known = real.known
            self.probed = real.probed
            self.keys = real.keys
            self.scope_name = real.scope_name

        def advance(self, ended: list[Ended], wanted: list[Wanted]) -> list[Begun]:
            self.calls += 1
            if self.calls == 3:
                raise StoreError("no space is left")
            return self.real.advance(ended, wanted)

    failing = Failing(attempts.ledger(claim))
    with pytest.raises(StoreError):
        attempts.serve(claim, lambda: range(50), width=4, ledger=failing)

    assert set(attempts.statuses()) == set(attempts.done)
    assert set(attempts.statuses().values()) == {"Done"}


# --- the cost ---


@pytest.mark.parametrize(("width", "most"), [(1, 101), (4, 101), (16, 101)])
def test_an_item_costs_at_most_one_commit(shop: Shop, width: int, most: int) -> None:
    attempts = Attempts(shop)
    claim = attempts.claim()
    commits: list[int] = []

    class Counting:
        def __init__(self, real: StoreLedger) -> None:
            self.real = real
            self.known, self.keys, self.scope_name = real.known, real.keys, real.scope_name
            self.probed = real.probed

        def advance(self, ended: list[Ended], wanted: list[Wanted]) -> list[Begun]:
            commits.append(len(wanted))
            return self.real.advance(ended, wanted)

    attempts.serve(claim, lambda: range(100), width=width, ledger=Counting(attempts.ledger(claim)))

    assert len(commits) <= most
    assert max(commits) <= width


def test_an_effect_is_committed_before_a_slow_plan_yields_another(shop: Shop) -> None:
    attempts = Attempts(shop)
    seen: list[dict[str, str]] = []

    def plan() -> Iterator[int]:
        yield 1
        yield 2
        # Two were pulled: the first has run and is on disk, whatever this plan does now.
        seen.append(attempts.statuses())
        yield 3

    attempts.serve(attempts.claim(), plan)

    assert seen == [{"1": "Done", "2": "Begun"}]


# --- policies for an item in doubt ---


@pytest.mark.parametrize(
    ("policy", "counts", "status"),
    [
        ("park", {"done": 2, "parked": 1, "planned": 3}, "Parked"),
        ("skip", {"done": 2, "skipped": 1, "planned": 3}, "Skipped"),
        ("retry", {"done": 3, "planned": 3}, "Done"),
    ],
)
def test_an_item_in_doubt_is_treated_as_its_kind_says(
    shop: Shop, width: int, policy: str, counts: dict[str, int], status: str
) -> None:
    attempts = Attempts(shop, policy)
    first = attempts.claim()
    attempts.ledger(first).advance([], [Wanted("1")])
    attempts.die(first)

    result = attempts.serve(attempts.claim(), lambda: range(3), width=width)

    assert result.is_ok
    assert result.counts == counts
    assert attempts.statuses()["1"] == status


@pytest.mark.parametrize(
    ("seen", "count", "status"),
    [(True, "before", "Done"), (False, "done", "Done"), (None, "parked", "Parked")],
)
def test_a_probe_decides_about_an_item_in_doubt(
    shop: Shop, width: int, seen: bool | None, count: str, status: str
) -> None:
    asked: list[str] = []

    def probe(item: Item) -> bool | None:
        asked.append(item.key)
        return seen

    attempts = Attempts(shop, "probe", probe)
    first = attempts.claim()
    attempts.ledger(first).advance([], [Wanted("1")])
    attempts.die(first)

    result = attempts.serve(attempts.claim(), lambda: [1], width=width)

    assert asked == ["1"]
    assert result.counts == {count: 1, "planned": 1}
    assert attempts.statuses() == {"1": status}


def test_a_probe_that_fails_leaves_the_item_to_a_person(shop: Shop, width: int) -> None:
    def probe(_: Item) -> bool:
        raise TimeoutError("the provider does not answer")

    attempts = Attempts(shop, "probe", probe)
    first = attempts.claim()
    attempts.ledger(first).advance([], [Wanted("1")])
    attempts.die(first)

    result = attempts.serve(attempts.claim(), lambda: [1, 2], width=width)

    assert result.counts == {"done": 1, "parked": 1, "planned": 2}


def test_what_is_no_longer_planned_is_named(shop: Shop, width: int) -> None:
    attempts = Attempts(shop)
    first = attempts.claim()
    attempts.ledger(first).advance([], [Wanted("gone")])
    attempts.die(first)

    result = attempts.serve(attempts.claim(), lambda: ["a"], width=width)

    assert "1 no longer planned: gone" in result.outcome


# --- effects ---


def test_an_item_keeps_its_names_over_all_its_tries(shop: Shop) -> None:
    app = Sexton(shop.url)
    seen: list[tuple[str, str, int, str]] = []

    @app.plan(schedule="@daily", retry="30m x 3")
    def letters() -> list[str]:
        return ["a"]

    @letters.each(key=str)
    def send(_: str, item: Item) -> None:
        seen.append((item.idempotency_key, item.message_id, item.attempt, item.period))
        if len(seen) < 3:
            raise OSError("not yet")

    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    for _ in range(3):
        letters()

    assert [one[2] for one in seen] == [1, 2, 3]
    assert len({one[:2] for one in seen}) == 1
    assert {one[3] for one in seen} == {"2026-01-02T00:00"}
    app.close()


def test_an_effect_must_take_the_thing_and_perhaps_the_item() -> None:
    def nothing() -> None: ...
    def three(thing: int, item: Item, more: int) -> None: ...
    def with_default(thing: int, more: int = 1) -> None: ...

    for wrong in (nothing, three):
        with pytest.raises(DeclarationError):
            takes_item(wrong)
    assert takes_item(with_default) is False
