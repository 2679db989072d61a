"""One running program, its pipes, and the end of everything that it started.

For an event loop on one thread: nothing here waits, but for `wait` and `end`, which are bounded.

    process = Process(launch)
    while (ended := process.poll(monotonic())) is None:
        process.wait(timeout_s)      # or select on process.readers() and process.writers()
        process.read()

`poll` answers only when the leader **and** whatever it left behind have gone: the leader stays
unreaped until then, so its pid, which names the group, cannot become a stranger's. Linux only.
The child's life is tied to the thread that made the Process, as prctl(2) has it.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from sexton.core.errors import SextonError
from sexton.work.capture import OUTPUT_BYTES_MAX, Capture, Lines
from sexton.work.ended import Ended, from_status
from sexton.work.group import COOKIE, LOOK_S, Group, Watch
from sexton.work.host import Seen, look
from sexton.work.launch import CHANNEL_BYTES_MAX, Channel, Launch, preparation

UMASK = 0o027
READ_BYTES = 64 * 1024
READS_MAX = 16
ORPHAN_GRACE_S = 2.0
KILL_LOOK_S = 0.05
KILL_BOUND_S = 10.0


class NotStarted(SextonError):
    """The program could not be started: it is absent, not executable, or there is no room."""

    hint = "Look at the kind's argv, its working directory and its user."


class Process:
    """A started program, leader of its own session and process group.

    Its stdin is /dev/null; stdout and stderr are one pipe, so that their order is kept.
    `output` and `results` hold what came; `pid` and `start` name it in a journal.
    """

    _child: subprocess.Popen[bytes]
    # Our ends of the pipes, and the leader's pidfd; -1 once they are closed.
    _output = _give = _take = _pidfd = -1

    def __init__(self, launch: Launch, *, output_bytes_max: int = OUTPUT_BYTES_MAX) -> None:
        """Start it. Raises NotStarted."""
        if not launch.argv:
            raise NotStarted("an empty argv names no program")
        if launch.give is not None and len(launch.give) > CHANNEL_BYTES_MAX:
            raise NotStarted(
                f"what {launch.argv[0]} is given has {len(launch.give)} bytes, "
                f"and {CHANNEL_BYTES_MAX} is the most"
            )
        self.output = Capture(output_bytes_max)
        self.results = Lines(CHANNEL_BYTES_MAX)
        self._unsent = memoryview(launch.give or b"")
        self._open(launch)
        self.pid = self._child.pid
        seen = look(self.pid)
        # Unreaped, it can be looked at for as long as we like.
        self.start = seen.start if seen else 0
        self._pidfd = os.pidfd_open(self.pid)
        self.cookie = launch.cookie
        self._group = Group(self.pid, self.start, launch.cookie)
        self._watch = Watch()
        self._kill_at_s: float | None = None
        self._look_at_s = 0.0
        self._is_stopped = False
        self._orphans = 0
        self._ended: Ended | None = None

    def readers(self) -> list[int]:
        """List the descriptors that mean work when they are readable; they change with time."""
        own = [fd for fd in (self._output, self._take, self._pidfd) if fd >= 0]
        return own + self._watch.fds

    def writers(self) -> list[int]:
        """List the descriptors that mean work when they are writable."""
        return [self._give] if self._give >= 0 else []

    def wake_in_s(self, now_s: float) -> float | None:
        """Tell after how long `poll` has work though no descriptor says so; None: never."""
        return None if self._kill_at_s is None else max(0.0, self._look_at_s - now_s)

    def wait(self, timeout_s: float) -> None:
        """Wait until there is work for `read` or `poll`, at most `timeout_s`."""
        wake_s = self.wake_in_s(time.monotonic())
        poll = select.poll()
        for fd in self.readers():
            poll.register(fd, select.POLLIN)
        for fd in self.writers():
            poll.register(fd, select.POLLOUT)
        poll.poll(1000 * (timeout_s if wake_s is None else min(timeout_s, wake_s)))

    def read(self) -> None:
        """Take what is ready and give what is wanted, never waiting, at most 1 MiB a pipe."""
        self._output = _drained(self._output, self.output)
        self._take = _drained(self._take, self.results)
        self._feed()

    def stop(self, grace_s: float, now_s: float) -> None:
        """Ask the whole group to end (TERM); from `now_s + grace_s` on, `poll` kills it.

        What it was not yet given it never gets. A second call can only bring the end forward.
        """
        if self._ended is not None:
            return
        if self._kill_at_s is None:
            self._is_stopped = not self._has_exited()
            self._terminate()
            self._kill_at_s = now_s + grace_s
        self._kill_at_s = min(self._kill_at_s, now_s + grace_s)
        self._look_at_s = now_s

    def poll(self, now_s: float) -> Ended | None:
        """Move the end along, never waiting; the answer once all is over, and None before.

        `now_s` is of the monotonic clock. What the leader leaves behind gets TERM and
        ORPHAN_GRACE_S. What resists KILL for KILL_BOUND_S is given up, and named in the answer.
        """
        if self._ended is None:
            left = self._still_there(now_s)
            if left is not None:
                self._ended = self._reap(left)
        return self._ended

    def end(self, grace_s: float = 0.0) -> Ended:
        """Stop it and wait until all is over, at most `grace_s` and KILL_BOUND_S."""
        self.stop(grace_s, time.monotonic())
        while (ended := self.poll(time.monotonic())) is None:
            self.wait(LOOK_S)
            self.read()
        return ended

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def _open(self, launch: Launch) -> None:
        self._output, theirs_output = os.pipe()
        theirs = [theirs_output]
        numbers: dict[Channel, int] = {}
        if launch.give is not None:
            numbers[Channel.GIVE], self._give = os.pipe()
        if launch.takes:
            self._take, numbers[Channel.TAKE] = os.pipe()
        theirs += numbers.values()
        for fd in self._ours():
            os.set_blocking(fd, False)
        try:
            self._child = _spawn(launch, theirs_output, numbers)
        except NotStarted:
            _close(*self._ours())
            raise
        finally:
            _close(*theirs)

    def _ours(self) -> list[int]:
        return [fd for fd in (self._output, self._give, self._take) if fd >= 0]

    def _feed(self) -> None:
        if self._give < 0:
            return
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._give, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # The child does not want the rest; its end tells whether it needed it.
        self._stop_giving()

    def _stop_giving(self) -> None:
        if self._give >= 0:
            _close(self._give)
        self._give = -1

    def _terminate(self) -> None:
        self._stop_giving()
        found = self._group.terminate()
        self._orphans = 0 if self._is_stopped else len(found)
        self._watch_anew(found)

    def _still_there(self, now_s: float) -> tuple[int, ...] | None:
        """None while it is not over; then the pids of what could not be killed."""
        has_exited = self._has_exited()
        if self._kill_at_s is None:
            if not has_exited:
                return None
            self.stop(ORPHAN_GRACE_S, now_s)
            if not self._orphans:
                return ()
        if now_s < self._look_at_s and not self._watch.ended(0):
            return None
        left = self._group.look()
        if has_exited and not left:
            return ()
        return self._press(left, now_s)

    def _press(self, left: list[Seen], now_s: float) -> tuple[int, ...] | None:
        """Past its moment, kill what is left; past the bound as well, give it up."""
        kill_at_s = self._kill_at_s or now_s
        if now_s >= kill_at_s + KILL_BOUND_S:
            return tuple(seen.pid for seen in left) or (self.pid,)
        if now_s >= kill_at_s:
            left = self._group.kill()
            self._look_at_s = now_s + KILL_LOOK_S
        else:
            self._look_at_s = min(now_s + LOOK_S, kill_at_s)
        self._watch_anew(left)
        return None

    def _has_exited(self) -> bool:
        """Tell whether the leader is a zombie, and leave it one."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            has_exited = os.waitid(os.P_PID, self.pid, options) is not None
        except ChildProcessError:
            has_exited = True  # Somebody reaped it: a parent that ignores SIGCHLD does that.
        if has_exited and self._pidfd >= 0:
            # From now on it would be readable for ever, and the loop would never rest.
            _close(self._pidfd)
            self._pidfd = -1
        return has_exited

    def _watch_anew(self, watched: list[Seen]) -> None:
        self._watch.close()
        self._watch = Watch(watched)

    def _reap(self, left: tuple[int, ...]) -> Ended:
        self.read()
        self._watch.close()
        _close(*self._ours(), *([self._pidfd] if self._pidfd >= 0 else []))
        self._output = self._give = self._take = self._pidfd = -1
        ended = Ended(exit_code=None, signal=None)
        with suppress(ChildProcessError):
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                ended = from_status(status, usage)
        # Popen must not wait for it once more: the pid may be a stranger's by now.
        self._child.returncode = 0
        return replace(ended, is_stopped=self._is_stopped, orphans=self._orphans, left=left)


def _spawn(launch: Launch, output: int, numbers: dict[Channel, int]) -> subprocess.Popen[bytes]:
    kept = tuple(numbers.values())
    user = launch.user
    try:
        return subprocess.Popen(
            [str(numbers[a]) if isinstance(a, Channel) else a for a in launch.argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**launch.env, COOKIE: launch.cookie},
            cwd=launch.cwd,
            umask=UMASK,
            start_new_session=True,
            pass_fds=kept,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
            preexec_fn=preparation(launch, kept),  # noqa: PLW1509 -- see sexton/work/launch.py
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        # Its name may be bytes that are no text, which no row could keep.
        name = str(launch.argv[0]).encode("utf-8", "backslashreplace").decode()
        raise NotStarted(f"{name} could not be started: {error}") from error


def _drained(fd: int, sink: Capture | Lines) -> int:
    """Read what is ready into `sink`; return `fd`, or -1 and closed at the end of the stream."""
    for _ in range(READS_MAX if fd >= 0 else 0):
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return fd
        if not data:
            _close(fd)
            return -1
        sink.add(data)
    return fd


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
