"""A function's parameters as the typed payload of its kind: one declaration for calls and rows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace
from typing import Any, get_type_hints

import msgspec

from sexton.core.errors import DeclarationError, PayloadError

PAYLOAD_BYTES_MAX = 256 * 1024
TYPES = "Use types that JSON can carry: str, int, datetime, Enum, dataclass, …"
_PLAIN = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


class Payload:
    """What a kind's function takes. The types are resolved at first use, since a module's later
    names may stand in its annotations."""

    def __init__(self, kind: str, function: Callable[..., object]) -> None:
        self._kind = kind
        self._function = function
        self.signature = inspect.signature(function)
        for parameter in self.signature.parameters.values():
            if parameter.kind not in _PLAIN:
                raise DeclarationError(
                    f"the parameter {parameter} of {kind} cannot be kept in a row",
                    hint="Give each parameter a name and a type; no *args, no **kwargs, no '/'.",
                )
            if parameter.annotation is parameter.empty:
                raise DeclarationError(
                    f"the parameter {parameter} of {kind} has no type",
                    hint=f"Write one, as {parameter.name}: str; or Any, for all that JSON carries.",
                )

    @property
    def names(self) -> list[str]:
        return list(self.signature.parameters)

    @property
    def required(self) -> list[str]:
        parameters = self.signature.parameters.values()
        return [p.name for p in parameters if p.default is p.empty]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The arguments of a call as the text of a row, defaults filled in.

        Raises PayloadError naming what is wrong.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise PayloadError(f"{self._kind}: {error}") from error
        bound.apply_defaults()
        return self._encode(dict(bound.arguments))

    def _encode(self, arguments: dict[str, Any]) -> str:
        """Arguments as JSON, checked against their types; raises PayloadError naming the field."""
        if not self.names:
            return "{}"
        try:
            value = msgspec.convert(arguments, self.struct, strict=True, from_attributes=True)
            text = msgspec.json.encode(value)
            # What JSON has no word for, such as a nan, would only be found when the task runs.
            msgspec.json.decode(text, type=self.struct, strict=True)
            if b"null" in text:
                _refuse_unwritten(msgspec.to_builtins(value))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise PayloadError(f"{self._kind}: {error}") from error
        if len(text) > PAYLOAD_BYTES_MAX:
            raise PayloadError(
                f"{self._kind}: the payload has {len(text)} bytes, {PAYLOAD_BYTES_MAX} is the most",
                hint="Keep the data where it is, and pass its name.",
            )
        return text.decode()

    def decode(self, text: str) -> dict[str, Any]:
        """The arguments of a row; raises PayloadError naming the field, also an unknown one."""
        try:
            value = msgspec.json.decode(text, type=self.struct, strict=True)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PayloadError(f"{self._kind}: {error}") from error
        return {name: getattr(value, name) for name in self.names}

    def read(self, words: list[str]) -> str:
        """The payload of `name=value` words of a command line, each read as its type wants."""
        values: dict[str, Any] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or name not in self.names:
                takes = ", ".join(self.names) or "nothing"
                raise PayloadError(f"{self._kind} takes {takes}; {word!r} does not fit")
            if name in values:
                raise PayloadError(f"{self._kind}: {name} is given twice")
            values[name] = value
        try:
            payload = msgspec.convert(values, self.struct, strict=False, str_keys=True)
        except msgspec.ValidationError as error:
            raise PayloadError(f"{self._kind}: {error}") from error
        return self.bind((), {name: getattr(payload, name) for name in self.names})

    @cached_property
    def schema(self) -> str:
        """The payload's JSON Schema as one line; '' where there are no parameters."""
        if not self.names:
            return ""
        return msgspec.json.encode(msgspec.json.schema(self.struct)).decode()

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """The payload as a frozen shape with exactly its fields."""
        fields: list[Any] = []
        hints = self._hints()
        for parameter in self.signature.parameters.values():
            annotation = hints.get(parameter.name, parameter.annotation)
            self._refuse_type(parameter.name, annotation)
            default = () if parameter.default is parameter.empty else (parameter.default,)
            fields.append((parameter.name, annotation, *default))
        try:
            return msgspec.defstruct(
                self._kind, fields, kw_only=True, frozen=True, forbid_unknown_fields=True
            )
        except (TypeError, ValueError) as error:
            raise DeclarationError(
                f"the parameters of {self._kind} cannot be kept in a row: {error}", hint=TYPES
            ) from error

    def _hints(self) -> dict[str, Any]:
        """The parameters' types. What it returns goes into no row, so its type may be unknown."""
        function = inspect.unwrap(self._function)
        written = getattr(function, "__annotations__", {})
        parameters = {name: text for name, text in written.items() if name != "return"}
        try:
            return get_type_hints(
                SimpleNamespace(__annotations__=parameters),
                globalns=getattr(function, "__globals__", {}),
                include_extras=True,
            )
        except (TypeError, NameError, ValueError, SyntaxError) as error:
            raise DeclarationError(
                f"the parameters of {self._kind} cannot be kept in a row: {error}",
                hint="Import what their types name where the module runs, too.",
            ) from error

    def _refuse_type(self, name: str, annotation: Any) -> None:
        """Raise DeclarationError for a type that JSON cannot carry."""
        try:
            msgspec.json.schema(annotation)
        except (TypeError, ValueError) as error:
            raise DeclarationError(
                f"the parameter {name} of {self._kind} cannot be kept in a row:"
                f" JSON has nothing for {inspect.formatannotation(annotation)}",
                hint=TYPES,
            ) from error


def _refuse_unwritten(value: object) -> None:
    """Raise ValueError for a number that is none: JSON would carry it as null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no word for {value}")
    for part in value.values() if isinstance(value, dict) else ():
        _refuse_unwritten(part)
    for part in value if isinstance(value, list | tuple) else ():
        _refuse_unwritten(part)
