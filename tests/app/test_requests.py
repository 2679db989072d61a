"""Asking for a task: its payload, its conditions, the caller's own transaction."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from sexton import Sexton
from sexton.core.errors import PayloadError, UsageError
from sexton.core.kind import Kind
from sexton.store import idle
from sexton.testing import tick
from tests.app.shop import START, Shop


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Size:
    width: int
    height: int = 600


SEEN: list[Any] = []


def keep(  # every type that a row can carry, and back
    moment: datetime,
    amount: Decimal,
    who: UUID,
    colour: Colour,
    size: Size,
    names: list[str],
    raw: bytes = b"\x00\xff",
    note: str | None = None,
) -> None:
    SEEN.append((moment, amount, who, colour, size, names, raw, note))


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


# --- payloads ---


def test_a_call_and_a_request_give_the_function_the_same(app: Sexton) -> None:
    @app.task(isolation="inline")
    def paint(
        colour: Colour, size: Size, amount: Decimal, names: list[str], moment: datetime, other: Any
    ) -> None:
        SEEN.append((colour, size, amount, names, moment, other))

    SEEN.clear()
    given: Any = ("red", {"width": 3}, 1.5, ("a", "b"), "2026-01-01T00:00:00Z", START)
    paint(*given)
    paint.enqueue(*given)
    tick(app)

    assert SEEN[0] == SEEN[1]
    assert SEEN[0][:4] == (Colour.RED, Size(3), Decimal("1.5"), ["a", "b"])
    assert type(SEEN[0][4]) is datetime


def test_a_number_that_is_none_is_refused_however_deep_it_lies(app: Sexton) -> None:
    @app.task
    def keep_any(value: Any) -> None: ...

    for value in (float("nan"), [float("inf")], {"deep": [{"er": float("-inf")}]}):
        with pytest.raises(PayloadError, match="JSON has no word for"):
            keep_any.enqueue(value)
    assert keep_any.enqueue({"nothing": None}).is_new


def test_one_value_is_one_key_however_it_is_given(app: Sexton) -> None:
    @app.task(key="colour")
    def paint(colour: Colour) -> None: ...

    @app.task(key="share")
    def split(share: float) -> None: ...

    assert {paint.enqueue(Colour.RED).id, paint.enqueue("red").id} == {1}  # type: ignore[arg-type]
    first = split.enqueue(1.0)
    assert (split.enqueue(1).id, first.task and first.task.key) == (first.id, "1.0")


def test_a_payload_may_have_fields_named_as_our_own_words(app: Sexton) -> None:
    @app.task
    def odd(reason: str, self: int) -> str:
        return f"{reason} {self}"

    assert odd.force("a reason", reason="theirs", self=3).value == "theirs 3"
    assert odd(reason="theirs", self=4).value == "theirs 4"
    assert odd.enqueue(reason="theirs", self=3).is_new


def loop() -> list[object]:
    inside: list[object] = []
    inside.append(inside)
    return inside


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\udcff.png", loop(), "😀" * 70_000],
    ids=["nan", "infinity", "a file name of no text", "a list in itself", "too many bytes"],
)
def test_a_payload_that_could_not_be_read_back_is_refused_at_once(
    app: Sexton, value: object
) -> None:
    def weigh(grams: float | str | list[Any]) -> object:
        return grams

    task = app.task(weigh)

    with pytest.raises(PayloadError, match=r"^weigh: "):
        task.enqueue(value)  # type: ignore[arg-type]
    assert app.store.tasks.count() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [("priority", "high"), ("priority", 1.5), ("priority", 1 << 63), ("at", "tomorrow")],
)
def test_a_condition_of_another_type_is_refused_in_words(
    app: Sexton, name: str, value: Any
) -> None:
    def rest() -> None: ...

    with pytest.raises(UsageError, match=f"^{name}="):
        app.task(rest).using(**{name: value}).enqueue()
    assert app.store.tasks.count() == {}


def test_a_payload_comes_back_as_the_types_that_went_in(shop: Shop, app: Sexton) -> None:
    task = app.task(keep)
    values = {
        "moment": datetime(2026, 5, 1, 7, 30, tzinfo=UTC),
        "amount": Decimal("0.10"),
        "who": UUID(int=7),
        "colour": Colour.RED,
        "size": Size(3),
        "names": ["ä", "\x00", "🦆"],
    }

    asked = task.enqueue(**values)  # type: ignore[arg-type]
    stored = shop.store.tasks.get(asked.id).payload

    assert task.payload.decode(stored) == {**values, "raw": b"\x00\xff", "note": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "missing a required argument: 'image'"),
        ({"image": 5}, "Expected `str`, got `int`"),
        ({"image": "a", "width": "800"}, "Expected `int`, got `str`"),
        ({"image": "a", "width": 1.5}, "Expected `int`, got `float`"),
        ({"image": "a", "colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"image": "x" * 300_000}, "262144 is the most"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_before_anything_is_written(
    shop: Shop, app: Sexton, arguments: dict[str, Any], words: str
) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> None: ...

    with pytest.raises(PayloadError, match=words) as refused:
        resize.enqueue(**arguments)
    with pytest.raises(PayloadError):
        resize(**arguments)

    assert str(refused.value).startswith("resize: ")
    assert shop.store.tasks.count() == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"image": 5}',
        '{"image": "a", "colour": "red"}',
        '{"width": 1}',
        '{"image": "a", "width": "800"}',
        '{"image": "a", "width": 800.5}',
    ],
)
def test_a_rows_payload_is_read_strictly(app: Sexton, text: str) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> None: ...

    with pytest.raises(PayloadError, match="resize: "):
        resize.payload.decode(text)


def test_words_of_a_command_line_are_read_as_their_types(app: Sexton) -> None:
    @app.task
    def resize(
        image: str, width: int = 800, scale: float = 1.0, sharp: bool = False
    ) -> tuple[str, int, float, bool]:
        return image, width, scale, sharp

    words = ["image=a=b.png", "width=12", "sharp=true"]

    assert resize.payload.decode(resize.payload.read(words)) == {
        "image": "a=b.png", "width": 12, "scale": 1.0, "sharp": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["image"], "resize takes image, width; 'image' does not fit"),
        (["colour=red"], "'colour=red' does not fit"),
        (["image=a", "image=b"], "image is given twice"),
        (["image=a", "width=wide"], "Expected `int`"),
        ([], "Object missing required field `image`"),
    ],
)
def test_words_that_do_not_fit_are_refused(app: Sexton, words: list[str], said: str) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> None: ...

    with pytest.raises(PayloadError) as refused:
        resize.payload.read(words)

    assert said in str(refused.value)


# --- what joins, and what does not ---


def test_requests_of_an_ordinary_kind_join_nothing(shop: Shop, app: Sexton) -> None:
    @app.task
    def resize(image: str) -> None: ...

    asked = [resize.enqueue("a.png"), resize.enqueue("a.png")]

    assert [one.is_new for one in asked] == [True, True]
    assert shop.ends() == ["Pending", "Pending"]


def test_requests_of_one_key_join_and_the_last_payload_wins(shop: Shop, app: Sexton) -> None:
    @app.task(key="image")
    def resize(image: str, width: int = 800) -> None: ...

    first = resize.using(priority=5).enqueue("a.png")
    second = resize.enqueue("a.png", width=7)
    other = resize.enqueue("b.png")

    assert (second.is_new, second.id) == (False, first.id)
    assert other.is_new
    row = shop.store.tasks.get(first.id)
    assert resize.payload.decode(row.payload) == {"image": "a.png", "width": 7}
    assert row.priority == 5


def test_a_request_during_a_run_waits_behind_it(shop: Shop, app: Sexton) -> None:
    asked = []

    @app.task(key="")
    def rebuild() -> None:
        asked.append(rebuild.enqueue())
        asked.append(rebuild.enqueue())

    rebuild()

    assert [one.is_new for one in asked] == [True, False]
    assert shop.ends() == ["Complete", "Pending"]


def test_a_kind_with_a_schedule_is_not_asked_for_without_a_reason(shop: Shop, app: Sexton) -> None:
    @app.task(schedule="@daily")
    def nightly() -> None: ...

    with pytest.raises(UsageError, match="could touch everyone again") as refused:
        nightly.enqueue()

    assert "--force" in refused.value.hint
    assert shop.store.tasks.count() == {}


def test_a_kind_with_a_gap_waits_until_the_gap_is_over(shop: Shop, app: Sexton) -> None:
    @app.task(min_gap="20h")
    def rotate() -> None: ...

    rotate()
    shop.travel(hours=5)
    asked, again = rotate.enqueue(), rotate.enqueue()

    assert asked.task is not None
    assert asked.task.due_at - shop.store.now() == 15 * 3_600_000_000
    assert (again.is_new, again.id) == (False, asked.id)


# --- conditions ---


def test_a_request_begins_neither_too_early_nor_too_late(shop: Shop, app: Sexton) -> None:
    @app.task
    def resize(image: str) -> None: ...

    hour_us = 3_600_000_000
    at = START + timedelta(hours=2)
    first = resize.using(at=at, start_before="3h").enqueue("a").task
    second = resize.using(start_before=at).enqueue("b").task
    third = resize.using(start_before=timedelta(minutes=90)).enqueue("c").task

    now = shop.store.now()
    spans = [
        (one.due_at - now, (one.expires_at or 0) - now) for one in (first, second, third) if one
    ]
    assert spans == [(2 * hour_us, 3 * hour_us), (0, 2 * hour_us), (0, 1.5 * hour_us)]


def test_a_request_that_waited_too_long_is_never_begun(shop: Shop) -> None:
    shop.declare(
        """
        @app.task
        def resize(image: str) -> None:
            did(image)
        """
    )
    shop.sexton("enqueue", "resize", "image=late", "--start-before", "1h")
    shop.travel(hours=2)
    shop.sexton("tick")

    assert shop.effects() == {}
    assert shop.ends("resize") == ["Aborted/expired"]


@pytest.mark.parametrize("name", ["at", "start_before"])
def test_a_moment_without_a_zone_is_refused(app: Sexton, name: str) -> None:
    @app.task
    def resize() -> None: ...

    moment = datetime(2026, 5, 1, 7, 30)  # noqa: DTZ001 -- that is the point

    with pytest.raises(UsageError, match=f"{name}=2026-05-01T07:30:00 has no zone"):
        resize.using(**{name: moment}).enqueue()  # type: ignore[arg-type]


def test_a_higher_priority_goes_first(shop: Shop) -> None:
    shop.settings("parallel = 1\n")
    shop.declare(
        """
        @app.task
        def resize(image: str) -> None:
            did(image)
        """
    )
    for image, priority in (("low", "0"), ("high", "9"), ("middle", "5")):
        shop.sexton("enqueue", "resize", f"image={image}", "--priority", priority)
    shop.tick()

    assert list(shop.effects()) == ["high", "middle", "low"]


# --- in the caller's own transaction ---


@pytest.fixture
def theirs(shop: Shop) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(shop.directory / "shop.db")
    connection.execute("CREATE TABLE picture (name TEXT)")
    connection.commit()
    yield connection
    connection.close()


def test_a_request_in_the_callers_transaction_comes_with_its_commit(
    shop: Shop, app: Sexton, theirs: sqlite3.Connection
) -> None:
    @app.task
    def resize(image: str) -> None: ...

    theirs.execute("INSERT INTO picture VALUES ('a.png')")
    asked = resize.using(connection=theirs, priority=3).enqueue("a.png")
    shop.store.outboxes.drain()
    before = shop.ends()
    theirs.commit()
    shop.store.outboxes.drain()
    shop.store.outboxes.drain()

    assert (asked.id, asked.task) == (0, None)
    assert before == []
    assert shop.ends() == ["Pending"]
    [row] = shop.store.tasks.newest()
    assert (row.priority, resize.payload.decode(row.payload)) == (3, {"image": "a.png"})


def test_a_rolled_back_transaction_asks_for_nothing(
    shop: Shop, app: Sexton, theirs: sqlite3.Connection
) -> None:
    @app.task
    def resize(image: str) -> None: ...

    theirs.execute("INSERT INTO picture VALUES ('a.png')")
    resize.using(connection=theirs).enqueue("a.png")
    theirs.rollback()
    shop.store.outboxes.drain()

    assert shop.ends() == []


@pytest.mark.usefixtures("theirs")
def test_the_tick_runs_what_the_callers_database_asked_for(shop: Shop) -> None:
    shop.declare(
        """
        @app.task
        def resize(image: str) -> None:
            did(image)
        """
    )
    shop.python(
        """
        import sqlite3
        from tasks import resize
        theirs = sqlite3.connect("shop.db")
        with theirs:
            theirs.execute("INSERT INTO picture VALUES ('a.png')")
            resize.using(connection=theirs).enqueue("a.png")
        """
    )
    shop.tick()
    shop.tick()

    assert shop.effects() == {"a.png": 1}


def test_a_request_that_could_only_expire_is_refused(shop: Shop, app: Sexton) -> None:
    @app.task
    def resize(image: str) -> None: ...

    at = datetime(2026, 1, 2, tzinfo=UTC)
    with closing(sqlite3.connect(shop.directory / "theirs.db")) as theirs:
        for connection in (None, theirs):
            asked = resize.using(at=at, start_before=at, connection=connection)
            with pytest.raises(UsageError, match="is never"):
                asked.enqueue(image="a.png")

    assert shop.store.tasks.count() == {}


def test_a_request_says_in_a_sentence_what_became_of_it(shop: Shop, app: Sexton) -> None:
    @app.task(key="")
    def rebuild() -> None: ...

    with closing(sqlite3.connect(shop.file("theirs.db"))) as theirs:
        told = [str(rebuild.enqueue()), str(rebuild.enqueue())]
        told.append(str(rebuild.using(connection=theirs).enqueue()))

    assert told == [
        "task 1 of rebuild waits",
        "task 1 of rebuild waited already; this request joined it",
        "asked for, once the caller's transaction commits",
    ]


def test_a_kind_with_a_schedule_is_refused_before_it_lies_in_an_outbox(
    shop: Shop, app: Sexton
) -> None:
    @app.task(schedule="@daily")
    def nightly() -> None: ...

    with closing(sqlite3.connect(shop.file("theirs.db"))) as theirs:
        with pytest.raises(UsageError, match="could touch everyone again"):
            nightly.using(connection=theirs).enqueue()

        assert theirs.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert app.store.outboxes.drain() == 0


def test_a_request_for_a_kind_that_is_not_known_waits_quietly_until_it_is(
    shop: Shop, app: Sexton
) -> None:
    @app.task
    def resize(image: str) -> None: ...

    with closing(sqlite3.connect(shop.file("theirs.db"))) as theirs:
        resize.using(connection=theirs).enqueue("a.png")
        theirs.execute("UPDATE sexton_outbox SET kind = 'later'")
        theirs.commit()
    app.store.outboxes.drain()
    shop.travel(minutes=1)
    is_quiet = idle.look(app.store.db.path) is not None
    app.store.kinds.ensure(Kind(name="later"))

    assert is_quiet
    assert app.store.outboxes.drain() == 1
