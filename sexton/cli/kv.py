"""Read and write the key-value store, where an application keeps small things.

    sexton kv get daily_summary_last_sent_at
    sexton kv set greeting '"Good morning"'      # JSON
    sexton kv set greeting --string "Good morning"
    sexton kv list daily_
    sexton kv delete greeting

Values are JSON; what JSON lacks stands as an object that names its type, as
{"$date":"2026-11-22"}, and is written so as well. `get` and `delete` of a key
that is not there answer with exit code 1.

As JSON: get {"key", "value", "version"}, with version 0 where the key is not
there; list {"items": [{"key", "value"}, …]}; set {"key", "value"}; delete
{"key", "was_there"}.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from sexton.cli.opened import opened
from sexton.cli.say import put, safe_json, say, say_json, table, warn
from sexton.core import errors, value
from sexton.core.errors import UsageError
from sexton.store.kv import checked
from sexton.store.store import Store

ACTS = ("get", "set", "list", "delete")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", choices=ACTS, metavar="|".join(ACTS), help="what to do")
    parser.add_argument(
        "key", nargs="?", metavar="KEY", default="", help="the key; for list: how keys begin"
    )
    parser.add_argument("value", nargs="?", metavar="VALUE", help="for set: JSON")
    parser.add_argument("--string", metavar="TEXT", help="for set: this text as it is")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    _refuse_misfits(args)
    with opened() as (_, store):
        return {"get": _get, "set": _set, "list": _list, "delete": _delete}[args.act](store, args)


def _refuse_misfits(args: argparse.Namespace) -> None:
    if args.act != "list":
        if not args.key:
            raise UsageError(f"kv {args.act} needs a key")
        checked(args.key)
    given = (args.value is not None) + (args.string is not None)
    if args.act != "set" and given:
        raise UsageError(f"kv {args.act} takes no value")
    if args.act == "set" and given != 1:
        raise UsageError(
            "kv set needs one value",
            hint="""sexton kv set KEY '"text"' or sexton kv set KEY --string text""",
        )


def _get(store: Store, args: argparse.Namespace) -> int:
    found = store.kv.get(args.key)
    if found is None:
        if args.json:
            say_json({"key": args.key, "value": None, "version": 0})
        return _not_there(args)
    text, version = found
    if args.json:
        say_json({"key": args.key, "value": json.loads(text), "version": version})
    else:
        put(safe_json(text))
    return errors.DONE


def _not_there(args: argparse.Namespace) -> int:
    warn(f"sexton: no key is named {args.key!r}")
    return errors.TASK_FAILED


def _set(store: Store, args: argparse.Namespace) -> int:
    text = value.encode(args.string) if args.string is not None else _canonical(args.value)
    store.kv.put(args.key, text)
    if args.json:
        say_json({"key": args.key, "value": json.loads(text)})
    return errors.DONE


def _canonical(text: str) -> str:
    """JSON as a person writes it, as the key-value store writes it; raises UsageError."""
    try:
        return value.encode(value.decode(_tight(text)))
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{text!r:.60} is not JSON: {error}", hint="For a text as it is: --string TEXT."
        ) from error


def _tight(text: str) -> str:
    tree = json.loads(text, object_pairs_hook=_object)
    return json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands in it twice is refused, and Z is read as the offset it is."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"an object names a key twice, among {', '.join(sorted(found)[:10])}")
    moment = found.get("$datetime")
    if isinstance(moment, str) and moment.endswith("Z"):
        found["$datetime"] = f"{moment[:-1]}+00:00"
    return found


def _list(store: Store, args: argparse.Namespace) -> int:
    rows = list(store.kv.scan(args.key))
    if args.json:
        say_json({"items": [{"key": key, "value": json.loads(text)} for key, text in rows]})
    elif rows:
        table(("KEY", "VALUE"), rows)
    else:
        say("no keys")
    return errors.DONE


def _delete(store: Store, args: argparse.Namespace) -> int:
    was_there = store.kv.delete(args.key)
    if args.json:
        say_json({"key": args.key, "was_there": was_there})
    elif not was_there:
        return _not_there(args)
    return errors.DONE if was_there else errors.TASK_FAILED
