"""For users' tests: the app on a fresh store, a clock that travels, a mail server, real crashes.

The fixtures come with the pytest plugin and need no import: `sexton_app`, `sexton_clock`,
`sexton_outbox`, `sexton_crashes`. `tick(app)` does one pass in the test's own process.
"""

from __future__ import annotations

from sexton.testing.tick import tick

__all__ = ["tick"]
