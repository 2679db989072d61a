"""What may be done for an item of a plan, by its status and who began it; how a cap is read."""

from __future__ import annotations

import pytest

from sexton.core.errors import DeclarationError
from sexton.core.ledger import Cap, Step, parse_cap, step


@pytest.mark.parametrize(
    ("is_mine", "is_live", "what"),
    [
        (True, True, "leave"),  # a key that the plan yielded twice
        (True, False, "leave"),
        (False, True, "elsewhere"),
        (False, False, "doubt"),
    ],
)
def test_what_was_begun_is_ours_or_elsewhere_or_in_doubt(
    is_mine: bool, is_live: bool, what: Step
) -> None:
    assert step("Begun", is_mine, is_live) == what


@pytest.mark.parametrize("is_mine", [True, False])
@pytest.mark.parametrize("is_live", [True, False])
def test_what_is_settled_is_left_whoever_began_it(is_mine: bool, is_live: bool) -> None:
    settled = ("Done", "Rejected", "Parked", "Skipped")

    assert {step(status, is_mine, is_live) for status in settled} == {"leave"}


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("1/day per email", Cap(1, "email", "letters")),
        (" 20/day per to_whom in marketing ", Cap(20, "to_whom", "marketing")),
        ("9999/day per x in a.b-c_d", Cap(9999, "x", "a.b-c_d")),
    ],
)
def test_a_cap_says_how_many_a_day_for_which_field_and_with_whom_it_is_shared(
    text: str, cap: Cap
) -> None:
    assert parse_cap(text, "letters") == cap


@pytest.mark.parametrize(
    "text",
    ["", "1", "0/day per email", "-1/day per email", "10000/day per email", "1/week per email",
     "1/day", "1/day per", "1/day per 2", "1/day per e mail", "1/day per email in", "x1/day per e"],
)  # fmt: skip
def test_another_cap_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        parse_cap(text, "letters")

    assert "of letters is not understood" in str(refusal.value)
    assert '"1/day per email"' in refusal.value.hint
