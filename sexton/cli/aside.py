"""Standard output for one JSON document alone, while an application's own code runs.

What a module prints when it is imported, what a task prints, and what their children write to
descriptor 1: with `--json` all of it goes to stderr, where a person sees it and a program that
reads the document does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress


@contextmanager
def stdout_aside(is_json: bool) -> Iterator[None]:
    """`with stdout_aside(args.json):` what is written to stdout in the block goes to stderr."""
    if not is_json:
        yield
        return
    _flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()  # what was printed past the redirection, as to sys.__stdout__
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            with suppress(OSError, ValueError):  # full, or closed
                stream.flush()
