"""What is kept of a stream, and how it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sexton.work.capture import FRESH_BYTES_MAX, Capture, Lines, shown

PIECES = st.lists(st.binary(max_size=40), max_size=30)


@given(pieces=PIECES, cap_bytes=st.integers(min_value=0, max_value=100))
def test_head_and_tail_are_those_of_the_whole_stream(pieces: list[bytes], cap_bytes: int) -> None:
    capture, whole = Capture(cap_bytes), b"".join(pieces)
    for piece in pieces:
        capture.add(piece)

    half = cap_bytes // 2
    rest = whole[half:]
    assert capture.head == whole[:half]
    assert capture.tail == rest[max(0, len(rest) - (cap_bytes - half)) :]
    assert capture.dropped_bytes == max(0, len(whole) - cap_bytes)
    assert capture.seen_bytes == len(whole)


@given(pieces=PIECES)
def test_what_is_taken_bit_by_bit_is_the_whole_stream(pieces: list[bytes]) -> None:
    capture, taken = Capture(10), b""
    for piece in pieces:
        capture.add(piece)
        offset, data = capture.taken()
        assert offset == len(taken)
        taken += data

    assert taken == b"".join(pieces)
    assert capture.taken() == (len(taken), b"")


def test_a_slow_reader_misses_the_oldest_and_can_tell() -> None:
    capture = Capture(10)
    capture.add(b"a" * FRESH_BYTES_MAX)
    capture.add(b"b" * 7)

    offset, data = capture.taken()
    assert offset == 7
    assert data == b"a" * (FRESH_BYTES_MAX - 7) + b"b" * 7


def test_a_gap_is_shown_where_it_is() -> None:
    capture = Capture(8)
    capture.add(b"abcdefghijkl")

    assert capture.text() == "abcd\n[... 4 bytes dropped ...]\nijkl"


def test_a_character_at_the_seam_is_whole_when_nothing_is_missing() -> None:
    capture = Capture(4)
    capture.add("aéb".encode())

    assert capture.text() == "aéb"


@given(pieces=PIECES)
def test_lines_come_whole_however_they_are_cut(pieces: list[bytes]) -> None:
    lines = Lines()
    for piece in pieces:
        lines.add(piece)

    assert lines.taken() == b"".join(pieces).split(b"\n")[:-1]
    assert lines.taken() == []
    assert lines.dropped_bytes == 0


def test_of_too_many_lines_the_last_ones_stay() -> None:
    lines = Lines(10)
    lines.add(b"".join(b"%03d\n" % number for number in range(100)))

    assert lines.taken() == [b"098", b"099"]
    assert lines.dropped_bytes == 98 * 4


def test_a_line_that_is_too_long_is_dropped_and_the_next_is_not() -> None:
    lines = Lines(10)
    for _ in range(1000):
        lines.add(b"x" * 100)
    lines.add(b"end\nresult\n")

    assert lines.taken() == [b"result"]
    assert lines.dropped_bytes == 1000 * 100 + 3


def test_lines_that_are_taken_make_room() -> None:
    lines = Lines(10)
    for _ in range(100):
        lines.add(b"12345678\n")
        assert lines.taken() == [b"12345678"]

    assert lines.dropped_bytes == 0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\ttext\n", "plain\ttext\n"),
        ("Ünïcödé ✓ 日本".encode(), "Ünïcödé ✓ 日本"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"done 99%\rdone 00%", "done 99%\\rdone 00%"),
        (b"\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        (b"a\x00b\x08c\x7f", "a\\x00b\\x08c\\x7f"),
        ("\x9b2J".encode(), "\\x9b2J"),
        ("user\u202egnp.exe".encode(), "user\\u202egnp.exe"),
        ("a\u2028b".encode(), "a\\u2028b"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_nothing_that_is_shown_can_act(data: bytes, text: str) -> None:
    assert shown(data) == text


@given(data=st.binary(max_size=300))
def test_whatever_is_shown_is_printable(data: bytes) -> None:
    text = shown(data)

    assert text.replace("\n", "").replace("\t", "").isprintable()
    text.encode("utf-8")
