"""The sweep: who of the Running died, was cut off or overstayed; on the real store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sexton.core.kind import Kind
from sexton.core.retry import Retry
from sexton.core.sweep import SUSPICION_US_MAX
from sexton.core.task import Claim, Task
from sexton.store import open_store
from sexton.store.tasks import Request
from sexton.work.group import COOKIE
from sexton.work.holder import encode_leader, encode_owner, nonce
from sexton.work.host import look
from sexton.work.owner import Owner
from sexton.work.sweep import sweep, sweep_lane
from tests.app.shop import Shop, opened
from tests.store.kit import in_a_child
from tests.work.process_kit import BOUND_S, NOBODY, await_end, is_running, line_from, seen

LEASE_S = 60
GRACE_S = 0.5
HERE = Owner.here()
ELSEWHERE = Owner.of("other/1234", "another-boot", "pid:[1]", 4711, 1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield from opened(tmp_path)


def dead() -> Owner:
    """A process of this machine that has ended."""
    process = subprocess.Popen(["true"])
    start = seen(process.pid).start
    process.wait()
    return Owner.of(HERE.host, HERE.boot_id, HERE.pid_ns, process.pid, start)


def claim(shop: Shop, owner: Owner, name: str = "work", *, enter: bool = True) -> Claim:
    """One Running task of this owner, of a kind that may be tried three times."""
    kind = Kind(name=name, retry=Retry(3, 0, True))
    with_kind = shop.store.kinds.ensure(kind)
    shop.store.tasks.enqueue(with_kind.kind, Request())
    queue = shop.store.queue(encode_owner(owner))
    taken = queue.claim(nonce())
    assert taken is not None
    if enter:
        assert queue.enter(taken, "")
    return taken


def swept(shop: Shop) -> list[Task]:
    return sweep(shop.store.sweeps, HERE, shop.store.now(), GRACE_S)


def ended(shop: Shop, task: int) -> str:
    row = shop.store.tasks.get(task)
    return f"{row.status}/{row.reason}".rstrip("/")


# --- seen from here ---


def test_a_dead_owner_is_settled_at_once_and_asked_for_again(shop: Shop) -> None:
    taken = claim(shop, dead())

    [settled] = swept(shop)

    assert (settled.id, settled.status, settled.reason) == (taken.task, "Aborted", "lost")
    assert settled.outcome.endswith("died")
    assert shop.ends() == ["Aborted/lost", "Pending"]


def test_a_living_owner_is_left_alone_while_its_lease_holds(shop: Shop) -> None:
    taken = claim(shop, HERE)
    shop.travel(seconds=LEASE_S - 1)

    assert swept(shop) == []
    assert ended(shop, taken.task) == "Running"


def test_a_living_owner_whose_lease_has_lapsed_is_settled(shop: Shop) -> None:
    claim(shop, HERE)
    shop.travel(seconds=LEASE_S)

    [settled] = swept(shop)

    assert settled.outcome.endswith("did not renew its lease")


def test_a_claim_that_was_never_entered_does_not_count_as_an_attempt(shop: Shop) -> None:
    for _ in range(5):
        owner = dead()
        queue = shop.store.queue(encode_owner(owner))
        if not shop.store.tasks.count():
            claim(shop, owner, enter=False)
        else:
            assert queue.claim(nonce()) is not None
        swept(shop)

    [waiting] = shop.store.tasks.newest(status="Pending")
    assert (waiting.attempt, waiting.spent) == (6, 0)


def test_each_lost_attempt_that_began_counts_and_the_last_is_an_alert(shop: Shop) -> None:
    claim(shop, dead())
    swept(shop)
    for _ in range(2):
        queue = shop.store.queue(encode_owner(dead()))
        taken = queue.claim(nonce())
        assert taken is not None
        queue.enter(taken, "")
        swept(shop)

    assert shop.ends() == ["Aborted/lost"] * 3
    assert len(shop.store.tasks.notices()) == 1


def test_what_a_person_wanted_ended_is_ended_and_not_made_good(shop: Shop) -> None:
    taken = claim(shop, dead())
    shop.store.tasks.abort(taken.task, "ann", "wrong month")
    swept(shop)

    assert shop.ends() == ["Aborted/administrator"]


# --- a task's own processes ---


def group_with(cookie: str) -> tuple[subprocess.Popen[bytes], int]:
    """A task's process with a child, both in a session of their own; and the child's pid."""
    code = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1000)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=True,
        stdout=subprocess.PIPE,
        env={**os.environ, COOKIE: cookie},
    )
    assert process.stdout is not None
    return process, int(line_from(process.stdout.fileno()))


def clear_away(process: subprocess.Popen[bytes]) -> None:
    """End what a failed test would leave, too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(BOUND_S)
    if process.stdout:
        process.stdout.close()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
def test_what_a_dead_owner_left_running_is_ended_before_its_task_is_settled(
    shop: Shop, is_stopped: bool
) -> None:
    owner = dead()
    taken = claim(shop, owner)
    process, child = group_with(taken.nonce)
    queue = shop.store.queue(encode_owner(owner))
    assert queue.enter(taken, encode_leader(process.pid, seen(process.pid).start))
    those = [seen(process.pid), seen(child)]
    if is_stopped:
        os.killpg(process.pid, signal.SIGSTOP)
    try:
        [settled] = swept(shop)
        process.wait(BOUND_S)
        await_end(*those)
    finally:
        clear_away(process)

    assert settled.reason == "lost"


def test_a_program_whose_start_was_not_yet_written_down_is_found_by_its_cookie(
    shop: Shop,
) -> None:
    taken = claim(shop, dead(), enter=False)
    process, child = group_with(taken.nonce)
    those = [seen(process.pid), seen(child)]
    try:
        swept(shop)
        process.wait(BOUND_S)
        await_end(*those)
    finally:
        clear_away(process)

    assert shop.ends() == ["Aborted/lost", "Pending"]


def test_who_has_tasks_of_its_own_waits_little_for_what_others_left(shop: Shop) -> None:
    stubborn = "trap '' TERM; echo ready; while true; do sleep 1000; done"
    left: list[subprocess.Popen[str]] = []
    for number in range(3):
        taken = claim(shop, dead(), f"work{number}")
        left.append(
            subprocess.Popen(
                ["setsid", "sh", "-c", stubborn],
                env={"PATH": os.defpath, COOKIE: taken.nonce},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert left[-1].stdout is not None
        assert line_from(left[-1].stdout.fileno()) == "ready"
    sweeps, now = shop.store.sweeps, shop.store.now()

    first = sweep(sweeps, HERE, now, grace_s=1000.0, patience_s=0.2)
    rest = sweep(sweeps, HERE, now, grace_s=0.1)

    assert (len(first), len(rest)) == (1, 2)
    for process in left:
        process.wait(BOUND_S)
        assert process.stdout is not None
        process.stdout.close()


def test_a_call_that_finds_a_lapsed_lease_of_another_host_minds_the_doubt(shop: Shop) -> None:
    for number in range(8):
        claim(shop, ELSEWHERE, f"work{number}")
    shop.travel(seconds=LEASE_S + 1)
    holders = shop.store.guard(encode_owner(HERE)).holders(Kind(name="work0"), "1")

    assert len(holders) == 1
    assert sweep_lane(shop.store.sweeps, holders, HERE, shop.store.now(), GRACE_S) == []
    assert ended(shop, holders[0].id) == "Running"


@pytest.fixture
def open_to_all() -> Iterator[Shop]:
    """A shop whose store every user may write."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    yield from opened(directory)
    shutil.rmtree(directory)


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_nothing_is_settled_while_some_of_it_cannot_be_killed(open_to_all: Shop) -> None:
    owner = dead()
    taken = claim(open_to_all, owner, enter=False)
    process, child = group_with(taken.nonce)
    those = [seen(process.pid), seen(child)]
    try:
        leader = encode_leader(process.pid, those[0].start)
        assert open_to_all.store.queue(encode_owner(owner)).enter(taken, leader)
        for file in open_to_all.directory.iterdir():
            file.chmod(0o666)
        by_another_user = in_a_child(lambda: as_nobody(open_to_all.url))
        in_between = (ended(open_to_all, taken.task), all(map(is_running, those)))
        by_root = swept(open_to_all)
    finally:
        clear_away(process)

    assert by_another_user == "[]"
    assert in_between == ("Running", True)
    assert [task.reason for task in by_root] == ["lost"]


def as_nobody(url: str) -> str:
    """Sweep as a user who may end no process of ours; what was settled."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    store = open_store(url)
    settled = sweep(store.sweeps, Owner.here(), store.now(), 0.1)
    return str([f"{task.status}/{task.reason}" for task in settled])


def test_a_stranger_is_not_touched(shop: Shop) -> None:
    claim(shop, dead())
    process, child = group_with("the cookie of another claim")
    try:
        swept(shop)

        assert process.poll() is None
        assert look(child) is not None
    finally:
        clear_away(process)


# --- seen from afar ---


def test_on_another_host_only_the_lease_counts(shop: Shop) -> None:
    claim(shop, ELSEWHERE)
    shop.travel(seconds=LEASE_S - 1)
    before = swept(shop)
    shop.travel(seconds=1)
    after = swept(shop)

    assert before == []
    assert [task.reason for task in after] == ["lost"]


def test_many_leases_that_lapse_together_make_us_doubt_ourselves(shop: Shop) -> None:
    for number in range(4):
        claim(shop, ELSEWHERE, f"work{number}")
    shop.travel(seconds=LEASE_S)
    at_first = swept(shop)
    shop.travel(seconds=SUSPICION_US_MAX / 1e6 - 1)
    later = swept(shop)
    shop.travel(seconds=1)
    at_last = swept(shop)

    assert (at_first, later) == ([], [])
    assert len(at_last) == 4


def test_three_lapsed_leases_are_no_reason_for_doubt(shop: Shop) -> None:
    for number in range(3):
        claim(shop, ELSEWHERE, f"work{number}")
    shop.travel(seconds=LEASE_S)

    assert len(swept(shop)) == 3


def test_a_dead_owner_is_settled_also_while_we_doubt_ourselves(shop: Shop) -> None:
    for number in range(4):
        claim(shop, ELSEWHERE, f"work{number}")
    shop.travel(seconds=LEASE_S)
    taken = claim(shop, dead(), "local")

    assert [task.id for task in swept(shop)] == [taken.task]


def test_doubt_that_was_unfounded_is_forgotten(shop: Shop) -> None:
    claims = [claim(shop, ELSEWHERE, f"work{number}") for number in range(4)]
    shop.travel(seconds=LEASE_S)
    swept(shop)
    shop.store.queue(encode_owner(ELSEWHERE)).renew(claims)
    swept(shop)

    assert shop.store.sweeps.suspected_since() is None


# --- reboots ---


def test_a_reboot_loses_what_ran_unless_its_end_is_the_reboot(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only outside of containers is another boot of the same machine surely seen.
    first = "pid:[4026531836]"
    here = Owner.of("host-a/3d1219c7", "today", first, os.getpid(), 1)
    before = Owner.of("host-a/3d1219c7", "yesterday", first, 4711, 1)
    monkeypatch.setattr("sexton.work.owner.FIRST_PID_NAMESPACE", first)
    ordinary = claim(shop, before, "ordinary")
    shop.store.kinds.ensure(Kind(name="reboot", ends_with_reboot=True))
    shop.store.tasks.enqueue(Kind(name="reboot", ends_with_reboot=True), Request())
    rebooting = shop.store.queue(encode_owner(before)).claim(nonce())
    assert rebooting is not None

    sweep(shop.store.sweeps, here, shop.store.now(), GRACE_S)

    assert ended(shop, ordinary.task) == "Aborted/lost"
    assert shop.store.tasks.get(ordinary.task).outcome == "interrupted by a reboot of host-a"
    assert ended(shop, rebooting.task) == "Complete"


def test_a_plain_crash_completes_nothing_whose_end_is_the_reboot(shop: Shop) -> None:
    kind = Kind(name="reboot", ends_with_reboot=True)
    shop.store.tasks.enqueue(shop.store.kinds.ensure(kind).kind, Request())
    queue = shop.store.queue(encode_owner(dead()))
    taken = queue.claim(nonce())
    assert taken is not None
    process, child = group_with(taken.nonce)
    those = [seen(process.pid), seen(child)]
    try:
        assert queue.enter(taken, encode_leader(process.pid, those[0].start))
        [settled] = swept(shop)
        are_left = any(map(is_running, those))
    finally:
        clear_away(process)

    assert (settled.status, settled.reason, are_left) == ("Aborted", "lost", False)
    assert settled.outcome.endswith("died")


# --- several at once ---


def test_two_sweeps_at_once_settle_each_row_once(shop: Shop) -> None:
    for number in range(3):
        claim(shop, dead(), f"work{number}")
    code = """
        import sys
        from sexton.store import open_store
        from sexton.work.owner import Owner
        from sexton.work.sweep import sweep
        store = open_store(%r)
        sys.stdin.read(1)
        print(len(sweep(store.sweeps, Owner.here(), store.now(), 0.5)))
        """
    sweepers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code % shop.url)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for sweeper in sweepers:
        assert sweeper.stdin is not None
        sweeper.stdin.write("x")
        sweeper.stdin.flush()
    counts = [int(sweeper.communicate(timeout=60)[0]) for sweeper in sweepers]

    assert sum(counts) == 3
    assert sorted(shop.ends()) == ["Aborted/lost"] * 3 + ["Pending"] * 3


def test_a_direct_call_settles_only_what_stands_in_its_lane(shop: Shop) -> None:
    mine = claim(shop, dead(), "mine")
    other = claim(shop, dead(), "other")
    holders = [shop.store.tasks.get(mine.task)]

    settled = sweep_lane(shop.store.sweeps, holders, HERE, shop.store.now(), GRACE_S)

    assert [task.id for task in settled] == [mine.task]
    assert ended(shop, other.task) == "Running"


def test_a_settled_row_is_settled_once_however_stale_the_look(shop: Shop) -> None:
    taken = claim(shop, dead())
    stale = shop.store.tasks.get(taken.task)
    other = open_store(shop.url)
    first = other.sweeps.settle_lost(stale, "it died")
    second = shop.store.sweeps.settle_lost(stale, "it died")
    other.close()

    assert first is not None
    assert second is None
    assert shop.ends() == ["Aborted/lost", "Pending"]
