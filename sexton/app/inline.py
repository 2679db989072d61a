"""Run a claim in the tick's own process: no process to start, and nothing between it and the tick.

What was imported once stays as it was. So a tick that lingers runs a task so only while the files
that it has imported are those that are registered; after a deploy each task gets a process again.
"""

from __future__ import annotations

import os

from sexton.app.body import run_in
from sexton.app.here import Here
from sexton.app.place import Place
from sexton.core.task import ABORTED, Claim, Result
from sexton.store.idle import has_changed
from sexton.store.store import Store
from sexton.work.effect import said
from sexton.work.guard import Run, run_claimed

# The files as they were registered when this process imported the application; None: it has not.
_imported: str | None = None


class Inline:
    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place

    def is_current(self) -> bool:
        """Whether this process has, or would import, what is registered."""
        sources = self._store.meta.get("sources")
        return _imported in (None, sources) and sources != "" and not has_changed(sources)

    def run(self, claim: Claim) -> Result:
        """Run it to its end; whatever it raises is how it ended."""
        global _imported  # noqa: PLW0603 -- modules are imported once in a process
        here = Here(self._store)
        if not here.guard().enter(claim):
            return Result(status=ABORTED, reason="lost", outcome="settled before it began")
        if _imported is None:
            _imported = self._store.meta.get("sources")
        ours = os.getpid()
        try:
            return run_claimed(here, claim, self._body)[0]
        # Foreign code: what it raises, SystemExit too, is recorded, and the tick goes on.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return Result(status=ABORTED, reason="failed", outcome=said(error))
        finally:
            if os.getpid() != ours:  # a child that the body forked, and let return, is no tick
                os._exit(0)

    def _body(self, run: Run) -> tuple[Result, None]:
        return run_in(run.claim, self._place, run.stop), None
