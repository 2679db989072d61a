"""What the pages show is what happens: their commands are run, and their answers compared."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.docs.page import Block, blocks, fits, name_of, pages
from tests.docs.shell import Shell

ALL = [pytest.param(page, id=name_of(page)) for page in pages()]
SHOWING = [
    pytest.param(page, id=name_of(page))
    for page in pages()
    if any(block.language in {"console", "python"} for block in blocks(page))
]


@pytest.mark.parametrize("page", SHOWING)
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path, name_of(page))

    for block in blocks(page):
        shell.follow(block)
    shell.leave()


@pytest.mark.parametrize("page", ALL)
def test_what_an_example_imports_from_sexton_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            for module, name in _imported(block):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {name}"


def _imported(block: Block) -> list[tuple[str, str]]:
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sexton")
        for alias in node.names
    ]


def test_an_ellipsis_stands_for_part_of_a_line() -> None:
    assert fits("task … ran", "task 12 ran\n")
    assert not fits("task … ran", "task 12\nran\n")


def test_an_ellipsis_alone_stands_for_any_lines() -> None:
    assert fits("first\n…\nlast", "first\nsecond\nthird\nlast")
    assert fits("first\n…\nlast", "first\nlast")
    assert not fits("first\n…\nlast", "first\nsecond")


def test_an_answer_that_is_not_shown_is_noticed() -> None:
    assert not fits("", "sexton: no application is named\n")
    assert not fits("one line", "one line\nand another\n")


def test_a_wrong_answer_on_a_page_is_found(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "page")

    with pytest.raises(AssertionError, match="shown"):
        shell.follow(Block("console", "$ echo two\none", 1))


def test_a_failure_that_a_page_does_not_show_is_found(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "page")
    shell.follow(Block("console", "$ exit 3", 1))

    with pytest.raises(AssertionError, match="exit code 3"):
        shell.follow(Block("console", "$ echo next\nnext", 2))
    with pytest.raises(AssertionError, match="exit code 3"):
        shell.leave()


def test_a_failure_that_a_page_shows_is_taken(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "page")

    shell.follow(Block("console", "$ exit 3\n$ echo $?\n3\n$ echo next\nnext", 1))

    shell.leave()
