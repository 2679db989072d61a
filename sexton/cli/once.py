"""Run any program once a period, by name: a crontab line that never runs twice.

    sexton once --name sums --schedule "0 3 * * *" --tz Europe/Riga -- ./send.sh
    sexton once --name report --schedule @daily --retry "30m x 3" -- ./report.sh
    sexton once --name sync-stock --every 15m -- python3 sync_stock.py
    sexton once --name rotate-keys --min-gap 20h -- ./rotate.sh

Cron may call it as often as it likes: what is done is skipped with exit code
0, what runs elsewhere is left alone, what died is taken over. The program's
output is passed on and kept (sexton show ID). In its environment stand
SEXTON_PERIOD, SEXTON_TASK and SEXTON_ATTEMPT, and `sexton item` gives it a
ledger. Without --schedule, --every or --min-gap only one runs at a time.

A new name with a schedule first runs at its first moment after now, since
whatever ran it before may have done so today; --force REASON runs it at once.

As JSON: {"code", "sentence", "ran", "ok", "counts", "period", "task"}; the
program's output goes to stderr then.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import msgspec

from sexton.app.command import call_program
from sexton.app.declare import Options, kind_of
from sexton.app.here import Here
from sexton.cli.opened import opened
from sexton.cli.run import say_outcome, stop_by, tee_to
from sexton.cli.schedules import add_words
from sexton.cli.signals import Signals
from sexton.cli.words import Parser, as_typed
from sexton.core.errors import ConfigurationError, UsageError
from sexton.core.kind import Kind
from sexton.store.store import Store

POLICIES = ("park", "retry", "skip")
# The words that are options of a declared kind under the same name.
DECLARED = ("schedule", "tz", "every", "min_gap", "early", "expires", "retry", "timeout", "lane")


def configure(parser: Parser) -> None:
    parser.takes_program = True
    parser.add_argument("--name", required=True, help="what it is called in the store")
    add_words(parser)
    parser.add_argument("--min-gap", metavar="LENGTH", help="not again so soon after a success")
    parser.add_argument("--early", metavar="LENGTH", help="a call so long before claims the period")
    parser.add_argument("--expires", metavar="LENGTH", help="not begun so long after its moment")
    parser.add_argument("--retry", metavar="'LENGTH x N'", help="N attempts in all")
    parser.add_argument("--timeout", metavar="LENGTH", help="its deadline (1h)")
    parser.add_argument("--lane", metavar="NAME", help="what must not run at the same time")
    parser.add_argument(
        "--in-doubt", choices=POLICIES, default="park", help="items in doubt (park)"
    )
    parser.add_argument("--force", metavar="REASON", help="run in a period of its own, done or not")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("argv", nargs="*", metavar="-- PROGRAM", help="the program and its words")


def run(args: argparse.Namespace) -> int:
    if not args.argv:
        raise UsageError("no program is named", hint="Write it at the end: sexton once … -- ./send")
    if args.force is not None and not args.force.strip():
        raise UsageError("--force needs a reason; it is recorded beside the run")
    kind = _kind(args)
    with opened() as (_, store), Signals() as signals:
        _refuse_taken(store, kind.name)
        outcome = call_program(
            Here(store),
            kind,
            args.argv,
            cwd=os.getcwd(),
            force=(args.force or "").strip(),
            tee=tee_to(args.json),
            stop=stop_by(signals),
        )
    return signals.code_of(say_outcome(outcome, args.json))


def _kind(args: argparse.Namespace) -> Kind:
    """The kind that the words declare; raises UsageError."""
    given: dict[str, Any] = {name: getattr(args, name) for name in DECLARED}
    options: Options = {name: text for name, text in given.items() if text is not None}  # type: ignore[assignment]
    # The program alone: a password among its words has no business in the store.
    summary = args.argv[0].encode("utf-8", "backslashreplace").decode()[:200]
    try:
        kind = kind_of("once", args.name, options, summary)
    except ConfigurationError as error:
        text = str(error).removeprefix(f"{args.name}: ")
        raise UsageError(as_typed(text, DECLARED), hint=as_typed(error.hint, DECLARED)) from error
    # Without a schedule or a gap: one at a time.
    key = None if kind.is_guarded else ""
    return msgspec.structs.replace(kind, in_doubt=args.in_doubt, key=key)


def _refuse_taken(store: Store, name: str) -> None:
    known = store.kinds.get(name)
    if known and known.kind.family != "once" and known.gone_at is None:
        raise UsageError(
            f"{name} is a kind of the application already", hint="Choose another --name."
        )
