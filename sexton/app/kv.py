"""The key-value store: typed state of the application, on the database, never pickled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any, TypeVar, overload

from sexton.app.door import Door
from sexton.core import value
from sexton.core.errors import StoreBusy, ValueRefused

T = TypeVar("T")
D = TypeVar("D")
UPDATE_TRIES_MAX = 100


class KV:
    """`app.kv["last_sent_at"] = datetime.now(UTC)`, and back as the same type.

    Values are JSON-typed: None, bool, int, float, str, bytes, list, tuple, dict with str keys,
    set, datetime, date, time, timedelta, Decimal, UUID; and dataclasses, msgspec structs and
    enums, which are read with `get(key, Type)`. A set is on disk when it returns.
    """

    def __init__(self, app: Door) -> None:
        self._app = app

    def __setitem__(self, key: str, new: object) -> None:
        self._app.writable.kv.put(key, value.encode(new))

    def __getitem__(self, key: str) -> Any:
        """Raises KeyError if the key is not there."""
        found = self._app.store.kv.get(key)
        if found is None:
            raise KeyError(key)
        return value.decode(found[0])

    def __delitem__(self, key: str) -> None:
        if not self._app.writable.kv.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._app.store.kv.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that start so, in order."""
        for key, _ in self._scan(prefix):
            yield key

    @overload
    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]: ...
    @overload
    def items(self, prefix: str, type: type[T]) -> Iterator[tuple[str, T]]: ...
    def items(self, prefix: str = "", type: Any = None) -> Iterator[tuple[str, Any]]:  # noqa: A002
        """The keys that start so, in order, with their values, as this type if one is given."""
        for key, text in self._scan(prefix):
            yield key, value.decode(text) if type is None else value.decode_as(text, type)

    def _scan(self, prefix: object) -> Iterator[tuple[str, str]]:
        if not isinstance(prefix, str):
            raise ValueRefused(f"a prefix must be a text, not {prefix!r:.60}")
        return self._app.store.kv.scan(prefix)

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, type: type[T]) -> T | None: ...
    @overload
    def get(self, key: str, type: type[T], default: D) -> T | D: ...
    @overload
    def get(self, key: str, type: UnionType, default: Any = None) -> Any: ...
    def get(self, key: str, type: Any = None, default: Any = None) -> Any:  # noqa: A002
        """The value as this type, or the default if the key is not there.

        Raises ValueRefused if what is stored is not of the type.
        """
        found = self._app.store.kv.get(key)
        if found is None:
            return default
        return value.decode(found[0]) if type is None else value.decode_as(found[0], type)

    @overload
    def update(self, key: str, function: Callable[[Any], T]) -> T: ...
    @overload
    def update(self, key: str, function: Callable[[T], T], type: type[T], default: T) -> T: ...
    def update(
        self,
        key: str,
        function: Callable[[Any], Any],
        type: Any = None,  # noqa: A002
        default: Any = None,
    ) -> Any:
        """Set a key to a function of its value, as compare-and-set; return the new value.

        The function may be called several times, if others change the key meanwhile: it must have
        no effects. It gets the default where the key is not there. Raises StoreBusy after 100
        tries that all lost.
        """
        kv = self._app.writable.kv
        for _ in range(UPDATE_TRIES_MAX):
            found = kv.get(key)
            old = default
            if found is not None:
                old = value.decode(found[0]) if type is None else value.decode_as(found[0], type)
            new = function(old)
            if kv.replace(key, value.encode(new), found[1] if found else None):
                return new
        raise StoreBusy(f"{key!r} was changed by others {UPDATE_TRIES_MAX} times in a row")
