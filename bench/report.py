"""The figures as Markdown with bars of text, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import Calm, Machine
from bench.measure import Figure, Table

BAR_CHARACTERS = 30
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True)
class Section:
    """What one module measured, what it says of itself, and how calm the machine was."""

    name: str
    about: str
    tables: tuple[Table, ...]
    calm: Calm


def markdown(machine: Machine, sections: Sequence[Section]) -> str:
    """Everything, as a part of a page."""
    return "\n\n".join([_machine(machine), *(_section(section) for section in sections)]) + "\n"


def _machine(machine: Machine) -> str:
    peers = ", ".join(f"{name} {version}" for name, version in machine.peers.items())
    return "\n".join(
        [
            f"Measured on {machine.date}: {machine.cores} cores ({machine.processor}),",
            f"{machine.system}, Python {machine.python}, SQLite {machine.sqlite}, stores on",
            f"{machine.file_system}; {peers}.",
        ]
    )


def _section(section: Section) -> str:
    title, _, about = section.about.partition("\n")
    parts = [f"## {title.rstrip('.')}", about.strip(), f"Load: {section.calm.words}."]
    return "\n\n".join(part for part in [*parts, *map(_table, section.tables)] if part)


def _table(table: Table) -> str:
    rounds = min(len(figure.values) for figure in table.figures)
    lines = [
        f"### {table.title}",
        "",
        f"| {table.unit}, {rounds} rounds | median | least | most | × {table.base} | |",
        "| :--- | ---: | ---: | ---: | ---: | :--- |",
    ]
    longest = max(figure.median for figure in table.figures)
    lines += [_line(table, figure, longest) for figure in table.figures]
    lines += ["", *(text for text in (table.verdict, table.note) if text)]
    return "\n".join(lines).rstrip()


def _line(table: Table, figure: Figure, longest: float) -> str:
    bar = "█" * max(1, round(BAR_CHARACTERS * figure.median / longest))
    numbers = (figure.median, min(figure.values), max(figure.values))
    cells = [figure.name, *(_number(number) for number in numbers)]
    return f"| {' | '.join(cells)} | {_number(table.ratio(figure))} | {bar} |"


def _number(value: float) -> str:
    """Three digits that say something: 0.0123, 1.23, 12.3, 1234."""
    if value >= 100:
        return f"{value:.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def as_json(machine: Machine, sections: Sequence[Section]) -> str:
    """Every value of every round, so that nobody has to trust our medians."""
    document = {"machine": asdict(machine), "sections": [asdict(one) for one in sections]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page; raises ValueError without them."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
