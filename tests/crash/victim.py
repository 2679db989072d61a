"""`python -m tests.crash.victim URL EFFECTS KIND`: one run in a process of its own, to be killed.

KIND `create` makes the store, `tick` does one pass; else the kind of that name is called.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sexton.store import create_store
from sexton.testing.inline import tick
from tests.crash.world import app, effects


def main(url: str, path: str, kind: str) -> None:
    effects.path = Path(path)
    if kind == "create":
        create_store(url).close()
        return
    with app.on(url):
        if kind == "tick":
            tick(app)
        else:
            declared = app[kind]
            declared()


if __name__ == "__main__":
    main(*sys.argv[1:])
