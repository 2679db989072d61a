"""Whether a settled attempt is followed by another, and when."""

from __future__ import annotations

import pytest

from sexton.core import retry
from sexton.core.errors import DeclarationError
from sexton.core.instant import HOUR_US, MINUTE_US
from sexton.core.retry import ATTEMPTS_MAX, Retry
from sexton.core.task import Reason

NONE, ONCE, THRICE = Retry(), retry.parse("30m x 1"), retry.parse("30m x 3")
HALF_AN_HOUR = 30 * MINUTE_US


@pytest.mark.parametrize(
    ("text", "attempts", "delay_us"),
    [
        ("30m x 3", 3, 30 * MINUTE_US),
        ("30m × 3", 3, 30 * MINUTE_US),
        (" 1h 30m x3 ", 3, 90 * MINUTE_US),
        ("1h x 1", 1, HOUR_US),
        (f"1h x {ATTEMPTS_MAX}", ATTEMPTS_MAX, HOUR_US),
    ],
)
def test_a_pause_and_the_attempts_in_all_are_read(text: str, attempts: int, delay_us: int) -> None:
    assert retry.parse(text) == Retry(attempts, delay_us, is_declared=True)


@pytest.mark.parametrize(
    "text",
    ["", "3", "30m", "x 3", "30m x", "30m x 0", f"30m x {ATTEMPTS_MAX + 1}", "30m x -1", "30m * 3"],
)
def test_what_is_no_pause_and_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        retry.parse(text)

    assert '"30m x 3"' in refusal.value.hint


def test_a_retry_is_said_so_that_it_can_be_read() -> None:
    assert (retry.say(THRICE), retry.say(NONE)) == ("30 min x 3", "none")
    assert retry.parse(retry.say(THRICE)) == THRICE


@pytest.mark.parametrize(
    ("declared", "reason", "spent", "delay_us"),
    [
        (NONE, "failed", 1, None),
        (NONE, "timed out", 1, None),
        (NONE, "lost", 1, 0),  # made good once, though nothing is declared
        (NONE, "lost", 2, None),
        (ONCE, "failed", 1, None),
        (ONCE, "lost", 1, None),  # one attempt in all is what was declared
        (THRICE, "failed", 1, HALF_AN_HOUR),
        (THRICE, "failed", 2, HALF_AN_HOUR),
        (THRICE, "failed", 3, None),
        (THRICE, "timed out", 2, HALF_AN_HOUR),
        (THRICE, "timed out", 3, None),
        (THRICE, "lost", 2, 0),  # waiting helps nobody
        (THRICE, "lost", 3, None),
        (THRICE, "administrator", 1, None),
        (THRICE, "expired", 1, None),
        (THRICE, "superseded", 1, None),
    ],
)
def test_an_attempt_is_followed_while_some_are_left_and_after_its_pause(
    declared: Retry, reason: Reason, spent: int, delay_us: int | None
) -> None:
    assert retry.delay_us(declared, reason, spent) == delay_us


@pytest.mark.parametrize(
    ("declared", "spent", "has_left"),
    [(NONE, 0, True), (NONE, 1, False), (THRICE, 2, True), (THRICE, 3, False), (THRICE, 4, False)],
)
def test_a_call_may_try_again_while_attempts_are_left(
    declared: Retry, spent: int, has_left: bool
) -> None:
    assert retry.has_left(declared, spent) is has_left
