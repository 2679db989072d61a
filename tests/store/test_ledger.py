"""The ledger on the store: who was begun, who is done, what is in doubt, and whose turn it is."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from sexton.core import retry
from sexton.core.errors import Fenced, UnknownTask, UsageError
from sexton.core.kind import InDoubt, Kind
from sexton.core.ledger import Cap, Ended, Wanted
from sexton.core.task import Claim
from sexton.store.store import Store
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.store.kit import (
    ASKED,
    DONE,
    FAILED,
    OWNER,
    PLAN,
    begin,
    done,
    finish,
    ledger_of,
    lose,
    statuses,
    taken,
)

GAP_PLAN = Kind(name="digest", family="plan", min_gap_us=3_600_000_000)


@pytest.fixture
def claim(store: Store, clock: Clock) -> Claim:
    """A claim of the plan's first period."""
    store.kinds.ensure(PLAN)
    clock.travel_to(datetime(2026, 3, 3, 7, 30, tzinfo=UTC))
    return taken(store, PLAN)


def items(store: Store, kind: str = "summary") -> dict[str, str]:
    return {item.key: item.status for item in store.items.entries(kind)}


def in_doubt(store: Store, kind: str = "summary") -> list[str]:
    return [item.key for item in store.items.entries(kind, in_doubt=True)]


def doubtful(policy: InDoubt) -> Kind:
    return msgspec.structs.replace(PLAN, in_doubt=policy)


# --- once ---------------------------------------------------------------------------------------


def test_an_item_is_begun_once_in_a_period(store: Store, claim: Claim) -> None:
    ledger = ledger_of(store, PLAN, claim)

    assert begin(ledger, "ann", "ben") == ["begin", "begin"]
    assert begin(ledger, "ann") == ["leave"]
    done(ledger, "ann", "ben")
    assert begin(ledger, "ann") == ["leave"]
    assert items(store) == {"ann": "Done", "ben": "Done"}


def test_a_key_asked_for_twice_at_once_is_begun_once(store: Store, claim: Claim) -> None:
    assert begin(ledger_of(store, PLAN, claim), "ann", "ann") == ["begin", "leave"]


def test_a_new_period_serves_everybody_again(store: Store, claim: Claim, clock: Clock) -> None:
    done_before = ledger_of(store, PLAN, claim)
    begin(done_before, "ann")
    done(done_before, "ann")
    finish(store, claim)
    clock.travel(hours=24)

    assert begin(ledger_of(store, PLAN, taken(store, PLAN)), "ann") == ["begin"]


def test_a_failed_item_is_tried_again_by_the_next_attempt(store: Store, claim: Claim) -> None:
    ledger = ledger_of(store, PLAN, claim)
    begin(ledger, "ann", "ben")
    ledger.advance([Ended("ann", "Failed", "timeout"), Ended("ben", "Rejected", "no box")], [])
    finish(store, claim, FAILED)
    second = ledger_of(store, PLAN, taken(store, PLAN))

    answers = second.advance([], [Wanted("ann"), Wanted("ben")])

    assert [(answer.step, answer.tries) for answer in answers] == [("begin", 2), ("leave", 1)]
    assert second.known("ben") == "Rejected"
    assert second.known("ann") is None


def test_an_item_that_surely_never_started_is_taken_back(store: Store, claim: Claim) -> None:
    ledger = ledger_of(store, PLAN, claim, Cap(1, "email", "mail"))
    ledger.advance([], [Wanted("ann", "ann@x.org")])
    ledger.advance([Ended("ann", "Unbegun")], [])

    assert items(store) == {}
    assert ledger.advance([], [Wanted("bob", "ann@x.org")])[0].step == "begin"


def test_how_it_ended_and_what_begins_is_one_commit(store: Store, claim: Claim) -> None:
    ledger = ledger_of(store, PLAN, claim)
    begin(ledger, "ann")

    answers = ledger.advance([Ended("ann", "Done")], [Wanted("ben"), Wanted("ann")])

    assert [answer.step for answer in answers] == ["begin", "leave"]
    assert items(store) == {"ann": "Done", "ben": "Begun"}


# --- in doubt -----------------------------------------------------------------------------------


def test_what_a_live_claim_began_is_elsewhere(store: Store, claim: Claim) -> None:
    begin(ledger_of(store, PLAN, claim), "ann")
    wide = msgspec.structs.replace(GAP_PLAN, scope="reminded")
    other = ledger_of(store, wide, taken(store, wide))
    begin(other, "cy")
    third = msgspec.structs.replace(wide, name="other")
    ledger = ledger_of(store, third, taken(store, third))

    assert begin(ledger, "cy", "ann") == ["elsewhere", "begin"]


@pytest.mark.parametrize(
    ("policy", "step", "status"),
    [
        ("park", "parked", "Parked"),
        ("skip", "skipped", "Skipped"),
        ("retry", "begin", "Begun"),
        ("probe", "probe", "Begun"),
    ],
)
def test_what_a_dead_claim_began_is_judged_by_the_kinds_policy(
    store: Store, claim: Claim, policy: InDoubt, step: str, status: str
) -> None:
    kind = doubtful(policy)
    first = ledger_of(store, kind, claim)
    begin(first, "ann", "ben")
    done(first, "ben")
    lose(store, claim)
    assert in_doubt(store) == ["ann"]

    second = ledger_of(store, kind, taken(store, kind))

    assert begin(second, "ann", "ben", "cy") == [step, "leave", "begin"]
    assert items(store)["ann"] == status


@pytest.mark.parametrize(
    ("answer", "step", "status"),
    [(True, "leave", "Done"), (False, "begin", "Begun"), (None, "parked", "Parked")],
)
def test_a_probe_settles_what_it_saw(
    store: Store, claim: Claim, answer: bool | None, step: str, status: str
) -> None:
    kind = doubtful("probe")
    begin(ledger_of(store, kind, claim), "ann")
    lose(store, claim)
    second = ledger_of(store, kind, taken(store, kind))
    begin(second, "ann")

    assert second.probed(Wanted("ann"), answer).step == step
    assert items(store) == {"ann": status}
    assert second.probed(Wanted("ann"), False).step == "leave"


def test_a_parked_item_says_whom_it_waits_for(store: Store, claim: Claim) -> None:
    begin(ledger_of(store, PLAN, claim), "ann")
    lose(store, claim)
    begin(ledger_of(store, PLAN, taken(store, PLAN)), "ann")

    (item,) = store.items.entries("summary", in_doubt=True)

    assert item.note == f"in doubt: begun by task {claim.task}, which died"
    assert (item.scope, item.is_in_doubt) == ("2026-03-03T07:30", True)


# --- the fence ----------------------------------------------------------------------------------


def test_a_zombie_records_no_item_and_its_report_is_kept(store: Store, claim: Claim) -> None:
    zombie = ledger_of(store, PLAN, claim)
    begin(zombie, "ann")
    lose(store, claim)
    follower = ledger_of(store, PLAN, taken(store, PLAN))
    begin(follower, "ann", "ben")

    with pytest.raises(Fenced):
        zombie.advance([Ended("ann", "Done")], [Wanted("cy")])
    with pytest.raises(Fenced):
        zombie.probed(Wanted("ann"), False)

    assert items(store) == {"ann": "Parked", "ben": "Begun"}
    assert [text for _, text in store.tasks.late(claim.task)] == ["item ann ended late: Done"]


@pytest.mark.parametrize("status", ["Done", "Failed", "Rejected", "Unbegun"])
@pytest.mark.parametrize("tries", [1, 2])
def test_a_zombie_that_nobody_follows_yet_ends_nothing_and_begins_nothing(
    store: Store, claim: Claim, status: str, tries: int
) -> None:
    zombie = claim
    if tries == 2:
        first = ledger_of(store, PLAN, claim)
        begin(first, "ann")
        first.advance([Ended("ann", "Failed")], [])
        finish(store, claim, FAILED)
        zombie = taken(store, PLAN)
    ledger = ledger_of(store, PLAN, zombie)
    begin(ledger, "ann")
    lose(store, zombie)
    before = store.items.entries("summary")

    with pytest.raises(Fenced):
        ledger.advance([Ended("ann", status)], [Wanted("ben")])  # type: ignore[arg-type]

    assert [(item.key, item.status, item.tries) for item in before] == [("ann", "Begun", tries)]
    assert store.items.entries("summary") == before
    assert [text for _, text in store.tasks.late(zombie.task)] == [f"item ann ended late: {status}"]


def test_a_zombie_frees_no_slot_of_a_cap(store: Store, claim: Claim) -> None:
    cap = Cap(1, "email", "mail")
    zombie = ledger_of(store, PLAN, claim, cap)
    zombie.advance([], [Wanted("ann", "ann@x.org")])
    lose(store, claim)
    with pytest.raises(Fenced):
        zombie.advance([Ended("ann", "Unbegun")], [])
    follower = ledger_of(store, PLAN, taken(store, PLAN), cap)

    assert follower.advance([], [Wanted("bob", "ann@x.org")])[0].step == "capped"


def test_a_zombie_cannot_end_the_item_of_its_follower(store: Store, claim: Claim) -> None:
    kind = doubtful("retry")
    zombie = ledger_of(store, kind, claim)
    begin(zombie, "ann")
    lose(store, claim)
    begin(ledger_of(store, kind, taken(store, kind)), "ann")

    with pytest.raises(Fenced):
        done(zombie, "ann")
    assert items(store) == {"ann": "Begun"}


def test_an_item_that_its_complete_task_never_ended_is_parked(store: Store) -> None:
    claim = taken(store, ASKED)
    store.items.begin(claim.task, "ann")
    store.items.begin(claim.task, "ben")
    store.items.end(claim.task, Ended("ben", "Done"))
    finish(store, claim)

    (item,) = store.items.entries("resize", in_doubt=True)

    assert (item.key, item.status) == ("ann", "Parked")
    assert item.note == f"in doubt: begun by task {claim.task}, which completed without ending it"


# --- scopes -------------------------------------------------------------------------------------


def test_without_a_period_a_takeover_continues_and_a_new_run_opens_afresh(
    store: Store, clock: Clock
) -> None:
    first = taken(store, GAP_PLAN)
    ledger = ledger_of(store, GAP_PLAN, first)
    begin(ledger, "ann", "ben")
    done(ledger, "ann")
    lose(store, first)
    second = taken(store, GAP_PLAN)
    assert begin(ledger_of(store, GAP_PLAN, second), "ann", "ben") == ["leave", "parked"]
    finish(store, second)
    clock.travel(hours=1)

    assert begin(ledger_of(store, GAP_PLAN, taken(store, GAP_PLAN)), "ann") == ["begin"]


def test_a_forced_run_serves_everybody_again(store: Store, claim: Claim) -> None:
    ledger = ledger_of(store, PLAN, claim)
    begin(ledger, "ann")
    done(ledger, "ann")
    finish(store, claim)

    forced = taken(store, PLAN, force="lost on the way")

    assert begin(ledger_of(store, PLAN, forced), "ann") == ["begin"]


def test_the_keys_of_a_wide_scope_hold_across_periods_and_kinds(store: Store) -> None:
    kinds = [
        msgspec.structs.replace(GAP_PLAN, name=name, scope="reminded") for name in ("one", "two")
    ]
    claims = [taken(store, kind) for kind in kinds]
    first, second = (ledger_of(store, *pair) for pair in zip(kinds, claims, strict=True))
    begin(first, "appointment 7")
    done(first, "appointment 7")

    assert second.known("appointment 7") == "Done"
    assert begin(second, "appointment 7", "appointment 8") == ["leave", "begin"]


# --- caps ---------------------------------------------------------------------------------------

TWO = Cap(2, "email", "mail")


def capped(store: Store, claim: Claim, key: str, whom: str = "ann", kind: Kind = PLAN) -> str:
    return ledger_of(store, kind, claim, TWO).advance([], [Wanted(key, whom)])[0].step


def test_a_cap_has_so_many_slots_a_day_for_each(store: Store, claim: Claim) -> None:
    steps = [capped(store, claim, key) for key in ("a", "b", "c")]

    assert steps == ["begin", "begin", "capped"]
    assert capped(store, claim, "d", "ben") == "begin"
    assert "c" not in items(store)


def test_a_cap_is_shared_by_kinds_that_name_it(store: Store, claim: Claim) -> None:
    other = taken(store, GAP_PLAN)
    capped(store, claim, "a")
    capped(store, other, "b", kind=GAP_PLAN)

    assert capped(store, claim, "c") == "capped"


@pytest.mark.parametrize(
    ("zone", "hours", "is_new_day"),
    [("UTC", 16, False), ("UTC", 17, True), ("Pacific/Auckland", 3, False),
     ("Pacific/Auckland", 4, True)],
)  # fmt: skip
def test_a_day_of_a_cap_is_a_calendar_day_in_the_kinds_zone(
    store: Store, clock: Clock, zone: str, hours: int, is_new_day: bool
) -> None:
    kind = msgspec.structs.replace(PLAN, tz=zone)
    clock.travel_to(datetime(2026, 3, 3, 7, 30, tzinfo=UTC))  # 20:30 in Auckland
    claim = taken(store, kind, force="now")
    for key in ("a", "b"):
        capped(store, claim, key, kind=kind)
    clock.travel(hours=hours)

    assert capped(store, claim, "c", kind=kind) == ("begin" if is_new_day else "capped")


def test_an_item_that_is_tried_again_fills_the_slot_that_it_has(store: Store, claim: Claim) -> None:
    for key in ("a", "b"):
        capped(store, claim, key)
    ledger_of(store, PLAN, claim).advance([Ended("a", "Failed"), Ended("b", "Done")], [])

    assert capped(store, claim, "a") == "begin"
    assert capped(store, claim, "c") == "capped"


@pytest.mark.parametrize("policy", ["retry", "probe"])
def test_what_is_tried_again_on_the_next_day_needs_a_slot_of_that_day(
    store: Store, clock: Clock, policy: InDoubt
) -> None:
    kind = msgspec.structs.replace(PLAN, schedule="59 23 * * *", in_doubt=policy)
    cap = Cap(1, "email", "letters")
    store.kinds.ensure(kind)
    clock.travel(hours=11, minutes=59)
    first = taken(store, kind)
    ledger_of(store, kind, first, cap).advance([], [Wanted("x", "one@example.org")])
    lose(store, first)
    clock.travel(minutes=2)
    ledger = ledger_of(store, kind, taken(store, kind), cap)
    other = ledger.advance([], [Wanted("y", "one@example.org")])[0]
    again = ledger.advance([], [Wanted("x", "one@example.org")])[0]
    if again.step == "probe":
        again = ledger.probed(Wanted("x", "one@example.org"), False)

    assert (other.step, again.step) == ("begin", "capped")
    assert [item.key for item in store.items.entries(kind.name, in_doubt=True)] == ["x"]


def test_a_program_that_nobody_starts_again_is_sent_nothing_back(
    store: Store, clock: Clock
) -> None:
    nightly = Kind(name="nightly", family="once", schedule="0 3 * * *")
    store.kinds.ensure(nightly)
    clock.travel(hours=16)
    first = taken(store, nightly)
    store.items.begin(first.task, "x")
    lose(store, first)
    second = taken(store, nightly)
    store.items.begin(second.task, "x")
    finish(store, second)

    with pytest.raises(UsageError, match="no attempt at x is to come"):
        store.items.settle("nightly", "x", "retry", "ann")

    assert len(store.items.settle("nightly", "x", "done", "ann")) == 1
    assert len(store.tasks.newest()) == 2


@pytest.mark.parametrize(
    ("status", "step"),
    [("Failed", "capped"), ("Rejected", "capped"), ("Done", "capped"), ("Unbegun", "begin")],
)
def test_a_slot_is_free_only_when_the_effect_surely_did_not_happen(
    store: Store, claim: Claim, status: str, step: str
) -> None:
    for key in ("a", "b"):
        capped(store, claim, key)
    ledger_of(store, PLAN, claim).advance([Ended("a", status)], [])  # type: ignore[arg-type]

    assert capped(store, claim, "c") == step


@pytest.mark.parametrize(("verdict", "step"), [("done", "capped"), ("failed", "begin"),
                                               ("retry", "begin")])  # fmt: skip
def test_a_person_who_says_that_it_did_not_happen_frees_the_slot(
    store: Store, claim: Claim, verdict: str, step: str
) -> None:
    for key in ("a", "b"):
        capped(store, claim, key)
    lose(store, claim)
    store.items.settle("summary", "a", verdict, "ann")

    assert capped(store, taken(store, PLAN), "c") == step


# --- settling -----------------------------------------------------------------------------------


@pytest.fixture
def doubt(store: Store, claim: Claim) -> Claim:
    """A claim that is complete and has left two items in doubt."""
    begin(ledger_of(store, PLAN, claim), "ann", "ben")
    lose(store, claim)
    second = taken(store, PLAN)
    ledger = ledger_of(store, PLAN, second)
    begin(ledger, "ann", "ben", "cy")
    done(ledger, "cy")
    finish(store, second)
    return second


@pytest.mark.usefixtures("doubt")
def test_all_in_doubt_are_settled_at_once_with_who_and_when(store: Store) -> None:
    settled = store.items.settle("summary", "", "done", "ann")

    assert sorted(item.key for item in settled) == ["ann", "ben"]
    assert in_doubt(store) == []
    (item,) = store.items.entries("summary", key="ben")
    assert (item.status, item.settled_by, item.ended_at) == ("Done", "ann", store.now())
    assert statuses(store)[-1] == "Complete"
    assert store.items.settle("summary", "", "done", "ben") == []


@pytest.mark.usefixtures("doubt")
def test_what_shall_never_be_done_is_rejected(store: Store) -> None:
    store.items.settle("summary", "ann", "failed", "ann")

    assert items(store) == {"ann": "Rejected", "ben": "Parked", "cy": "Done"}
    assert store.queue(OWNER).claim(nonce()) is None


@pytest.mark.usefixtures("doubt")
def test_an_item_that_was_sent_back_and_never_started_again_is_not_forgotten(store: Store) -> None:
    store.items.settle("summary", "ann", "retry", "eve")
    again = store.queue(OWNER).claim(nonce())
    assert again is not None
    ledger = ledger_of(store, PLAN, again)
    begin(ledger, "ann")
    ledger.advance([Ended("ann", "Unbegun")], [])

    assert items(store) == {"ann": "Failed", "ben": "Parked", "cy": "Done"}
    assert ledger.advance([], [Wanted("ann")])[0].step == "begin"


def test_what_is_sent_back_is_done_again_by_an_attempt_asked_for_here(
    store: Store, doubt: Claim
) -> None:
    store.items.settle("summary", "ann", "retry", "ann")

    again = store.queue(OWNER).claim(nonce())
    assert again is not None
    assert (again.root, again.period) == (doubt.root, f"again:{again.task}")
    ledger = ledger_of(store, PLAN, again)
    assert ledger.scope_name == "2026-03-03T07:30"
    # Only what was sent back: whoever is new in the plan belongs to the next period.
    assert begin(ledger, "ann", "ben", "cy", "dan") == ["begin", "leave", "leave", "leave"]
    done(ledger, "ann")
    finish(store, again)
    assert items(store)["ann"] == "Done"


@pytest.mark.usefixtures("doubt")
def test_two_that_are_sent_back_share_one_attempt(store: Store) -> None:
    for key in ("ann", "ben"):
        store.items.settle("summary", key, "retry", "ann")

    assert statuses(store).count("Pending") == 1


def test_what_is_sent_back_while_an_attempt_is_to_come_waits_for_that(
    store: Store, claim: Claim
) -> None:
    begin(ledger_of(store, PLAN, claim), "ann")
    lose(store, claim)

    store.items.settle("summary", "ann", "retry", "ann")

    assert statuses(store) == ["Aborted/lost", "Pending"]
    assert begin(ledger_of(store, PLAN, taken(store, PLAN)), "ann") == ["begin"]


def test_what_a_live_claim_began_is_in_no_doubt(store: Store, claim: Claim) -> None:
    begin(ledger_of(store, PLAN, claim), "ann")

    assert store.items.settle("summary", "", "done", "ann") == []


# --- from any language --------------------------------------------------------------------------


def test_items_of_a_running_task_are_begun_and_ended_by_its_number(store: Store) -> None:
    claim = taken(store, ASKED)

    assert store.items.begin(claim.task, "ann").step == "begin"
    store.items.end(claim.task, Ended("ann", "Done"))
    assert store.items.begin(claim.task, "ann").step == "leave"
    finish(store, claim, DONE)
    with pytest.raises(Fenced):
        store.items.begin(claim.task, "ben")
    with pytest.raises(UnknownTask):
        store.items.begin(99, "ben")


def test_a_program_that_left_items_to_be_tried_again_is_not_complete(
    store: Store, clock: Clock
) -> None:
    nightly = Kind(
        name="nightly", family="once", schedule="0 3 * * *", retry=retry.parse("30m x 3")
    )
    store.kinds.ensure(nightly)
    clock.travel(hours=16)
    first = taken(store, nightly)
    for key in ("ann", "ben"):
        store.items.begin(first.task, key)
    store.items.end(first.task, Ended("ann", "Done"))
    store.items.end(first.task, Ended("ben", "Failed"))

    assert finish(store, first)
    assert finish(store, first)
    second = taken(store, nightly)
    assert [store.items.begin(second.task, key).step for key in ("ann", "ben")] == [
        "leave",
        "begin",
    ]
    assert finish(store, first)  # told once more, when the next attempt has begun the item
    assert store.tasks.late(first.task) == []
    store.items.end(second.task, Ended("ben", "Done"))
    finish(store, second)
    assert statuses(store) == ["Aborted/failed", "Complete"]
    assert "1 item is to be tried again" in store.tasks.get(first.task).outcome


def test_what_a_program_no_longer_asks_for_keeps_no_later_run_from_being_complete(
    store: Store,
) -> None:
    sync = Kind(name="sync", family="once", min_gap_us=3_600_000_000)
    first = taken(store, sync)
    store.items.begin(first.task, "bob")
    store.items.end(first.task, Ended("bob", "Failed"))
    finish(store, first)

    finish(store, taken(store, sync))

    assert statuses(store) == ["Aborted/failed", "Complete"]


def test_a_ledger_is_previewed_by_its_scopes_name(store: Store, claim: Claim) -> None:
    begin(ledger_of(store, PLAN, claim), "ann")

    assert store.items.statuses("summary", claim.period) == {"ann": "Begun"}
    assert store.items.statuses("summary", "another") == {}
