"""The shop, and commands typed in it within this process."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sexton.app import place, sync
from sexton.cli import main
from tests.cli.shop import Shop, open_shop

NUMBERS = itertools.count()


class Told(NamedTuple):
    code: int
    out: str
    err: str


Type = Callable[..., Told]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop in this test's own directory, which is also the current one; checked at its end."""
    # A module of its own name, since a second import of `tasks` would be the first one's.
    module = f"shop_tasks_{next(NUMBERS)}"
    opened = open_shop(tmp_path, module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("SEXTON_STORE", "SEXTON_APP", "SEXTON_SETTINGS", "SEXTON_TASK", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    store = opened.store()
    sync.sync(place.find(), store)
    yield opened
    broken = store.upkeep.check()
    store.close()
    sys.modules.pop(module, None)
    assert broken == []


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command in the shop: its exit code, and what it said."""
    assert os.getcwd() == str(shop.directory)

    def type_it(*words: str) -> Told:
        capsys.readouterr()
        code = main(list(words))
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return type_it
