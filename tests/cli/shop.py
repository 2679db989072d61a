"""A small shop: an application in a directory of its own, and its commands as typed there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sexton.store import create_store, open_store
from sexton.store.store import Store

WAIT_S = 60

TASKS = '''"""The shop's tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sexton import Item, Sexton

app = Sexton()


@app.task
def resize(image: str, width: int = 800) -> None:
    """Make a picture smaller."""
    print("resizing", image, width)
    if image == "bad":
        raise ValueError("no picture \\x1b[31m in it")


@app.task(schedule="30 2 * * *", tz="Europe/Riga")
def nightly() -> None:
    print("night")


@app.task(key="image")
def publish(image: str) -> None: ...


@app.plan(schedule="30 7 * * *", tz="Europe/London")
def remind() -> list[dict[str, int]]:
    return [{"id": number} for number in range(1, 4)]


@remind.each(key="id")
def send(user: dict[str, int], item: Item) -> None:
    if user["id"] == 2 and os.path.exists("die"):
        os.kill(os.getpid(), 9)


app.command("dump", argv=["sh", "-c", "echo dumping; exit 3"], min_gap="20h")
'''


@dataclass(frozen=True)
class Shop:
    """`main`: in this process, for speed. `type`: the real command in a process of its own."""

    directory: Path
    module: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.directory / 'sexton.db'}"

    def store(self) -> Store:
        return open_store(self.url)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SEXTON_")}
        beside = os.path.dirname(sys.executable)
        path = os.pathsep.join([beside, kept.get("PATH", os.defpath)])
        return {**kept, "PATH": path, **more}

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sexton", *words]

    def type(
        self, *words: str, env: dict[str, str] | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Type `sexton WORDS` in the shop's directory."""
        return subprocess.run(
            self.line(*words),
            cwd=self.directory,
            env=self.environment(**(env or {})),
            input=given,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=WAIT_S,
            check=False,
        )

    def json(self, *words: str) -> Any:
        """What a command prints with --json: one line, one document."""
        told = self.type(*words, "--json")
        assert told.stdout.count("\n") == 1, told.stdout + told.stderr
        return json.loads(told.stdout)


def open_shop(directory: Path, module: str = "tasks", tasks: str = TASKS) -> Shop:
    """Make a shop with a store, and its kinds registered."""
    (directory / f"{module}.py").write_text(tasks)
    (directory / "sexton.toml").write_text(f'app = "{module}:app"\nstore = "sqlite:///sexton.db"\n')
    shop = Shop(directory, module)
    create_store(shop.url).close()
    return shop
