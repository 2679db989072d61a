"""Typed values of the key-value store, as JSON text and back to the same type.

What JSON has is written as it is; everything else as an object with one key that names its type:
`{"$date":"2026-11-22"}`. The same value always gives the same text, so that texts can be compared.
Reading never imports or calls anything that the text names, so a store that somebody else wrote to
can at worst be refused. A class of the application is therefore only read where the caller brings
the class.

What is not kept: the order of a dict's keys (they are sorted), and the name, beside its offset, of
a `datetime.timezone`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn, TypeVar, overload

from sexton.core import scalar
from sexton.core.errors import ValueRefused
from sexton.core.scalar import INT_BITS_MAX, INT_DIGITS_MAX, SCALARS
from sexton.core.typed import Typed, is_typed_class, name_of, put_together, take_apart, typed_in

T = TypeVar("T")

TEXT_BYTES_MAX = 1_048_576
DEPTH_MAX = 32

_COLLECTIONS: dict[str, type] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}
_TYPED = "$typed"

_TAG_OF_SCALAR = {single.cls: tag for tag, single in SCALARS.items() if tag != "$int"}
_TAG_OF_COLLECTION = {cls: tag for tag, cls in _COLLECTIONS.items()}
_KNOWN = {bool, int, float, str, *_TAG_OF_SCALAR, *_TAG_OF_COLLECTION, list, dict}
_TIGHT = (",", ":")


def encode(value: object) -> str:
    """The canonical JSON text of a value.

    Kept: None, bool, int, float, str, bytes, list, tuple, dict with str keys, set, frozenset,
    datetime (naive, fixed offset, ZoneInfo), date, time, timedelta, Decimal, UUID, in each other to
    a depth of 32; and dataclasses, msgspec structs and enums, outside sets.
    Raises ValueRefused for everything else, for subclasses of these, for nan and infinities, and
    beyond 1 MiB of text.
    """
    tree = _Writer().write(value, "value", 0)
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=_TIGHT)
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise _too_big()
    return text


def decode(text: str) -> object:
    """The value that `encode` was given, of the same type.

    Raises ValueRefused if the text is not what `encode` writes, or holds a class of the application
    (see `decode_as`).
    """
    value = _read(text)
    if typed := typed_in(value):
        raise ValueRefused(
            f"This is stored as {typed.name}: "
            f"read it with kv.get(key, {typed.name.rpartition('.')[2]})."
        )
    return value


@overload
def decode_as(text: str, wanted: type[T]) -> T: ...
@overload
def decode_as(text: str, wanted: Any) -> Any: ...
def decode_as(text: str, wanted: Any) -> Any:
    """The value that `encode` was given, as `wanted`: a type, `list[Totals]`, `int | None`.

    A class may have gained fields with defaults since; a field that it no longer has is refused,
    and so is another class's value, even if its fields would fit.
    Raises ValueRefused, naming the stored and the wanted type.
    """
    return put_together(_read(text), wanted)


def _refuse(path: str, why: str) -> NoReturn:
    raise ValueRefused(f"{_at(path)}{why}")


def _at(path: str) -> str:
    return "" if path == "value" else f"At {path}: "


def _too_big() -> ValueRefused:
    return ValueRefused(
        "This value takes more than 1 MiB as text: keep it in a file and its name here."
    )


# --- writing ---


class _Writer:
    """Turns a value into what JSON has; one for each value, since it counts."""

    def __init__(self) -> None:
        # Each part takes a character at least. A list that holds itself twice doubles with each
        # level: without a count it would fill the memory before anything is measured.
        self.parts_left = TEXT_BYTES_MAX
        self.sets_open = 0

    def write(self, value: object, path: str, depth: int) -> object:
        cls = type(value)
        self.parts_left -= 1
        if self.parts_left < 0:
            raise _too_big()
        if depth > DEPTH_MAX:
            _refuse(
                "value",
                f"A value may be {DEPTH_MAX} levels deep; this one is deeper, or holds itself.",
            )
        if value is None or cls is bool:
            return value
        if cls in _PLAIN:
            return _PLAIN[cls](value, path)
        if cls in _TAG_OF_SCALAR:
            return _write_scalar(value, _TAG_OF_SCALAR[cls], path)
        if isinstance(value, dict) and cls is dict:
            return self._write_dict(value, path, depth)
        if isinstance(value, list) and cls is list:
            return self._write_all(value, path, depth)
        if isinstance(value, tuple) and cls is tuple:
            return {"$tuple": self._write_all(value, path, depth)}
        if isinstance(value, (set, frozenset)) and cls in _TAG_OF_COLLECTION:
            return {_TAG_OF_COLLECTION[cls]: self._write_set(value, path, depth)}
        return self._write_typed(value, path, depth)

    def _write_dict(self, value: dict[object, object], path: str, depth: int) -> object:
        for key in value:
            if type(key) is not str:
                _refuse(path, f"A dict's keys must be str, not {name_of(type(key))}.")
            _write_str(key, path)
        return {
            ("$" + key if key.startswith("$") else key): self.write(
                item, f"{path}[{key!r}]", depth + 1
            )
            for key, item in value.items()
            if isinstance(key, str)
        }

    def _write_all(self, value: list[object] | tuple[object, ...], path: str, depth: int) -> object:
        return [self.write(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)]

    def _write_set(self, value: set[object] | frozenset[object], path: str, depth: int) -> object:
        """The elements by their texts: a set's own order is another in each process."""
        inside = f"{path}[…]"
        self.sets_open += 1
        written = [self.write(item, inside, depth + 1) for item in value]
        self.sets_open -= 1
        return sorted(written, key=lambda item: json.dumps(item, sort_keys=True))

    def _write_typed(self, value: object, path: str, depth: int) -> object:
        if not is_typed_class(type(value)):
            _refuse_class(type(value), path)
        if self.sets_open:
            _refuse(path, f"A {name_of(type(value))} cannot be kept in a set: use a list.")
        try:
            typed = take_apart(value)
        except ValueRefused as refusal:
            _refuse(path, str(refusal))
        return {_TYPED: [typed.name, self.write(typed.body, path, depth + 1)]}


def _write_int(value: Any, _path: str) -> object:
    return value if value.bit_length() <= INT_BITS_MAX else {"$int": hex(value)}


def _write_float(value: Any, path: str) -> object:
    if not isfinite(value):
        _refuse(path, f"The float {value} cannot be kept: JSON has no word for it.")
    return value


def _write_str(value: str, path: str) -> str:
    if len(value) > TEXT_BYTES_MAX:
        raise _too_big()
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(path, "A str with lone surrogates is not text: keep it as bytes.")
    return value


_PLAIN: dict[type, Callable[[Any, str], object]] = {
    int: _write_int,
    float: _write_float,
    str: _write_str,
}


def _write_scalar(value: Any, tag: str, path: str) -> object:
    if type(value) is bytes and len(value) > TEXT_BYTES_MAX:
        raise _too_big()
    try:
        return {tag: SCALARS[tag].write(value)}
    except ValueError as error:
        _refuse(path, f"This {name_of(type(value))} cannot be kept: {error}.")


def _refuse_class(cls: type, path: str) -> NoReturn:
    base = next((known for known in cls.__mro__ if known in _KNOWN), None)
    if base is None:
        _refuse(path, f"A {name_of(cls)} cannot be kept: make it numbers, text or a dataclass.")
    _refuse(
        path,
        f"A {name_of(cls)} is a {name_of(base)} of another class, which would not come back: "
        f"convert it with {name_of(base)}(…) first.",
    )


# --- reading ---


def _read(text: str) -> object:
    """The value of a text; objects of the application's classes as `_Typed`."""
    if len(text) > TEXT_BYTES_MAX or len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        raise _too_big()
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_parse_float,
        )
    except json.JSONDecodeError as error:
        raise ValueRefused(f"This is not the JSON text of one value: {error}.") from None
    except RecursionError:
        raise ValueRefused(f"A value may be {DEPTH_MAX} levels deep; this one is deeper.") from None
    return _read_tree(tree, "value", 0)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueRefused(f"The text names a key twice, among {sorted(found)[:10]}.")
    return found


def _parse_int(digits: str) -> int:
    if len(digits) > INT_DIGITS_MAX:
        raise ValueRefused(f"An integer of {len(digits)} digits must be written as $int, in hex.")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueRefused(f"The number {digits[:40]} has no value that could be kept.")
    return value


def _read_tree(tree: object, path: str, depth: int) -> object:
    if depth > DEPTH_MAX:
        _refuse("value", f"A value may be {DEPTH_MAX} levels deep; this one is deeper.")
    if isinstance(tree, str):
        return _write_str(tree, path)
    if isinstance(tree, list):
        return [_read_tree(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(tree)]
    if isinstance(tree, dict):
        tag = next((key for key in tree if key.startswith("$") and not key.startswith("$$")), None)
        return (
            _read_dict(tree, path, depth) if tag is None else _read_tagged(tree, tag, path, depth)
        )
    return tree


def _read_dict(tree: dict[str, object], path: str, depth: int) -> dict[str, object]:
    return {
        _write_str(key, path).removeprefix("$"): _read_tree(item, f"{path}[{key!r}]", depth + 1)
        for key, item in tree.items()
    }


def _read_tagged(tree: dict[str, object], tag: str, path: str, depth: int) -> object:
    if len(tree) != 1:
        _refuse(path, f"The tag {tag[:40]!r} does not stand alone.")
    inside = tree[tag]
    if tag in SCALARS:
        return _read_scalar(inside, tag, path)
    if tag in _COLLECTIONS and isinstance(inside, list):
        items = _read_tree(inside, path, depth)
        return _read_collection(items, tag, path) if isinstance(items, list) else items
    if tag == _TYPED and isinstance(inside, list) and len(inside) == 2:
        return _read_typed(inside[0], inside[1], path, depth)
    _refuse(path, f"The tag {tag[:40]!r} is unknown here: a newer Sexton may have written it.")


def _read_typed(name: object, inside: object, path: str, depth: int) -> Typed:
    body = _read_tree(inside, path, depth + 1)
    if not isinstance(name, str) or typed_in(body):
        _refuse(path, f"{_TYPED} takes a name and plain fields.")
    return Typed(name, body)


def _read_scalar(inside: object, tag: str, path: str) -> object:
    try:
        return scalar.read(tag, inside)
    except ValueError as error:
        _refuse(path, f"{tag} cannot be read: {error}.")


def _read_collection(items: list[object], tag: str, path: str) -> object:
    if tag == "$tuple":
        return tuple(items)
    try:
        found = _COLLECTIONS[tag](items)
    except TypeError:
        _refuse(path, "A set holds a list or another thing that cannot be in a set.")
    if len(found) != len(items) or typed_in(items):
        _refuse(path, "A set names an element twice, or holds an object of a class.")
    return found
