"""Who is told of items in doubt, and what a preview says of a period that is Complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from sexton import Sexton
from sexton.app.plan import Plan
from sexton.store import idle
from tests.app.shop import Shop


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


def letters_of(app: Sexton, planned: list[str], dies_at: str = "") -> Plan[[], str]:
    @app.plan(schedule="@daily", retry="1h x 3")
    def letters() -> list[str]:
        return planned

    @letters.each(key=str)
    def send(thing: str) -> None:
        if thing == dies_at:
            os._exit(7)

    return letters


def test_a_run_that_leaves_items_in_doubt_is_told_of_once(shop: Shop, app: Sexton) -> None:
    letters = letters_of(app, ["a", "b", "c"], dies_at="b")
    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    pid = os.fork()
    if pid == 0:
        letters()
        os._exit(0)
    os.waitpid(pid, 0)
    [letters_again] = [letters_of(Sexton(shop.url), ["a", "b", "c"])]
    outcome = letters_again()
    letters_again.force("once more, which is another chain")

    notices = [row["text"] for row in shop.store.tasks.notices("letters")]
    assert outcome.counts["parked"] == 1
    assert [text for text in notices if "1 of its items is in doubt" in text] == notices
    assert len(notices) == 1


def test_a_preview_of_a_complete_period_would_serve_nobody(shop: Shop, app: Sexton) -> None:
    planned = ["a", "b"]
    letters = letters_of(app, planned)
    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    letters()
    planned.append("c")

    preview = letters.plan()

    assert letters().code == "complete"
    assert preview.keys == []
    assert preview.counts == {"planned": 3, "done": 2, "to serve": 0}


def test_what_no_tick_may_claim_leaves_a_tick_idle(shop: Shop, app: Sexton) -> None:
    @app.task
    def resize() -> None: ...

    resize.enqueue()
    path = shop.store.db.path
    while_declared = idle.look(path)
    shop.store.kinds.sync([])
    while_gone = idle.look(path)

    assert while_declared is None
    assert while_gone == ""


def run_and_die(plan: Callable[[], object]) -> None:
    """Call it in a child that its effect ends."""
    pid = os.fork()
    if pid == 0:
        plan()
        os._exit(0)
    os.waitpid(pid, 0)


def test_a_dead_run_of_a_scope_is_settled_by_the_next_call(app: Sexton) -> None:
    served: list[str] = []
    dies = ["b"]

    @app.plan(scope="welcome")
    def welcome() -> list[str]:
        return ["a", "b", "c"]

    @welcome.each(key=str, in_doubt="retry")
    def send(thing: str) -> None:
        if thing in dies:
            os._exit(7)
        served.append(thing)

    run_and_die(welcome)
    dies.clear()

    outcome = welcome()

    assert (outcome.code, served) == ("done", ["b", "c"])
    assert app.store.tasks.count().get("Running", 0) == 0


def test_a_preview_of_a_period_to_come_says_since_when_the_kind_is_known(
    shop: Shop, app: Sexton
) -> None:
    letters = letters_of(app, ["a"])
    app.store.kinds.ensure(letters.kind)
    shop.travel(hours=5)

    preview = letters.plan()

    assert (preview.keys, preview.period) == (["a"], "2026-01-02T00:00")
    assert "not due: new since 00:00:00; first period 2026-01-02T00:00" in str(preview)


def test_a_preview_says_what_caps_gaps_and_policies_would_leave(shop: Shop, app: Sexton) -> None:
    @app.plan(schedule="@daily", retry="1h x 3")
    def capped() -> list[dict[str, str]]:
        return [{"id": key, "email": "one@example.org"} for key in "abc"]

    @capped.each(key="id", cap="2/day per email")
    def send_capped(thing: dict[str, str]) -> None: ...

    @app.plan(min_gap="20h")
    def seldom() -> list[str]:
        return ["a"]

    @seldom.each(key=str)
    def send_seldom(thing: str) -> None: ...

    @app.plan(schedule="@daily", retry="1h x 3")
    def retried() -> list[str]:
        return ["a", "b"]

    @retried.each(key=str, in_doubt="retry")
    def send_retried(thing: str) -> None:
        if thing == "a":
            os._exit(7)

    for plan in (capped, seldom, retried):
        app.store.kinds.ensure(plan.kind)
    shop.travel(days=1)
    before = capped.plan()
    capped()
    shop.travel(hours=1)
    capped.force("again")
    seldom()
    run_and_die(retried)
    rows = app.store.tasks.newest()

    assert (before.keys, before.counts["capped"]) == (["a", "b"], 1)
    assert capped.plan().keys == []
    assert seldom.plan().keys == []
    assert "the last success" in seldom.plan().skipped
    assert retried.plan().keys == ["a", "b"]
    assert app.store.tasks.newest() == rows


def test_an_item_in_doubt_that_its_cap_holds_back_is_told_of(shop: Shop, app: Sexton) -> None:
    @app.plan(schedule="30 23 * * *")
    def letters() -> list[dict[str, str]]:
        return [{"id": "ann"}]

    @letters.each(key="id", cap="1/day per id in mail", in_doubt="retry")
    def send(_: dict[str, str]) -> None:
        os._exit(7)

    @app.plan(min_gap="1h")
    def offers() -> list[dict[str, str]]:
        return [{"id": "ann"}]

    @offers.each(key="id", cap="1/day per id in mail")
    def offer(thing: dict[str, str]) -> None: ...

    shop.store.kinds.ensure(letters.kind)
    shop.travel(hours=23, minutes=30)
    pid = os.fork()
    if pid == 0:
        letters()
        os._exit(0)
    os.waitpid(pid, 0)
    shop.travel(minutes=35)
    assert offers().counts["done"] == 1

    outcome = letters()

    (told,) = shop.store.tasks.notices("letters")
    assert (outcome.code, outcome.counts["capped"]) == ("done", 1)
    assert "1 of its items is in doubt" in told["text"]
