"""A plan and its effect: who, and what is done once for each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, overload

import msgspec

from sexton.app.declare import refuse_async, refuse_generator
from sexton.app.door import Door
from sexton.app.preview import Preview, Rehearsal, standing
from sexton.app.task import Task, caller
from sexton.core.errors import DeclarationError
from sexton.core.item import Item
from sexton.core.kind import InDoubt, Kind
from sexton.core.ledger import parse_cap
from sexton.core.queue import Call
from sexton.core.task import Reason, Result
from sexton.work.effect import WIDTH_MAX, Effect, takes_item
from sexton.work.guard import Body, Run
from sexton.work.holder import nonce
from sexton.work.serve import Serving

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")

# Called with the counts so far and how many the plan holds, None where it does not say.
Progress = Callable[["Counter[str]", "int | None"], None]


class Decorator(Protocol[T]):
    """Takes `f(thing)` or `f(thing, item)` and gives the same function back."""

    @overload
    def __call__(self, function: Callable[[T, Item], A], /) -> Callable[[T, Item], A]: ...
    @overload
    def __call__(self, function: Callable[[T], A], /) -> Callable[[T], A]: ...


def _are_exceptions(given: object) -> bool:
    """Whether it is what an `except` takes: a tuple of exception classes."""
    return isinstance(given, tuple) and all(
        isinstance(kind, type) and issubclass(kind, Exception) for kind in given
    )


def _is_whole(given: object, most: float = float("inf")) -> bool:
    return type(given) is int and 1 <= given <= most


class Terms(NamedTuple):
    """What `each` takes, as it was given."""

    key: str | Callable[[Any], object]
    cap: str | None
    width: int
    in_doubt: Literal["park", "retry", "skip"] | Callable[[Item], bool | None]
    permanent: tuple[type[Exception], ...]
    max_failures: int

    def refuse_wrong(self, name: str) -> None:
        """Raise DeclarationError for what cannot work."""
        if not callable(self.in_doubt) and self.in_doubt not in ("park", "retry", "skip"):
            raise DeclarationError(
                f"{name}: in_doubt= must be park, retry, skip, or a function of the item"
            )
        if not callable(self.key) and (type(self.key) is not str or not self.key):
            raise DeclarationError(f"{name}: key= must be a field's name, or a function")
        if type(self.cap) not in (str, NoneType):
            raise DeclarationError(f"{name}: cap= must be a text, as '1/day per email'")
        if not _are_exceptions(self.permanent):
            raise DeclarationError(f"{name}: permanent= must be a tuple of exception classes")
        if not (_is_whole(self.width, WIDTH_MAX) and _is_whole(self.max_failures)):
            raise DeclarationError(
                f"{name}: width= must be a whole number from 1 to {WIDTH_MAX},"
                " max_failures= one from 1"
            )

    @property
    def policy(self) -> InDoubt:
        return "probe" if callable(self.in_doubt) else self.in_doubt

    def effect(self, function: Callable[..., Any], name: str) -> Effect:
        """The effect that these declare; raises DeclarationError for a cap that says nothing."""
        return Effect(
            function,
            self.key,
            takes_item(function),
            parse_cap(self.cap, name) if self.cap else None,
            self.width,
            self.permanent,
            self.max_failures,
            self.in_doubt if callable(self.in_doubt) else None,
        )


class Plan(Task[P, None], Generic[P, T]):
    """A registered plan. Calling it serves each item once, through guard and ledger."""

    def __init__(self, app: Door, kind: Kind, function: Callable[P, Iterable[T]]) -> None:
        super().__init__(app, kind, function)  # type: ignore[arg-type]
        self.__signature__ = self.__signature__.replace(return_annotation="Outcome[None]")
        self._plan: Callable[..., Iterable[T]] = function
        self._effect: Effect | None = None
        self.progress: Progress | None = None
        # Asked before each item, as an attempt's own deadline is: whether and why to begin no more.
        self.stop: Callable[[], Reason] | None = None

    @property
    def effect(self) -> Effect:
        """Raises DeclarationError if no effect was declared."""
        if self._effect is None:
            raise DeclarationError(
                f"the plan {self.name} has no effect",
                hint=f"Declare one: @{self.name}.each(key='id') above a function f(thing, item).",
            )
        return self._effect

    @property
    def kind(self) -> Kind:
        self.effect  # noqa: B018 -- a plan without an effect is not registered
        return super().kind

    def each(
        self,
        *,
        key: str | Callable[[T], object],
        cap: str | None = None,
        width: int = 1,
        in_doubt: Literal["park", "retry", "skip"] | Callable[[Item], bool | None] = "park",
        permanent: tuple[type[Exception], ...] = (),
        max_failures: int = 100,
    ) -> Decorator[T]:
        """Declare the effect: it is done once for each key of a period.

        key: a field of the thing, or a function of it; int, str or UUID. cap: `"1/day per email"`.
        width: how many at the same time, in threads. in_doubt: what is done about an item that was
        begun by a run which died: park it for a person, try it again, skip it, or look by a
        function of the item that answers whether it was done. permanent: exceptions that no
        further try can mend. max_failures: after so many failed items an attempt begins no more.
        """
        if self._effect is not None:
            raise DeclarationError(f"the plan {self.name} has an effect already")
        terms = Terms(key, cap, width, in_doubt, permanent, max_failures)
        terms.refuse_wrong(self.name)

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            refuse_async(function)
            refuse_generator(function)
            self._effect = terms.effect(function, self.name)
            self._kind = msgspec.structs.replace(self._kind, in_doubt=terms.policy)
            return function

        return declare

    def plan(self, /, *args: P.args, **kwargs: P.kwargs) -> Preview:
        """Count whom a call now would touch; touches nobody and records nothing."""
        kind, payload = self.kind, self.payload.bind(args, kwargs)
        call = Call(nonce=nonce(), payload=payload, by=caller())
        found = standing(self._app.here, kind, call)
        things = self._plan(**self.payload.decode(payload))
        counts, keys = Rehearsal(found, self.effect).of(things)
        if found.touches_nobody:
            keys = []
        counts["to serve"] = len(keys)
        period = found.scope or "of its own"
        return Preview(self.name, period, keys, dict(counts), found.skipped)

    def _stop_of(self, run: Run) -> Callable[[], Reason]:
        asked = self.stop
        return run.stop if asked is None else lambda: asked() or run.stop()

    def body(self, arguments: dict[str, Any]) -> Body:
        """What runs under a claim: serve each item, with the ledger as the judge."""

        def serve(run: Run) -> tuple[Result, None]:
            ledger = self._app.store.ledger(self.kind, run.claim, self.effect.cap)
            serving = Serving(
                run.claim,
                self.effect,
                ledger,
                stop=self._stop_of(run),
                progress=self.progress,
            )
            return serving.run(lambda: self._plan(**arguments)), None

        return serve
