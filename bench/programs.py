"""Whole processes: what one pass of a scheduler costs, from start to end, beside bare Python.

Idle: nothing is due. Due: one no-op task is, asked for before the clock starts. Each peer keeps
its tasks as durably as it can: Huey in SQLite with `fsync`; APScheduler in memory, since its
durable stores need a further library; Django only starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import Bound, Table, figures, in_turn
from bench.shop import BIN, ENVIRONMENT, make

PEERS = Path(__file__).parent / "peers"
TICK = (str(BIN / "sexton"), "tick")
# What pip writes for a command since 25.1. An older one's script imports `re` first.
NEWER_SCRIPT = "import sys; from sexton.cli import main; sys.exit(main())"
UNITS = (("wall time", "ms"), ("processor time", "ms"), ("memory at most", "MiB"))
BARE = "python -c pass"
IDLE_BOUNDS = (
    Bound("sexton tick", "at most", 2.2),
    None,
    Bound("sexton tick", "at most", 14, is_ratio=False),
)

Cost = tuple[float, float, float]


class Launcher:
    """The small process that starts the others."""

    def __init__(self, directory: Path) -> None:
        words = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]
        environment = {
            **ENVIRONMENT,
            "PYTHONPATH": str(PEERS),
            "DJANGO_SETTINGS_MODULE": "noop_site.settings",
        }
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            words, cwd=directory, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def run(self, *words: str) -> Cost:
        """Run one program; wall ms, processor ms, MiB. Raises RuntimeError if it failed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\x1f".join(words) + "\n")
        self._process.stdin.flush()
        code, *cost = json.loads(self._process.stdout.readline())
        if code:
            raise RuntimeError(f"{' '.join(words)} ended with {code}")
        return cost[0], cost[1], cost[2]

    def close(self) -> None:
        self._process.communicate()


def tables(directory: Path, budget_s: float) -> list[Table]:
    """Idle and due passes: wall time, processor time and memory of each."""
    shop = make(directory / "programs")
    launcher = Launcher(Path(shop.place.directory))
    queue = str(directory / "huey.db")
    noop: Any = shop.app["noop"]
    inline: Any = shop.app["inline"]

    tick = partial(launcher.run, *TICK)
    bare = partial(launcher.run, sys.executable, "-c", "pass")

    def script(name: str, *words: str) -> Callable[[], Cost]:
        return partial(launcher.run, sys.executable, str(PEERS / name), *words)

    def asked(ask: Callable[[], object], then: Callable[[], Cost]) -> Callable[[], Cost]:
        def case() -> Cost:
            ask()
            return then()

        return case

    idle = {
        BARE: bare,
        "sexton tick": tick,
        "sexton tick, as pip 25.1 installs it": partial(
            launcher.run, sys.executable, "-c", NEWER_SCRIPT, "tick"
        ),
        "APScheduler, one shot": script("apscheduler_once.py"),
        "Huey, one shot": script("huey_once.py", queue),
        "django-admin, a no-op command": partial(launcher.run, str(BIN / "django-admin"), "noop"),
    }
    due = {
        BARE: bare,
        "sexton tick, inline": asked(inline.enqueue, tick),
        "sexton tick, in a process of its own": asked(noop.enqueue, tick),
        "APScheduler, one shot": script("apscheduler_once.py", "due"),
        "Huey, one shot": asked(
            script("huey_once.py", queue, "ask"), script("huey_once.py", queue)
        ),
    }
    try:
        return [
            *_tables("One pass with nothing due", idle, IDLE_BOUNDS, budget_s / 2),
            *_tables("One pass with one no-op task due", due, (None, None, None), budget_s / 2),
        ]
    finally:
        launcher.close()
        shop.store.close()


def _tables(
    title: str,
    cases: dict[str, Callable[[], Cost]],
    bounds: tuple[Bound | None, ...],
    budget_s: float,
) -> list[Table]:
    # Two rounds to warm up: the first compiles what was never imported, and fills the caches.
    found = in_turn(cases, rounds=60, budget_s=budget_s, warm=2)
    made = []
    for at, ((what, unit), bound) in enumerate(zip(UNITS, bounds, strict=True)):
        values = {name: [cost[at] for cost in costs] for name, costs in found.items()}
        made.append(Table(f"{title}: {what}", unit, BARE, figures(values), bound))
    return made
