"""Call one kind through the guard, now and here; say in words what happened.

    sexton run daily_summary             # does nothing if the period is done
    sexton run daily_summary --plan      # whom it would touch; touches nobody
    sexton run daily_summary --force "mails were lost on the way"
    sexton run resize image=a.png width=400

What the kind prints goes to the terminal. While a plan of many runs, a
terminal shows how far it is; Ctrl-C lets it end the items at hand and write
them down, a second one ends it at once. Exit code 1 if it failed, or if this
period can no longer be done; 130 if Ctrl-C ended it.

As JSON: {"code", "sentence", "ran", "ok", "counts", "period", "task"}; with
--plan: {"kind", "period", "keys", "counts", "skipped"}.
"""

from __future__ import annotations

import argparse
import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from sexton.app import place as places
from sexton.app.body import theirs
from sexton.app.command import Command, call_program
from sexton.app.load import load
from sexton.app.plan import Plan
from sexton.app.sexton import Sexton
from sexton.app.task import Task
from sexton.cli.aside import stdout_aside
from sexton.cli.progress import Bar
from sexton.cli.say import one_line, say, say_json, say_no_more, warn
from sexton.cli.signals import Signals, interruptible
from sexton.cli.words import refuse_unfit
from sexton.core import errors
from sexton.core.errors import SextonError, UsageError
from sexton.core.outcome import Outcome
from sexton.core.task import Reason


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="the kind's name")
    parser.add_argument(
        "payload", nargs="*", default=[], metavar="NAME=VALUE", help="its payload's fields"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="only count and show whom it would touch")
    how.add_argument("--force", metavar="REASON", help="run in a period of its own, done or not")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with stdout_aside(args.json):
        app = load(places.find())
    try:
        return _run(app, args)
    finally:
        app.close()


def _run(app: Sexton, args: argparse.Namespace) -> int:
    declared = app[args.kind]
    if isinstance(declared, Command):
        return _run_command(app, declared, args)
    refuse_unfit(args.kind, args.payload, declared.payload.names)
    with stdout_aside(args.json):
        values = declared.payload.decode(declared.payload.read(args.payload))
    if args.plan:
        return _preview(declared, values, args)
    failed: list[Outcome[Any]] = []
    declared.told = failed.append
    if not isinstance(declared, Plan):
        with interruptible():
            return _answered(lambda: _call(declared, values, args), failed, args)
    with Signals(insists=True) as signals:
        declared.stop = stop_by(signals)
        return signals.code_of(_answered(lambda: _call(declared, values, args), failed, args))


def _call(
    declared: Task[..., Any], values: dict[str, Any], args: argparse.Namespace
) -> Outcome[Any]:
    call: Callable[..., Outcome[Any]] = declared
    if args.force is not None:
        call = functools.partial(declared.force, args.force)
    if not isinstance(declared, Plan):
        return call(**values)
    with Bar(args.kind) as bar:
        declared.progress = bar.show
        return call(**values)


def _answered(
    call: Callable[[], Outcome[Any]], failed: list[Outcome[Any]], args: argparse.Namespace
) -> int:
    """Run and say what happened. The kind's own exception is shown; it is recorded."""
    try:
        with stdout_aside(args.json):
            outcome = call()
    except KeyboardInterrupt:
        if args.json and failed:
            say_outcome(failed[-1], as_json=True)
        raise
    except SextonError:
        raise
    except BaseException as error:  # noqa: BLE001 -- foreign code, also its SystemExit
        warn(_shown(error))
        warn(f"sexton: {args.kind} failed: {one_line(f'{type(error).__name__}: {error}')}")
        if args.json and failed:
            say_outcome(failed[-1], as_json=True)
        return errors.TASK_FAILED
    return say_outcome(outcome, args.json)


def _shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, theirs(error))).rstrip()


def say_outcome(outcome: Outcome[Any], as_json: bool) -> int:
    """Answer with an outcome; the exit code that it means."""
    if as_json:
        say_json({name: getattr(outcome, name) for name in _SHOWN})
    else:
        say(one_line(str(outcome)).replace("; force(reason) to", "; --force REASON to"))
    return errors.DONE if outcome.ok else errors.TASK_FAILED


_SHOWN = ("code", "sentence", "ran", "ok", "counts", "period", "task")


def _run_command(app: Sexton, declared: Command, args: argparse.Namespace) -> int:
    if args.payload or args.plan:
        raise UsageError(f"{args.kind} is a command: it has no payload and no plan")
    if args.force is not None and not args.force.strip():
        raise UsageError("--force needs a reason; it is recorded beside the run")
    with Signals() as signals:
        outcome = call_program(
            app.here,
            declared.kind,
            declared.argv,
            cwd=app.place.directory,
            force=(args.force or "").strip(),
            tee=tee_to(args.json),
            stop=stop_by(signals),
        )
    return signals.code_of(say_outcome(outcome, args.json))


def tee_to(is_json: bool) -> Callable[[bytes], None]:
    """Pass a program's output on, byte for byte; to stderr where stdout is for JSON.

    A reader that went away, or a full disk behind it, ends no work: the store keeps the output.
    """
    stream = sys.stderr if is_json else sys.stdout

    def tee(data: bytes) -> None:
        try:
            stream.flush()
            stream.buffer.write(data)
            stream.buffer.flush()
        except OSError as error:
            say_no_more(stream)
            if not isinstance(error, BrokenPipeError):
                warn(f"sexton: the output is kept, and passed on no more: {error}")

    return tee


def stop_by(signals: Signals) -> Callable[[], Reason]:
    """A signal ends the task in good order.

    Ctrl-C is a person's word: nothing follows. TERM and HUP come from a machine that goes down, or
    a terminal that was closed: the task is lost, and the next call or tick makes it good.
    """

    def stop() -> Reason:
        if not signals.asked:
            return ""
        return "administrator" if signals.asked == "SIGINT" else "lost"

    return stop


def _preview(declared: object, values: dict[str, object], args: argparse.Namespace) -> int:
    if not isinstance(declared, Plan):
        raise UsageError(f"{args.kind} is no plan: it has nobody to show")
    with stdout_aside(args.json):
        preview = declared.plan(**values)
    if args.json:
        say_json(msgspec.structs.asdict(preview))
        return errors.DONE
    for key in preview.keys:
        say(one_line(key))
    warn(str(preview))
    return errors.DONE
