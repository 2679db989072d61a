"""What all commands share: the table, the parser, the errors, the exit codes.

A command is a module with `configure(parser)`, which declares its words, and `run(args)`, which
returns an exit code. `sexton --help` reads only this table; a command loads only its own module.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, TextIO

import msgspec

from sexton import __version__
from sexton.cli import INTERRUPTED
from sexton.cli.say import Unsaid, say, say_no_more, warn
from sexton.cli.words import Parser, refuse_unreadable
from sexton.core import errors
from sexton.core.errors import ConfigurationError, SextonError, UsageError
from sexton.core.near import nearest


class Entry(NamedTuple):
    """One command: its module, its group in the help, and one line about it."""

    module: str
    group: str
    summary: str


COMMANDS = {
    "init": Entry("init", "Start", "make a settings file, a store and an example"),
    "sync": Entry("sync", "Start", "register what the application declares"),
    "install": Entry("install", "Start", "let cron or systemd start the tick"),
    "doctor": Entry("doctor", "Start", "look for what keeps tasks from running"),
    "completion": Entry("completion", "Start", "print completion for bash, zsh or fish"),
    "tick": Entry("tick", "Run", "one pass: sweep, schedule, run until nothing is due"),
    "watch": Entry("watch", "Run", "tick without end, for those who want a worker"),
    "run": Entry("run", "Run", "call one kind through the guard, now and here"),
    "enqueue": Entry("enqueue", "Run", "ask for a task; the next tick runs it"),
    "once": Entry("once", "Run", "run any program once a period, without Python"),
    "item": Entry("item", "Run", "begin and end items of a running task, from any language"),
    "tasks": Entry("tasks", "Look", "list tasks, newest first"),
    "show": Entry("show", "Look", "show one task: its attempts, its output, what came late"),
    "kinds": Entry("kinds", "Look", "list what is registered, and what comes next"),
    "why": Entry("why", "Look", "say why a kind did or did not do something"),
    "next": Entry("next", "Look", "list the next moments of a kind or of a schedule"),
    "lint": Entry("lint", "Look", "say what may not be meant in a schedule"),
    "items": Entry("items", "Look", "list the ledger of a kind, or what is in doubt"),
    "abort": Entry("abort", "Act", "end a task, and all of its processes"),
    "settle": Entry("settle", "Act", "say what became of an item in doubt"),
    "kv": Entry("kv", "Act", "read and write the key-value store"),
    "migrate": Entry("migrate", "Keep", "bring the store to this version's schema"),
    "backup": Entry("backup", "Keep", "copy the live store to a new file"),
    "prune": Entry("prune", "Keep", "forget what is long over"),
    "check": Entry("check", "Keep", "verify every invariant of the live store"),
}

EXIT_CODES = """exit codes:
  0   done, or nothing to do
  1   a task failed, or the answer is no
  2   the words were not understood
  75  the store could not be reached or written: nothing was begun, try again
  78  the configuration must be mended"""


def run(words: Sequence[str]) -> int:
    """Parse and run one command; errors become one sentence on stderr and an exit code."""
    _speak_safely()
    return _flushed(_answered(list(words)))


def _answered(words: list[str]) -> int:
    try:
        return _run(words)
    except SextonError as error:
        tell(error)
        return error.exit_code
    except Unsaid as error:
        return _unsaid(error, errors.DONE)
    except OSError as error:
        warn(f"sexton: {error}")
        return errors.STORE_UNREACHABLE
    except (msgspec.DecodeError, json.JSONDecodeError) as error:  # damage that SQLite cannot see
        tell(
            ConfigurationError(
                f"a value in the store cannot be read: {error}",
                hint="`sexton check` names the row; restore a backup of `sexton backup`.",
            )
        )
        return errors.CONFIGURATION
    except UnicodeEncodeError as error:  # a path of bytes that are no text: SQLite takes none
        warn(f"sexton: {error.object!r} is not valid UTF-8")
        return errors.CONFIGURATION
    except KeyboardInterrupt:
        warn("sexton: interrupted")
        return INTERRUPTED


def _flushed(code: int) -> int:
    """Write out what was said; the exit code, which tells of output that cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return _unsaid(error, code)
    return code


def _unsaid(error: OSError, code: int) -> int:
    say_no_more(sys.stdout)
    if error.errno == errno.EPIPE:  # the reader of our output went away, as `head` does
        return code
    warn(f"sexton: the output cannot be written: {error.strerror}")
    return code or errors.TASK_FAILED


def _speak_safely() -> None:
    """A character that the terminal's encoding lacks is shown as an escape, never an exception.

    Where a stream was closed before we began, nothing is said; and what is opened next must not
    take its number, or a child would write into it.
    """
    for fd in range(3):
        if not _is_open(fd):
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or _nowhere(1)
    sys.stderr = sys.stderr or _nowhere(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _nowhere(fd: int) -> TextIO:
    return open(fd, "w", encoding="utf-8", closefd=False)


def _run(words: list[str]) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if words[:1] in ([], ["-h"], ["--help"]):
        say(overview())
        return errors.DONE
    if words[0] == "--version":
        say(f"sexton {__version__}")
        return errors.DONE
    name = words[0]
    refuse_unreadable([name])
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        hint = f"Did you mean sexton {near}?" if near else "`sexton --help` lists the commands."
        raise UsageError(f"there is no command {name!r}", hint=hint)
    return _run_command(name, words[1:])


def _run_command(name: str, words: list[str]) -> int:
    # What follows `--` may be a program's own words, and bytes of any kind.
    refuse_unreadable(words[: words.index("--")] if "--" in words else words)
    _refuse_no_directory()
    parser = parser_of(name)
    try:
        args = parser.parse_args(words)
    except SystemExit as end:  # argparse has printed the help
        return errors.DONE if end.code in (None, 0) else errors.USAGE
    code: int = importlib.import_module(f"sexton.cli.{COMMANDS[name].module}").run(args)
    return code


def _refuse_no_directory() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigurationError(
            f"the current directory cannot be used: {error.strerror}", hint="Change to another one."
        ) from error


def parser_of(name: str) -> Parser:
    """The parser of one command; its help is the docstring of its module."""
    module = importlib.import_module(f"sexton.cli.{COMMANDS[name].module}")
    parser = Parser(
        prog=f"sexton {name}", description=(module.__doc__ or "").strip(), epilog=EXIT_CODES
    )
    module.configure(parser)
    return parser


def overview() -> str:
    """All commands in their groups."""
    lines = [
        "usage: sexton COMMAND …",
        "",
        "Runs tasks so that each happens once, with nothing left running.",
    ]
    group = ""
    for name, entry in COMMANDS.items():
        if entry.group != group:
            group = entry.group
            lines += ["", f"{group}:"]
        lines.append(f"  {name:<12}{entry.summary}")
    return "\n".join([*lines, "", EXIT_CODES, "", "Each explains itself: sexton COMMAND --help"])


def tell(error: SextonError) -> None:
    """Say an error on stderr: what, and what to do now."""
    warn(f"sexton: {error}")
    if error.hint:
        warn(f"  {error.hint}")
