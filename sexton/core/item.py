"""What an effect is told of the item it serves: names that stay the same when it is tried again."""

from __future__ import annotations

from hashlib import sha256

import msgspec

MAIL_DOMAIN = "sexton.invalid"  # RFC 2606: a name that nobody can own


class Item(msgspec.Struct, frozen=True):
    """One item of a plan, as its effect sees it.

    `key`: the item's key as text. `attempt`: how often it was begun, this time included. `period`,
    `task`: what it belongs to. `scope`: what its key is distinct in, over all kinds.
    """

    key: str
    attempt: int = 1
    period: str = ""
    task: int = 0
    scope: str = ""

    @property
    def idempotency_key(self) -> str:
        """32 hex digits, the same for every try of this item in this scope; give it to a provider
        that honours one."""
        return sha256(f"{self.scope}\x1f{self.key}".encode()).hexdigest()[:32]

    @property
    def message_id(self) -> str:
        """The same as an RFC 5322 Message-ID."""
        return f"<{self.idempotency_key}@{MAIL_DOMAIN}>"

    @classmethod
    def fake(cls, key: str = "1", *, period: str = "2026-01-01T00:00") -> Item:
        """An item for a test of the effect on its own: `send(user, Item.fake())`."""
        return cls(key, period=period, scope="fake")


def key_text(value: object) -> str:
    """The key of an item as text; raises TypeError for what has no stable text.

    Allowed are `int`, `str` and `uuid.UUID`: their text is the same tomorrow and elsewhere.
    """
    if isinstance(value, bool) or not (isinstance(value, (int, str)) or _is_uuid(value)):
        raise TypeError(f"an item's key must be an int, a str or a UUID, not {value!r}")
    text = str(value)
    if not text or len(text) > 500 or "\x1f" in text:
        raise TypeError(
            f"an item's key must have 1 to 500 characters, and no U+001F: {text[:40]!r}"
        )
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise TypeError(f"an item's key must be text, without lone surrogates: {text[:40]!r}")
    return text


def _is_uuid(value: object) -> bool:
    from uuid import UUID  # noqa: PLC0415 -- few need it

    return isinstance(value, UUID)
