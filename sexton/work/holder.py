"""The owner of a claim, and a task's own process, as text in a row and back."""

from __future__ import annotations

import os

import msgspec

from sexton.work.owner import Owner


class _Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`Owner` with names, as JSON in the column `owner`."""

    host: str
    boot_id: str
    pid_ns: str
    pid: int
    start: int


class Leader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task's own process: the leader of its group and session. `start` in clock ticks."""

    pid: int
    start: int


def encode_owner(owner: Owner) -> str:
    return msgspec.json.encode(_Named(*owner)).decode()


def decode_owner(text: str) -> Owner:
    named = msgspec.json.decode(text, type=_Named)
    return Owner.of(named.host, named.boot_id, named.pid_ns, named.pid, named.start)


def encode_leader(pid: int, start: int) -> str:
    return msgspec.json.encode(Leader(pid, start)).decode()


def decode_leader(text: str) -> Leader | None:
    """None: the task runs, or ran, in its caller's process."""
    return msgspec.json.decode(text, type=Leader) if text else None


def nonce() -> str:
    """A claim's name: 128 random bits in hex; also the cookie of all its processes."""
    return os.urandom(16).hex()
