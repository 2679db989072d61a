"""A kind: the registered definition that a task names, as plain data.

What runs (a function, an argv) stays in the process that declared it; this is what the store
keeps so that the tick can schedule, claim, limit and settle without importing the application.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from sexton.core.duration import HOUR_US, MINUTE_US
from sexton.core.errors import UsageError
from sexton.core.retry import Retry

Family = Literal["task", "plan", "command", "once", "builtin"]
CatchUp = Literal["latest", "all", "none"]
InDoubt = Literal["park", "retry", "skip", "probe"]
Isolation = Literal["process", "inline"]

OUTPUT_BYTES_MAX = 1 << 20
TIMEOUT_US = HOUR_US
LATE_US = 5 * MINUTE_US  # catch-up "none" runs a period found within this time of its moment
CATCH_UP_MAX = 100


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of a task's own process; 0 means the machine's own. See setrlimit(2)."""

    memory_bytes: int = 0
    processes: int = 0
    cpu_s: int = 0
    open_files: int = 0
    file_bytes: int = 0


class Kind(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One registered definition. Lengths are microseconds; 0 and '' mean "not declared"."""

    name: str
    family: Family = "task"
    summary: str = ""
    schedule: str = ""
    tz: str = "UTC"
    every_us: int = 0
    min_gap_us: int = 0
    early_us: int = 0
    expires_us: int = 0
    catch_up: CatchUp = "latest"
    catch_up_max: int = CATCH_UP_MAX
    retry: Retry = Retry()
    timeout_us: int = TIMEOUT_US
    isolation: Isolation = "process"
    key: str | None = None  # a payload field; '' = one at a time, joined; None = the task's own id
    lane: str = ""
    priority: int = 0
    output_bytes_max: int = OUTPUT_BYTES_MAX
    limits: Limits = Limits()
    ends_with_reboot: bool = False
    in_doubt: InDoubt = "park"
    scope: str = ""
    payload_schema: str = ""  # JSON Schema of the payload, for people and other languages

    @property
    def has_schedule(self) -> bool:
        return bool(self.schedule or self.every_us)

    @property
    def is_guarded(self) -> bool:
        """Once per period or per gap, so that its tasks have no key of their own."""
        return self.has_schedule or self.min_gap_us > 0

    def key_of(self, payload: Mapping[str, object]) -> str | None:
        """What makes a task of this kind distinct, given its payload as JSON has it.

        None: its own id, or nothing where it is guarded. Raises UsageError if the payload lacks the
        field.
        """
        if self.is_guarded or not self.key:
            return None if self.is_guarded else self.key
        if self.key not in payload:
            raise UsageError(f"{self.name}: the payload has no {self.key}, which is its key")
        value = payload[self.key]
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def lane_of(self, target: str, key: str) -> str:
        """What must not run twice at the same time: kind, target and key, or the lane declared.

        The parts are told apart by U+001F, which no name and no key may hold.
        """
        return f"lane\x1f{self.lane}" if self.lane else f"{self.name}\x1f{target}\x1f{key}"


def encode(kind: Kind) -> str:
    """One line of JSON, the same for the same kind."""
    return msgspec.json.encode(kind).decode()


def decode(text: str) -> Kind:
    return msgspec.json.decode(text, type=Kind)
