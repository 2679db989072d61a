"""Text for people and JSON for programs: widths, cuts, escapes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sexton.cli.progress import said
from sexton.cli.say import as_json, count, cut, fitted, one_line, table, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("plain", 5), ("größe", 5), ("gro\u0308ße", 5), ("日本", 4), ("a\u200bb", 2), ("", 0)],
)
def test_a_text_is_as_wide_as_it_is_on_the_screen(text: str, columns: int) -> None:
    assert width(text) == columns


def test_columns_stand_under_each_other_whatever_they_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table(("A", "B"), [("日本", "one"), ("gro\u0308ße", "two"), ("x\ny", "three")])
    lines = capsys.readouterr().out.splitlines()

    assert [width(line.partition(word)[0]) for line, word in zip(
        lines, ("B", "one", "two", "three"), strict=True)] == [7, 7, 7, 7]  # fmt: skip
    assert lines[3].startswith("x\\ny")


def test_the_widest_columns_give_way_first_and_the_last_gets_what_is_left() -> None:
    assert fitted([3, 30, 20, 100], 153) == [3, 30, 20, 100]
    assert fitted([3, 30, 20, 100], 60) == [3, 24, 20, 13]
    assert fitted([3, 5, 100], 60) == [3, 5, 52]
    assert fitted([40, 40, 5], 50) == [22, 23, 5]


def test_what_is_too_long_is_cut_between_characters() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("日本語", 4) == "日…"
    assert cut("abc", 3) == "abc"


def test_a_line_of_a_row_has_no_line_ends_and_no_controls() -> None:
    assert one_line("a\nb\tc\x1b[0m\udcff") == "a\\nb\\tc\\x1b[0m\\xff"


@pytest.mark.parametrize("text", ["ä日", "\x9b31m", "\u202e", "\x7f", "\udcff", "\U000e0001", "\n"])
def test_json_is_readable_harmless_and_exact(text: str) -> None:
    written = as_json({"text": text})

    assert written.isprintable()
    assert json.loads(written) == {"text": text}
    assert as_json("ä日") == '"ä日"'


def test_counts_have_their_plural() -> None:
    assert [count(n, "item") for n in (0, 1, 2)] == ["0 items", "1 item", "2 items"]
    assert count(2, "kind is", "kinds are") == "2 kinds are"


def test_progress_shows_a_bar_where_the_total_is_known() -> None:
    counts = Counter(planned=61, done=58, failed=2)

    assert (
        said(counts, 120, 6.0) == "[##########..........] 60/120  50%  10.0/s  6 s left  2 failed"
    )
    assert said(counts, None, 6.0) == "60 items  10.0/s  2 failed"
    assert said(Counter(planned=1), 0, 0.0) == "0 items  0.0/s"
