"""The command line: one file a command, loaded only when it is typed.

A tick with nothing due runs every minute on every machine, so it is answered before a parser, or
anything else that is slow, is imported.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1, 2, 75, 78 or 130 (see `sexton --help`)."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # while it was still being loaded: nothing was begun
        return INTERRUPTED


def _run(words: list[str]) -> int:
    if words == ["tick"]:
        from sexton.cli import idle  # noqa: PLC0415 -- the whole point: nothing else is imported

        if idle.is_all_done():
            # Nothing is open and nothing was printed: the interpreter's own end can be spared.
            os._exit(0)
    from sexton.cli import frame  # noqa: PLC0415

    return frame.run(words)
