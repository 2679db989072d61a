"""An effect: what is done once for each item of a plan, and how it was declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from sexton.core.errors import DeclarationError, Permanent
from sexton.core.item import Item, key_text
from sexton.core.ledger import Cap, Ended

WIDTH_MAX = 256
NOTE_LENGTH_MAX = 500


@dataclass(frozen=True)
class Effect:
    """`function(thing)` or `function(thing, item)`, and its declaration.

    `key`, `cap.per`: a field of the thing, or for `key` a function of it. `width`: how many at
    the same time, in threads. `permanent`: exceptions that no further try can mend.
    `failures_max`: after so many failed items an attempt begins no more. `probe(item)`: whether an
    item in doubt was done; None: it cannot tell.
    """

    function: Callable[..., object]
    key: str | Callable[[Any], object]
    takes_item: bool
    cap: Cap | None = None
    width: int = 1
    permanent: tuple[type[Exception], ...] = ()
    failures_max: int = 100
    probe: Callable[[Item], bool | None] | None = None

    def key_of(self, thing: object) -> str:
        value = self.key(thing) if callable(self.key) else field_of(thing, self.key)
        return key_text(value)

    def whom_of(self, thing: object) -> str:
        """Whose cap it counts for, '' where there is none; raises if there is no such text."""
        if self.cap is None:
            return ""
        whom = str(field_of(thing, self.cap.per))
        whom.encode()
        return whom

    def run(self, thing: object, item: Item) -> Ended:
        """Do it for one item; what it raises is that item's."""
        try:
            value = self.function(thing, item) if self.takes_item else self.function(thing)
            if value is not None:
                refuse_unrun(value)
        except Permanent as error:
            return Ended(item.key, "Rejected", said(error))
        except self.permanent as error:
            return Ended(item.key, "Rejected", said(error))
        except Exception as error:  # noqa: BLE001 -- foreign code: one bad item stops no other
            return Ended(item.key, "Failed", said(error))
        return Ended(item.key, "Done")


def field_of(thing: object, name: str) -> object:
    """A field by its name: of a mapping, else an attribute; raises TypeError that names it."""
    try:
        # A dict is asked for first: whether something is a Mapping takes long to find out.
        return thing[name] if isinstance(thing, (dict, Mapping)) else getattr(thing, name)
    except (KeyError, AttributeError):
        raise TypeError(f"a planned {type(thing).__name__} has no {name!r}") from None


def said(error: BaseException) -> str:
    """An exception in one line of bounded length, safe to keep in a row."""
    name = type(error).__name__
    try:
        text = " ".join(f"{name}: {error}".split())
    except Exception:  # noqa: BLE001 -- foreign code: an exception may fail to say itself
        text = name
    return text.encode("utf-8", "backslashreplace").decode()[:NOTE_LENGTH_MAX]


def refuse_unrun(value: object) -> None:
    """Raise TypeError for what a body returned that has yet to be run: then nothing was done."""
    if isinstance(value, _UNRUN):
        name = type(value).__name__.replace("_", " ")
        raise TypeError(f"it returned a {name}, which nobody runs: nothing was done")


_UNRUN = (GeneratorType, CoroutineType, AsyncGeneratorType)


def takes_item(function: Callable[..., object]) -> bool:
    """Whether an effect takes `(thing, item)`; raises DeclarationError if it takes neither."""
    count = sum(
        parameter.default is parameter.empty
        and parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        for parameter in inspect.signature(function).parameters.values()
    )
    if count not in {1, 2}:
        raise DeclarationError(
            f"the effect {function.__name__} takes {count} arguments",
            hint="Write it as f(thing) or f(thing, item).",
        )
    return count == 2  # noqa: PLR2004 -- thing and item
