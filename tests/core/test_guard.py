"""What a call may do and what a tick asks for, by tables: rows and an instant in, a verdict out."""

from __future__ import annotations

from typing import Any

import pytest

from sexton.core import retry
from sexton.core.guard import (
    Adopt,
    Begin,
    Expire,
    Round,
    Skip,
    expires_at,
    judge,
    period_of_call,
    round_of,
)
from sexton.core.instant import DAY_US, HOUR_US, MINUTE_US, parse_iso
from sexton.core.kind import LATE_US, CatchUp, Kind
from sexton.core.schedule import Period, parse
from tests.core.rows import task

DAILY = Kind(name="daily", schedule="30 7 * * *", retry=retry.parse("30m x 3"))
GAP = Kind(name="rotate", min_gap_us=20 * HOUR_US, retry=retry.parse("30m x 3"))
SCHEDULE = parse("30 7 * * *")
HALF_PAST_SEVEN = parse_iso("2026-03-03T07:30Z")
NOW = 1_000_000

COMPLETE = task(1, status="Complete")
RUNNING = task(2, status="Running")
PENDING = task(3, status="Pending")


def ended(reason: str, attempt: int = 1, *, spent: int = 0, entered: bool = True) -> Any:
    return task(
        9,
        status="Aborted",
        reason=reason,
        attempt=attempt,
        spent=spent,
        entered_at=1 if entered else None,
    )


FAILED, TWICE, THRICE = (ended("failed", n, spent=n - 1) for n in (1, 2, 3))


# --- judge --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "verdict"),
    [
        ([], Begin(1, 0, None)),
        ([PENDING], Adopt(PENDING)),
        ([RUNNING], Skip("running", RUNNING)),
        ([COMPLETE], Skip("complete", COMPLETE)),
        ([FAILED], Begin(2, 1, FAILED)),
        ([FAILED, TWICE], Begin(3, 2, TWICE)),
        ([FAILED, TWICE, THRICE], Skip("exhausted", THRICE)),
        ([FAILED, PENDING], Adopt(PENDING)),
        ([FAILED, RUNNING], Skip("running", RUNNING)),
        ([FAILED, COMPLETE], Skip("complete", COMPLETE)),
        ([COMPLETE, PENDING], Skip("complete", COMPLETE)),
        ([COMPLETE, RUNNING], Skip("complete", COMPLETE)),
        ([RUNNING, PENDING], Skip("running", RUNNING)),
    ],
)
def test_a_period_is_begun_once_and_tried_again_while_attempts_are_left(
    chain: list[Any], verdict: object
) -> None:
    assert judge(DAILY, chain, None, NOW) == verdict
    assert judge(DAILY, chain, NOW + 1, NOW) == verdict


@pytest.mark.parametrize("expires", [NOW, NOW - 1])  # at that very moment it is over
@pytest.mark.parametrize(
    ("chain", "verdict"),
    [
        ([], Expire(None)),
        ([PENDING], Expire(PENDING)),
        ([FAILED, PENDING], Expire(PENDING)),
        ([FAILED], Skip("expired", FAILED)),
        ([RUNNING], Skip("running", RUNNING)),
        ([COMPLETE], Skip("complete", COMPLETE)),
    ],
)
def test_what_has_expired_is_not_begun_and_what_runs_or_is_done_stays_so(
    chain: list[Any], verdict: object, expires: int
) -> None:
    assert judge(DAILY, chain, expires, NOW) == verdict


@pytest.mark.parametrize(
    ("reason", "code"),
    [("expired", "expired"), ("superseded", "expired"), ("administrator", "aborted")],
)
def test_what_was_ended_for_good_is_followed_by_the_next_period_alone(
    reason: str, code: str
) -> None:
    last = ended(reason)

    assert judge(DAILY, [last], None, NOW) == Skip(code, last)  # type: ignore[arg-type]
    assert judge(GAP, [last], None, NOW) == Begin(2, 1, last)


@pytest.mark.parametrize("reason", ["failed", "timed out", "lost"])
@pytest.mark.parametrize("spent", [0, 1, 2, 3])
def test_an_attempt_whose_body_never_began_does_not_count(reason: str, spent: int) -> None:
    begun, unbegun = (ended(reason, 7, spent=spent, entered=entered) for entered in (True, False))

    left = Begin(8, spent + 1, begun) if spent + 1 < 3 else Skip("exhausted", begun)
    assert judge(DAILY, [begun], None, NOW) == left
    left = Begin(8, spent, unbegun) if spent < 3 else Skip("exhausted", unbegun)
    assert judge(DAILY, [unbegun], None, NOW) == left


def test_a_gap_whose_attempts_are_used_up_has_as_many_as_at_first() -> None:
    assert judge(GAP, [FAILED, TWICE], None, NOW) == Begin(3, 2, TWICE)
    assert judge(GAP, [FAILED, TWICE, THRICE], None, NOW) == Begin(4, 0, THRICE)


# --- which period, and until when ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("early_us", "before_us", "period"),
    [
        (0, 0, "2026-03-03T07:30"),
        (0, 1, "2026-03-02T07:30"),
        (HOUR_US, HOUR_US + 1, "2026-03-02T07:30"),
        (HOUR_US, HOUR_US, "2026-03-03T07:30"),  # the first moment that is early enough
        (HOUR_US, HOUR_US - 1, "2026-03-03T07:30"),
        (HOUR_US, 0, "2026-03-03T07:30"),
    ],
)
def test_a_call_is_for_the_latest_period_or_for_the_coming_one_shortly_before(
    early_us: int, before_us: int, period: str
) -> None:
    kind = Kind(name="daily", schedule="30 7 * * *", early_us=early_us)

    found = period_of_call(
        kind, SCHEDULE, HALF_PAST_SEVEN - 5 * DAY_US, HALF_PAST_SEVEN - before_us
    )

    assert found is not None
    assert found.name == period


def test_a_call_before_the_first_period_is_for_none() -> None:
    anchor = HALF_PAST_SEVEN - HOUR_US

    assert period_of_call(DAILY, SCHEDULE, anchor, HALF_PAST_SEVEN - 1) is None


@pytest.mark.parametrize(
    ("catch_up", "expires_us", "after_us"),
    [
        ("latest", 0, DAY_US),
        ("none", 0, DAY_US),
        ("all", 0, None),
        ("latest", HOUR_US, HOUR_US),
        ("all", HOUR_US, HOUR_US),
    ],
)
def test_a_period_expires_as_declared_or_when_the_next_one_falls_due(
    catch_up: CatchUp, expires_us: int, after_us: int | None
) -> None:
    kind = Kind(name="daily", schedule="30 7 * * *", catch_up=catch_up, expires_us=expires_us)

    found = expires_at(kind, SCHEDULE, Period("2026-03-03T07:30", HALF_PAST_SEVEN))

    assert found == (None if after_us is None else HALF_PAST_SEVEN + after_us)


# --- rounds -------------------------------------------------------------------------------------

FIRST, SECOND, THIRD = (
    Period(f"2026-03-0{day}T07:30", HALF_PAST_SEVEN + (day - 3) * DAY_US) for day in (3, 4, 5)
)
BEFORE = HALF_PAST_SEVEN - HOUR_US


def of(catch_up: CatchUp = "latest", **more: Any) -> Kind:
    return Kind(name="daily", schedule="30 7 * * *", catch_up=catch_up, **more)


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_between_two_periods_nothing_is_asked_for(catch_up: CatchUp) -> None:
    assert round_of(of(catch_up), SCHEDULE, BEFORE, HALF_PAST_SEVEN - 1) == Round((), 0, None)
    assert round_of(of(catch_up), SCHEDULE, HALF_PAST_SEVEN, HALF_PAST_SEVEN) == Round((), 0, None)


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_a_period_is_asked_for_at_its_very_moment(catch_up: CatchUp) -> None:
    found = round_of(of(catch_up), SCHEDULE, BEFORE, HALF_PAST_SEVEN)

    assert found == Round((FIRST,), 0, FIRST, "superseded")


@pytest.mark.parametrize(
    ("kind", "late_us", "found"),
    [
        (of(), 0, Round((THIRD,), 2, THIRD, "superseded")),
        (of(), DAY_US - 1, Round((THIRD,), 2, THIRD, "superseded")),
        (of(expires_us=HOUR_US), HOUR_US - 1, Round((THIRD,), 2, THIRD, "superseded")),
        (of(expires_us=HOUR_US), HOUR_US, Round((), 3, THIRD, "expired")),
        (of("none"), LATE_US, Round((THIRD,), 2, THIRD, "superseded")),
        (of("none"), LATE_US + 1, Round((), 3, THIRD, "expired")),
        (of("none", expires_us=MINUTE_US), MINUTE_US, Round((), 3, THIRD, "expired")),
        (of("all"), HOUR_US, Round((FIRST, SECOND, THIRD), 0, THIRD, "superseded")),
        (of("all", catch_up_max=2), HOUR_US, Round((SECOND, THIRD), 1, THIRD, "superseded")),
        (of("all", expires_us=2 * DAY_US), 0, Round((SECOND, THIRD), 1, THIRD, "superseded")),
        (
            of("all", expires_us=2 * DAY_US + 1),
            0,
            Round((FIRST, SECOND, THIRD), 0, THIRD, "superseded"),
        ),
        (of("all", expires_us=HOUR_US), HOUR_US, Round((), 3, THIRD, "expired")),
    ],
)
def test_after_downtime_as_many_are_asked_for_as_the_kind_says(
    kind: Kind, late_us: int, found: Round
) -> None:
    assert round_of(kind, SCHEDULE, BEFORE, THIRD.due_at + late_us) == found
