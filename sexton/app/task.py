"""A function as a guarded task: called, it goes through the guard and answers an Outcome."""

from __future__ import annotations

import getpass
import inspect
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import msgspec

from sexton.app import explain
from sexton.app.door import Door
from sexton.app.explain import Status
from sexton.app.payload import Payload
from sexton.core import duration, instant
from sexton.core.errors import DeclarationError, UsageError
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Call
from sexton.store.tasks import Asked, Request
from sexton.work import guard
from sexton.work.guard import Body
from sexton.work.holder import nonce

if TYPE_CHECKING:
    import sqlite3

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Task(Generic[P, R_co]):
    """A registered function. Calling it goes through the guard, whoever calls."""

    def __init__(self, app: Door, kind: Kind, function: Callable[P, R_co]) -> None:
        self._app = app
        self._kind = kind
        self.function = function
        self.payload = Payload(kind.name, function)
        if kind.key and kind.key not in self.payload.names:
            raise DeclarationError(
                f"{kind.name}: key={kind.key!r} is not one of its parameters",
                hint="Name one of them, or '' for one at a time, joined.",
            )
        if kind.has_schedule and self.payload.required:
            raise DeclarationError(
                f"{kind.name} has a schedule, which gives it no {self.payload.required[0]}",
                hint="Give the parameter a default.",
            )
        self.__name__ = kind.name
        self.__signature__ = _answering(self.payload.signature)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        # Whoever must answer in words, as the command line, hears an outcome beside an exception.
        self.told: Callable[[Outcome[Any]], None] = lambda _: None

    @property
    def kind(self) -> Kind:
        """The kind as it is registered, complete with its payload's schema."""
        return msgspec.structs.replace(self._kind, payload_schema=self.payload.schema)

    @property
    def name(self) -> str:
        return self._kind.name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R_co]:
        """Run it now if it is due, free and not done; answer in a sentence what happened.

        Raises what the function raised, unchanged, after it is recorded; StoreError, and then
        nothing ran, if the store could not be asked.
        """
        return self._call(self.payload.bind(args, kwargs))

    def force(self, reason: str, /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R_co]:
        """Run it now, done or not, in a period of its own; the reason is recorded."""
        return self._call(self.payload.bind(args, kwargs), force=reason_of(reason))

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Asked:
        """Ask for it: a Pending row that the next tick runs. On disk when this returns."""
        return Using(self).enqueue(*args, **kwargs)

    def using(
        self,
        *,
        at: datetime | None = None,
        start_before: datetime | timedelta | str | None = None,
        priority: int | None = None,
        connection: sqlite3.Connection | None = None,
    ) -> Using[P]:
        """Conditions for a request: `resize.using(at=…).enqueue(image=…)`.

        at: not before. start_before: not begun after, a moment or a length from now. priority:
        higher goes first. connection: write the request inside the caller's own SQLite
        transaction; it is asked for if, and only if, that commits.
        """
        return Using(self, at, start_before, priority, connection)

    def why(self) -> str:
        """What a call now would find, in a few sentences."""
        return explain.why(self._app.store, self.name)

    def status(self) -> Status:
        """Where this kind stands: last and next moments, what runs, what is in doubt."""
        return explain.status(self._app.store, self.name)

    def body(self, arguments: dict[str, Any]) -> Body:
        """What runs under a claim."""
        call: Callable[[], Any] = lambda: self.function(**arguments)  # type: ignore[call-arg]  # noqa: E731
        return guard.plain(call)

    def _call(self, payload: str, force: str = "") -> Outcome[R_co]:
        """Run with what the row carries, so that a call and a request do the same."""
        kind, arguments = self.kind, self.payload.decode(payload)
        asked = Call(
            nonce=nonce(),
            payload=payload,
            key=kind.key_of(msgspec.json.decode(payload, type=dict[str, object])),
            force=force,
            by=caller(),
        )
        return guard.call(self._app.here, kind, asked, self.body(arguments), self.told)


class Using(Generic[P]):
    """A request with conditions, ready to be asked."""

    def __init__(
        self,
        task: Task[P, Any],
        at: datetime | None = None,
        start_before: datetime | timedelta | str | None = None,
        priority: int | None = None,
        connection: sqlite3.Connection | None = None,
    ) -> None:
        self.task = task
        self._at = at
        self._start_before = start_before
        self._priority = priority
        self._connection = connection

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Asked:
        """Ask for it; the row, or the waiting one that this joined. See `Task.enqueue`.

        Inside a caller's connection the row's id is 0: it exists only once that has committed.
        """
        task = self.task
        request = self._request(task.payload.bind(args, kwargs))
        return task._app.ask(task, request, self._connection)

    def _request(self, payload: str) -> Request:
        return Request(
            payload=payload,
            at=_instant("at", self._at) if self._at is not None else None,
            start_before=self._latest_start(),
            priority=_priority(self._priority),
            by=caller(),
            id=nonce(),
        )

    def _latest_start(self) -> instant.Instant | None:
        match self._start_before:
            case None:
                return None
            case datetime() as moment:
                return _instant("start_before", moment)
            case length:
                now = self.task._app.store.now()
                return now + duration.parse(length)


def _priority(priority: int | None) -> int | None:
    """A priority as rows keep it; raises UsageError for what is no number of 64 bits."""
    if priority is not None and not (type(priority) is int and abs(priority) < 1 << 63):
        raise UsageError(f"priority={priority!r} is no whole number of 64 bits")
    return priority


def _answering(signature: inspect.Signature) -> inspect.Signature:
    """What a call takes, and that it answers an Outcome of what the function returns."""
    returns = signature.return_annotation
    if returns is signature.empty:
        words = "Any"
    else:
        words = returns if isinstance(returns, str) else inspect.formatannotation(returns)
    return signature.replace(return_annotation=f"Outcome[{words}]")


def _instant(name: str, moment: object) -> instant.Instant:
    if not isinstance(moment, datetime):
        raise UsageError(f"{name}={moment!r} is no datetime")
    if moment.tzinfo is None:
        raise UsageError(
            f"{name}={moment.isoformat()} has no zone",
            hint="Write datetime(…, tzinfo=UTC) or ZoneInfo(…).",
        )
    return instant.from_datetime(moment)


def reason_of(reason: object) -> str:
    """A reason as it is recorded; raises UsageError for none."""
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError("force needs a reason; it is recorded beside the run")
    return reason.strip()[:500]


def caller() -> str:
    """Who asks, for the record: user and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}, process {os.getpid()}"
