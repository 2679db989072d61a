"""Objects of the application's own classes, for the key-value store.

A dataclass, an msgspec struct or an enum is stored as its fields under the qualified name of its
class. The name only lets us say whose value it is: the class to read with comes from the caller.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

import msgspec

from sexton.core.errors import ValueRefused
from sexton.core.scalar import SCALARS

# msgspec leaves these as they are, so that zones and the like survive inside of objects too.
_KEPT = tuple(scalar.cls for tag, scalar in SCALARS.items() if tag != "$int")
_MSGSPEC_ERRORS = (msgspec.ValidationError, TypeError, NameError, RecursionError)


@dataclasses.dataclass(frozen=True)
class Typed:
    """A stored object whose class is only named; `body` is what msgspec made of its fields."""

    name: str
    body: object


def name_of(cls: type) -> str:
    where = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return where + cls.__qualname__


def is_typed_class(cls: type) -> bool:
    return issubclass(cls, (msgspec.Struct, Enum)) or dataclasses.is_dataclass(cls)


def take_apart(value: object) -> Typed:
    """The fields of an object, proved to come back equal.

    Raises ValueRefused, in a sentence without a place.
    """
    cls = type(value)
    if cls.__module__ == "__main__":
        raise ValueRefused(
            f"The class {cls.__qualname__} is defined in the script that was started, and has "
            "another name elsewhere: move it to a module."
        )
    try:
        body = msgspec.to_builtins(value, builtin_types=_KEPT, str_keys=True, order="deterministic")
        again = _convert(body, cls)
    except _MSGSPEC_ERRORS as error:
        raise ValueRefused(f"A {name_of(cls)} cannot be kept: {error}.") from None
    if _is_compared(cls) and again != value:
        raise ValueRefused(
            f"This {name_of(cls)} would not come back equal: declare the types of its fields "
            "(a set in a field of type object comes back as a list), and use no nan."
        )
    return Typed(name_of(cls), body)


def put_together(stored: object, wanted: Any) -> Any:
    """What was stored, with its `Typed` parts, as `wanted`.

    Raises ValueRefused if it is another type's value, or has fields that the class has not.
    """
    try:
        value = _convert(_bodies(stored), wanted)
    except _MSGSPEC_ERRORS as error:
        raise _mismatch(stored, wanted, f": {error}") from None
    _compare(stored, value, wanted)
    return value


def typed_in(value: object) -> Typed | None:
    """The first stored object in a value, if there is one; sets hold none."""
    if isinstance(value, Typed):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((hit for item in value if (hit := typed_in(item))), None)
    return None


def _convert(body: object, wanted: Any) -> Any:
    return msgspec.convert(body, wanted, strict=True, builtin_types=_KEPT, str_keys=True)


def _is_compared(cls: type) -> bool:
    """Whether two objects of a class can be equal at all without being the same one."""
    if issubclass(cls, msgspec.Struct) and not cls.__struct_config__.eq:
        return "__eq__" in vars(cls)
    return any("__eq__" in vars(base) for base in cls.__mro__ if base is not object)


def _bodies(value: object) -> object:
    """The value with each stored object replaced by its fields, for msgspec to convert."""
    if isinstance(value, Typed):
        return value.body
    if isinstance(value, dict):
        return {key: _bodies(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_bodies(item) for item in value)
    return value


def _mismatch(stored: object, wanted: Any, why: str = "") -> ValueRefused:
    have = stored.name if isinstance(stored, Typed) else name_of(type(stored))
    want = name_of(wanted) if isinstance(wanted, type) else str(wanted)
    return ValueRefused(f"This is stored as {have}, and was asked for as {want}{why}.")


def _compare(stored: object, value: object, wanted: Any) -> None:
    """Refuse what msgspec let pass: a set read as a list, an int as a float, another class."""
    if isinstance(stored, Typed):
        if stored.name != name_of(type(value)):
            raise _mismatch(stored, wanted)
        _refuse_unknown(stored.body, value, stored.name)
    elif type(stored) is not type(value):
        inside = f": a part of it is {name_of(type(stored))}, not {name_of(type(value))}"
        raise _mismatch(stored, wanted, inside)
    elif isinstance(stored, dict) and isinstance(value, dict):
        if stored.keys() != value.keys():
            raise _mismatch(stored, wanted, ": the keys of a stored dict are str")
        for key, item in stored.items():
            _compare(item, value[key], wanted)
    elif isinstance(stored, (list, tuple)) and isinstance(value, (list, tuple)):
        for item, read in zip(stored, value, strict=True):
            _compare(item, read, wanted)
    elif stored != value:
        raise _mismatch(stored, wanted, ": its elements are of other types")


def _refuse_unknown(body: object, value: object, name: str) -> None:
    """Refuse a stored field that the class no longer has: writing it back would lose it."""
    known = _fields(value)
    if isinstance(body, dict) and known is not None:
        for key, item in body.items():
            if key not in known:
                raise ValueRefused(f"The stored {name} has a field {key!r}; the class has none.")
            _refuse_unknown(item, known[key], name)
    elif isinstance(body, (list, tuple)) and isinstance(value, (list, tuple)):
        for item, read in zip(body, value, strict=False):
            _refuse_unknown(item, read, name)


def _fields(value: object) -> dict[str, object] | None:
    """The parts of an object under the names that they are stored under; None if it has none."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        fields = msgspec.structs.fields(value)
        parts = {field.encode_name: getattr(value, field.name) for field in fields}
        return {config.tag_field: config.tag, **parts} if config.tag_field else parts
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    return None
