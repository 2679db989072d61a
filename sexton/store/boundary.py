"""Where a run can be cut off: before each statement of a store, and after each commit.

Nothing that is not on disk survives there, and nothing that is on disk is lost: so a run that is
killed at every boundary in turn has been killed in every state that a crash can leave behind.
For crash tests; a process that never calls `watch` pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

STATEMENT_LENGTH_MAX = 200


def watch(told: Callable[[str], None]) -> None:
    """Tell of every boundary that this process reaches on connections opened from now on.

    `told` gets one line: `before INSERT INTO …` or `after COMMIT`. It lasts until the process ends.
    """

    def before(_cursor: object, statement: str, _values: object) -> bool:
        told(f"before {' '.join(statement.split())[:STATEMENT_LENGTH_MAX]}")
        return True

    def after(event: dict[str, Any]) -> None:
        if event["sql"] == "COMMIT":
            told("after COMMIT")

    def look(connection: apsw.Connection) -> None:
        connection.exec_trace = before
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, after)

    apsw.connection_hooks.append(look)
