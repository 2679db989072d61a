"""The words of a command line, each read strictly: what is not meant is refused and named."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NoReturn
from zoneinfo import ZoneInfo

from sexton.cli.say import put
from sexton.core import duration
from sexton.core.errors import DurationError, UsageError
from sexton.core.instant import Instant, from_datetime, parse_iso
from sexton.core.near import nearest

ID_DIGITS_MAX = 18  # so that every id fits the store's 64-bit integers


class Parser(argparse.ArgumentParser):
    """As argparse's, but a mistake is our own error, and long options are written out.

    `takes_program`: what follows `--` is a program with its own words, and all before it are ours.
    """

    takes_program = False

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)  # type: ignore[arg-type] # argparse's own many options

    def parse_args(self, words: list[str]) -> argparse.Namespace:  # type: ignore[override]
        """As argparse's; a word that may be left out may also stand behind an option."""
        if self.takes_program:
            return self._with_program(words)
        try:
            return super().parse_args(words)
        except UsageError:
            # argparse takes such a word for left out as soon as it meets an option.
            if "--" in words:
                raise
            return self.parse_intermixed_args(words)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> object:
        """As argparse's, which makes an empty list of the value of --key=--."""
        if action.option_strings and arg_strings == ["--"]:
            value: object = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def _with_program(self, words: list[str]) -> argparse.Namespace:
        """Without `--`, an option of the program would be taken for one of ours."""
        at = words.index("--") if "--" in words else len(words)
        args, rest = super().parse_known_args(words[:at])
        strange = [*args.argv, *rest]
        first = next((word for word in words[:at] if word in strange), "")
        # An option that stands behind a word of the program's is the program's, too.
        if first in rest and first.startswith("-"):
            unknown = [word for word in rest if word.startswith("-")]
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if strange:
            raise UsageError(
                f"{first!r} is none of its words",
                hint="The program stands behind --, as in sexton once … -- ./send.sh --all.",
            )
        args.argv = words[at + 1 :]
        return args

    def _print_message(self, message: str, _: object = None) -> None:
        """As argparse's, which is silent about a full disk behind stdout."""
        put(message, end="")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=self._hint(message))

    def _hint(self, message: str) -> str:
        known = [word for action in self._actions for word in action.option_strings]
        for word in message.replace(":", " ").split():
            name = word.partition("=")[0]
            if name.startswith("--") and name not in known and (near := nearest(name, known)):
                return f"Did you mean {near}?"
        if "expected one argument" in message:
            return "A value that begins with '-' is written behind a '=', as --key=-x."
        return f"See {self.prog} --help."


def zone(text: str) -> str:
    """The name of a time zone; whether there is such a zone is told by who looks for it."""
    if text.strip().lower() in {"", "local", "localtime"}:
        raise UsageError(
            f"--tz: {text!r} names no time zone",
            hint="Write its IANA name, as Europe/Riga; without --tz it is UTC.",
        )
    return text


def refuse_unfit(kind: str, words: Iterable[str], takes: Iterable[str]) -> None:
    """Refuse a payload's words that name no field."""
    for word in words:
        if "=" not in word:
            hint = f"Write {word if word in takes else 'NAME'}=VALUE."
            raise UsageError(f"{word!r} gives no value to a field of {kind}", hint=hint)


def as_typed(text: str, options: Iterable[str]) -> str:
    """A sentence about Python's `min_gap=` in the words of this command line: `--min-gap`."""

    def typed(found: re.Match[str]) -> str:
        return f"--{found[1].replace('_', '-')}{'=' if found[2] else ''}{found[2]}"

    return re.sub(rf"\b({'|'.join(options)})=(\S?)", typed, text)


def argument(text: str) -> str:
    """A word as it is typed in a shell, behind `--` where it would be taken for an option."""
    return f"-- {shlex.quote(text)}" if text.startswith("-") else shlex.quote(text)


def task_id(text: str) -> int:
    """The id of a task: a whole number from 1."""
    number = _whole(text, ID_DIGITS_MAX)
    if not number:
        raise UsageError(
            f"{text!r} is not the id of a task", hint="`sexton tasks` lists tasks with their ids."
        )
    return number


def within(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        sign = -1 if text.startswith("-") else 1
        number = _whole(text.removeprefix("-"), len(str(max(-low, high))))
        if number is None or not low <= sign * number <= high:
            raise UsageError(f"{text!r} is not a whole number from {low} to {high}")
        return sign * number

    return read


def _whole(text: str, digits_max: int) -> int | None:
    is_whole = text.isascii() and text.isdigit() and len(text) <= digits_max
    return int(text) if is_whole else None


def length_us(text: str) -> int:
    """A length of time in microseconds."""
    try:
        return duration.parse(text)
    except DurationError as error:
        raise UsageError(str(error), hint=error.hint) from error


def moment(text: str, zone: str = "") -> Instant:
    """An instant of ISO 8601 text. Without an offset it is a wall time of the zone, if given."""
    try:
        naive = datetime.fromisoformat(text.strip())
    except ValueError:
        return parse_iso(text)  # which refuses it in words
    if naive.tzinfo is not None or not zone:
        return parse_iso(text)
    try:
        return from_datetime(naive.replace(tzinfo=ZoneInfo(zone)))
    except OverflowError:
        raise UsageError(f"{text!r} is out of range") from None


def later(text: str, now: Instant) -> Instant:
    """A moment, or a length from now: `2026-11-22T07:30Z`, `2h`."""
    try:
        return now + duration.parse(text)
    except DurationError:
        return moment(text)


def refuse_unreadable(words: Iterable[str]) -> None:
    """Refuse words that are not UTF-8, or hold what no name and no text has."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the word {word!r} is not valid UTF-8") from None
        if "\0" in word:
            raise UsageError(f"the word {word!r} holds a NUL character")
