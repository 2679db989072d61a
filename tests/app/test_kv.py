"""The key-value store of an application: typed, on disk, and safe to change together."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from sexton import Sexton
from sexton.app.kv import UPDATE_TRIES_MAX
from sexton.core.errors import StoreBusy, ValueRefused
from tests.app.shop import Shop


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Size:
    width: int


class Place(msgspec.Struct, frozen=True):
    name: str


@pytest.fixture
def app(shop: Shop) -> Iterator[Sexton]:
    made = Sexton(shop.url)
    yield made
    made.close()


@pytest.mark.parametrize(
    "value",
    [
        None, True, 7, 1 << 80, 0.1, "ä\x00🦆", b"\x00\xff", datetime(2026, 1, 1, tzinfo=UTC),
        date(2026, 1, 1), timedelta(days=1, microseconds=1), Decimal("0.10"), UUID(int=7),
        [1, [2]], (1, "a"), {"a": {"b": None}}, {1, 2},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_comes_back_as_the_same_type(app: Sexton, value: object) -> None:
    app.kv["it"] = value
    app.close()  # from the disk, by another connection

    found = app.kv["it"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [Size(3), Place("Riga"), Colour.RED])
def test_an_own_type_is_read_by_naming_it(app: Sexton, value: object) -> None:
    app.kv["it"] = value

    assert app.kv.get("it", type(value)) == value


def test_a_missing_key_is_the_default_or_an_error(app: Sexton) -> None:
    assert app.kv.get("none") is None
    assert app.kv.get("none", int, 7) == 7
    assert "none" not in app.kv
    with pytest.raises(KeyError):
        app.kv["none"]
    with pytest.raises(KeyError):
        del app.kv["none"]


def test_another_type_than_asked_for_is_refused(app: Sexton) -> None:
    app.kv["it"] = "seven"

    with pytest.raises(ValueRefused):
        app.kv.get("it", int)


def test_what_cannot_be_kept_is_refused_and_leaves_the_old_value(app: Sexton) -> None:
    app.kv["it"] = 1

    with pytest.raises(ValueRefused):
        app.kv["it"] = object()

    assert app.kv["it"] == 1


def test_keys_are_listed_by_prefix_and_in_order(app: Sexton) -> None:
    for key in ("b", "a_2", "a_1", "a%", "A"):
        app.kv[key] = key

    assert list(app.kv) == sorted(["b", "a_2", "a_1", "a%", "A"])
    assert list(app.kv.keys("a_")) == ["a_1", "a_2"]
    assert dict(app.kv.items("a%")) == {"a%": "a%"}
    assert "a_1" in app.kv
    assert 7 not in app.kv


def test_a_deleted_key_is_gone(app: Sexton) -> None:
    app.kv["it"] = 1
    del app.kv["it"]

    assert "it" not in app.kv
    assert list(app.kv) == []


def test_an_update_loses_nothing_between_threads(app: Sexton) -> None:
    def count(_: int) -> None:
        for _ in range(25):
            app.kv.update("count", lambda old: old + 1, int, 0)
        app.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))

    assert app.kv["count"] == 100


def test_an_update_that_always_loses_says_so(app: Sexton) -> None:
    tries: list[int] = []

    def contested(old: int) -> int:
        tries.append(old)
        app.kv["count"] = old + 1  # somebody else, every time
        return -1

    with pytest.raises(StoreBusy, match="was changed by others"):
        app.kv.update("count", contested, int, 0)

    assert len(tries) == UPDATE_TRIES_MAX
    assert app.kv["count"] == UPDATE_TRIES_MAX


def test_the_callers_rollback_does_not_take_a_value_back(shop: Shop, app: Sexton) -> None:
    shop.write("")
    shop.python(
        """
        import sqlite3
        from tasks import app
        theirs = sqlite3.connect("shop.db")
        theirs.execute("CREATE TABLE t (x)")
        app.kv["sent"] = True
        theirs.rollback()
        """
    )

    assert app.kv["sent"] is True
