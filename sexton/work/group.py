"""All processes that one claim started, and their end.

They are found in three ways, since each alone can be left: by the process group and session of
their leader, by a cookie in their environment (a daemon leaves the session, but keeps that), and
as descendants of one that was found. None older than the leader counts, so that a pid, a group
number or a cookie that is used again hits no stranger.

What this cannot see: a process that left the session, wiped its environment and whose parents
had ended before anybody looked. Only a cgroup holds such a one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from sexton.work.host import Seen, everyone, look

COOKIE = "SEXTON_CLAIM"

ENVIRON_BYTES_MAX = 4 * 1024 * 1024
FREEZES_MAX = 20
KILLS_MAX = 8
KILL_WAIT_S = 1.0
LOOK_S = 0.25
WATCHED_MAX = 128


class Group:
    """The processes of one claim: `leader_pid` (a session leader), its start time, the cookie.

    All three are of this boot and this pid namespace: who read them elsewhere (see `judge`) must
    not ask. It remembers whom it saw, so that one which loses its parent on the way is not lost.
    """

    def __init__(self, leader_pid: int, leader_start: int, cookie: str) -> None:
        self.leader_pid = leader_pid
        self.leader_start = leader_start
        self._cookie = f"\0{COOKIE}={cookie}\0".encode()
        self._known: set[tuple[int, int]] = set()
        self._asked: set[tuple[int, int]] = set()

    def members(self) -> list[Seen]:
        """List those that are alive, the youngest last; never the caller or its ancestors."""
        all_seen = everyone()
        spared = _line_of(os.getpid(), all_seen)
        young = {
            pid: seen
            for pid, seen in all_seen.items()
            if seen.start >= self.leader_start and pid not in spared
        }
        found = _with_descendants(self._roots(young, all_seen.get(self.leader_pid)), young)
        alive = [young[pid] for pid in found if not young[pid].is_dead]
        self._known.update(seen.key for seen in alive)
        return sorted(alive, key=lambda seen: seen.start)

    def terminate(self) -> list[Seen]:
        """Ask to end who was not asked before, also where it is stopped; return all members."""
        found = self.members()
        for seen in found:
            if seen.key not in self._asked:
                _send(seen, signal.SIGTERM)
                _send(seen, signal.SIGCONT)
        self._asked.update(seen.key for seen in found)
        return found

    def look(self) -> list[Seen]:
        """List the members, once they were asked to end.

        While the leader tidies up it may start helpers, and they are left alone. What comes to
        light after its end was forked beside our first look, and is asked now.
        """
        found = self.members()
        has_leader = any(seen.pid == self.leader_pid for seen in found)
        return found if has_leader else self.terminate()

    def kill(self) -> list[Seen]:
        """Kill all members, one round; return those that were hit.

        First they are frozen, until a look finds no new face: a frozen process forks no more,
        yet still fills its place under a process limit. (Killed one by one, the others of a fork
        bomb take each place that becomes free.)
        """
        faces: dict[tuple[int, int], Seen] = {}
        are_we_outside = self._are_we_outside()
        for _ in range(FREEZES_MAX):
            if are_we_outside:
                self._freeze_group()
            new = [seen for seen in self.members() if seen.key not in faces]
            if not new:
                break
            for seen in new:
                _send(seen, signal.SIGSTOP)
                faces[seen.key] = seen
        return [seen for seen in faces.values() if _send(seen, signal.SIGKILL)]

    def end(self, grace_s: float) -> list[Seen]:
        """End all members and wait for it: TERM, at most `grace_s`, then KILL.

        Returns those that cannot be killed from here: other users', or in an uninterruptible
        wait. Takes at most `grace_s` plus KILLS_MAX times KILL_WAIT_S.
        """
        deadline_s = time.monotonic() + grace_s
        found = self.terminate()
        while found and (left_s := deadline_s - time.monotonic()) > 0:
            wait_any(found, min(left_s, LOOK_S))
            found = self.look()
        for _ in range(KILLS_MAX):
            hit = self.kill()
            if not hit:
                break
            wait_all(hit, KILL_WAIT_S)
        return self.members()

    def _roots(self, young: dict[int, Seen], leader: Seen | None) -> set[int]:
        bearers = {pid for pid in young if self._bears(pid)}
        together = {
            pid for pid, seen in young.items() if self.leader_pid in (pid, seen.group, seen.session)
        }
        known = {pid for pid, seen in young.items() if seen.key in self._known}
        if leader is None:
            # The kernel gives no number away that still names a group or session. So one bearer
            # in it proves that the whole group is ours; without one it may be a stranger's, made
            # when the number was free.
            is_ours = bool(together & (bearers | known))
        else:
            is_ours = leader.start == self.leader_start
        return bearers | known | (together if is_ours else set())

    def _bears(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                return self._cookie in b"\0" + environ.read(ENVIRON_BYTES_MAX) + b"\0"
        except OSError:
            return False

    def _are_we_outside(self) -> bool:
        all_seen = everyone()
        line = [all_seen[pid] for pid in _line_of(os.getpid(), all_seen) if pid in all_seen]
        return all(self.leader_pid != seen.group for seen in line)

    def _freeze_group(self) -> None:
        """Stop the leader's whole group at one blow, if it is surely ours.

        One system call reaches also those that are just being forked, which a look may miss.
        """
        leader = look(self.leader_pid)
        if leader is None or leader.key != (leader.group, self.leader_start):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.leader_pid, signal.SIGSTOP)


def members(leader_pid: int, leader_start: int, cookie: str) -> list[Seen]:
    """List what is still alive of a claim's processes."""
    return Group(leader_pid, leader_start, cookie).members()


def end_group(leader_pid: int, leader_start: int, cookie: str, grace_s: float) -> list[Seen]:
    """End what is still alive of a claim's processes; return what cannot be killed from here."""
    return Group(leader_pid, leader_start, cookie).end(grace_s)


class Watch:
    """Says when processes end, by a pidfd each; of more than WATCHED_MAX, the first ones."""

    def __init__(self, watched: Iterable[Seen] = ()) -> None:
        self.fds: list[int] = []
        for seen in watched:
            if len(self.fds) == WATCHED_MAX:
                break
            # It may have ended since, or we have no descriptor left: the next look tells.
            with suppress(OSError):
                self.fds.append(os.pidfd_open(seen.pid))

    def ended(self, timeout_s: float) -> list[int]:
        """Wait until one has ended; return the descriptors of those that have, or none in time."""
        poll = select.poll()
        for fd in self.fds:
            poll.register(fd, select.POLLIN)
        return [fd for fd, _ in poll.poll(max(0, int(timeout_s * 1000)))]

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def wait_any(watched: Iterable[Seen], timeout_s: float) -> None:
    """Wait until one of them has ended, at most `timeout_s`."""
    watch = Watch(watched)
    try:
        if watch.fds:
            watch.ended(timeout_s)
    finally:
        watch.close()


def wait_all(watched: Iterable[Seen], timeout_s: float) -> None:
    """Wait until all of them have ended, at most `timeout_s`."""
    watch, deadline_s = Watch(watched), time.monotonic() + timeout_s
    try:
        while watch.fds and (left_s := deadline_s - time.monotonic()) > 0:
            for fd in watch.ended(left_s):
                watch.fds.remove(fd)
                os.close(fd)
    finally:
        watch.close()


def _send(seen: Seen, number: int) -> bool:
    """Send a signal to this very process, and to none that has its pid by now.

    False where it has ended, or is another user's.
    """
    try:
        fd = os.pidfd_open(seen.pid)
    except OSError:
        return False
    try:
        now = look(seen.pid)
        if now is None or now.start != seen.start:
            return False
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def _line_of(pid: int, all_seen: dict[int, Seen]) -> set[int]:
    """List a process and its ancestors."""
    line: set[int] = set()
    while pid > 0 and pid not in line:
        line.add(pid)
        pid = all_seen[pid].parent if pid in all_seen else 0
    return line


def _with_descendants(roots: set[int], young: dict[int, Seen]) -> set[int]:
    found = set(roots)
    while new := {pid for pid, seen in young.items() if seen.parent in found} - found:
        found |= new
    return found
