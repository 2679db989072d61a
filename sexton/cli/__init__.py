"""The command line: one file a command, loaded only when it is typed.

A tick with nothing due runs every minute on every machine, so it is answered before a parser, or
anything else that is slow, is imported.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1, 2, 75 or 78 (see `sexton --help`)."""
    words = sys.argv[1:] if argv is None else argv
    if words == ["tick"]:
        from sexton.cli import idle  # noqa: PLC0415 -- the whole point: nothing else is imported

        if idle.is_all_done():
            # Nothing is open and nothing was printed: the interpreter's own end can be spared.
            os._exit(0)
    from sexton.cli import frame  # noqa: PLC0415

    return frame.run(words)
