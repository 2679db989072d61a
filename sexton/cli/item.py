"""Begin and end items of a running task: a ledger for programs in any language.

Inside what `sexton once`, or a command kind, runs (SEXTON_TASK tells which
task it is):

    code=0
    for id in $(subscribers); do
        sexton item begin "$id"
        case $? in
            0) ;;            # yours: do it
            1) continue ;;   # somebody did it, or does it
            *) exit 1 ;;     # it could not be asked: the next attempt goes on
        esac
        if send "$id"; then sexton item done "$id"
        else sexton item failed "$id"; code=1
        fi
    done
    exit $code

`begin` answers with exit code 0 where the item is yours to do, on disk, and 1
where it is not: done before, in doubt, or somebody else's. Any other code
says nothing about the item, and is no reason to go on to the next one. After
a crash the next attempt skips what is done. An item that failed is begun
again by the next attempt, unless --for-good; a run that leaves such items has
failed, however its program ended. What has ended stays as it ended: saying
otherwise changes nothing, and is answered with 1.

As JSON: begin {"key", "is_yours", "why", "tries"}; done and failed {"key",
"status"}.
"""

from __future__ import annotations

import argparse
import os
from typing import Literal

from sexton.cli.opened import opened
from sexton.cli.say import say_json, warn
from sexton.cli.words import argument, task_id
from sexton.core import errors
from sexton.core.errors import UsageError
from sexton.core.item import key_text
from sexton.core.ledger import Begun, Ended, Entry
from sexton.store.store import Store

ACTS = ("begin", "done", "failed")
NOTE_LENGTH_MAX = 500
WHY = {
    "leave": "settled before",
    "parked": "in doubt: parked for a person",
    "skipped": "in doubt: skipped",
    "elsewhere": "another live task does it now",
    "capped": "its cap is used up today",
    "probe": "in doubt",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "act", choices=ACTS, metavar="|".join(ACTS), help="what happens to the item"
    )
    parser.add_argument("key", metavar="KEY", help="the item's key")
    parser.add_argument("--note", default="", metavar="TEXT", help="kept beside it")
    parser.add_argument("--for-good", action="store_true", help="failed: never try it again")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    task, key = _task(), _key(args.key)
    if args.for_good and args.act != "failed":
        raise UsageError("--for-good belongs to `sexton item failed`")
    with opened() as (_, store):
        if args.act == "begin":
            begun = store.items.begin(task, key)
            return _say_begun(begun, _why_not(store, task, begun), args)
        _begun_by(store, task, key)
        wanted = _status(args)
        store.items.end(task, Ended(key, wanted, args.note[:NOTE_LENGTH_MAX]))
        status = _begun_by(store, task, key).status
    if args.json:
        say_json({"key": key, "status": status})
    if status != wanted:
        warn(f"sexton: item {key} is {status} already, and stays so")
    return errors.DONE if status == wanted else errors.TASK_FAILED


def _status(args: argparse.Namespace) -> Literal["Done", "Failed", "Rejected"]:
    if args.act == "done":
        return "Done"
    return "Rejected" if args.for_good else "Failed"


def _task() -> int:
    text = os.environ.get("SEXTON_TASK", "")
    if not text:
        raise UsageError(
            "SEXTON_TASK is not set: items belong to a running task",
            hint="Call this from the program that `sexton once … -- PROGRAM` runs.",
        )
    return task_id(text)


def _key(text: str) -> str:
    try:
        return key_text(text)
    except TypeError as error:
        raise UsageError(str(error)) from error


def _begun_by(store: Store, task: int, key: str) -> Entry:
    """The item in the ledger. That no *begin* came before is a slip in the program."""
    kind = store.tasks.get(task).kind
    for entry in store.items.entries(kind, key=key):
        if entry.task == task:
            return entry
    raise UsageError(
        f"task {task} has not begun the item {key!r}",
        hint=f"First: sexton item begin {argument(key)}",
    )


def _why_not(store: Store, task: int, begun: Begun) -> str:
    if begun.step == "begin":
        return ""
    kind = store.tasks.get(task).kind
    ours = [one for one in store.items.entries(kind, key=begun.key) if one.task == task]
    if begun.step == "leave" and any(one.status == "Begun" for one in ours):
        return "this task has begun it already"
    return WHY[begun.step]


def _say_begun(begun: Begun, why: str, args: argparse.Namespace) -> int:
    is_yours = begun.step == "begin"
    if args.json:
        shape = {"key": begun.key, "is_yours": is_yours, "why": why, "tries": begun.tries}
        say_json(shape)
    elif not is_yours:
        warn(f"sexton: item {begun.key} is not yours to do: {why}")
    return errors.DONE if is_yours else errors.TASK_FAILED
