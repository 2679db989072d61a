"""When a success counts as begun, whatever its date."""

from __future__ import annotations

import pytest

from sexton.core.gap import began_at

NOW = 1000
UNTIL = 1010


@pytest.mark.parametrize(
    ("started_at", "seen_at", "steady_since", "counts"),
    [
        (900, None, 0, 900),  # dated in the past
        (UNTIL, None, 0, UNTIL),  # or a little later, as a time service corrects it
        (2000, 950, 990, 950),  # still in the future, after a pause as well
        (980, 950, 940, 950),  # it came while ticks came
        (980, 950, 950, 950),
        (980, 950, 951, 980),  # it came after a pause, or a step of the clock
    ],
)
def test_a_date_counts_unless_it_was_surely_wrong(
    started_at: int, seen_at: int | None, steady_since: int, counts: int
) -> None:
    assert began_at(started_at, seen_at, steady_since, UNTIL) == counts
