"""Serve a plan: run its effect once for each item, with the ledger as the judge.

For each item: commit *begun*, do it, commit *done*, the last merged with the next *begun*. Only
the caller's thread writes; a pool only runs effects. The next candidate is pulled before the
current effect runs, so that the commit follows the effect at once; what the plan raises then is
held back until all that runs has ended and is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any

from sexton.core.errors import Fenced, StoreError
from sexton.core.item import Item
from sexton.core.ledger import Begun, Ended, Wanted
from sexton.core.queue import Ledger
from sexton.core.task import ABORTED, COMPLETE, Claim, Reason, Result
from sexton.work.effect import Effect, said

# What the ledger says of an item beside running it, and how the outcome counts it. One that another
# live task does now is that task's to do, and to try again.
_COUNTED = {
    "leave": "before",
    "capped": "capped",
    "parked": "parked",
    "skipped": "skipped",
    "elsewhere": "elsewhere",
}
_KNOWN = {"Done": "before", "Rejected": "rejected before", "Parked": "parked", "Skipped": "skipped"}
_ENDED = {"Done": "done", "Failed": "failed", "Rejected": "rejected", "Unbegun": "unbegun"}
_IN_ORDER = tuple(dict.fromkeys((*_ENDED.values(), *_KNOWN.values(), *_COUNTED.values(), "twice")))
NOT_PLANNED_NAMED_MAX = 5


class Serving:
    """One attempt at one plan."""

    def __init__(
        self,
        claim: Claim,
        effect: Effect,
        ledger: Ledger,
        *,
        stop: Callable[[], Reason],
        progress: Callable[[Counter[str], int | None], None] | None = None,
    ) -> None:
        """`stop` is asked before each item whether no more may begin, and why ('' = go on).

        `progress` hears the counts so far, and how many the plan holds where it says so.
        """
        self._claim = claim
        self._effect = effect
        self._ledger = ledger
        self._ask_stop = stop
        self._progress = progress
        self._scope = f"{claim.kind}\x1f{claim.target}\x1f{claim.key}\x1f{ledger.scope_name}"
        self._things: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._stopped: Reason = ""
        self._plan_error: Exception | None = None
        self._without_key = ""
        self._total: int | None = None
        # What each item asks for is there from the start: a Counter is slow to miss.
        self.counts: Counter[str] = Counter(planned=0, failed=0, rejected=0)

    def run(self, plan: Callable[[], Iterable[Any]]) -> Result:
        """Serve every item that may be served; return how the attempt ended.

        Raises Fenced if the task was settled by somebody else meanwhile.
        """
        pool: Any = nullcontext()
        if self._effect.width > 1:
            pool = ThreadPoolExecutor(self._effect.width, f"sexton-{self._claim.task}")
        source = self._pulled(plan)
        with pool as executor:
            if executor is None:
                self._serve_one_by_one(source)
            else:
                self._serve_wide(source, executor)
        return self._result()

    def _serve_one_by_one(self, source: Iterator[Wanted]) -> None:
        ended: list[Ended] = []
        ahead = next(source, None)
        while ended or ahead:
            begun = self._advance(ended, self._allowed([ahead] if ahead else []))
            ended = []
            try:
                ahead = next(source, None)
            except BaseException:  # the plan was interrupted: what has begun never started
                self._flush({}, [Ended(it.key, "Unbegun") for it in begun])
                raise
            ended = [self._effect.run(self._things.pop(it.key), self._item(it)) for it in begun]
            self._count(ended)

    def _serve_wide(self, source: Iterator[Wanted], pool: Executor) -> None:
        """As one by one, with up to `width` effects at the same time.

        On every way out, what runs is awaited and written; what never started is taken back.
        """
        running: dict[Future[Ended], str] = {}
        ended: list[Ended] = []
        ahead: list[Wanted] = []
        try:
            while True:
                free = self._effect.width - len(running)
                ahead += self._take(source, free - len(ahead))
                wanted = self._allowed(ahead[:free])
                begun = self._advance(ended, wanted) if ended or wanted else []
                ended, ahead = [], ahead[free:]
                for it in begun:
                    thing = self._things.pop(it.key)
                    running[pool.submit(self._effect.run, thing, self._item(it))] = it.key
                # Looked ahead before asking whether that was all: the ledger may have settled
                # every one of those just taken, and the plan may still have more.
                ahead += self._take(source, 1 - len(ahead))
                if not running and not ahead:
                    return
                ended = self._finished(running)
                self._count(ended)
        except BaseException as error:
            # The ledger's own refusals have seen what ended; an interrupted plan's have not.
            self._flush(running, [] if isinstance(error, Fenced | StoreError) else ended)
            raise

    def _take(self, source: Iterator[Wanted], most: int) -> list[Wanted]:
        found: list[Wanted] = []
        while len(found) < most and (wanted := next(source, None)):
            found.append(wanted)
        return found

    def _finished(self, running: dict[Future[Ended], str]) -> list[Ended]:
        """Wait for the first that ends, and take all that have."""
        if not running:
            return []
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        ended = [future.result() for future in finished]
        for future in finished:
            del running[future]
        return ended

    def _flush(self, running: dict[Future[Ended], str], ended: list[Ended]) -> None:
        """Write how what runs ended, and what had ended, before an exception leaves."""
        unbegun = [key for future, key in running.items() if future.cancel()]
        finished, _ = wait([future for future in running if not future.cancelled()])
        ended = ended + [future.result() for future in finished if future.exception() is None]
        ended += [Ended(key, "Unbegun") for key in unbegun]
        if ended:
            self._ledger.advance(ended, [])

    def _count(self, ended: list[Ended]) -> None:
        """Count what ended, before it is asked whether the next ones may begin."""
        for item in ended:
            self.counts[_ENDED[item.status]] += 1

    def _advance(self, ended: list[Ended], wanted: list[Wanted]) -> list[Begun]:
        """One commit; returns the items that are ours to do now."""
        try:
            answers = self._ledger.advance(ended, wanted)
        except StoreError:
            self._flush({}, ended)  # once more without the new ones: what is done has to be known
            raise
        begun = []
        for answer in answers:
            if answer.step == "probe":
                answer = self._probed(answer)
            if answer.step == "begin":
                begun.append(answer)
            else:
                self.counts[_COUNTED[answer.step]] += 1
                self._things.pop(answer.key, None)
        if self._progress is not None:
            self._progress(self.counts, self._total)
        return begun

    def _probed(self, begun: Begun) -> Begun:
        """Look whether an item in doubt was done; a probe that fails leaves it in doubt."""
        try:
            was_done = self._effect.probe(self._item(begun)) if self._effect.probe else None
        except Exception:  # noqa: BLE001 -- foreign code: it could not tell, so a person must
            was_done = None
        whom = self._effect.whom_of(self._things[begun.key])
        return self._ledger.probed(Wanted(begun.key, whom), was_done)

    def _pulled(self, plan: Callable[[], Iterable[Any]]) -> Iterator[Wanted]:
        """Each candidate that the ledger does not already settle, until no more may begin."""
        try:
            things = plan()
            self._total = len(things) if isinstance(things, Sized) else None
            for thing in things:
                wanted = self._candidate(thing)
                if wanted is None:
                    continue
                if self._stopped:
                    return
                yield wanted
        except Exception as error:  # noqa: BLE001 -- foreign code: held back until all is written
            self._plan_error = error

    def _candidate(self, thing: object) -> Wanted | None:
        self.counts["planned"] += 1
        try:
            key = self._effect.key_of(thing)
            whom = self._effect.whom_of(thing) if self._effect.cap else ""
        except Exception as error:  # noqa: BLE001 -- foreign code: one bad thing stops no other
            self.counts["failed"] += 1
            self._without_key = self._without_key or said(error)
            return None
        if key in self._seen:
            self.counts["twice"] += 1
            return None
        self._seen.add(key)
        known = self._ledger.known(key)
        if known is not None:
            self.counts[_KNOWN[known]] += 1
            return None
        self._things[key] = thing
        return Wanted(key, whom)

    def _allowed(self, wanted: list[Wanted]) -> list[Wanted]:
        """Those that may still begin. Asked just before, not when they were pulled: while the ones
        before them ran it may have become too late."""
        allowed = []
        for item in wanted:
            self._stopped = self._stopped or self._why_stop()
            if self._stopped:
                break
            allowed.append(item)
        return allowed

    def _why_stop(self) -> Reason:
        if self.counts["failed"] + self.counts["rejected"] >= self._effect.failures_max:
            return "failed"
        return self._ask_stop()

    def _item(self, begun: Begun) -> Item:
        period, task = self._ledger.scope_name, self._claim.task
        return Item(begun.key, begun.tries, period, task, self._scope)

    def _result(self) -> Result:
        counts = {name: count for name, count in sorted(self.counts.items()) if count}
        reason: Reason = ""
        if self._plan_error is not None:
            reason, why = "failed", f"the plan raised {said(self._plan_error)}"
        elif self._stopped:
            reason, why = self._stopped, self._words_for_stop()
        elif self.counts["failed"]:
            reason, why = "failed", self._without_key or "some items are to be tried again"
        else:
            why = ""
        sentence = say_counts(self.counts) + (f"; {why}" if why else "") + self._not_planned()
        status = ABORTED if reason else COMPLETE
        return Result(status=status, reason=reason, outcome=sentence, counts=counts)

    def _words_for_stop(self) -> str:
        if self._stopped == "failed":
            return f"stopped after {self._effect.failures_max} failures"
        return f"stopped before the rest: {self._stopped}"

    def _not_planned(self) -> str:
        """Name what an earlier attempt left to do and this plan no longer yields."""
        if self._stopped or self._plan_error:
            return ""
        open_ = [k for k, status in self._ledger.keys().items() if status in {"Begun", "Failed"}]
        gone = sorted(set(open_) - self._seen)
        if not gone:
            return ""
        named = ", ".join(gone[:NOT_PLANNED_NAMED_MAX])
        return f"; {len(gone)} no longer planned: {named}" + ("…" if len(gone) > 5 else "")  # noqa: PLR2004


def say_counts(counts: Counter[str]) -> str:
    """`57 done, 1 parked of 59 planned`: what happened to whom, the empty counts left out."""
    parts = [f"{counts[name]} {name}" for name in _IN_ORDER if counts[name]]
    return f"{', '.join(parts) or 'nobody to serve'} of {counts['planned']} planned"
