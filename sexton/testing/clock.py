"""The store's clock in a test: it stands still, and travels when it is told to.

Nothing is patched: the clock is a row of the test's own store, so whoever opens that store, in
this process or in a child, reads the same time. `datetime.now()` in the application stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sexton.core import instant
from sexton.core.errors import UsageError
from sexton.store.store import Store

# Every kind of the app is known since then, so travel to any later moment makes its periods due.
START = datetime(2020, 1, 1, tzinfo=UTC)


def frozen(moment: datetime) -> str:
    """The setting of a store's clock that stands at this moment."""
    return f"frozen:{instant.from_datetime(moment)}"


class Clock:
    """`clock.travel(hours=20)`, `clock.travel_to(datetime(…, tzinfo=UTC))`, `clock.now`."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    @property
    def now(self) -> datetime:
        """The store's time, in UTC."""
        return instant.to_datetime(self._store().now())

    def travel(self, **length: float) -> datetime:
        """Go on by a length, in the words of timedelta; return the new time.

        A negative length sets the clock back, as a broken machine does.
        """
        return self.travel_to(self.now + timedelta(**length))

    def travel_to(self, moment: datetime) -> datetime:
        """Go to a moment; raises UsageError for what is none, and for one without a zone."""
        if not isinstance(moment, datetime):
            raise UsageError(f"travel_to takes a datetime with a zone, not {moment!r:.60}")
        self._store().db.set_clock(frozen(moment))
        return moment.astimezone(UTC)
