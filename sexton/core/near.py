"""The known word that somebody may have meant, for the hint of an error."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that comes near, or ''. Of equals one with the same letters, or initial."""
    # Late, since only errors need it.
    from difflib import SequenceMatcher, get_close_matches

    def nearness(one: str) -> tuple[float, bool, bool]:
        same = SequenceMatcher(None, one, word).ratio()
        return same, sorted(one) == sorted(word), one[:1] == word[:1]

    near = max(get_close_matches(word, list(known)), key=nearness, default="")
    return near if near != word else ""
