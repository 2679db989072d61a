"""What all commands share: the table, the parser, the errors, the exit codes.

A command is a module with `configure(parser)`, which declares its words, and `run(args)`, which
returns an exit code. `sexton --help` reads only this table.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from sexton import __version__
from sexton.core import errors
from sexton.core.errors import SextonError


class Entry(NamedTuple):
    """One command: its module, its group in the help, and one line about it."""

    module: str
    group: str
    summary: str


COMMANDS = {
    "init": Entry("init", "Start", "make a settings file, a store and an example"),
    "sync": Entry("sync", "Start", "register what the application declares"),
    "tick": Entry("tick", "Run", "one pass: sweep, schedule, run until nothing is due"),
    "run": Entry("run", "Run", "call one kind through the guard, now and here"),
}

EPILOG = """exit codes:
  0   done, or nothing to do
  1   a task failed
  2   the words were not understood
  75  the store could not be reached or written: nothing was begun, try again
  78  the configuration must be mended

Each command explains itself: sexton COMMAND --help"""


def run(words: Sequence[str]) -> int:
    """Parse and run one command; errors become one sentence on stderr and an exit code."""
    try:
        return _run(list(words))
    except SextonError as error:
        tell(error)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        print("sexton: interrupted", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), "")
    if name not in COMMANDS:
        parser = _parser(list(COMMANDS))
        parser.parse_args(words)
        parser.print_help()
        return errors.USAGE if name else errors.DONE
    args = _parser([name]).parse_args(words)
    module = importlib.import_module(f"sexton.cli.{COMMANDS[name].module}")
    code: int = module.run(args)
    return code


def _parser(names: list[str]) -> argparse.ArgumentParser:
    """The parser for these commands; a single one is configured in full."""
    parser = argparse.ArgumentParser(
        prog="sexton",
        description="Runs tasks so that each happens once, with nothing left running.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sexton {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=False)
    for name in names:
        entry = COMMANDS[name]
        one = commands.add_parser(
            name, help=entry.summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if len(names) == 1:
            module = importlib.import_module(f"sexton.cli.{entry.module}")
            one.description = (module.__doc__ or "").strip()
            module.configure(one)
    return parser


def tell(error: SextonError) -> None:
    """Say an error on stderr: what, and what to do now."""
    print(f"sexton: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
