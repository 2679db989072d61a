"""How commands speak: text for people, one JSON document for programs, colour only on terminals.

What stands in rows came from anywhere, so nothing of it reaches a terminal as it is: characters
that act instead of showing are written as escapes, in text and in JSON.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple, TextIO

from sexton.core.instant import Instant, iso, to_datetime
from sexton.work.capture import shown

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "faint": 2, "bold": 1}
COLUMN_MIN = 10  # a column of a table is not cut to less
COLUMN_MAX = 24  # where a table does not fit, all columns but the last are cut to this first
GAP = "  "


class Ink(NamedTuple):
    """A cell of a table that has a colour where there are colours.

    `short`: what stands for it on a terminal that is too narrow for the table.
    """

    text: str
    colour: str = ""
    short: str = ""


Cell = str | Ink


class Unsaid(OSError):
    """What was to be said could not be written to stdout: a full disk, a reader that went away."""


@contextmanager
def on_stdout() -> Iterator[None]:
    """`with on_stdout():` what cannot be written there is Unsaid, and no fault of the store."""
    try:
        yield
    except OSError as error:
        raise Unsaid(error.errno, error.strerror) from error


def say(text: str = "") -> None:
    """One line, or several, on stdout."""
    put(shown(_bytes(text)))


def put(text: str, end: str = "\n") -> None:
    """Text that is safe already, on stdout."""
    with on_stdout():
        print(text, end=end)


def say_json(value: Any) -> None:
    """One JSON document on one line of stdout; what may act on a terminal is escaped."""
    put(as_json(value))


def as_json(value: Any) -> str:
    return safe_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def safe_json(text: str) -> str:
    """JSON text with escapes for what may act on a terminal, or has no place on this stdout."""
    is_narrow = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    if text.isprintable() and (text.isascii() or not is_narrow):
        return text
    return "".join(
        sign if sign.isprintable() and (sign.isascii() or not is_narrow) else json.dumps(sign)[1:-1]
        for sign in text
    )


def warn(text: str) -> None:
    """One line, or several, on stderr; it never raises.

    It is called in the middle of a tick: what cannot be said must not end the work.
    """
    try:
        print(shown(_bytes(text)), file=sys.stderr, flush=True)
    except OSError:  # a full disk behind it, or a reader that went away
        say_no_more(sys.stderr)


def say_no_more(stream: TextIO) -> None:
    """Let a stream lead nowhere: what its buffer still holds must not fail once more at the end."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def one_line(text: str) -> str:
    """Text of a row as part of a line: controls, also line ends and tabs, are shown as escapes."""
    safe = shown(_bytes(text))
    return safe.replace("\n", "\\n").replace("\t", "\\t")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def paint(text: str, colour: str, stream: IO[str] | None = None) -> str:
    """The text in a colour, if the stream takes colours."""
    if not colour or not has_colours(stream or sys.stdout):
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


def has_colours(stream: IO[str]) -> bool:
    """Whether a person reads it on a terminal that has colours. Source: no-color.org."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not is_plain


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Rows in columns, aligned by what they take on a screen; on a terminal they fit it."""
    lines = [[_ink(heading, "bold") for heading in headings]]
    lines += [[_ink(cell) for cell in row] for row in rows]
    widths = _natural(lines)
    room = _room(len(headings))
    if sum(widths) > room:
        lines = [[_shortened(cell) for cell in line] for line in lines]
        widths = fitted(_natural(lines), room)
    for line in lines:
        cells = [Ink(cut(cell.text, widths[i]), cell.colour) for i, cell in enumerate(line)]
        padded = [_padded(cell, widths[i]) for i, cell in enumerate(cells[:-1])]
        put(GAP.join([*padded, paint(cells[-1].text, cells[-1].colour)]).rstrip())


def _ink(cell: Cell, colour: str = "") -> Ink:
    ink = cell if isinstance(cell, Ink) else Ink(cell, colour)
    return ink._replace(text=one_line(ink.text))


def _shortened(cell: Ink) -> Ink:
    return cell._replace(text=cell.short or cell.text)


def _natural(lines: list[list[Ink]]) -> list[int]:
    return [max(width(line[i].text) for line in lines) for i in range(len(lines[0]))]


def _padded(cell: Ink, columns: int) -> str:
    return paint(cell.text, cell.colour) + " " * (columns - width(cell.text))


def _room(columns: int) -> int:
    """What a terminal has for the cells of a row; without one there is no bound."""
    if not sys.stdout.isatty():
        return sys.maxsize
    return shutil.get_terminal_size().columns - len(GAP) * (columns - 1)


def fitted(widths: list[int], room: int) -> list[int]:
    """The widths of columns, the widest made narrower until all fit; the last gets what is left.

    None is made narrower than COLUMN_MIN: more columns than there is room for stay too wide.
    """
    *others, last = widths
    if sum(widths) > room:
        others = [min(columns, COLUMN_MAX) for columns in others]
    kept = min(last, COLUMN_MIN)
    while sum(others) + kept > room and max(others, default=0) > COLUMN_MIN:
        others[others.index(max(others))] -= 1
    return [*others, max(kept, min(last, room - sum(others)))]


def width(text: str) -> int:
    """The columns that a text takes on a screen: accents of their own none, wide characters two."""
    if text.isascii():
        return len(text)
    return sum(_columns(sign) for sign in text)


def _columns(sign: str) -> int:
    if unicodedata.category(sign) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in {"W", "F"} else 1


def cut(text: str, columns: int) -> str:
    """The text, shortened with `…` if it takes more columns."""
    if width(text) <= columns:
        return text
    kept, taken = "", 1
    for sign in text:
        taken += _columns(sign)
        if taken > columns:
            break
        kept += sign
    return f"{kept}…"


def fields(pairs: Iterable[tuple[str, Cell]]) -> None:
    """Names and values, one a line; those without a value are left out."""
    lines = [(name, _ink(cell)) for name, cell in pairs]
    lines = [(name, cell) for name, cell in lines if cell.text]
    longest = max((len(name) for name, _ in lines), default=0)
    for name, cell in lines:
        put(f"{paint(name.ljust(longest), 'faint')}  {paint(cell.text, cell.colour)}")


def when(instant: Instant | None) -> str:
    """A moment for a person: in this machine's own zone, to the second; '' for none."""
    if instant is None:
        return ""
    return to_datetime(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(instant: Instant | None) -> Ink:
    """As `when`, for a table: on a narrow terminal without its year and seconds."""
    text = when(instant)
    return Ink(text, short=text[5:-3])


def stamp(instant: Instant | None) -> str | None:
    """A moment for a program: ISO 8601 in UTC, to the microsecond; None for none."""
    return None if instant is None else iso(instant, exact=True)


def count(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
