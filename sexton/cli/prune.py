"""Forget what is long over: ended tasks and output, ledgers, counters, notices.

    sexton prune                     # keep_days of the settings (400)
    sexton prune --keep-days 90

What still decides something stays: each kind's last success, items in doubt,
wide scopes.

As JSON: {"keep_days", "pruned": {what: count, …}}.
"""

from __future__ import annotations

import argparse

from sexton.cli.opened import opened
from sexton.cli.say import count, say, say_json
from sexton.cli.words import within
from sexton.core import errors

KEEP_DAYS_MAX = 36_500


def configure(parser: argparse.ArgumentParser) -> None:
    read = within(1, KEEP_DAYS_MAX)
    parser.add_argument("--keep-days", type=read, metavar="N", help="as keep_days of the settings")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (place, store):
        keep_days = args.keep_days or place.settings.keep_days
        pruned = store.upkeep.prune(keep_days)
    if args.json:
        say_json({"keep_days": keep_days, "pruned": pruned})
    elif any(pruned.values()):
        say("forgotten: " + ", ".join(f"{n} {what}" for what, n in pruned.items() if n))
    else:
        say(f"nothing ended before {count(keep_days, 'day')} ago")
    return errors.DONE
