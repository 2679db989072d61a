"""The words of all commands as plain data, from their parsers: for completion and reference."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from sexton.cli.frame import COMMANDS, parser_of


class Word(NamedTuple):
    """An option, or (without names) a word that stands by its place."""

    names: list[str]
    metavar: str
    help: str
    choices: list[str]
    takes_value: bool
    is_repeated: bool
    is_kind: bool
    is_required: bool


class Branch(NamedTuple):
    """One command; `text` is its help in full."""

    name: str
    group: str
    summary: str
    text: str
    usage: str
    options: list[Word]
    positions: list[Word]


def branches() -> list[Branch]:
    """Every command, in the order of the table."""
    return [_branch(name) for name in COMMANDS]


def _branch(name: str) -> Branch:
    parser = parser_of(name)
    words = [_word(action) for action in parser._actions]
    entry = COMMANDS[name]
    options = [word for word in words if word.names]
    positions = [word for word in words if not word.names]
    used = [word for word in [*options, *positions] if "--help" not in word.names]
    usage = " ".join(["sexton", name, *map(_used, used)])
    text = parser.description or ""
    return Branch(name, entry.group, entry.summary, text, usage, options, positions)


def _word(action: argparse.Action) -> Word:
    takes_value = action.nargs != 0
    choices = [str(choice) for choice in action.choices or ()]
    metavar = str(action.metavar or action.dest)
    return Word(
        names=list(action.option_strings),
        metavar="|".join(choices) if choices and not action.metavar else metavar,
        help=action.help or "",
        choices=choices,
        takes_value=takes_value,
        is_repeated=action.nargs == "*",
        is_kind=action.dest == "kind",
        is_required=action.required,
    )


def _used(word: Word) -> str:
    """How a word stands in a line of usage."""
    text = word.metavar
    if word.names:
        value = f" {word.metavar if word.choices else word.metavar.upper()}"
        text = word.names[-1] + (value if word.takes_value else "")
    return text if word.is_required else f"[{text}]"
