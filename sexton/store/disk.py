"""What a file system says of a store that cannot be used: the library only knows that it failed."""

from __future__ import annotations

import os

from sexton.core.errors import StoreError

SHM_BYTES = 32_768  # what the file of the shared memory takes: without it nothing can be read


def why(path: str) -> StoreError | None:
    """That it is mounted read-only, or full; None if it is neither, or cannot be asked."""
    try:
        found = os.statvfs(os.path.dirname(path))
    except OSError:
        return None
    if found.f_flag & os.ST_RDONLY:
        return StoreError(
            f"the file system of {path} is mounted read-only",
            hint="Mount it for writing; if it was, the kernel's log says what happened: dmesg.",
        )
    return full(path) if found.f_bavail * found.f_frsize < SHM_BYTES else None


def full(path: str) -> StoreError:
    return StoreError(f"no space is left for {path}", hint="Free some disk space.")
