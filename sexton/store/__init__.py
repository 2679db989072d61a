"""What Sexton remembers. The only room with SQL.

`open_store(url)` opens an existing store, `create_store(url)` makes one. A store is one
connection of one thread of one process.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sexton.core.settings import Settings
    from sexton.store.store import Store


def open_store(url: str, settings: Settings | None = None) -> Store:
    """Open an existing store; raises StoreError, StoreMissing or SchemaError."""
    from sexton.store.store import open_sqlite  # noqa: PLC0415 -- the idle tick does without it

    return open_sqlite(path_of(url), settings)


def create_store(url: str, settings: Settings | None = None) -> Store:
    """Make a store, or bring an existing one to this version's schema, and open it."""
    from sexton.store.store import create_sqlite  # noqa: PLC0415

    return create_sqlite(path_of(url), settings)


def path_of(url: str) -> str:
    """The file of a `sqlite:///PATH` URL; raises ConfigurationError for any other."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and len(url) > len(prefix) and "\x00" not in url:
        return url[len(prefix) :]
    from sexton.core.errors import ConfigurationError  # noqa: PLC0415

    raise ConfigurationError(
        f"the store {url!r} is not understood",
        hint="Write sqlite:///sexton.db for a file here, or sqlite:////var/lib/app/sexton.db.",
    )
