"""Tick without end, for those who want a worker: in a container, by hand.

    sexton watch

As `tick --for`, but until TERM or INT. It outlives a store that does not
answer for a while. After a change of the settings file, or a new version of
Sexton, start it anew. Nothing needs it: cron or a systemd timer with `sexton
tick` do the same with nothing left running.
"""

from __future__ import annotations

import argparse

from sexton.cli.linger import Front, linger
from sexton.cli.opened import opened
from sexton.cli.say import count, warn
from sexton.cli.signals import Signals
from sexton.core import errors
from sexton.store.wake import wake_path
from sexton.work.wait import Touches


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="say nothing at start and end")


def run(args: argparse.Namespace) -> int:
    with (
        opened() as (place, store),
        Signals() as signals,
        Touches(wake_path(store.db.path)) as touches,
    ):
        if not args.quiet:
            warn(f"sexton: watching {store.db.path}; TERM or Ctrl-C ends it")
        front = Front(signals, touches, grace_s=place.settings.grace_s)
        ticked = linger(store, place, front, is_endless=True)
        if not args.quiet:
            complete = count(ticked.complete, "task")
            warn(f"sexton: ended by {signals.asked}; {complete} ended Complete")
    return errors.DONE
