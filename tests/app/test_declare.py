"""What a decorator refuses, in words that say what to write instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from sexton import Item, Sexton
from sexton.core.errors import (
    ConfigurationError,
    DeclarationError,
    DurationError,
    PayloadError,
    ScheduleError,
    UnknownKind,
)
from sexton.core.kind import Limits


@pytest.fixture
def app() -> Sexton:
    """Nothing here opens the store."""
    return Sexton("sqlite:////nonexistent/sexton.db")


def nothing() -> None:
    """Do nothing at all.

    And this is not its summary.
    """


# --- kinds as they are declared ---


def test_a_bare_decorator_makes_a_kind_of_the_functions_name(app: Sexton) -> None:
    task = app.task(nothing)

    assert task.name == task.__name__ == "nothing"
    assert task.kind.summary == "Do nothing at all."
    assert task.function is nothing
    assert app["nothing"] is task
    assert [kind.name for kind in app.declared()] == ["nothing"]


def test_options_are_read_into_the_kind(app: Sexton) -> None:
    kind = app.task(
        name="nightly",
        schedule="0 3 * * *",
        tz="Europe/Riga",
        early="4h",
        expires=timedelta(hours=2),
        catch_up="all",
        catch_up_max=7,
        retry="30m x 3",
        timeout="90s",
        isolation="inline",
        lane="disk",
        priority=5,
        output_bytes_max=1000,
        limits=Limits(cpu_s=5),
        ends_with_reboot=True,
    )(nothing).kind

    hour_us = 3_600_000_000
    assert (kind.name, kind.schedule, kind.tz) == ("nightly", "0 3 * * *", "Europe/Riga")
    assert (kind.early_us, kind.expires_us) == (4 * hour_us, 2 * hour_us)
    assert (kind.catch_up, kind.catch_up_max) == ("all", 7)
    assert (kind.retry.attempts, kind.retry.delay_us) == (3, hour_us // 2)
    assert (kind.timeout_us, kind.isolation, kind.lane) == (90_000_000, "inline", "disk")
    assert (kind.priority, kind.output_bytes_max, kind.limits.cpu_s) == (5, 1000, 5)
    assert kind.ends_with_reboot


def test_a_command_keeps_its_argv_and_is_summed_up_by_it(app: Sexton) -> None:
    backup = app.command("backup", argv=["pg_dump", "app"], schedule="0 3 * * *")

    assert backup.argv == ("pg_dump", "app")
    assert (backup.kind.family, backup.kind.summary) == ("command", "pg_dump app")


def test_the_signature_of_a_task_shows_what_a_call_returns(app: Sexton) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> int:
        return len(image) + width

    signature = inspect.signature(resize)

    assert list(signature.parameters) == ["image", "width"]
    assert signature.return_annotation == "Outcome[int]"


def test_the_signature_of_a_plan_says_that_it_returns_no_value(app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def letters(since: int = 0) -> list[int]:
        return [since]

    assert str(inspect.signature(letters)) == "(since: 'int' = 0) -> 'Outcome[None]'"


# --- refusals ---


async def later() -> None: ...


async def many() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [later, many])
def test_an_async_function_is_refused_with_a_way_out(
    app: Sexton, function: Callable[..., Any]
) -> None:
    for declare in (app.task, app.plan(schedule="@daily")):
        with pytest.raises(DeclarationError, match="is async") as refused:
            declare(function)
        assert "asyncio.run()" in refused.value.hint


def test_two_kinds_of_one_name_are_refused(app: Sexton) -> None:
    app.task(nothing)

    with pytest.raises(DeclarationError, match="two kinds are named nothing"):
        app.command("nothing", argv=["true"])


def test_the_name_of_a_built_in_kind_is_refused(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="belong to built-in kinds"):
        app.command("sexton.notify", argv=["true"])


def test_a_plan_that_could_not_know_whom_it_served_is_refused(app: Sexton) -> None:
    def letters() -> list[int]:
        return []

    with pytest.raises(DeclarationError, match="needs schedule=, every=, min_gap= or scope="):
        app.plan()(letters)


@pytest.mark.parametrize(
    "option", [{"schedule": "@daily"}, {"every": "1h"}, {"min_gap": "1h"}, {"scope": "s"}]
)
def test_a_plan_with_one_of_the_four_is_taken(app: Sexton, option: dict[str, Any]) -> None:
    @app.plan(**option)
    def letters() -> list[int]:
        return []

    letters.each(key=str)(lambda thing: None)  # noqa: ARG005

    assert letters.kind.family == "plan"


def test_a_plan_without_an_effect_is_refused_where_it_would_be_used(app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[int]:
        return []

    for use in (letters, letters.plan, app.declared):
        with pytest.raises(DeclarationError, match="the plan letters has no effect") as refused:
            use()
        assert "@letters.each(key='id')" in refused.value.hint


def test_a_plan_with_two_effects_is_refused(app: Sexton) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[int]:
        return []

    @letters.each(key=str)
    def send(thing: int) -> None: ...

    with pytest.raises(DeclarationError, match="has an effect already"):
        letters.each(key=str)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width= must be"),
        ({"width": 257}, "width= must be"),
        ({"width": 2.5}, "width= must be a whole number"),
        ({"width": "4"}, "width= must be a whole number"),
        ({"max_failures": 0}, "max_failures= one from 1"),
        ({"max_failures": 1.5}, "max_failures= one from 1"),
        ({"key": 5}, "key= must be a field's name, or a function"),
        ({"key": ""}, "key= must be a field's name, or a function"),
        ({"cap": 5}, "cap= must be a text"),
        ({"in_doubt": "maybe"}, "in_doubt= must be park, retry, skip, or a function"),
        ({"permanent": ValueError}, "permanent= must be a tuple of exception classes"),
        ({"permanent": ("ValueError",)}, "permanent= must be a tuple of exception classes"),
        ({"cap": "one a day"}, "cap='one a day' of letters is not understood"),
        ({"cap": "0/day per email"}, "is not understood"),
    ],
)
def test_an_effect_that_cannot_work_is_refused(
    app: Sexton, options: dict[str, Any], words: str
) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[int]:
        return []

    with pytest.raises(DeclarationError, match=words):
        letters.each(**{"key": str, **options})(lambda thing: None)  # noqa: ARG005


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"schedule": "@daily", "min_gap": "20h"}, DeclarationError, "both given"),
        ({"schedule": "@daily", "every": "20h"}, ConfigurationError, "both"),
        ({"schedule": "@daily", "key": ""}, DeclarationError, "key= belongs to kinds"),
        ({"min_gap": "1h", "key": ""}, DeclarationError, "key= belongs to kinds"),
        ({"early": "1h"}, DeclarationError, "early= needs a schedule"),
        ({"expires": "1h"}, DeclarationError, "expires= needs a schedule"),
        ({"catch_up": "none"}, DeclarationError, "catch_up= needs a schedule"),
        ({"schedule": "@daily", "catch_up": "some"}, DeclarationError, "catch_up= must be one of"),
        ({"schedule": "@daily", "catch_up_max": 0}, DeclarationError, "from 1 to 10000"),
        ({"isolation": "thread"}, DeclarationError, "isolation= must be one of process, inline"),
        ({"lane": "a\x1fb"}, DeclarationError, "U\\+001F"),
        ({"schedule": "5-1 * * * *"}, ScheduleError, "nothing: .*minute"),
        ({"schedule": "0 0 31 2 *"}, ScheduleError, "nothing:"),
        ({"schedule": "@daily", "tz": "Europe/Rigga"}, ScheduleError, "Europe/Rigga"),
        ({"tz": "Mars/Olympus"}, ScheduleError, "Mars/Olympus"),
        ({"min_gap": "-20h"}, DurationError, "negative"),
        ({"min_gap": "P1M"}, DurationError, "P1M"),
        ({"timeout": "soon"}, DurationError, "soon"),
        ({"retry": "3 times"}, DeclarationError, "retry='3 times' is not understood"),
        ({"retry": "1m x 1000"}, DeclarationError, "is not understood"),
        ({"name": "two words"}, DeclarationError, "a kind's name begins with"),
        ({"name": "9to5"}, DeclarationError, "a kind's name begins with"),
        ({"schedule": ""}, DeclarationError, "schedule= is empty"),
        ({"name": ""}, DeclarationError, "a kind's name begins with"),
        ({"shedule": "@daily"}, DeclarationError, "there is no option shedule"),
    ],
)
def test_an_option_that_cannot_work_is_refused_and_names_the_kind(
    app: Sexton, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        app.task(**options)(nothing)

    assert str(refused.value).startswith(options.get("name", "nothing"))
    assert app.kinds == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retry": 3}, "nothing: retry= must be str, not 3"),
        ({"tz": None, "schedule": "@daily"}, "nothing: tz= must be str, not None"),
        ({"schedule": 5}, "nothing: schedule= must be str, not 5"),
        ({"priority": "high"}, "nothing: priority= must be int, not 'high'"),
        ({"priority": 1 << 63}, "nothing: priority= must be a number of 64 bits"),
        ({"lane": 5}, "nothing: lane= must be str, not 5"),
        ({"limits": {"memory": 1}}, "nothing: limits= must be Limits"),
        ({"limits": Limits(cpu_s=-1)}, "nothing: output_bytes_max= and limits= must not be neg"),
        ({"output_bytes_max": -1}, "nothing: output_bytes_max= and limits= must not be negative"),
    ],
)
def test_an_option_of_another_type_or_range_is_refused_in_words(
    app: Sexton, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeclarationError, match=words):
        app.task(**options)(nothing)


@pytest.mark.parametrize("argv", ["pg_dump app", [], ["sleep", 5], 5])
def test_a_command_is_a_list_of_words(app: Sexton, argv: Any) -> None:
    with pytest.raises(DeclarationError, match="argv= must be a list of words"):
        app.command("backup", argv=argv)


@pytest.mark.parametrize("argv", [[""], ["pg_dump", "a\0b"], ["pg_dump", "\ud800"]])
def test_a_word_that_starts_nothing_is_refused(app: Sexton, argv: Any) -> None:
    with pytest.raises(DeclarationError, match="which starts nothing"):
        app.command("backup", argv=argv)


def test_the_words_of_a_command_may_come_from_any_iterable(app: Sexton) -> None:
    assert app.command("backup", argv=(word for word in ["pg_dump", "app"])).argv == (  # type: ignore[arg-type]
        "pg_dump",
        "app",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": "zz"}, "key= of a command can only be ''"),
        ({"isolaton": "inline"}, "there is no option isolaton"),
    ],
)
def test_a_command_has_no_payload_and_no_option_of_another(
    app: Sexton, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeclarationError, match=words):
        app.command("backup", argv=["true"], **options)


# --- what would run nothing ---


def a_generator(number: int = 0) -> Iterator[int]:
    yield number


async def an_async_generator(number: int = 0) -> AsyncIterator[int]:
    yield number


async def a_coroutine(number: int = 0) -> None: ...


@pytest.mark.parametrize("function", [a_generator, an_async_generator, a_coroutine])
def test_what_would_run_nothing_is_neither_a_task_nor_an_effect(
    app: Sexton, function: Callable[..., Any]
) -> None:
    @app.plan(schedule="@daily")
    def letters() -> list[int]:
        return []

    with pytest.raises(DeclarationError, match=r"yields|is async"):
        app.task(function)
    with pytest.raises(DeclarationError, match=r"yields|is async"):
        letters.each(key=str)(function)


def test_a_kind_is_made_of_a_function_with_a_name(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="made of a function, not of 'resize'"):
        app.task("resize")  # type: ignore[call-overload]
    with pytest.raises(DeclarationError, match="has no name"):
        app.task(functools.partial(nothing))
    assert app.task(name="named")(functools.partial(nothing)).name == "named"


def test_a_scope_is_a_text(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="letters: scope= must be str, not 5"):

        @app.plan(scope=5)  # type: ignore[arg-type]
        def letters() -> list[int]:
            return []


def test_a_schedule_gives_no_arguments_so_a_parameter_needs_a_default(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="nightly has a schedule, which gives it no day"):

        @app.task(schedule="@daily")
        def nightly(day: str) -> None: ...


def test_a_parameter_without_a_type_is_refused(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="the parameter image of resize has no type"):

        @app.task
        def resize(image) -> None:  # type: ignore[no-untyped-def]
            ...


def returns_an_unknown(number: int) -> Unknown: ...  # type: ignore[name-defined]  # noqa: F821


def test_what_a_function_returns_goes_into_no_row_and_may_be_unknown(app: Sexton) -> None:
    app.task(returns_an_unknown)

    assert [kind.name for kind in app.declared()] == ["returns_an_unknown"]


def test_parameters_that_no_row_can_carry_are_refused(app: Sexton) -> None:
    def variable(*names: str) -> None: ...
    def positional(name: str, /) -> None: ...
    def open_ended(**names: str) -> None: ...

    for function in (variable, positional, open_ended):
        with pytest.raises(DeclarationError, match="cannot be kept in a row"):
            app.task(function)


def takes_a_function(call: Callable[[], None]) -> None: ...
def takes_an_unknown(thing: Unknown) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [takes_a_function, takes_an_unknown])
def test_types_that_no_row_can_carry_are_refused_at_sync(
    app: Sexton, function: Callable[..., None]
) -> None:
    app.task(function)

    with pytest.raises(DeclarationError, match="cannot be kept in a row"):
        app.declared()


def test_a_key_must_be_a_field_of_the_payload(app: Sexton) -> None:
    with pytest.raises(DeclarationError, match="key='colour'"):

        @app.task(key="colour")
        def resize(image: str) -> None: ...


def test_an_unknown_kind_is_named_with_what_comes_near(app: Sexton) -> None:
    app.task(nothing)

    with pytest.raises(UnknownKind, match="no kind is named 'nothin'") as refused:
        app["nothin"]

    assert refused.value.hint == "Did you mean nothing?"


# --- effects are plain functions ---


def test_an_effect_is_the_plain_function_and_is_tested_with_a_fake_item(app: Sexton) -> None:
    sent: list[tuple[int, str]] = []

    @app.plan(schedule="@daily")
    def letters() -> Iterator[int]:
        yield 1

    @letters.each(key=str)
    def send(thing: int, item: Item) -> None:
        sent.append((thing, item.message_id))

    send(7, Item.fake())
    send(7, Item.fake("7"))

    assert sent[0][1] == Item.fake().message_id
    assert sent[0][1] != sent[1][1]
    assert sent[0][1].startswith("<")


def test_a_fake_item_says_what_it_is_told() -> None:
    item = Item.fake("42", period="2026-05-01T07:30")

    assert (item.key, item.period, item.attempt, item.task) == ("42", "2026-05-01T07:30", 1, 0)
    assert len(item.idempotency_key) == 32


def test_payload_errors_are_usage_errors_of_the_caller(app: Sexton) -> None:
    @app.task
    def resize(image: str, width: int = 800) -> None: ...

    with pytest.raises(PayloadError, match=r"resize: .*image"):
        resize()  # type: ignore[call-arg]
