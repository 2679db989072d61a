"""How a process ended, as a value and in words."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import dataclass

# What the number alone does not tell a person.
_HINTS = {
    signal.SIGXCPU: "it used up its processor time",
    signal.SIGXFSZ: "a file grew beyond its limit",
}
_OUT_OF_MEMORY = "the kernel may have been out of memory"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one process and of all that it started.

    Exactly one of `exit_code` and `signal` is a number; both are None where nobody can tell: it
    could not be killed, or somebody else reaped it. `is_stopped`: we asked it to end.
    `orphans` counts what still ran when it had ended by itself, and was ended with it.
    `left` are the pids of what could not be killed. Times and memory are its own and those of
    the children that it waited for; the memory is at least what its parent had when it forked.
    """

    exit_code: int | None
    signal: int | None
    user_s: float = 0.0
    sys_s: float = 0.0
    max_rss_bytes: int = 0
    is_stopped: bool = False
    orphans: int = 0
    left: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def words(self) -> str:
        """Say it in one line, without a full stop."""
        parts = [self._how()]
        if self.orphans:
            parts.append(f"{self.orphans} of its processes still ran and were ended")
        if self.left:
            parts.append(f"could not be killed: {', '.join(map(str, self.left))}")
        return "; ".join(parts)

    def _how(self) -> str:
        if self.signal is not None:
            return signal_words(self.signal, is_stopped=self.is_stopped)
        if self.exit_code is not None:
            return f"ended with exit code {self.exit_code}"
        return "still there" if self.left else "ended, and somebody else took its exit code"


def from_status(status: int, usage: resource.struct_rusage) -> Ended:
    """Read what wait4() answered. Source: wait4(2), getrusage(2): `ru_maxrss` is in KiB."""
    code = os.waitstatus_to_exitcode(status)
    return Ended(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        user_s=usage.ru_utime,
        sys_s=usage.ru_stime,
        max_rss_bytes=usage.ru_maxrss * 1024,
    )


def words_of(returncode: int) -> str:
    """Say how a program of `subprocess` ended: a signal is a number below zero there."""
    if returncode < 0:
        return Ended(exit_code=None, signal=-returncode).words()
    return Ended(exit_code=returncode, signal=None).words()


def signal_words(number: int, *, is_stopped: bool = False) -> str:
    """Say that a signal ended a process: `killed by SIGSEGV (segmentation fault)`."""
    if number == signal.SIGKILL and not is_stopped:
        return f"ended by signal 9; {_OUT_OF_MEMORY}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"killed by signal {number}"
    meaning = _HINTS.get(signal.Signals(number)) or (signal.strsignal(number) or "").lower()
    return f"killed by {name} ({meaning})" if meaning else f"killed by {name}"
