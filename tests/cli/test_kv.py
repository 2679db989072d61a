"""The key-value store by hand: what an application wrote, and what a person writes."""

from __future__ import annotations

import json
from datetime import date

import pytest

from sexton.core import value
from tests.cli.conftest import Type
from tests.cli.shop import Shop


@pytest.mark.parametrize(
    "text", ["1", '"a"', "[1,2]", '{"b":1,"a":{"$date":"2026-11-22"}}', "null"]
)
def test_a_value_is_read_as_it_was_written(typed: Type, text: str) -> None:
    assert typed("kv", "set", "key", text).code == 0
    read = typed("kv", "get", "key")

    assert json.loads(read.out) == json.loads(text)
    assert json.loads(typed("kv", "get", "key", "--json").out)["value"] == json.loads(text)


def test_a_text_can_be_given_as_it_is(typed: Type, shop: Shop) -> None:
    typed("kv", "set", "key", "--string", "-5 {")

    assert value.decode(shop.store().kv.get("key")[0]) == "-5 {"  # type: ignore[index]


def test_what_an_application_wrote_is_seen_with_its_type(typed: Type, shop: Shop) -> None:
    shop.store().kv.put("day", value.encode(date(2026, 11, 22)))

    assert typed("kv", "get", "day").out == '{"$date":"2026-11-22"}\n'


def test_keys_are_listed_by_how_they_begin_and_deleted_by_name(typed: Type) -> None:
    for key in ("b1", "a1", "b2"):
        typed("kv", "set", key, "1")
    listed = json.loads(typed("kv", "list", "b", "--json").out)
    deleted = typed("kv", "delete", "b1")
    again = typed("kv", "delete", "b1")

    assert [item["key"] for item in listed["items"]] == ["b1", "b2"]
    assert (deleted.code, again.code) == (0, 1)
    assert "b1" not in typed("kv", "list").out
    assert json.loads(typed("kv", "delete", "b2", "--json").out)["was_there"] is True
    assert typed("kv", "list", "c").out == "no keys\n"


def test_a_key_that_is_not_there_is_answered_as_json_too(typed: Type) -> None:
    told = typed("kv", "get", "key", "--json")

    assert told.code == 1
    assert json.loads(told.out) == {"key": "key", "value": None, "version": 0}


def test_a_moment_may_be_written_with_z(typed: Type) -> None:
    typed("kv", "set", "key", '[{"$datetime":"2026-11-22T07:30:00Z"}]')

    assert typed("kv", "get", "key").out == '[{"$datetime":"2026-11-22T07:30:00+00:00"}]\n'


def test_a_word_that_may_be_left_out_may_stand_behind_an_option(typed: Type) -> None:
    typed("kv", "set", "b1", "1")
    listed = typed("kv", "list", "--json", "b")
    asked = typed("enqueue", "resize", "--json", "image=a.png")

    assert [item["key"] for item in json.loads(listed.out)["items"]] == ["b1"]
    assert (listed.code, asked.code) == (0, 0)
    assert typed("kv", "list", "--jsn", "b").code == 2
