"""The named queries of the store: each is asked by somebody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sexton.store.sql import Queries
from tests.house.source import files, modules

SOURCE = "\n".join(module.text for module in modules("sexton/store"))
# What `sexton check` asks, it asks by its names.
NOUNS = [noun for it in files("sexton/store/sql", "*.sql") if (noun := Path(it).stem) != "check"]


@pytest.mark.parametrize("noun", NOUNS)
def test_every_query_is_asked_by_the_store(noun: str) -> None:
    asked = re.compile(r"(?:SQL|sql)\.(\w+)").findall(SOURCE)

    assert set(Queries(noun).names) - set(asked) == set()
