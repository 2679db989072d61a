"""Named queries, read from the .sql files beside this module.

    -- name: finish
    -- What it promises, and which index keeps the promise.
    UPDATE ...

The text is the same for every database wherever it can be; `:name` marks a parameter.
"""

from __future__ import annotations

import os

_HERE = os.path.join(os.path.dirname(__file__), "sql")


class Queries:
    """The queries of one file as attributes: `SQL = Queries("task")`, then `SQL.finish`."""

    def __init__(self, noun: str) -> None:
        with open(os.path.join(_HERE, f"{noun}.sql"), encoding="utf-8") as file:
            self._texts = dict(_split(part) for part in file.read().split("-- name: ")[1:])
        # As plain attributes they are found at once: the ledger asks for five of them an item.
        vars(self).update(self._texts)

    @property
    def names(self) -> list[str]:
        return list(self._texts)

    def __getattr__(self, name: str) -> str:
        """Called only for a name that is none; raises AttributeError."""
        raise AttributeError(f"no query is named {name}")


def _split(part: str) -> tuple[str, str]:
    name, _, text = part.partition("\n")
    lines = [line for line in text.splitlines() if line and not line.startswith("--")]
    return name.strip(), "\n".join(lines)
