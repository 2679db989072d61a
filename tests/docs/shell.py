"""Runs what a page shows, in order, in a directory of its own, and holds it to what it shows."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from sexton.core import instant
from sexton.store import open_store
from tests.docs.page import Block, Step, fits, steps

COMMAND_TIMEOUT_S = 60


class Shell:
    """A person at a terminal, in an empty directory, who follows a page."""

    def __init__(self, place: Path, page: str) -> None:
        self.place = place
        self.page = page
        self.exit_code = 0

    def follow(self, block: Block) -> None:
        """Do what a block says; raises AssertionError with the page's line if it is not true."""
        for order, told in block.orders:
            if order == "clock":
                self.set_clock(told)
            elif order == "first":
                self.say(told)
            elif order == "file":
                self._write(told, block.text)
        if block.language == "console":
            for step in steps(block):
                self._type(step)
        elif block.language == "python":
            ast.parse(block.text, f"{self.page}:{block.line}")
            if block.is_run:
                self._run_python(block)

    def set_clock(self, moment: str) -> None:
        """Let the store's clock stand at a moment, for every process that asks it."""
        store = open_store(f"sqlite:///{self.place / 'sexton.db'}")
        store.db.set_clock(f"frozen:{instant.parse_iso(moment)}")
        store.close()

    def say(self, command: str) -> str:
        """Run a command that has to succeed; return what it says."""
        done = self._done(["bash", "-c", command])
        assert done.returncode == 0, f"{self.page}: {command}: {done.stdout}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """A plain terminal's, with the commands of this environment first on the path."""
        ours = os.path.dirname(os.path.abspath(sys.executable))
        return {
            "PATH": os.pathsep.join([ours, os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.place),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "dumb",
            "COLUMNS": "100",
            "USER": "shop",
            "LOGNAME": "shop",
            # As on a terminal, what goes to stdout and to stderr stays in its order.
            "PYTHONUNBUFFERED": "1",
        }

    def _write(self, file: str, text: str) -> None:
        target = self.place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n", encoding="utf-8")

    def _type(self, step: Step) -> None:
        where = f"{self.page}:{step.line}: $ {step.command}"
        if step.command != "echo $?":
            self.leave()
        # The exit code of the one before is what `echo $?` says.
        done = self._done(["bash", "-c", f"(exit {self.exit_code})\n{step.command}"])
        self.exit_code = done.returncode
        assert fits(step.says, done.stdout), (
            f"{where}\nshown:\n{step.says}\nsaid (exit code {done.returncode}):\n{done.stdout}"
        )

    def leave(self) -> None:
        """Raise AssertionError if a command failed, and the page did not show it by `echo $?`."""
        assert self.exit_code == 0, f"{self.page}: the command before: exit code {self.exit_code}"

    def _run_python(self, block: Block) -> None:
        done = self._done([sys.executable, "-c", block.text])
        assert done.returncode == 0, f"{self.page}:{block.line}: {done.stdout}"

    def _done(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.place,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
