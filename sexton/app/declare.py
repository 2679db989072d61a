"""Read what a decorator declares into a kind; everything that cannot work is refused in words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypedDict

from sexton.core import duration, retry
from sexton.core import schedule as schedules
from sexton.core.errors import DeclarationError, SextonError
from sexton.core.kind import (
    CATCH_UP_MAX,
    OUTPUT_BYTES_MAX,
    CatchUp,
    Family,
    Isolation,
    Kind,
    Limits,
)

Length = str | timedelta
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class Timing(TypedDict, total=False):
    """What `app.task`, `app.plan` and `app.command` take; lengths as `"20h"` or timedelta.

    schedule, tz, every: when it falls due. min_gap: not again so soon after the last success's
    start. early: a call so long before claims the coming period. expires: not begun so long after.
    catch_up: which missed periods still run. retry: `"30m x 3"`. timeout: its deadline.
    isolation: a process of its own, or the tick's. key: a payload field that makes requests
    distinct, '' to join them all. lane: what must not run at the same time, over kinds. limits:
    bounds of its process. ends_with_reboot: a new boot completes it. priority: higher goes first.
    """

    schedule: str
    tz: str
    every: Length
    min_gap: Length
    early: Length
    expires: Length
    catch_up: CatchUp
    catch_up_max: int
    retry: str
    timeout: Length
    isolation: Isolation
    key: str
    lane: str
    priority: int
    output_bytes_max: int
    limits: Limits
    ends_with_reboot: bool


class Options(Timing, total=False):
    """`Timing`, and `name`: the kind's name where it is not the function's."""

    name: str


def kind_of(
    family: Family, name: str, options: Options | Timing, summary: str, **more: Any
) -> Kind:
    """The kind that these options declare; raises ConfigurationError naming the kind and why."""
    try:
        return _kind_of(family, name, options, summary, more)
    except SextonError as error:
        raise type(error)(f"{name}: {error}", hint=error.hint) from error


def _kind_of(
    family: Family, name: str, options: Options | Timing, summary: str, more: dict[str, Any]
) -> Kind:
    _refuse_types({**options, **more})
    if not NAME.fullmatch(name):
        raise DeclarationError(
            "a kind's name begins with a letter or '_', and has at most 100 letters, digits, '_',"
            " '.' or '-'"
        )
    if name.startswith("sexton."):
        raise DeclarationError("names that begin with 'sexton.' belong to built-in kinds")
    known = Timing if family == "command" else Options
    unknown = set(options) - set(known.__annotations__)
    if unknown:
        raise DeclarationError(f"there is no option {', '.join(sorted(unknown))}")
    kind = Kind(
        name=name,
        family=family,
        summary=summary,
        schedule=options.get("schedule", ""),
        tz=options.get("tz", "UTC"),
        every_us=_us(options, "every"),
        min_gap_us=_us(options, "min_gap"),
        early_us=_us(options, "early"),
        expires_us=_us(options, "expires"),
        catch_up=options.get("catch_up", "latest"),
        catch_up_max=options.get("catch_up_max", CATCH_UP_MAX),
        retry=retry.parse(options["retry"]) if "retry" in options else retry.Retry(),
        timeout_us=_us(options, "timeout") or duration.HOUR_US,
        isolation=options.get("isolation", "process"),
        key=options.get("key"),
        lane=options.get("lane", ""),
        priority=options.get("priority", 0),
        output_bytes_max=options.get("output_bytes_max", OUTPUT_BYTES_MAX),
        limits=options.get("limits", Limits()),
        ends_with_reboot=options.get("ends_with_reboot", False),
        **more,
    )
    _refuse_contradictions(kind, options)
    return kind


_TYPES: dict[str, type] = {
    "name": str,
    "schedule": str,
    "tz": str,
    "retry": str,
    "key": str,
    "lane": str,
    "catch_up_max": int,
    "priority": int,
    "output_bytes_max": int,
    "limits": Limits,
    "ends_with_reboot": bool,
    "scope": str,
}


def _refuse_types(options: Mapping[str, object]) -> None:
    for name, wanted in _TYPES.items():
        value = options.get(name)
        if name in options and type(value) is not wanted and not (name == "key" and value is None):
            raise DeclarationError(f"{name}= must be {wanted.__name__}, not {value!r:.60}")


LengthName = Literal["every", "min_gap", "early", "expires", "timeout"]


def _us(options: Options | Timing, name: LengthName) -> int:
    return duration.parse(options[name]) if name in options else 0


def _refuse_contradictions(kind: Kind, options: Options | Timing) -> None:
    if kind.has_schedule:
        schedules.parse(kind.schedule or None, tz=kind.tz, every=kind.every_us or None)
    elif "tz" in options:
        schedules.parse("@daily", tz=kind.tz)  # names an unknown zone
    if kind.schedule and kind.every_us:
        raise DeclarationError("schedule= and every= are both given; a kind has one of them")
    if kind.has_schedule and kind.min_gap_us:
        raise DeclarationError(
            "schedule= and min_gap= are both given",
            hint="A schedule already means once a period; use early= for calls before the moment.",
        )
    if "schedule" in options and not kind.schedule:
        raise DeclarationError("schedule= is empty", hint="Leave it out, or write '@daily'.")
    if kind.family == "command" and kind.key:
        raise DeclarationError("key= of a command can only be '': it has no payload")
    if kind.is_guarded and kind.key is not None:
        raise DeclarationError("key= belongs to kinds that are asked for, without a schedule")
    for name in ("early", "expires", "catch_up"):
        if name in options and not kind.has_schedule:
            raise DeclarationError(f"{name}= needs a schedule")
    if not 1 <= kind.catch_up_max <= 10_000:  # noqa: PLR2004
        raise DeclarationError("catch_up_max= must be from 1 to 10000")
    for field, allowed in _WORDS.items():
        if getattr(kind, field) not in allowed:
            raise DeclarationError(f"{field}= must be one of {', '.join(allowed)}")
    if abs(kind.priority) >= 1 << 63:
        raise DeclarationError("priority= must be a number of 64 bits")
    limits = (getattr(kind.limits, field) for field in kind.limits.__struct_fields__)
    if min(kind.output_bytes_max, *limits) < 0:
        raise DeclarationError("output_bytes_max= and limits= must not be negative")
    if "\x1f" in kind.lane:
        raise DeclarationError("lane= must not hold U+001F")


_WORDS = {"catch_up": ("latest", "all", "none"), "isolation": ("process", "inline")}


def refuse_async(function: Callable[..., object]) -> None:
    """Refuse what, called, only gives something to run: its body would never begin."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{_name_of(function)} is async, which is not supported",
            hint="Write a plain function, and call asyncio.run() inside it.",
        )


def refuse_generator(function: Callable[..., object]) -> None:
    """As `refuse_async`, for what is to be run and not to be asked who."""
    if inspect.isgeneratorfunction(function):
        raise DeclarationError(
            f"{_name_of(function)} yields, so calling it would run nothing of it",
            hint="Declare who with @app.plan and the effect with .each; a task returns.",
        )


def name_of(function: object, options: Options) -> str:
    """The kind's name: `name=`, else the function's own; raises DeclarationError for neither."""
    if not callable(function):
        raise DeclarationError(
            f"a kind is made of a function, not of {function!r:.60}",
            hint="Write @app.task, or @app.task(schedule=…), above a function.",
        )
    name: object = options.get("name", getattr(function, "__name__", None))
    if name is None:
        raise DeclarationError(f"{function!r:.60} has no name", hint="Give it one: name='…'.")
    return name  # type: ignore[return-value] # its type is judged with the other options


def words_of(name: str, argv: object) -> tuple[str, ...]:
    """A command's fixed argv; raises DeclarationError for what no program can be started with."""
    words = () if isinstance(argv, str) or not isinstance(argv, Iterable) else tuple(argv)
    if not words or not all(isinstance(word, str) for word in words):
        raise DeclarationError(
            f"{name}: argv= must be a list of words", hint='Write ["pg_dump", "app"].'
        )
    unfit = next((word for word in words if not _is_fit(word)), None)
    if unfit is not None or not words[0]:
        raise DeclarationError(f"{name}: argv= has the word {unfit or ''!r}, which starts nothing")
    return words


def _is_fit(word: str) -> bool:
    """Whether it can stand in an argv: no NUL, and text that has bytes."""
    return "\0" not in word and not any("\ud800" <= sign <= "\udfff" for sign in word)


def _name_of(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def summary_of(function: Callable[..., object]) -> str:
    """The first line of a function's docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0].strip()[:200]
