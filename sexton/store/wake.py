"""The wake file beside a store: only *enqueue* touches it, so that a waiting tick, or a systemd
path unit, reacts at once. A wake that is lost costs at most a minute: the next tick looks anyway.
"""

from __future__ import annotations


def wake_path(store_path: str) -> str:
    return f"{store_path}.wake"


def touch(store_path: str) -> None:
    """Wake whoever waits; a failure is no error, since the row is there already."""
    try:
        with open(wake_path(store_path), "wb") as file:
            file.write(b"\n")
    except OSError:
        return
