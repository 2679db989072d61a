"""Starts programs and tells what each cost: wall time, processor time, most memory.

A process of its own, run by `python -I -S`, since Linux counts a child's memory from that of the
process that started it: started by a large one, every program would seem as large. One program a
line, its words apart by U+001F; answered by a line of JSON.
"""

from __future__ import annotations

import os
import sys
import time


def run(words: list[str]) -> str:
    """Run one program to its end, its output thrown away."""
    nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    begun_ns = time.monotonic_ns()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=nothing)
    _, status, used = os.wait4(pid, 0)
    wall_ms = (time.monotonic_ns() - begun_ns) / 1e6
    cpu_ms = (used.ru_utime + used.ru_stime) * 1e3
    code = os.waitstatus_to_exitcode(status)
    return f"[{code}, {wall_ms}, {cpu_ms}, {used.ru_maxrss / 1024}]"


if __name__ == "__main__":
    for line in sys.stdin:
        print(run(line.rstrip("\n").split("\x1f")), flush=True)
