"""One pass: sweep, schedule, run until nothing is due, exit.

Cron, a systemd timer or a Kubernetes CronJob starts it every minute. `sexton
install` writes the line with the paths that are right here, since cron looks
for programs in /usr/bin and /bin only:

    * * * * *  cd /srv/shop && /srv/shop/.venv/bin/sexton tick
    * * * * *  cd /srv/shop && /srv/shop/.venv/bin/sexton tick --for 55s

Any number may run at once. With --for it lingers, and starts what is asked
for within milliseconds. It prints nothing unless a task ended otherwise than
Complete: a line on stderr for each, and exit code 1 if one failed, so that
cron's mail tells of it.

On TERM or INT it begins no more, and gives what runs the grace time of the
settings; a second signal ends it at once. What was cut off is made good by
the next tick. After INT it ends with 130.

As JSON: {"complete", "aborted", "swept", "asked", "drained", "sync_error",
"troubles": [{"task", "kind", "period", "attempt", "reason", "outcome"}, …]}.
"""

from __future__ import annotations

import argparse
import time

import msgspec

from sexton.app.ticker import Ticked
from sexton.cli import INTERRUPTED
from sexton.cli.aside import stdout_aside
from sexton.cli.linger import Front, linger, one_pass
from sexton.cli.opened import opened
from sexton.cli.say import say_json
from sexton.cli.signals import Signals
from sexton.cli.words import length_us
from sexton.core import errors
from sexton.store.wake import wake_path
from sexton.work.wait import Touches


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="length", type=length_us, metavar="LENGTH", help="linger, as 55s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    began_s = time.monotonic()
    with (
        opened() as (place, store),
        Signals() as signals,
        Touches(wake_path(store.db.path)) as touches,
        stdout_aside(args.json),  # a task that is run inline prints where it likes
    ):
        ends_s = began_s + args.length / 1_000_000 if args.length else 0
        front = Front(signals, touches, grace_s=place.settings.grace_s, ends_s=ends_s)
        if args.length:
            ticked = linger(store, place, front, is_endless=False)
        else:
            ticked = one_pass(store, place, front)
    if args.json:
        troubles = [msgspec.structs.asdict(trouble) for trouble in front.troubles]
        say_json(msgspec.structs.asdict(ticked) | {"troubles": troubles})
    return _code(ticked, signals)


def _code(ticked: Ticked, signals: Signals) -> int:
    if ticked.sync_error:
        raise errors.ConfigurationError(f"the application could not be read: {ticked.sync_error}")
    if signals.asked == "SIGINT":
        return INTERRUPTED
    return errors.TASK_FAILED if ticked.aborted else errors.DONE
