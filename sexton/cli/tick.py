"""One pass: sweep, schedule, run until nothing is due, exit.

Cron, a systemd timer or a Kubernetes CronJob starts it every minute:

    * * * * *  cd /srv/shop && sexton tick

Any number may run at once. With --for it lingers, and starts what is asked for within
milliseconds.
"""

from __future__ import annotations

import argparse

from sexton.app import place as places
from sexton.app import ticker
from sexton.cli.say import say_json
from sexton.core import errors
from sexton.store import open_store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(args: argparse.Namespace) -> int:
    place = places.find()
    store = open_store(place.store, place.settings)
    try:
        ticked = ticker.tick(store, place)
    finally:
        store.close()
    if args.json:
        say_json(ticked)
    if ticked.sync_error:
        raise errors.ConfigurationError(f"the application could not be read: {ticked.sync_error}")
    return errors.TASK_FAILED if ticked.aborted else errors.DONE
