"""A fixed program as a guarded kind: no shell, no arguments from a row."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sexton.app import explain
from sexton.app.door import Door
from sexton.app.explain import Status
from sexton.app.here import Here
from sexton.app.task import caller, reason_of
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Call
from sexton.core.task import Claim, Reason, Result
from sexton.store.tasks import Asked, Request
from sexton.work import guard
from sexton.work.guard import Run
from sexton.work.holder import nonce
from sexton.work.launch import Launch, Limits
from sexton.work.program import run_program


class Command:
    """A registered program. Calling it goes through the guard, whoever calls."""

    def __init__(
        self,
        app: Door,
        kind: Kind,
        argv: tuple[str, ...],
        tee: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._app = app
        self.kind = kind
        self.argv = argv
        self._tee = tee

    @property
    def name(self) -> str:
        return self.kind.name

    def __call__(self) -> Outcome[None]:
        """Run it now if it is due, free and not done; answer in a sentence what happened."""
        return self._call("")

    def force(self, reason: str) -> Outcome[None]:
        """Run it now, done or not, in a period of its own; the reason is recorded."""
        return self._call(reason_of(reason))

    def enqueue(self) -> Asked:
        """Ask for it: a Pending row that the next tick runs."""
        return self._app.ask(self, Request(by=caller(), id=nonce()), None)

    def why(self) -> str:
        """What a call now would find, in a few sentences."""
        return explain.why(self._app.store, self.name)

    def status(self) -> Status:
        """Where this kind stands: last and next moments, what runs, what is in doubt."""
        return explain.status(self._app.store, self.name)

    def _call(self, force: str) -> Outcome[None]:
        return call_program(
            self._app.here,
            self.kind,
            self.argv,
            cwd=self._app.place.directory,
            force=force,
            tee=self._tee,
        )


def call_program(
    here: Here,
    kind: Kind,
    argv: Sequence[str],
    *,
    cwd: str,
    force: str = "",
    tee: Callable[[bytes], None] = lambda _: None,
    stop: Callable[[], Reason] = lambda: "",
) -> Outcome[None]:
    """Run a program through the guard, in the foreground, in the directory `cwd`.

    `tee` gets its output; `stop` tells why it shall be ended.
    """
    asked = Call(nonce=nonce(), key=kind.key, force=force, by=caller())

    def body(run: Run) -> tuple[Result, Any]:
        launch = Launch(
            argv=argv,
            cookie=run.claim.nonce,
            env=environment(run.claim, here.store.url),
            cwd=cwd,
            limits=limits_of(kind),
        )
        result = run_program(
            Run(run.claim, lambda: stop() or run.stop()),
            launch,
            here.store.queue(here.owner),
            grace_s=here.grace_s,
            output_bytes_max=kind.output_bytes_max,
            tee=tee,
        )
        return result, None

    return guard.call(here, kind, asked, body)


def environment(claim: Claim, store_url: str) -> dict[str, str]:
    """What a task's process finds in its environment: the caller's, and who it is."""
    return {
        **os.environ,
        "PATH": _path(),
        "SEXTON_STORE": store_url,
        "SEXTON_TASK": str(claim.task),
        "SEXTON_KIND": claim.kind,
        "SEXTON_PERIOD": claim.period,
        "SEXTON_ATTEMPT": str(claim.attempt),
    }


def _path() -> str:
    """The caller's PATH, and last on it our own commands: cron's leads to none that is in a venv,
    and a program that keeps a ledger calls `sexton item`."""
    path = os.environ.get("PATH", os.defpath)
    ours = os.path.dirname(sys.executable)
    is_there = os.access(os.path.join(ours, "sexton"), os.X_OK)
    return path if ours in path.split(os.pathsep) or not is_there else f"{path}{os.pathsep}{ours}"


def limits_of(kind: Kind) -> Limits:
    """The kind's limits for its process; what is not declared is the machine's own."""
    declared = kind.limits
    return Limits(
        memory_bytes=declared.memory_bytes or None,
        processes=declared.processes or None,
        cpu_s=declared.cpu_s or None,
        file_bytes=declared.file_bytes or None,
        open_files=declared.open_files or None,
    )
