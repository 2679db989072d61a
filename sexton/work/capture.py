"""What a process wrote, within bounds: the head and the tail of its output, and its result lines.

Bytes come in as they are and are kept as they are; only `shown` makes text of them, in which
nothing can move a cursor, colour a terminal or hide a word. However much is written, memory is
bounded and the writer is never held up: what does not fit is dropped and counted.
"""

from __future__ import annotations

from collections import deque

OUTPUT_BYTES_MAX = 1024 * 1024
FRESH_BYTES_MAX = 256 * 1024
LINES_BYTES_MAX = 1024 * 1024


class Capture:
    """The first and the last `cap_bytes / 2` of a stream of bytes."""

    def __init__(self, cap_bytes: int = OUTPUT_BYTES_MAX) -> None:
        self._head_max = cap_bytes // 2
        self._tail_max = cap_bytes - self._head_max
        self._head = bytearray()
        self._tail = bytearray()
        self._fresh = bytearray()
        self.seen_bytes = 0

    def add(self, data: bytes) -> None:
        """Take the next piece, of any length."""
        room = self._head_max - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        _keep_last(self._tail, self._tail_max)
        self._fresh += data
        _keep_last(self._fresh, FRESH_BYTES_MAX)
        self.seen_bytes += len(data)

    def taken(self) -> tuple[int, bytes]:
        """Take what came since the last call: its offset in the whole stream, and the bytes.

        At most FRESH_BYTES_MAX, the newest; what a slow reader missed shows as a gap in offsets.
        """
        fresh = bytes(self._fresh)
        self._fresh.clear()
        return self.seen_bytes - len(fresh), fresh

    @property
    def head(self) -> bytes:
        return bytes(self._head)

    @property
    def tail(self) -> bytes:
        """What came after the head, as far as it is kept."""
        return bytes(self._tail)

    @property
    def dropped_bytes(self) -> int:
        """How many bytes are missing between head and tail."""
        return self.seen_bytes - len(self._head) - len(self._tail)

    def text(self) -> str:
        """Show all that is kept, with a line that says how much is missing where it is missing."""
        if not self.dropped_bytes:
            return shown(self.head + self.tail)
        gap = f"\n[... {self.dropped_bytes} bytes dropped ...]\n"
        return shown(self.head) + gap + shown(self.tail)


class Lines:
    """Whole lines of a stream, until they are taken; at most `cap_bytes` wait.

    Beyond that the oldest are dropped and counted, since the last line is the result. So is a
    line that is longer than all that may wait.
    """

    def __init__(self, cap_bytes: int = LINES_BYTES_MAX) -> None:
        self._cap = cap_bytes
        self._whole: deque[bytes] = deque()
        self._whole_bytes = 0
        self._begun = bytearray()
        self._is_too_long = False
        self.dropped_bytes = 0

    def add(self, data: bytes) -> None:
        """Take the next piece, of any length."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._extend(piece)
            self._end_line()
        self._extend(rest)

    def taken(self) -> list[bytes]:
        """Take the lines that are complete, oldest first, without their line ends."""
        lines = list(self._whole)
        self._whole.clear()
        self._whole_bytes = 0
        return lines

    def _extend(self, piece: bytes) -> None:
        if not self._is_too_long and len(self._begun) + len(piece) <= self._cap:
            self._begun += piece
            return
        self.dropped_bytes += len(self._begun) + len(piece)
        self._begun.clear()
        self._is_too_long = True

    def _end_line(self) -> None:
        if not self._is_too_long:
            self._whole.append(bytes(self._begun))
            self._whole_bytes += len(self._begun) + 1
        self._begun.clear()
        self._is_too_long = False
        while self._whole_bytes > self._cap + 1:
            dropped_bytes = len(self._whole.popleft()) + 1
            self._whole_bytes -= dropped_bytes
            self.dropped_bytes += dropped_bytes


def shown(data: bytes) -> str:
    r"""Make text of any bytes that is safe to print on a terminal or a page.

    Invalid UTF-8 becomes `\xff`; so does every character that acts instead of showing: escapes,
    carriage returns, other controls, and those that turn the direction of writing.
    Line ends and tabs stay.
    """
    text = data.decode("utf-8", "backslashreplace")
    return "\n".join(map(_shown_line, text.split("\n")))


def _shown_line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c == "\t" or c.isprintable() else _escaped(c) for c in line)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _keep_last(buffer: bytearray, most: int) -> None:
    excess = len(buffer) - most
    if excess > 0:
        del buffer[:excess]
