"""Show one task: what it is for, its attempts, its output, what came late.

    sexton show 812
    sexton show 812 --output > log        # its output alone, byte for byte

As JSON: {"task": TASK, "attempts": [TASK, …], "late": [{"at", "text"}, …],
"output": {"text", "dropped_bytes"}}; what is not text in the output stands as
escapes.
"""

from __future__ import annotations

import argparse
import sys

from sexton.cli.opened import opened
from sexton.cli.say import Ink, fields, on_stdout, paint, put, say, say_json, stamp, table, when
from sexton.cli.shapes import task_shape
from sexton.cli.tasks import COLOURS, HEADINGS, row_of, took
from sexton.cli.words import task_id
from sexton.core import errors
from sexton.core.queue import Output
from sexton.core.task import Task
from sexton.store.store import Store
from sexton.work.capture import shown


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=task_id, metavar="ID", help="the task's id")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--output", action="store_true", help="only what it wrote")
    how.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    with opened() as (_, store):
        task = store.tasks.get(args.id)
        output = store.tasks.output(task.id)
        if args.output:
            _write(output)
        elif args.json:
            say_json(_shape(store, task, output))
        else:
            _show(store, task, output)
    return errors.DONE


def _write(output: Output) -> None:
    """The bytes as they are; to a terminal only what cannot act on it."""
    if sys.stdout.isatty():
        put(_text(output), end="")
        return
    with on_stdout():
        sys.stdout.flush()
        sys.stdout.buffer.write(output.head + _gap(output).encode() + output.tail)
        sys.stdout.buffer.flush()


def _gap(output: Output) -> str:
    dropped = output.dropped_bytes
    return f"\n[... {dropped} bytes dropped ...]\n" if dropped else ""


def _text(output: Output) -> str:
    if not output.dropped_bytes:
        return shown(output.head + output.tail)
    return shown(output.head) + _gap(output) + shown(output.tail)


def _shape(store: Store, task: Task, output: Output) -> dict[str, object]:
    return {
        "task": task_shape(task),
        "attempts": [task_shape(one) for one in store.tasks.chain(task.root)],
        "late": [{"at": stamp(at), "text": text} for at, text in store.tasks.late(task.id)],
        "output": {"text": _text(output), "dropped_bytes": output.dropped_bytes},
    }


def _show(store: Store, task: Task, output: Output) -> None:
    fields(_facts(task))
    chain = store.tasks.chain(task.root)
    if len(chain) > 1:
        _heading("attempts")
        table(HEADINGS, [row_of(one) for one in chain])
    late = store.tasks.late(task.id)
    if late:
        _heading("reported late, without effect")
        table(("AT", "WHAT"), [(when(at), text) for at, text in late])
    text = _text(output)
    if text:
        _heading("output")
        say(text.removesuffix("\n"))


def _heading(text: str) -> None:
    put(f"\n{paint(text, 'bold')}")


def _facts(task: Task) -> list[tuple[str, str | Ink]]:
    status = f"{task.status}/{task.reason}" if task.reason else task.status
    length = took(task)
    return [
        ("task", str(task.id)),
        ("kind", task.kind),
        ("period", task.period),
        ("key", task.key if task.key != str(task.root) else ""),
        ("status", Ink(status, COLOURS[task.status])),
        ("outcome", task.outcome),
        ("counts", task.counts if task.counts != "{}" else ""),
        ("attempt", str(task.attempt)),
        ("retry of", str(task.retry_of or "")),
        ("payload", task.payload if task.payload != "{}" else ""),
        ("asked by", task.asked_by),
        ("note", task.note),
        ("abort asked", task.abort_by),
        ("host", task.host),
        ("asked at", when(task.asked_at)),
        ("due at", when(task.due_at)),
        ("expires at", when(task.expires_at)),
        ("started at", when(task.started_at)),
        ("ended at", when(task.ended_at) + (f" (after {length})" if length else "")),
        ("deadline", "" if task.is_final else when(task.deadline_at)),
    ]
