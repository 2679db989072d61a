"""Single values that JSON has no word for, each as one string or number under a tag of its own.

Every reader is strict by a proof: what it read is written again and must give the same text.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

# Longer integers are tagged and in hex: Python refuses to read decimal numbers of more digits than
# this where its limit is set to the least that it allows, and needs quadratic time for them.
INT_DIGITS_MAX = 640
INT_BITS_MAX = 2_120

_FOLD = ";fold=1"
_MICROSECOND = timedelta(microseconds=1)


@dataclasses.dataclass(frozen=True)
class Scalar:
    """How values of one type are written as one JSON string or number, and read again."""

    cls: type
    json_type: type
    write: Callable[[Any], object]
    read: Callable[[Any], object]


def _write_moment(moment: datetime | time) -> str:
    """ISO 8601 of the wall time with a fixed offset, or with the zone's key in brackets.

    The wall time is what the object holds. A zone's offset may be another after an update of the
    zones, so it is not written: the same object comes back.
    """
    zone, suffix = moment.tzinfo, _FOLD if moment.fold else ""
    plain = moment.replace(fold=0)
    if zone is None or type(zone) is timezone:
        # Python writes such an offset and reads it as UTC.
        if zone and timedelta() != abs(zone.utcoffset(None)) < timedelta(seconds=1):
            raise ValueError("an offset of less than a second from UTC cannot be read again")
        return plain.isoformat() + suffix
    if type(zone) is ZoneInfo and zone.key:
        return f"{plain.replace(tzinfo=None).isoformat()}[{zone.key}]{suffix}"
    raise ValueError(
        f"a time zone of type {type(zone).__qualname__} cannot be kept: use ZoneInfo(name)"
    )


def _read_moment(cls: type[datetime] | type[time]) -> Callable[[str], datetime | time]:
    def read(text: str) -> datetime | time:
        fold = text.endswith(_FOLD)
        wall, bracket, key = text.removesuffix(_FOLD).partition("[")
        moment = cls.fromisoformat(wall)
        if bracket:
            moment = moment.replace(tzinfo=ZoneInfo(key.removesuffix("]")))
        return moment.replace(fold=int(fold))

    return read


def _write_big_int(number: int) -> str:
    if number.bit_length() <= INT_BITS_MAX:
        raise ValueError(f"{number} is short enough to be written as it is")
    return hex(number)


def _write_decimal(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError(f"{number} is no number that could be compared or added")
    return str(number)


SCALARS: dict[str, Scalar] = {
    "$int": Scalar(int, str, _write_big_int, lambda text: int(text, 16)),
    "$bytes": Scalar(
        bytes,
        str,
        lambda value: base64.b64encode(value).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
    "$datetime": Scalar(datetime, str, _write_moment, _read_moment(datetime)),
    "$date": Scalar(date, str, date.isoformat, date.fromisoformat),
    "$time": Scalar(time, str, _write_moment, _read_moment(time)),
    "$timedelta_us": Scalar(
        timedelta, int, lambda span: span // _MICROSECOND, lambda us: timedelta(microseconds=us)
    ),
    "$decimal": Scalar(Decimal, str, _write_decimal, Decimal),
    "$uuid": Scalar(UUID, str, str, UUID),
}


def read(tag: str, written: object) -> object:
    """The value of a tag of `SCALARS`; raises ValueError in words if it is not what is written."""
    scalar = SCALARS[tag]
    if type(written) is not scalar.json_type:
        raise ValueError(f"it takes {scalar.json_type.__name__}, not {type(written).__name__}")
    try:
        value = scalar.read(written)
        canonical = scalar.write(value)
    except (ArithmeticError, LookupError, OSError) as error:
        raise ValueError(str(error)) from None
    # One value has one text: this refuses what the readers are lenient about (spaces, underscores,
    # other forms of ISO 8601, padding), so that comparing texts is comparing values.
    if canonical != written:
        raise ValueError(f"it is written {canonical!r}, not {str(written)[:100]!r}")
    return value
