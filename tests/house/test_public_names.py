"""What `import sexton` costs and gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sexton
from tests.house.source import ROOT

SAYS_WHAT_IT_LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import sexton
print(*sorted(set(sys.modules) - before))
"""


def test_importing_sexton_imports_nothing_else() -> None:
    words = [sys.executable, "-I", "-S", "-c", SAYS_WHAT_IT_LOADED, str(ROOT)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["sexton"]


@pytest.mark.parametrize("name", sexton.__all__)
def test_each_public_name_is_there_on_first_use(name: str) -> None:
    assert getattr(sexton, name)
    assert name in dir(sexton)


def test_a_public_name_is_the_same_thing_each_time() -> None:
    assert sexton.SextonError is sexton.SextonError
    assert issubclass(sexton.SextonError, Exception)


def test_an_unknown_name_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sextant'"):
        _ = sexton.Sextant  # type: ignore[attr-defined]
