"""That a touch of one file is noticed at once, and that of another is not."""

from __future__ import annotations

import os
import select
from pathlib import Path

from sexton.work.wait import Touches

WAIT_MS = 10_000


def is_ready(touches: Touches, timeout_ms: int = 0) -> bool:
    poll = select.poll()
    poll.register(touches.fd, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def test_a_touch_is_told_once(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "wake")) as touches:
        (tmp_path / "wake").write_bytes(b"\n")
        (tmp_path / "wake").write_bytes(b"\n")

        assert is_ready(touches, WAIT_MS)
        assert touches.taken()
        assert not touches.taken()
        assert not is_ready(touches)


def test_a_touch_of_a_file_beside_it_is_none(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "wake")) as touches:
        (tmp_path / "wake.other").write_bytes(b"\n")
        (tmp_path / "wak").write_bytes(b"\n")
        (tmp_path / "wake").mkdir()

        assert is_ready(touches, WAIT_MS)
        assert not touches.taken()


def test_a_file_that_is_put_in_its_place_or_only_dated_anew_counts(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "wake")) as touches:
        (tmp_path / "new").write_bytes(b"\n")
        touches.taken()
        (tmp_path / "new").rename(tmp_path / "wake")
        assert touches.taken()
        os.utime(tmp_path / "wake")
        assert touches.taken()


def test_many_touches_beside_it_do_not_hide_one(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "wake")) as touches:
        for number in range(5000):
            (tmp_path / f"other-{number % 7}-{'x' * 60}").write_bytes(b"")
            if number == 2500:
                (tmp_path / "wake").write_bytes(b"")

        assert touches.taken()


def test_a_name_that_is_not_text_is_watched_all_the_same(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/w\xffke")
    with Touches(path) as touches:
        Path(path).write_bytes(b"")

        assert touches.taken()


def test_where_nothing_can_be_watched_the_caller_looks_itself(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "gone" / "wake")) as touches:
        assert touches.fd == -1
        assert not touches.taken()


def test_a_directory_that_vanishes_ends_the_watch_in_silence(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    with Touches(str(tmp_path / "room" / "wake")) as touches:
        (tmp_path / "room").rmdir()
        assert is_ready(touches, WAIT_MS)
        assert not touches.taken()

        assert touches.fd == -1


def test_a_child_does_not_inherit_the_watch(tmp_path: Path) -> None:
    with Touches(str(tmp_path / "wake")) as touches:
        assert not os.get_inheritable(touches.fd)
