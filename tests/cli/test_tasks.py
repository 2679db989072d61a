"""Asking for tasks, looking at them, ending them."""

from __future__ import annotations

import json

import pytest

from sexton.store.wake import wake_path
from tests.cli.conftest import Told, Type
from tests.cli.shop import Shop

TASK_NAMES = {
    "id", "kind", "target", "key", "period", "status", "reason", "outcome", "counts", "attempt",
    "retry_of", "root", "payload", "priority", "asked_by", "note", "abort_by", "host", "asked_at",
    "due_at", "expires_at", "started_at", "ended_at", "deadline_at",
}  # fmt: skip


def document(told: Told) -> dict[str, object]:
    """The one JSON document that a command printed, and nothing beside it."""
    assert told.err == ""
    assert told.out.count("\n") == 1
    found: dict[str, object] = json.loads(told.out)
    return found


def test_a_request_is_a_row_with_its_payload_typed(typed: Type) -> None:
    told = typed("enqueue", "resize", "image=a=b.png", "width=400", "--priority", "-3")
    task = document(typed("show", "1", "--json"))["task"]

    assert told.code == 0
    assert told.out.startswith("task 1 of resize waits, due at ")
    assert isinstance(task, dict)
    assert task["payload"] == {"image": "a=b.png", "width": 400}
    assert task["priority"] == -3
    assert set(task) == TASK_NAMES


def test_a_request_touches_the_wake_file_and_a_look_does_not(typed: Type, shop: Shop) -> None:
    wake = shop.directory / "sexton.db.wake"
    typed("tasks")
    assert not wake.exists()
    typed("enqueue", "resize", "image=a")

    assert str(wake) == wake_path(str(shop.directory / "sexton.db"))
    assert wake.exists()


def test_a_request_can_wait_and_can_lapse(typed: Type, shop: Shop) -> None:
    with_store = shop.store()
    with_store.db.set_clock("frozen:1795332600000000")  # 2026-11-22T07:30Z
    typed("enqueue", "resize", "image=a", "--at", "2h", "--start-before", "2026-11-22T12:00+02:00")
    task = document(typed("show", "1", "--json"))["task"]

    assert isinstance(task, dict)
    assert task["asked_at"] == "2026-11-22T07:30:00.000000Z"
    assert task["due_at"] == "2026-11-22T09:30:00.000000Z"
    assert task["expires_at"] == "2026-11-22T10:00:00.000000Z"


def test_a_request_of_a_kind_that_joins_says_so(typed: Type) -> None:
    first = document(typed("enqueue", "publish", "image=a", "--json"))
    second = document(typed("enqueue", "publish", "image=a", "--json"))

    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["task"] == second["task"]
    assert "joined" in typed("enqueue", "publish", "image=a").out


def test_a_kind_with_a_schedule_is_asked_for_with_a_reason(typed: Type) -> None:
    told = typed("enqueue", "nightly", "--force", "mails were lost", "--json")
    task = document(told)["task"]

    assert isinstance(task, dict)
    assert (task["period"], task["note"]) == ("forced:1", "mails were lost")


def test_a_command_kind_can_be_asked_for_and_takes_no_payload(typed: Type) -> None:
    assert typed("enqueue", "dump").code == 0
    assert typed("enqueue", "dump", "a=1").code == 2


def test_tasks_are_listed_newest_first_page_by_page(typed: Type) -> None:
    for number in range(5):
        typed("enqueue", "resize", f"image={number}")
    first = document(typed("tasks", "--limit", "2", "--json"))
    second = document(typed("tasks", "--limit", "2", "--before", "4", "--json"))
    last = document(typed("tasks", "--before", "2", "--json"))

    assert [task["id"] for task in first["tasks"]] == [5, 4]  # type: ignore[attr-defined]
    assert first["next_before"] == 4
    assert [task["id"] for task in second["tasks"]] == [3, 2]  # type: ignore[attr-defined]
    assert [task["id"] for task in last["tasks"]] == [1]  # type: ignore[attr-defined]
    assert last["next_before"] is None
    assert document(typed("tasks", "--limit", "5", "--json"))["next_before"] is None


def test_tasks_can_be_filtered(typed: Type) -> None:
    typed("enqueue", "resize", "image=a")
    typed("enqueue", "publish", "image=a")
    typed("abort", "2")

    assert "publish" not in typed("tasks", "--kind", "resize").out
    assert typed("tasks", "--kind", "nightly").out == "no tasks\n"
    assert "resize" not in typed("tasks", "--status", "Aborted").out
    assert "Aborted/administrator" in typed("tasks", "--reason", "administrator").out
    assert typed("tasks", "--reason", "lost").out == "no tasks\n"


def test_a_waiting_task_is_aborted_at_once_and_by_whom_is_kept(typed: Type) -> None:
    typed("enqueue", "resize", "image=a")
    told = typed("abort", "1", "--reason", "wrong picture")
    again = typed("abort", "1")

    assert (told.code, told.out) == (0, "task 1 of resize was waiting and is Aborted now\n")
    assert again.code == 0
    assert again.out.endswith("has ended already: Aborted/administrator; nothing was changed\n")
    assert "wrong picture" in typed("show", "1").out


def test_a_task_is_shown_with_its_attempts_its_output_and_what_came_late(
    typed: Type, shop: Shop
) -> None:
    shop.type("run", "remind", "--force", "to see")
    (shop.directory / "die").touch()
    lost = shop.type("run", "remind", "--force", "to see it die")
    assert lost.returncode == -9
    store = shop.store()
    store.db.run("INSERT INTO late (task, at, text) VALUES (2, 0, 'item 3 ended late: Done')")
    shop.type("enqueue", "resize", "image=bad")
    (shop.directory / "die").unlink()
    shop.type("tick")

    attempts = typed("show", "2").out
    assert "Aborted/lost" in attempts
    assert "\nattempts\n" in attempts
    assert "item 3 ended late: Done" in attempts
    assert "resizing bad 800\n" in typed("show", "3").out
    shown = document(typed("show", "2", "--json"))
    assert [task["attempt"] for task in shown["attempts"]] == [1, 2]  # type: ignore[attr-defined]
    assert shown["late"] == [
        {"at": "1970-01-01T00:00:00.000000Z", "text": "item 3 ended late: Done"}
    ]


def test_the_output_of_a_task_that_raised_begins_at_its_own_line(shop: Shop) -> None:
    shop.type("enqueue", "resize", "image=bad")
    shop.type("tick")
    output = shop.type("show", "1", "--output").stdout

    assert output.count('File "') == 1
    assert "in resize" in output


def test_output_alone_is_byte_for_byte_what_was_written(shop: Shop) -> None:
    told = shop.type("once", "--name", "bytes", "--", "printf", r"a\377\033[1mb\n")

    assert told.stdout.startswith("a\udcff\x1b[1mb\n")
    assert shop.type("show", "1", "--output").stdout == "a\udcff\x1b[1mb\n"
    assert shop.json("show", "1")["output"] == {"text": "a\\xff\\x1b[1mb\n", "dropped_bytes": 0}


def test_kinds_are_listed_with_what_comes_next(typed: Type) -> None:
    kinds = document(typed("kinds", "--json"))["kinds"]
    assert isinstance(kinds, list)
    by_name = {kind["name"]: kind for kind in kinds}

    assert sorted(by_name) == ["dump", "nightly", "publish", "remind", "resize"]
    assert by_name["nightly"]["next_period"].endswith("T02:30")
    assert by_name["resize"]["payload_schema"]["$defs"]["resize"]["required"] == ["image"]
    assert by_name["dump"]["min_gap_s"] == 72_000
    assert typed("kinds", "--names").out.split() == sorted(by_name)
    assert "sexton.notify" in typed("kinds", "--all", "--names").out
    assert "30 2 * * * Europe/Riga" in typed("kinds").out


def test_why_says_it_in_sentences(typed: Type) -> None:
    typed("enqueue", "resize", "image=a", "--at", "2h")
    told = typed("why", "resize")
    shape = document(typed("why", "resize", "--json"))

    assert told.out.startswith("resize runs when it is asked for\ntask 1 waits until ")
    assert shape["sentences"] == told.out.splitlines()
    assert [task["id"] for task in shape["waiting"]] == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("verdict", ["done", "failed", "retry"])
def test_an_item_in_doubt_is_named_and_settled_by_somebody(
    typed: Type, shop: Shop, verdict: str
) -> None:
    (shop.directory / "die").touch()
    assert shop.type("run", "remind", "--force", "to see it die").returncode == -9
    (shop.directory / "die").unlink()
    assert shop.type("tick").returncode == 0

    doubtful = document(typed("items", "remind", "--in-doubt", "--json"))["items"]
    assert [item["key"] for item in doubtful] == ["2"]  # type: ignore[attr-defined]
    settled = document(typed("settle", "remind", "2", verdict, "--json"))["settled"]
    assert [item["key"] for item in settled] == ["2"]  # type: ignore[attr-defined]
    assert typed("settle", "remind", "2", verdict).code == 2
    assert typed("items", "remind", "--in-doubt").out == "nothing is in doubt\n"
    assert typed("settle", "remind", "--all", "done").out == "nothing is in doubt\n"
    by = document(typed("items", "remind", "--key", "2", "--json"))["items"]
    assert "process" in by[0]["settled_by"]  # type: ignore[index]
    waits = document(typed("tasks", "--status", "Pending", "--json"))["tasks"]
    assert len(waits) == (1 if verdict == "retry" else 0)  # type: ignore[arg-type]


def test_all_items_in_doubt_are_settled_in_one_go(typed: Type, shop: Shop) -> None:
    (shop.directory / "die").touch()
    shop.type("run", "remind", "--force", "one")
    shop.type("run", "remind", "--force", "two")
    (shop.directory / "die").unlink()
    shop.type("tick")

    assert typed("settle", "remind", "--all", "done").out == "2 items of remind settled as done\n"


def test_items_can_be_narrowed(typed: Type, shop: Shop) -> None:
    shop.type("run", "remind", "--force", "one")
    found = document(typed("items", "remind", "--key", "3", "--json"))["items"]

    assert [item["status"] for item in found] == ["Done"]  # type: ignore[attr-defined]
    assert document(typed("items", "remind", "--limit", "2", "--json"))["is_whole"] is False
    assert document(typed("items", "remind", "--limit", "3", "--json"))["is_whole"] is True
    assert "these are the first 2" in typed("items", "remind", "--limit", "2").out


def test_the_items_of_a_run_are_found_by_the_period_that_tasks_shows(
    typed: Type, shop: Shop
) -> None:
    shop.type("run", "remind", "--force", "one")
    shop.type("run", "remind", "--force", "two")
    [two, one] = json.loads(typed("tasks", "--json").out)["tasks"]
    found = json.loads(typed("items", "remind", "--scope", two["period"], "--json").out)["items"]
    same = json.loads(typed("items", "remind", "--scope", f"run:{two['id']}", "--json").out)[
        "items"
    ]

    assert [item["task"] for item in found] == [two["id"]] * 3
    assert found == same
    assert one["period"] != two["period"]


def test_a_scope_that_nobody_knows_is_told_and_not_shown_as_empty(typed: Type) -> None:
    told = typed("items", "remind", "--scope", "2026-01-01T00:00")

    assert (told.code, told.out) == (2, "")
    assert "no run of remind was for '2026-01-01T00:00'" in told.err
