"""`next` and `lint`: moments of a kind or of an expression, and what may not be meant."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.cli.conftest import Type
from tests.cli.shop import Shop


def test_moments_are_one_iso_instant_a_line_in_the_zone(typed: Type) -> None:
    words = ["--schedule", "30 3 * * *", "--tz", "Europe/Riga", "--after", "2026-03-27T22:00Z"]
    told = typed("next", *words, "-n", "3")

    assert told.code == 0
    # On the 29th there is no 03:30: it runs at the first moment after the gap.
    wanted = ["2026-03-28T03:30:00+02:00", "2026-03-29T04:00:00+03:00", "2026-03-30T03:30:00+03:00"]
    assert told.out.splitlines() == wanted
    assert all(datetime.fromisoformat(line).tzinfo for line in told.out.splitlines())


def test_a_moment_without_an_offset_is_a_wall_time_of_the_zone(typed: Type) -> None:
    words = ["--schedule", "@daily", "--tz", "Europe/Riga", "-n", "1"]

    assert typed("next", *words, "--after", "2026-07-01").out == "2026-07-02T00:00:00+03:00\n"


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["--schedule", "0 0 1 * *"], ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
        (["--schedule", "Mon *-*-* 07:30"], ["2026-11-23T07:30:00Z", "2026-11-30T07:30:00Z"]),
        (["--every", "90m"], ["2026-11-22T09:00:00Z", "2026-11-22T10:30:00Z"]),
    ],
)
def test_each_language_of_schedules_is_read(
    typed: Type, words: list[str], lines: list[str]
) -> None:
    told = typed("next", *words, "--after", "2026-11-22T07:30Z", "-n", "2")

    assert told.out.splitlines() == lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--schedule", "5-1 * * * *"], "minute"),
        (["--schedule", "0 0 30 2 *"], "30"),
        (["--schedule", ""], "The schedule is empty"),
        (["--schedule", "@daily", "--tz", "Europe/Rigga"], "Did you mean Europe/Riga?"),
        (["--schedule", "@daily", "--tz", "../etc/passwd"], "time zone"),
        (["--every=-5m"], "negative"),
        (["--schedule", "@daily", "--every", "5m"], "not allowed with"),
        (["--schedule", "@daily", "--after", "soon"], "'soon' is not a moment"),
        (["--schedule", "@daily", "--after", ""], "'' is not a moment"),
    ],
)
@pytest.mark.parametrize("command", ["next", "lint"])
def test_a_refused_expression_is_an_error_with_exit_code_2(
    typed: Type, command: str, words: list[str], said: str
) -> None:
    if command == "lint" and "--after" in words:
        words, said = ["--schedule", "1.5 * * * *"], "minute"
    told = typed(command, *words)

    assert told.code == 2
    assert said in told.err
    assert told.out == ""


def test_the_moments_of_a_kind_are_those_of_its_own_zone(typed: Type) -> None:
    shape = json.loads(typed("next", "nightly", "-n", "2", "--json").out)

    assert shape["tz"] == "Europe/Riga"
    assert shape["schedule"] == "30 2 * * *"
    assert [one["period"][-6:] for one in shape["next"]] == ["T02:30", "T02:30"]
    assert shape["next"][0]["at"].endswith("Z")
    assert typed("next", "nightly").out.count("\n") == 5


def test_lint_tells_of_the_gap_and_of_the_fold(typed: Type) -> None:
    told = typed("lint", "--schedule", "30 3 * * *", "--tz", "Europe/Riga")
    codes = {
        finding["code"]
        for finding in json.loads(
            typed("lint", "--schedule", "30 3 * * *", "--tz", "Europe/Riga", "--json").out
        )["findings"]
    }

    assert told.code == 0
    assert "does not exist" in told.out
    assert codes == {"gap", "fold"}


def test_lint_reads_all_kinds_of_the_application_and_of_once(typed: Type, shop: Shop) -> None:
    assert typed("lint").out == "2 schedules: nothing to remark\n"
    shop.type("once", "--name", "both-days", "--schedule", "0 3 13 * 5", "--", "true")
    told = typed("lint")

    assert told.code == 0
    assert "both-days" in told.out
    assert "either" in told.out


@pytest.mark.parametrize(
    ("schedule", "moments", "said"),
    [("2026-11-24 07:30", 0, "no further moment"), ("2026-11-2,26 07:30", 1, "only 1 moment more")],
)
def test_that_no_more_moments_follow_is_told(
    typed: Type, schedule: str, moments: int, said: str
) -> None:
    told = typed("next", "--schedule", schedule, "--after", "2026-11-25T00:00Z")

    assert (told.code, told.out.count("\n")) == (0, moments)
    assert told.err == f"sexton: {schedule} has {said}\n"
