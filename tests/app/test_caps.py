"""Caps, keys and scopes as an application declares them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sexton import Permanent, Sexton
from tests.app.shop import Shop

PEOPLE = [{"id": number, "email": f"{number}@example.com"} for number in range(4)]


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


def test_a_cap_shared_by_two_plans_lets_one_mail_a_day_through(shop: Shop, app: Sexton) -> None:
    sent: list[str] = []

    @app.plan(min_gap="1h", tz="Europe/Riga")
    def offers() -> list[dict[str, object]]:
        return PEOPLE

    @offers.each(key="id", cap="1/day per email in marketing")
    def offer(person: dict[str, object]) -> None:
        sent.append(f"offer {person['email']}")

    @app.plan(min_gap="1h", tz="Europe/Riga")
    def reminders() -> list[dict[str, object]]:
        return PEOPLE[2:]

    @reminders.each(key="id", cap="1/day per email in marketing")
    def remind(person: dict[str, object]) -> None:
        sent.append(f"reminder {person['email']}")

    shop.travel(hours=20)  # 22:00 in Riga
    reminders()
    first = offers()
    shop.travel(hours=2)  # midnight there, and another day
    second = offers()

    assert first.counts == {"capped": 2, "done": 2, "planned": 4}
    assert second.counts == {"done": 4, "planned": 4}
    assert Counter(sent) == {
        "reminder 2@example.com": 1, "reminder 3@example.com": 1,
        "offer 0@example.com": 2, "offer 1@example.com": 2,
        "offer 2@example.com": 1, "offer 3@example.com": 1,
    }  # fmt: skip


def test_a_retry_fills_the_slot_that_its_item_holds(shop: Shop, app: Sexton) -> None:
    tried: list[object] = []

    @app.plan(schedule="@daily", retry="1h x 2")
    def letters() -> list[dict[str, object]]:
        return PEOPLE[:1]

    @letters.each(key="id", cap="1/day per email")
    def send(person: dict[str, object]) -> None:
        tried.append(person["id"])
        if len(tried) == 1:
            raise ConnectionError("down")

    shop.store.kinds.ensure(letters.kind)
    shop.travel(days=1)
    outcomes = [letters(), letters()]

    assert [one.code for one in outcomes] == ["failed", "done"]
    assert tried == [0, 0]


def test_a_scope_holds_over_periods_and_kinds(shop: Shop, app: Sexton) -> None:
    sent: list[str] = []

    def plan() -> list[str]:
        return ["appointment-7"]

    def noted(name: str) -> Callable[[str], None]:
        return lambda _: sent.append(name)

    for name in ("by_mail", "by_phone"):
        declared = app.plan(name=name, min_gap="1h", scope="reminded")(plan)
        declared.each(key=str)(noted(name))
    first, second = app["by_mail"](), app["by_phone"]()
    shop.travel(days=30)
    third = app["by_mail"]()

    assert sent == ["by_mail"]
    assert [one.counts for one in (first, second, third)] == [
        {"done": 1, "planned": 1},
        {"before": 1, "planned": 1},
        {"before": 1, "planned": 1},
    ]


def test_a_plan_that_is_only_asked_for_needs_no_guard_but_its_scope(
    shop: Shop, app: Sexton
) -> None:
    sent: list[int] = []

    @app.plan(scope="welcome")
    def welcome(people: list[int]) -> list[int]:
        return people

    welcome.each(key=str)(sent.append)
    outcomes = [welcome([1, 2]), welcome(people=[2, 3]), welcome([1, 2, 3])]

    assert sent == [1, 2, 3]
    assert [one.counts.get("before", 0) for one in outcomes] == [0, 1, 3]
    assert shop.ends() == ["Complete"] * 3


def test_two_runs_of_one_scope_at_once_share_the_people_between_them(app: Sexton) -> None:
    sent: list[int] = []
    barrier = threading.Barrier(2, timeout=60)

    @app.plan(scope="welcome", retry="1s x 3")
    def welcome(first: int) -> Iterator[int]:
        barrier.wait()
        yield from (first, 1 - first, 2, 3)

    @welcome.each(key=str)
    def greet(person: int) -> None:
        sent.append(person)

    def run(first: int) -> str:
        try:
            return welcome(first).code
        finally:
            app.close()

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(run, (0, 1)))

    assert sorted(sent) == [0, 1, 2, 3]
    assert set(codes) <= {"done", "failed"}  # failed: somebody else had an item at that moment


def test_calls_of_different_keys_run_side_by_side_and_of_one_key_do_not(
    shop: Shop, app: Sexton
) -> None:
    inner: dict[str, str] = {}

    @app.task(key="image")
    def resize(image: str, depth: int = 0) -> None:
        if depth == 0:
            inner["same"] = resize(image, 1).code
            inner["other"] = resize("b.png", 1).code

    assert resize("a.png").code == "done"
    assert inner == {"same": "running", "other": "done"}
    assert shop.ends() == ["Complete", "Complete"]


@pytest.mark.parametrize("error", [Permanent("no such mailbox"), ConnectionError("down")])
def test_a_slot_stays_taken_unless_the_effect_surely_did_not_happen(
    app: Sexton, error: Exception
) -> None:
    tried: list[str] = []

    @app.plan(min_gap="1h")
    def offers() -> list[dict[str, object]]:
        return PEOPLE[:1]

    @offers.each(key="id", cap="1/day per email in marketing")
    def offer(_: dict[str, object]) -> None:
        tried.append("offer")
        raise error

    @app.plan(min_gap="1h")
    def reminders() -> list[dict[str, object]]:
        return PEOPLE[:1]

    @reminders.each(key="id", cap="1/day per email in marketing")
    def remind(_: dict[str, object]) -> None:
        tried.append("reminder")

    offers()
    outcome = reminders()

    # A server that hung up may have taken the mail; one that refused it may have, too.
    assert outcome.counts == {"capped": 1, "planned": 1}
    assert tried == ["offer"]
