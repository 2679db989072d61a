"""Look for what keeps tasks from running, and say of each what to do.

    sexton doctor

Looked at are: the store and its disk, the clock, whether cron runs and when
the last tick came, whether the application can be imported and is as it was
registered, schedules that stand in a gap of summer time, kinds that are gone,
items in doubt, and who hears of alerts. Exit code 1 if something is bad.

As JSON: {"findings": [{"level": "ok", "warn" or "bad", "about", "text",
"hint"}, …]}.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sexton.app import place as places
from sexton.app.place import Place
from sexton.cli import look
from sexton.cli.look import Finding
from sexton.cli.say import one_line, paint, put, say_json
from sexton.core import errors
from sexton.core.errors import SextonError
from sexton.store import open_store, path_of
from sexton.store.store import Store

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    found = list(_looks())
    if args.json:
        say_json({"findings": [one._asdict() for one in found]})
    else:
        for one in found:
            _say(one)
    return errors.TASK_FAILED if any(one.level == "bad" for one in found) else errors.DONE


def _looks() -> Iterator[Finding]:
    """All findings; what cannot be looked at is one itself."""
    try:
        place = places.find()
    except SextonError as error:
        yield Finding("bad", "settings", str(error), error.hint)
        return
    yield Finding("ok", "settings", place.settings_path or "none: the defaults hold")
    # Before the store: a full disk is a reason why that cannot be opened.
    yield from look.disk(path_of(place.store))
    try:
        store = open_store(place.store, place.settings)
    except SextonError as error:
        yield Finding("bad", "store", str(error), error.hint)
        return
    try:
        yield from _looks_at(place, store)
    except SextonError as error:
        yield Finding("bad", "store", str(error), error.hint)
    finally:
        store.close()


def _looks_at(place: Place, store: Store) -> Iterator[Finding]:
    path, now, last = path_of(place.store), store.now(), store.rounds.last_tick()
    yield Finding("ok", "store", path)
    yield from look.leftovers(path)
    yield look.clock(now, last[0] if last else None, bool(store.meta.get("clock")))
    yield from look.ticks(last, now, look.running_cron())
    yield from look.application(store, place)
    yield from look.kinds(store, now)
    yield from look.stuck(store, now)
    yield from look.notices(store, place)


def _say(one: Finding) -> None:
    level = paint(f"{one.level:<4}", COLOURS[one.level])
    put(f"{level}  {one_line(one.about)}: {one_line(one.text)}")
    if one.hint and one.level != "ok":
        put(f"      {one_line(one.hint)}")
