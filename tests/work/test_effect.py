"""An effect and its declaration: keys, fields, and what its exceptions become."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sexton import Item, Permanent
from sexton.core.ledger import Cap, parse_cap
from sexton.work.effect import NOTE_LENGTH_MAX, Effect, field_of, said


@dataclass
class User:
    id: object
    email: str = "a@example.com"


def effect(function: object = lambda thing: None, **options: object) -> Effect:  # noqa: ARG005
    return Effect(function, options.pop("key", "id"), False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "text"), [(7, "7"), ("ä", "ä"), (UUID(int=1), "00000000-0000-0000-0000-000000000001")]
)
def test_a_key_is_a_fields_text_or_a_functions(key: object, text: str) -> None:
    assert effect().key_of(User(key)) == text
    assert effect(key=lambda thing: thing.id).key_of(User(key)) == text


def test_a_field_is_found_in_a_mapping_and_in_an_object() -> None:
    assert field_of({"id": 1}, "id") == 1
    assert field_of(SimpleNamespace(id=2), "id") == 2
    for thing in ({"name": 1}, SimpleNamespace(name=1), {"keys": 1}):
        with pytest.raises(TypeError, match="has no 'id'"):
            field_of(thing, "id")


def test_a_mappings_own_methods_are_no_fields() -> None:
    with pytest.raises(TypeError, match="a planned dict has no 'items'"):
        field_of({"id": 1}, "items")


def test_a_cap_asks_for_its_field_of_the_thing() -> None:
    capped = effect(cap=Cap(1, "email", "letters"))

    assert capped.whom_of(User(1)) == "a@example.com"
    assert effect().whom_of(User(1)) == ""


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("1/day per email", Cap(1, "email", "letters")),
        ("25/day per user_id in marketing", Cap(25, "user_id", "marketing")),
    ],
)
def test_a_cap_is_read_and_may_be_shared(text: str, cap: Cap) -> None:
    assert parse_cap(text, "letters") == cap


class Gone(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "Done"),
        (OSError("down"), "Failed"),
        (Gone("moved"), "Rejected"),
        (Permanent("no mailbox"), "Rejected"),
    ],
)
def test_what_an_effect_raises_is_its_items(error: Exception | None, status: str) -> None:
    def function(_: object) -> None:
        if error:
            raise error

    ended = effect(function, permanent=(Gone,)).run(User(1), Item.fake())

    assert (ended.key, ended.status) == ("1", status)
    assert ended.note == (said(error) if error else "")


def generated() -> Iterator[None]:
    yield


async def awaited() -> None: ...


async def generated_and_awaited() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (generated, "generator"),
        (awaited, "coroutine"),
        (generated_and_awaited, "async generator"),
    ],
    ids=["generator", "coroutine", "async generator"],
)
def test_an_effect_that_returns_what_nobody_runs_did_nothing(
    function: Callable[[], object], name: str
) -> None:
    made: list[Any] = []

    def begin(_: object) -> object:
        made.append(function())
        return made[0]

    ended = effect(begin).run(User(1), Item.fake())
    if hasattr(made[0], "close"):
        made[0].close()

    assert ended.status == "Failed"
    assert ended.note == f"TypeError: it returned a {name}, which nobody runs: nothing was done"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_of_the_effect_goes_on(error: type[BaseException]) -> None:
    def function(_: object) -> None:
        raise error

    with pytest.raises(error):
        effect(function).run(User(1), Item.fake())


def test_an_exception_is_said_in_one_line_of_bounded_length_that_a_row_can_keep() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            return "first\nsecond\t\ud800 " + "x" * 10_000

    text = said(Nasty())

    assert text.startswith("Nasty: first second \\ud800 x")
    assert len(text) == NOTE_LENGTH_MAX
    assert text.encode()


def test_an_exception_that_cannot_be_said_is_named_at_least() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("and this one is mute as well")

    def function(_: object) -> None:
        raise Mute

    ended = effect(function).run(User(1), Item.fake())

    assert (ended.status, ended.note) == ("Failed", "Mute")
