"""How commands speak: text for people, `--json` for programs, colour only on terminals."""

from __future__ import annotations

import sys

import msgspec


def say_json(value: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
