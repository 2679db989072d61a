"""The reference of the command line as one page, made from the commands themselves.

    python -m sexton.cli.reference > docs/reference/cli.md

A test compares the page with what this prints, so that it cannot fall behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from sexton.cli.frame import EXIT_CODES
from sexton.cli.tree import Branch, Word, branches

INTRODUCTION = """# Command line

Made from the commands' own help by `python -m sexton.cli.reference`.

Every command finds its store in this order: `SEXTON_STORE`, then `store` of the nearest
`sexton.toml` from the current directory upward, then `sexton.db` beside it. Moments are shown in
this machine's zone; `sexton next` and `sexton why` speak in the kind's.

With `--json` a command prints one JSON document on one line of standard output, and nothing else
there. Instants in it are ISO 8601 in UTC, lengths are in seconds and end with `_s`, `null` stands
for "none". TASK, ITEM and KIND are the shapes in [JSON](json.md).

Colours and progress appear on terminals only, and not where `NO_COLOR` is set or `TERM` is `dumb`.
Control characters in what is shown stand as escapes. Long options are written out: they are not
guessed from their beginning. Moments on the command line are ISO 8601 with `Z` or an offset;
`sexton next --after` also takes one without, which is a wall time of the schedule's zone. Lengths
are `20h`, `1d 4h`, `90m`, `30s`, `2w` or `PT20H`.
"""


def page() -> str:
    """The page as Markdown."""
    lines = [INTRODUCTION, "## Exit codes", "", "```text", *_codes(), "```", ""]
    group = ""
    for branch in branches():
        if branch.group != group:
            group = branch.group
            lines += [f"## {group}", ""]
        lines += _section(branch)
    return "\n".join(lines).rstrip() + "\n"


def _codes() -> list[str]:
    return [line.strip() for line in EXIT_CODES.splitlines()[1:]]


def _section(branch: Branch) -> Iterator[str]:
    yield f"### sexton {branch.name}"
    yield ""
    yield "```text"
    yield branch.usage
    yield "```"
    yield ""
    yield branch.text
    yield ""
    words = [*branch.positions, *[word for word in branch.options if "--help" not in word.names]]
    if words:
        yield "| word | meaning |"
        yield "| --- | --- |"
        yield from (_row(word) for word in words)
        yield ""


def _row(word: Word) -> str:
    names = ", ".join(f"`{name}`" for name in word.names) or f"`{word.metavar}`"
    if word.names and word.takes_value:
        value = word.metavar if word.choices else word.metavar.upper()
        names += f" `{value}`"
    cells = [cell.replace("|", "\\|") for cell in (names, word.help)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
