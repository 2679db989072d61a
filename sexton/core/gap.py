"""When the success that a minimum gap is measured from counts as begun. Pure."""

from __future__ import annotations

from sexton.core.instant import Instant


def began_at(
    started_at: Instant, seen_at: Instant | None, steady_since: Instant, until: Instant
) -> Instant:
    """By its own date, or by when somebody first saw that this lay in the future.

    `until`: now, or a little later: what is dated beyond lies in the future. `steady_since`: since
    when ticks have come without a pause, so that the clock has made no step.

    1. Still in the future: the clock was wrong then, or is now. Counted from when it was seen, the
       delay is one gap at most.
    2. Its date has come, and the clock ran steadily up to it: so it was wrong then.
    3. Its date has come otherwise, as for a machine that woke in the past: it may have been right,
       and a run must not come too early.
    """
    if seen_at is not None and (started_at > until or seen_at >= steady_since):
        return seen_at
    return started_at
