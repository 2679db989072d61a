"""For users' tests: the app on a fresh store, a clock that travels, a mail server, real crashes.

The fixtures come with the pytest plugin and need no import: `sexton_app`, `sexton_clock`,
`sexton_outbox`, `sexton_crashes`. `from sexton.testing import tick`: `tick(app)` does one pass in
the test's own process. pytest loads this package wherever it is installed, so it loads nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sexton.testing.inline import tick

__all__ = ["tick"]


def __getattr__(name: str) -> object:
    if name != "tick":
        raise AttributeError(f"module 'sexton.testing' has no attribute {name!r}")
    from sexton.testing.inline import tick  # noqa: PLC0415 -- only tests that ask load it

    return tick
