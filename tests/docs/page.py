"""A page of the documentation as what can be run: its blocks, their files, their moments.

An order is an HTML comment on a line of its own, above the block that it is for. A reader does not
see it, so what it does has to stand in the text as well. Several are obeyed in their order:

    <!-- file: tasks.py -->             the block is this file; it is written now
    <!-- clock: 2026-11-22T07:30Z -->   the store's clock stands at this moment from here on
    <!-- first: sexton init -->         this command is run before, and shown to nobody
    <!-- run -->                        the Python block is run, as a program of its own
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_ORDER = re.compile(r"<!-- (file|clock|first|run)(?:: (.+?))? -->")
_FENCE = re.compile(r"(`{3,})([\w{}-]*)\s*")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the line that its fence is on, its orders.

    `above`: what a reader has read since the block before it.
    """

    language: str
    text: str
    line: int
    orders: tuple[tuple[str, str], ...] = ()
    above: str = ""

    @property
    def is_run(self) -> bool:
        return ("run", "") in self.orders


def pages() -> list[Path]:
    """Every page that people read: the README and all below docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order; raises ValueError for one that is not closed."""
    found: list[Block] = []
    orders: list[tuple[str, str]] = []
    above: list[str] = []
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if order := _ORDER.fullmatch(line.strip()):
            orders.append((order[1], order[2] or ""))
        elif fence := _FENCE.fullmatch(line):
            body = _until(fence[1], lines, f"{name_of(page)}:{number}")
            found.append(Block(fence[2], body, number, tuple(orders), "\n".join(above)))
            orders, above = [], []
        else:
            above.append(line)
    return found


def _until(fence: str, lines: Iterator[tuple[int, str]], where: str) -> str:
    body: list[str] = []
    for _, line in lines:
        if line == fence:
            return "\n".join(body)
        body.append(line)
    raise ValueError(f"{where}: the block is not closed")


@dataclass(frozen=True)
class Step:
    """One command of a console block, and what the page says that it answers."""

    command: str
    says: str
    line: int


def steps(block: Block) -> list[Step]:
    """The commands of a console block: lines that start with `$ `, continued by `> `."""
    found: list[Step] = []
    for offset, line in enumerate(block.text.splitlines(), 1):
        if line.startswith("$ "):
            found.append(Step(line[2:], "", block.line + offset))
        elif line.startswith("> ") and found and not found[-1].says:
            last = found.pop()
            found.append(Step(f"{last.command}\n{line[2:]}", "", last.line))
        elif found:
            last = found.pop()
            says = f"{last.says}\n{line}" if last.says else line
            found.append(Step(last.command, says, last.line))
        else:
            raise ValueError(f"line {block.line + offset} answers no command")
    return found


def fits(shown: str, said: str) -> bool:
    """Whether an answer is the one that is shown: `…` stands for anything in its line, and alone
    on a line for any number of lines. Spaces at the ends of lines do not matter."""
    parts = []
    for line in shown.splitlines():
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(re.escape(line.rstrip()).replace("…", r"[^\n]*") + "\n")
    tidy = "".join(f"{line.rstrip()}\n" for line in said.rstrip().splitlines())
    return re.fullmatch("".join(parts), tidy) is not None
