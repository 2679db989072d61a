"""The pytest plugin: its fixtures are there wherever Sexton is installed with pytest.

The application is named by `sexton_app = "tasks:app"` in pytest's settings, else by SEXTON_APP,
else by the nearest sexton.toml. A test that uses none of the fixtures loads nothing of Sexton.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sexton.app import Sexton
    from sexton.testing.clock import Clock
    from sexton.testing.crash import Crashes
    from sexton.testing.outbox import Outbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting that names the application."""
    parser.addini("sexton_app", "the application under test, as module:name", default="")


@pytest.fixture
def sexton_app(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sexton]:
    """The application itself, on a fresh store for this test, with all its kinds registered.

    Processes that the test starts find the same application and the same store. At the end every
    invariant of the store is verified.
    """
    from sexton.testing import application, clock  # noqa: PLC0415 -- only tests that ask load it

    name = request.config.getini("sexton_app") or os.environ.get("SEXTON_APP", "")
    app = application.find(name, str(request.config.rootpath))
    if name:
        monkeypatch.setenv("SEXTON_APP", name)
    stands = clock.frozen(clock.START) if "sexton_clock" in request.fixturenames else ""
    with application.on_a_fresh_store(app, str(tmp_path / "sexton-test.db"), stands):
        yield app
        problems = app.store.upkeep.check()
    if problems:
        pytest.fail("the store is not sound after this test:\n" + "\n".join(problems))


@pytest.fixture
def sexton_clock(sexton_app: Sexton) -> Clock:
    """The store's clock: it stands at 2020-01-01 until the test lets it travel."""
    from sexton.testing.clock import Clock  # noqa: PLC0415

    return Clock(lambda: sexton_app.store)


@pytest.fixture
def sexton_outbox() -> Iterator[Outbox]:
    """A real SMTP server that keeps what it gets."""
    from sexton.testing.outbox import serving  # noqa: PLC0415

    with serving() as outbox:
        yield outbox


@pytest.fixture
def sexton_crashes(
    request: pytest.FixtureRequest, sexton_app: Sexton, sexton_clock: Clock, tmp_path: Path
) -> Crashes:
    """`for crash in sexton_crashes(daily_summary)`: killed at every boundary in turn.

    The store is as it was before each run, and so is the outbox, if the test has one: empty.
    """
    from sexton.testing.crash import Crashes  # noqa: PLC0415

    def reset() -> None:
        if "sexton_outbox" in request.fixturenames:
            request.getfixturevalue("sexton_outbox").clear()

    return Crashes(sexton_app, sexton_clock, tmp_path, reset)
