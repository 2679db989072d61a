"""The key-value store's rows: versions, prefixes, compare and set."""

from __future__ import annotations

import pytest

from sexton.core.errors import ValueRefused
from sexton.store.store import Store

INSERT = "INSERT INTO kv (key, value, version, changed_at) VALUES (:key, :value, 1, 0)"


def text_of(store: Store, key: str) -> str:
    found = store.kv.get(key)
    assert found is not None
    return found[0]


def version_of(store: Store, key: str) -> int:
    found = store.kv.get(key)
    assert found is not None
    return found[1]


def test_a_value_is_set_changed_and_forgotten(store: Store) -> None:
    assert store.kv.get("a") is None
    store.kv.put("a", "1")
    store.kv.put("a", "2")

    assert text_of(store, "a") == "2"
    assert store.kv.delete("a")
    assert not store.kv.delete("a")
    assert store.kv.get("a") is None


def test_a_value_is_replaced_only_as_it_was_read(store: Store) -> None:
    assert store.kv.replace("a", "1", None)
    assert not store.kv.replace("a", "2", None)
    first = version_of(store, "a")
    assert store.kv.replace("a", "2", first)
    assert not store.kv.replace("a", "3", first)
    assert not store.kv.replace("b", "3", first)

    assert text_of(store, "a") == "2"


def test_a_key_that_was_forgotten_and_set_anew_is_not_what_was_read(store: Store) -> None:
    store.kv.put("a", "1")
    first = version_of(store, "a")
    store.kv.delete("a")
    store.kv.put("a", "2")

    assert not store.kv.replace("a", "3", first)
    assert text_of(store, "a") == "2"


def test_keys_are_listed_by_prefix_in_order_over_many_pages(store: Store) -> None:
    with store.db.transaction():
        for number in range(1201):
            values = {"key": f"user:{number:05}", "value": str(number)}
            store.db.run(INSERT, values)
    for key in ("user", "use", "user;", "User:1", "zebra"):
        store.kv.put(key, "0")

    found = [key for key, _ in store.kv.scan("user:")]

    assert len(found) == 1201
    assert found == sorted(found)
    assert len(list(store.kv.scan())) == 1206


@pytest.mark.parametrize("prefix", ["%", "_", "*", "[a]", "ä"])
def test_a_prefix_is_taken_as_it_is_written(store: Store, prefix: str) -> None:
    store.kv.put("anything", "1")
    store.kv.put(f"{prefix}x", "2")

    assert list(store.kv.scan(prefix)) == [(f"{prefix}x", "2")]


@pytest.mark.parametrize("key", ["", "x" * 501, "a\0b", 7, None])
def test_what_is_no_key_is_refused(store: Store, key: str) -> None:
    with pytest.raises(ValueRefused):
        store.kv.put(key, "1")


def test_a_list_that_is_read_halfway_holds_up_nobody(store: Store) -> None:
    for number in range(3):
        store.kv.put(f"k{number}", "1")
    scan = store.kv.scan()
    next(scan)

    store.kv.put("k9", "1")

    assert [key for key, _ in scan] == ["k1", "k2"]
