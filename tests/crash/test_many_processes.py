"""Fifty processes want the same claim, a hundred times: each time, exactly one has it."""

from __future__ import annotations

import os
from collections.abc import Callable

from sexton.core.kind import Kind
from sexton.core.queue import Call, Refused, Taken
from sexton.store import open_store
from sexton.store.store import Store
from sexton.testing.clock import Clock
from sexton.work.holder import nonce
from tests.crash.world import alone, app, ended, forked
from tests.store.kit import DONE, OWNER

PROCESSES, ROUNDS = 50, 100
HOURLY = Kind(name="hourly", schedule="0 * * * *")


def by_call(store: Store) -> str:
    """Call the guarded kind."""
    guard = store.guard(OWNER)
    answer = guard.take(HOURLY, Call(nonce=nonce()))
    if isinstance(answer, Refused):
        return answer.skip.code[0]  # c: complete, r: running
    assert isinstance(answer, Taken)
    assert guard.finish(answer.claim, DONE)
    return "W"


def by_tick(store: Store) -> str:
    """Schedule and claim, as a tick does."""
    store.rounds.schedule()
    queue = store.queue(OWNER)
    claim = queue.claim(nonce())
    if claim is None:
        return "n"
    assert queue.finish(claim, DONE)
    return "W"


class Racers:
    """Processes that start each round together, and answer one letter each."""

    def __init__(self, url: str) -> None:
        self._answers, self._answer = os.pipe()
        self._opens: list[int] = []
        self._pids = [self._start(url) for _ in range(PROCESSES)]

    def _start(self, url: str) -> int:
        gate, opens = os.pipe()
        self._opens.append(opens)
        pid = forked(lambda: self._race(url, gate))
        os.close(gate)
        return pid

    def _race(self, url: str, gate: int) -> None:
        for opens in self._opens:
            os.close(opens)
        store = open_store(url)
        acts: dict[bytes, Callable[[Store], str]] = {b"c": by_call, b"t": by_tick}
        while word := os.read(gate, 1):
            os.write(self._answer, acts[word](store).encode())

    def round(self, word: bytes) -> str:
        for opens in self._opens:
            os.write(opens, word)
        answers = b""
        while len(answers) < PROCESSES:
            answers += os.read(self._answers, PROCESSES)
        return answers.decode()

    def end(self) -> list[int]:
        for opens in self._opens:
            os.close(opens)
        return [ended(pid) for pid in self._pids]


def test_fifty_processes_a_hundred_times_one_claim(clock: Clock) -> None:
    alone()
    app.store.kinds.ensure(HOURLY)
    racers = Racers(app.store.url)

    for number in range(ROUNDS):
        clock.travel(hours=1)
        answers = racers.round(b"c" if number % 2 else b"t")
        assert answers.count("W") == 1, (number, answers)

    assert racers.end() == [0] * PROCESSES
    assert app.store.tasks.count() == {"Complete": ROUNDS}
    assert app.store.tasks.newest(status="Aborted") == []
