"""One command, one file: the table of the command line and its files say the same."""

from __future__ import annotations

import ast

import pytest

from sexton.cli import frame
from tests.house.source import Module, modules


def functions(module: Module) -> set[str]:
    """The functions that a module offers."""
    return {node.name for node in module.tree.body if isinstance(node, ast.FunctionDef)}


FILES = {
    module.path.rpartition("/")[2].removesuffix(".py"): module for module in modules("sexton/cli")
}


def test_every_command_of_the_table_has_its_file_and_every_such_file_its_command() -> None:
    written = {name for name, module in FILES.items() if "configure" in functions(module)}
    listed = {entry.module for entry in frame.COMMANDS.values()}

    assert written == listed, "list each command in frame.COMMANDS, and give each its own file"


@pytest.mark.parametrize("command", sorted(frame.COMMANDS))
def test_a_command_declares_its_words_and_runs(command: str) -> None:
    module = FILES[frame.COMMANDS[command].module]

    assert {"configure", "run"} <= functions(module)
    assert ast.get_docstring(module.tree), "its docstring is its help"
