"""The store against a small model of its promises, under any order of what may happen.

Hypothesis chooses the acts: time passes, ticks and calls come, tasks end, owners die, zombies
return, people ask and abort. The model knows only what the design promises; it reads no rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sexton.core import retry
from sexton.core.errors import Fenced, UnknownTask
from sexton.core.kind import Kind
from sexton.core.ledger import Ended, Wanted
from sexton.core.queue import Call, Refused
from sexton.core.task import ABORTED, COMPLETE, Claim, Result, Task
from sexton.store import create_store
from sexton.store.tasks import Request
from sexton.testing.clock import Clock, frozen
from sexton.work.holder import nonce
from tests.store.kit import NOON, OWNER

HOUR_US = 3_600_000_000
GAP_US = 2 * HOUR_US
HOURLY = Kind(name="hourly", family="plan", schedule="0 * * * *", retry=retry.parse("5m x 3"))
GAP = Kind(name="gap", min_gap_us=GAP_US)
JOINED = Kind(name="joined", key="", retry=retry.parse("1m x 2"))
ASKED = Kind(name="asked")
LANES = [Kind(name="backup", lane="disk"), Kind(name="vacuum", lane="disk", key="")]
KINDS = {kind.name: kind for kind in [HOURLY, GAP, JOINED, ASKED, *LANES]}

kinds = st.sampled_from(sorted(KINDS))
SERVING = HOURLY.lane_of("any", "")
MEMORY = Path("/dev/shm")
KEYS = st.sampled_from(["ann", "ben", "cy"])


# Typed in some releases of hypothesis and not in others.
run_machine: Any = run_state_machine_as_test


class StoreMachine(RuleBasedStateMachine):
    """What anybody may do to a store, and what must hold whatever they do."""

    claims = Bundle("claims")
    ghosts = Bundle("ghosts")

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a place: what is tried here is order, not durability.
        self.directory = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        self.store = create_store(f"sqlite:///{self.directory}/sexton.db")
        self.clock = Clock(lambda: self.store)
        self.store.db.set_clock(frozen(NOON))
        self.store.kinds.sync(list(KINDS.values()))
        self.clock.travel(minutes=61)
        self.guard = self.store.guard(OWNER)
        self.queue = self.store.queue(OWNER)
        self.running: dict[str, Claim] = {}  # by lane
        self.complete: set[tuple[str, str]] = set()
        self.began: dict[int, int] = {}  # task -> its start
        self.entered: Counter[tuple[str, str]] = Counter()
        self.gap_began_at = 0
        self.open_items: dict[tuple[str, str], int] = {}  # begun, and by whom
        self.over: dict[int, Task] = {}
        self.newest_payload = ""
        self.payloads = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    # -- time and ticks ------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 5, 20, 61, 150, 3000]))
    def time_passes(self, minutes: int) -> None:
        self.clock.travel(minutes=minutes)

    @rule()
    def a_tick_looks_around(self) -> None:
        self.store.rounds.mark_tick("host-a")
        self.store.rounds.expire()
        for task in self.store.rounds.schedule():
            assert (task.kind, task.period) not in self.complete

    # -- claims --------------------------------------------------------------------------------

    @rule(target=claims)
    def a_tick_claims(self) -> Any:
        claim = self.queue.claim(nonce())
        if claim is None:
            return multiple()
        self.took(claim)
        assert self.queue.enter(claim, "")
        return claim

    @rule(target=claims, name=kinds, is_forced=st.booleans())
    def somebody_calls(self, name: str, is_forced: bool) -> Any:
        kind = KINDS[name]
        asked = Call(nonce=nonce(), key=kind.key, force="why not" if is_forced else "")
        answer = self.guard.take(kind, asked)
        if isinstance(answer, Refused):
            return multiple()
        self.took(answer.claim)
        return answer.claim

    def took(self, claim: Claim) -> None:
        """Whoever gets a claim must be the only one to have it, and have a right to it."""
        lane = self.lane(claim)
        assert lane not in self.running, (claim, self.running[lane])
        now = self.store.now()
        if claim.period:
            assert (claim.kind, claim.period) not in self.complete
        if claim.kind == "hourly" and not claim.period.startswith("forced:"):
            assert claim.expires_at is not None
            assert now < claim.expires_at
            self.entered[claim.kind, claim.period] += 1
            assert self.entered[claim.kind, claim.period] <= 3
        if claim.kind == "gap" and not claim.period.startswith("forced:"):
            assert now >= self.gap_began_at + GAP_US
        self.running[lane] = claim
        self.began[claim.task] = now

    def lane(self, claim: Claim) -> str:
        return KINDS[claim.kind].lane_of(claim.target, claim.key)

    # -- ends ----------------------------------------------------------------------------------

    @rule(target=ghosts, claim=consumes(claims), is_ok=st.booleans())
    def it_ends(self, claim: Claim, is_ok: bool) -> Claim:
        held = self.running.get(self.lane(claim)) == claim
        for scope, key in [at for at, task in self.open_items.items() if task == claim.task]:
            if held:  # as serving does: nothing is left open at an orderly end
                self.store.items.end(claim.task, Ended(key, "Done"))
            assert scope
        result = Result(status=COMPLETE) if is_ok else Result(status=ABORTED, reason="failed")

        assert (self.queue.finish(claim, result) is not None) == held
        if held:
            self.ended(claim, is_ok)
        return claim

    @rule(target=ghosts, claim=consumes(claims))
    def its_owner_dies(self, claim: Claim) -> Claim:
        held = self.running.get(self.lane(claim)) == claim
        settled = None
        if held:
            settled = self.store.sweeps.settle_lost(self.store.tasks.get(claim.task), "it died")
        assert (settled is not None) == held
        if held:
            self.ended(claim, is_ok=False)
        return claim

    def ended(self, claim: Claim, is_ok: bool) -> None:
        del self.running[self.lane(claim)]
        if not is_ok:
            return
        if claim.period:
            self.complete.add((claim.kind, claim.period))
        if claim.kind == "gap":
            self.gap_began_at = max(self.gap_began_at, self.began[claim.task])

    @rule(ghost=ghosts, is_ok=st.booleans())
    def a_zombie_returns(self, ghost: Claim, is_ok: bool) -> None:
        before = self.row(ghost)
        outcome = "from the grave"
        result = Result(status=COMPLETE if is_ok else ABORTED,
                        reason="" if is_ok else "timed out", outcome=outcome)  # fmt: skip

        assert not self.queue.finish(ghost, result)
        assert not self.queue.enter(ghost, "")
        assert not self.queue.renew([ghost])[0].holds
        assert self.row(ghost) == before

    def row(self, claim: Claim) -> Task | None:
        """The claim's row, or None: it was pruned."""
        try:
            return self.store.tasks.get(claim.task)
        except UnknownTask:
            return None

    # -- items ---------------------------------------------------------------------------------

    @precondition(lambda self: SERVING not in self.running)
    @rule(target=claims)
    def a_run_that_serves_begins(self) -> Claim:
        self.clock.travel(hours=1)
        answer = self.guard.take(HOURLY, Call(nonce=nonce()))
        assert not isinstance(answer, Refused)
        self.took(answer.claim)
        return answer.claim

    @precondition(lambda self: SERVING in self.running)
    @rule(keys=st.lists(KEYS, min_size=1, unique=True))
    def items_begin(self, keys: list[str]) -> None:
        claim = self.running[SERVING]
        ledger = self.store.ledger(HOURLY, claim)
        for begun in ledger.advance([], [Wanted(key) for key in keys]):
            at = (ledger.scope_name, begun.key)
            if begun.step == "begin":
                assert at not in self.open_items, "an item was begun twice"
                self.open_items[at] = claim.task
            else:
                assert at in self.open_items

    @precondition(lambda self: SERVING in self.running)
    @rule(target=ghosts)
    def the_run_that_serves_is_taken_over(self) -> Claim:
        """Its owner dies, and a call takes its place, if an attempt is left."""
        claim = self.running[SERVING]
        self.store.sweeps.settle_lost(self.store.tasks.get(claim.task), "it died")
        self.ended(claim, is_ok=False)
        answer = self.guard.take(HOURLY, Call(nonce=nonce()))
        if not isinstance(answer, Refused):
            self.took(answer.claim)
        return claim

    @rule(ghost=ghosts, key=KEYS)
    def a_zombie_ends_an_item_and_wants_another(self, ghost: Claim, key: str) -> None:
        before = self.store.items.entries(ghost.kind)
        ledger = self.store.ledger(KINDS[ghost.kind], ghost)
        for ended in (Ended(key, "Done"), Ended(key, "Unbegun")):
            try:
                ledger.advance([ended], [Wanted("dan")])
                raise AssertionError("a zombie wrote into the ledger")
            except Fenced:
                assert self.store.items.entries(ghost.kind) == before

    # -- people --------------------------------------------------------------------------------

    @rule(minutes=st.integers(0, 90))
    def somebody_asks_for_the_joined(self, minutes: int) -> None:
        self.payloads += 1
        payload = f'{{"n":{self.payloads}}}'
        at = self.store.now() + minutes * 60_000_000
        asked = self.store.tasks.enqueue(JOINED, Request(payload=payload, at=at))
        task = self.store.tasks.get(asked.id)

        # Whatever runs now may have read the old state: the change waits, with the last payload.
        assert (task.status, task.payload) == ("Pending", payload)
        assert task.due_at <= at

    @rule(name=st.sampled_from(["asked", "gap", "backup", "vacuum"]))
    def somebody_asks(self, name: str) -> None:
        self.store.tasks.enqueue(KINDS[name], Request())

    @rule(claim=claims)
    def a_person_asks_for_an_end(self, claim: Claim) -> None:
        self.store.tasks.abort(claim.task, "ann")
        if self.running.get(self.lane(claim)) == claim:
            assert self.queue.renew([claim])[0].abort_by

    @rule()
    def a_person_aborts_what_waits(self) -> None:
        for task in self.store.tasks.newest(status="Pending", kind="asked", limit=1):
            assert self.store.tasks.abort(task.id, "ann").reason == "administrator"

    @rule()
    def the_store_is_pruned(self) -> None:
        self.store.upkeep.prune(1)

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def every_promise_holds(self) -> None:
        assert self.store.upkeep.check() == []

    @invariant()
    def what_is_final_never_changes(self) -> None:
        now = {task.id: task for task in self.store.tasks.newest(limit=1000)}
        for id_, task in self.over.items():
            assert id_ not in now or now[id_] == task
        self.over = {id_: task for id_, task in now.items() if task.is_final}

    @invariant()
    def who_runs_is_who_the_model_says(self) -> None:
        running = {task.id for task in self.store.sweeps.running()}
        assert running == {claim.task for claim in self.running.values()}

    @invariant()
    def whatever_waits_is_bounded(self) -> None:
        waiting = self.store.tasks.newest(status="Pending", limit=1000)
        joined = [task for task in waiting if (task.kind, task.period) == ("joined", "")]
        periods = Counter((t.kind, t.period) for t in waiting if t.period)

        assert len(joined) <= 1
        assert all(count == 1 for count in periods.values())


def test_the_store_keeps_its_promises_in_any_order_of_events() -> None:
    run_machine(StoreMachine, settings=settings(max_examples=100, stateful_step_count=40))


class Forgetful(StoreMachine):
    """The control: a store that forgets what was begun."""

    @rule()
    def what_was_begun_is_forgotten(self) -> None:
        self.store.db.run("DELETE FROM item WHERE status = 'Begun'")


def test_the_model_sees_a_store_that_forgets_what_was_begun() -> None:
    with pytest.raises(AssertionError, match="begun twice"):
        run_machine(
            Forgetful,
            settings=settings(
                max_examples=1000,
                stateful_step_count=40,
                phases=[Phase.generate],
                report_multiple_bugs=False,
            ),
        )
