"""Who is lost, and when so many are that the one who looks should doubt itself."""

from __future__ import annotations

import pytest

from sexton.core.sweep import SUSPICION_US_MAX, Sight, has_lapsed, is_lost, is_over, is_suspicious
from tests.core.rows import task

NOW = 1_000_000


@pytest.mark.parametrize(
    ("lease_at", "lapsed"), [(None, False), (NOW + 1, False), (NOW, True), (NOW - 1, True)]
)
def test_a_lease_lapses_at_its_moment(lease_at: int | None, lapsed: bool) -> None:
    assert has_lapsed(task(1, status="Running", lease_at=lease_at), NOW) is lapsed


@pytest.mark.parametrize(
    ("sight", "lease_at", "lost"),
    [
        ("alive", NOW + 1, False),
        ("unknown", NOW + 1, False),
        ("dead", NOW + 1, True),
        ("alive", NOW, True),
        ("unknown", NOW, True),
        ("dead", NOW, True),
    ],
)
def test_lost_is_whose_owner_is_seen_dead_or_whose_lease_has_lapsed(
    sight: Sight, lease_at: int, lost: bool
) -> None:
    assert is_lost(task(1, status="Running", lease_at=lease_at), sight, NOW) is lost


@pytest.mark.parametrize(
    ("lapsed", "running", "suspicious"),
    [
        (0, 0, False),
        (3, 3, False),  # three at once may happen
        (4, 4, True),
        (4, 13, True),  # 30.8 %
        (4, 14, False),  # 28.6 %
        (6, 20, False),  # 30 % and not more
        (7, 20, True),
        (30, 100, False),
        (31, 100, True),
        (300, 1000, False),
        (301, 1000, True),
    ],
)
def test_more_than_three_and_more_than_thirty_in_a_hundred_together_are_suspicious(
    lapsed: int, running: int, suspicious: bool
) -> None:
    assert is_suspicious(lapsed, running) is suspicious


def test_a_suspicion_is_over_after_ten_minutes() -> None:
    assert SUSPICION_US_MAX == 600_000_000
    assert not is_over(NOW, NOW + SUSPICION_US_MAX - 1)
    assert is_over(NOW, NOW + SUSPICION_US_MAX)
