"""`python3 dev.py bench [--quick] [--only PART] [--json FILE] [--into PAGE]`"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import machine, report
from bench.report import Section

ROOT = Path(__file__).resolve().parent.parent

# Part, and the seconds that it may take; some of them end earlier.
PARTS = {
    "programs": 100.0,
    "ledger": 60.0,
    "tasks": 60.0,
    "growth": 40.0,
    "calls": 30.0,
    "schedules": 10.0,
}
QUICK = 0.1  # of that time


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = _parsed()
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    sections = []
    # In the project and not in /tmp, which may be memory: a commit there waits for no disk.
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as directory:
        here = machine.look(directory)
        for name in args.only or PARTS:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            share = QUICK if args.quick else 1.0
            sections.append(_measured(name, Path(directory), PARTS[name] * share))
    text = report.markdown(here, sections)
    print(text)
    if args.json:
        args.json.write_text(report.as_json(here, sections), encoding="utf-8")
    if args.into:
        report.put_into(args.into, text)


def _measured(name: str, directory: Path, budget_s: float) -> Section:
    module: Any = importlib.import_module(f"bench.{name}")
    with machine.watched() as calm:
        tables = module.tables(directory, budget_s)
    return Section(name, str(module.__doc__), tuple(tables), calm)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py bench", description="Measures what Sexton costs, side by side with its peers."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a tenth of the time: to see that it runs")
    add("--only", action="append", choices=PARTS, help="one part; may be given again")
    add("--json", type=Path, help="write every value of every round to this file")
    add("--into", type=Path, help="replace the figures in this page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
