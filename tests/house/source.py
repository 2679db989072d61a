"""The project's own source, as the rules of the house read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One Python file: where it lies in the project (with forward slashes), and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        """The lines; the line numbered n in the tree is `lines[n - 1]`."""
        return self.text.splitlines()

    def under(self, *places: str) -> bool:
        """Tell whether this is one of these files, or lies in one of these folders (`a/b/`)."""
        return any(self.path == place or self.path.startswith(place) for place in places)


def modules(*rooms: str) -> Iterator[Module]:
    """Read every Python file below these folders or named so, in a stable order."""
    for place in (ROOT / room for room in rooms):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            yield Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def files(room: str, pattern: str) -> list[str]:
    """List the files of a folder by pattern, as paths in the project."""
    found = (ROOT / room).rglob(pattern)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)
