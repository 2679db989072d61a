"""The store as one value: a connection and the nouns that live on it."""

from __future__ import annotations

import os

from sexton.core.errors import ConfigurationError, StoreError
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.ledger import Cap
from sexton.core.settings import Settings
from sexton.core.task import ANY_TARGET, Claim
from sexton.store import migrate
from sexton.store.connection import Unforked
from sexton.store.guards import StoreGuard
from sexton.store.kinds import Kinds
from sexton.store.kv import KeyValue
from sexton.store.ledger import Items, StoreLedger
from sexton.store.meta import Meta
from sexton.store.outbox import Outboxes
from sexton.store.queue import StoreQueue
from sexton.store.rounds import Rounds
from sexton.store.sqlite import Database
from sexton.store.sweeps import Sweeps
from sexton.store.tasks import Tasks
from sexton.store.upkeep import Upkeep

# SQLite's locks and shared memory do not work there; see sqlite.org/wal.html.
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "lustre",
        "gpfs",
        "ocfs2",
        "gfs2",
        "beegfs",
        "fuse.ceph",
        "davfs",
        "fuse.davfs2",
        "fuse.rclone",
    ]
)


class Store:
    def __init__(self, db: Database, settings: Settings | None = None) -> None:
        self.db = db
        self.settings = settings or Settings()
        self.kinds = Kinds(db)
        self.tasks = Tasks(db)
        self.items = Items(db)
        self.kv = KeyValue(db)
        self.rounds = Rounds(db, self.settings)
        self.sweeps = Sweeps(db)
        self.outboxes = Outboxes(db)
        self.meta = Meta(db)
        self.upkeep = Upkeep(db)

    def queue(self, owner: str, target: str = ANY_TARGET) -> StoreQueue:
        """The queue as one owner sees it: `owner` is the JSON of a `work.owner.Owner`."""
        return StoreQueue(self.db, self.settings, owner, target)

    def guard(self, owner: str) -> StoreGuard:
        return StoreGuard(self.db, self.settings, owner)

    def ledger(self, kind: Kind, claim: Claim, cap: Cap | None = None) -> StoreLedger:
        return StoreLedger(self.db, kind, claim, cap)

    def now(self) -> Instant:
        return self.db.now()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.db.path}"

    @property
    def is_ours(self) -> bool:
        return self.db.is_ours

    @property
    def is_current(self) -> bool:
        """Whether its file is still the one at its path."""
        return self.db.is_current

    def mark(self) -> None:
        """Remember beside the store that it was made, so that it is missed if it vanishes."""
        if not os.path.exists(migrate.marker_path(self.db.path)):
            migrate.write_marker(self.db.path, self.meta.get("id"))

    def close(self) -> None:
        self.db.close()


def open_sqlite(path: str, settings: Settings | None = None) -> Store:
    path = os.path.abspath(path)
    refuse_hidden(path)
    migrate.refuse_vanished(path)
    if not os.path.exists(path):
        raise ConfigurationError(
            f"there is no store at {path}",
            hint="Run `sexton init` once, in the directory of sexton.toml; or set SEXTON_STORE.",
        )
    refuse_network(path)
    with Unforked():
        db = Database(path)
        try:
            migrate.refuse_replaced(db)
            migrate.check(db)
        except BaseException:
            db.close()
            raise
    return Store(db, settings)


def create_sqlite(path: str, settings: Settings | None = None) -> Store:
    path = os.path.abspath(path)
    migrate.refuse_vanished(path)
    refuse_network(path)
    if not os.path.isdir(os.path.dirname(path)):
        raise StoreError(
            f"the directory of the store {path} does not exist",
            hint=f"Make it: mkdir -p {os.path.dirname(path)}",
        )
    old_umask = os.umask(0o027)
    try:
        db = Database(path, create=True)
        try:
            migrate.refuse_replaced(db)
            migrate.migrate(db)
            store = Store(db, settings)
            store.mark()
        except BaseException:
            db.close()
            raise
    finally:
        os.umask(old_umask)
    return store


def refuse_hidden(path: str) -> None:
    """Raise StoreError where it cannot be known whether there is a store: not for this user."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be reached: {error.strerror}",
            hint="Run this as the user whom the store's directory belongs to.",
        ) from error


def refuse_network(path: str, mounts: str = "/proc/self/mounts") -> None:
    """Raise ConfigurationError if the file lies on a network file system."""
    kind = file_system_of(os.path.realpath(path), mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigurationError(
            f"the store {path} lies on a network file system ({kind}), where SQLite cannot lock",
            hint="Put it on a local disk.",
        )


def file_system_of(path: str, mounts: str) -> str:
    """The type of the file system that holds this path; '' where it cannot be known."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" ") for line in file]
    except OSError:
        return ""
    best, kind = -1, ""
    for fields in lines:
        point = fields[1].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind
