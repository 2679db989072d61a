"""The page of the command line and the completions say what the commands say."""

from __future__ import annotations

import subprocess

import pytest

from sexton.cli.frame import COMMANDS, overview, parser_of
from sexton.cli.reference import page
from sexton.cli.tree import branches
from tests.cli.conftest import Type
from tests.cli.shop import WAIT_S, Shop
from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "cli.md"


def test_the_reference_page_is_what_the_commands_say_of_themselves() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "make it anew: python -m sexton.cli.reference > docs/reference/cli.md"
    )


def test_every_command_that_prints_has_json_and_documents_it() -> None:
    silent = {"watch", "completion"}
    with_json = {
        branch.name for branch in branches() if any("--json" in one.names for one in branch.options)
    }

    assert with_json == set(COMMANDS) - silent
    assert all("As JSON: " in one.text for one in branches() if one.name in with_json)


def completed(shop: Shop, line: str) -> list[str]:
    """What bash offers after this line when the tabulator key is pressed."""
    script = """
        eval "$(sexton completion bash)"
        read -ra COMP_WORDS <<< "$1"; [[ $1 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        _sexton
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    told = subprocess.run(
        ["bash", "-c", script, "bash", line],
        cwd=shop.directory,
        env=shop.environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert told.stderr == ""
    return told.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sexton ab", ["abort"]),
        ("sexton tasks --st", ["--status"]),
        ("sexton tasks --status R", ["Running"]),
        ("sexton run res", ["resize"]),
        ("sexton tasks --kind n", ["nightly"]),
        ("sexton kv s", ["set"]),
        ("sexton tasks --reason t", ["timed\\ out"]),
        ("sexton help ab", ["abort"]),
        ("sexton he", ["help"]),
        ("sexton why ", ["dump", "nightly", "publish", "remind", "resize"]),
    ],
)
def test_bash_completes_commands_options_choices_and_kinds(
    shop: Shop, line: str, offered: list[str]
) -> None:
    assert [
        word for word in completed(shop, line) if not word.startswith("-") or "--st" in line
    ] == (offered)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_every_command_and_every_option(typed: Type, shell: str) -> None:
    script = typed("completion", shell).out

    for branch in branches():
        assert branch.name in script
        for option in branch.options:
            for name in option.names:
                assert (name if shell == "zsh" else f"-l {name[2:]}") in script or len(name) == 2


def test_zsh_is_told_of_one_place_at_most_that_takes_many_words(typed: Type) -> None:
    script = typed("completion", "zsh").out
    cases = [line for line in script.splitlines() if "_arguments" in line]

    assert len(cases) == len(COMMANDS)
    assert max(line.count("'*:") for line in cases) == 1
    assert [line.split(")")[0].strip() for line in cases if "'*:" in line] == [
        "run", "enqueue", "once",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_fits_a_terminal_of_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [*overview().splitlines(), *parser_of(name).format_help().splitlines()]

    assert [line for line in lines if len(line) > 80] == []
