"""The example of the documentation runs as it is printed there."""

from __future__ import annotations

import pytest

from tests.testing.conftest import passes

EXAMPLE = """
from collections import Counter
from datetime import UTC, datetime

import tasks


def test_nobody_is_served_twice_and_nobody_forgotten(
    sexton_app, sexton_clock, sexton_outbox, sexton_crashes
):
    tasks.PORT = sexton_outbox.port
    sexton_clock.travel_to(datetime(2026, 11, 22, 7, 30, tzinfo=UTC))
    crashes = 0

    for crash in sexton_crashes(tasks.daily):
        crash.resume()

        mails = Counter(sexton_outbox.recipients)
        in_doubt = {item.key for item in sexton_app.store.items.entries("daily", in_doubt=True)}
        assert max(mails.values()) == 1, crash
        assert mails.keys() | in_doubt == set(tasks.PEOPLE), crash
        crashes += 1

    assert crashes > 20, crashes
"""


def test_the_documented_example_of_a_crash_test_passes(project: pytest.Pytester) -> None:
    passes(project, EXAMPLE)
