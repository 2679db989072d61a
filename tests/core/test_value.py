"""What the key-value store keeps comes back as the same value of the same type, or is refused."""

from __future__ import annotations

import dataclasses
import enum
import importlib.resources
import json
import math
import pathlib
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sexton.core.errors import ValueRefused
from sexton.core.scalar import SCALARS
from sexton.core.value import DEPTH_MAX, TEXT_BYTES_MAX, decode, decode_as, encode

RIGA = ZoneInfo("Europe/Riga")
NEW_YORK = ZoneInfo("America/New_York")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True)
class Totals:
    sold: int
    on: datetime
    price: Decimal = Decimal("0.00")
    tags: frozenset[str] = frozenset()


class Order(msgspec.Struct, frozen=True, rename="camel", tag=True):
    order_id: UUID
    totals: Totals
    colours: tuple[Colour, ...] = ()
    by_year: dict[int, timedelta] = {}


@dataclasses.dataclass
class Untyped:
    inside: object


@dataclasses.dataclass(eq=False)
class Uncompared:
    number: int


class Point(msgspec.Struct, eq=False):
    x: int


class Shout(str):
    __slots__ = ()


TOTALS = Totals(3, datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1), Decimal("1.10"))
ORDER = Order(UUID(int=7), TOTALS, (Colour.RED,), {2026: timedelta(days=1)})


def same(one: object, other: object) -> bool:
    """Whether two values are equal, of the same types throughout, and with the same zones."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)) and isinstance(other, (set, frozenset)):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    if isinstance(one, (datetime, time)) and isinstance(other, (datetime, time)):
        return (
            repr(one.replace(tzinfo=None)) == repr(other.replace(tzinfo=None))
            and type(one.tzinfo) is type(other.tzinfo)
            and one.tzinfo == other.tzinfo
        )
    return one == other if isinstance(one, int) else repr(one) == repr(other)


EVERY_KIND: list[object] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**3000 + 1,
    -(2**100_000),
    0.1,
    -0.0,
    1e300,
    "",
    "naïve \0 \u2028 😀",
    b"",
    b"\xff\0",
    [],
    (),
    (1,),
    [(1, [2]), {"a": ()}],
    {"$": 1, "$date": "2026-01-01", "$$x": {"$": []}, "": None},
    set(),
    {1, "1", b"1"},
    frozenset({frozenset({1}), (2, 3)}),
    datetime(2026, 11, 22, 7, 30),  # noqa: DTZ001 -- a naive one is kept too
    datetime(2026, 11, 22, 7, 30, fold=1),  # noqa: DTZ001
    datetime(2026, 11, 22, 7, 30, 1, 5, tzinfo=UTC),
    datetime(2026, 11, 22, 7, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=-5))),
    datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2026, 3, 29, 3, 30, tzinfo=RIGA),
    datetime(2026, 3, 29, 3, 30, tzinfo=ZoneInfo("UTC")),
    datetime.min,  # noqa: DTZ901
    datetime.max,  # noqa: DTZ901
    date(1, 1, 1),
    time(7, 30),
    time(7, 30, 0, 1, tzinfo=RIGA, fold=1),
    time(7, 30, tzinfo=timezone(timedelta(minutes=1))),
    timedelta(days=-1, microseconds=1),
    timedelta.max,
    Decimal("1.10"),
    Decimal("-0E+7"),
    UUID(int=5),
]


@pytest.mark.parametrize("value", EVERY_KIND, ids=range(len(EVERY_KIND)))
def test_a_value_comes_back_as_itself(value: object) -> None:
    text = encode(value)

    assert same(decode(text), value)
    assert encode(decode(text)) == text


def _moments(zones: Any) -> Any:
    return st.datetimes(timezones=zones).flatmap(
        lambda moment: st.sampled_from([moment.replace(fold=0), moment.replace(fold=1)])
    )


ZONES = st.one_of(
    st.none(),
    st.just(UTC),
    st.sampled_from([RIGA, NEW_YORK, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")]),
    st.integers(1_000_000, 86_399_999_999).map(lambda us: timezone(timedelta(microseconds=us))),
    st.integers(-86_399_999_999, -1_000_000).map(lambda us: timezone(timedelta(microseconds=us))),
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**4000), 2**4000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(["$", "$$", "$date", "$typed"]),
    st.binary(),
    _moments(ZONES),
    st.dates(),
    st.times(timezones=ZONES),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
)
VALUES = st.recursive(
    st.one_of(HASHABLE, st.sets(HASHABLE, max_size=4), st.frozensets(HASHABLE, max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(
            st.one_of(st.text(), st.sampled_from(["$", "$$a", "$set"])), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_any_value_comes_back_as_itself(value: object) -> None:
    text = encode(value)

    assert same(decode(text), value)
    assert encode(decode(text)) == text
    json.loads(text)


TAGS = ["a", "$", "$$", "$typed", *SCALARS, "$tuple", "$set", "$frozenset"]


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats()),
            lambda inner: st.one_of(
                st.lists(inner),
                st.dictionaries(
                    st.sampled_from(TAGS),
                    inner,
                    max_size=2,
                ),
            ),
        ).map(json.dumps),
    )
)
def test_any_text_is_read_or_refused_as_a_value_of_ours(text: str) -> None:
    try:
        value = decode(text)
    except ValueRefused:
        return

    assert same(decode(encode(value)), value)


def test_the_text_of_a_value_is_the_same_in_each_process() -> None:
    program = (
        "from sexton.core.value import encode\n"
        "print(encode([{str(n) for n in range(50)}, {'b': 1, 'a': frozenset('xyz')}]))"
    )

    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            cwd=pathlib.Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(texts) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (
            datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1),
            '{"$datetime":"2026-11-01T01:30:00[America/New_York];fold=1"}',
        ),
        (datetime(2026, 11, 1, tzinfo=UTC), '{"$datetime":"2026-11-01T00:00:00+00:00"}'),
        ({"$set": 1}, '{"$$set":1}'),
        (timedelta(hours=1), '{"$timedelta_us":3600000000}'),
        ((b"hi", Decimal("1.10")), '{"$tuple":[{"$bytes":"aGk="},{"$decimal":"1.10"}]}'),
    ],
)
def test_what_is_written_stays_readable_for_later_versions(value: object, text: str) -> None:
    assert encode(value) == text
    assert same(decode(text), value)


# --- classes of the application ---


@pytest.mark.parametrize("value", [TOTALS, ORDER, Colour.BLUE], ids=["dataclass", "struct", "enum"])
def test_an_object_comes_back_by_its_class(value: object) -> None:
    back = decode_as(encode(value), type(value))

    assert back == value
    assert type(back) is type(value)


def test_an_objects_zone_and_fold_come_back_too() -> None:
    back = decode_as(encode(TOTALS), Totals)

    assert back.on.tzinfo is NEW_YORK
    assert back.on.fold == 1


def test_objects_in_lists_and_dicts_come_back() -> None:
    assert decode_as(encode([TOTALS]), list[Totals]) == [TOTALS]
    assert decode_as(encode({"a": ORDER}), dict[str, Order]) == {"a": ORDER}
    assert decode_as(encode(None), Totals | None) is None


def test_an_object_without_its_class_says_how_to_read_it() -> None:
    with pytest.raises(
        ValueRefused, match=r"stored as .*test_value\.Totals: .*kv\.get\(key, Totals\)"
    ):
        decode(encode({"deep": [TOTALS]}))


def test_reading_an_object_imports_nothing(tmp_path: pathlib.Path) -> None:
    name = "module_that_nobody_imported"
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    text = json.dumps({"$typed": [f"{name}.Thing", {}]})
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ValueRefused, match=f"{name}.Thing"):
            decode(text)
        with pytest.raises(ValueRefused):
            decode_as(text, Totals)
    finally:
        sys.path.remove(str(tmp_path))

    assert name not in sys.modules


def test_another_classes_object_is_refused_even_if_its_fields_fit() -> None:
    @dataclasses.dataclass
    class Point:
        number: int

    with pytest.raises(ValueRefused, match=r"stored as .*Uncompared.*asked for as .*Point"):
        decode_as(encode(Uncompared(1)), Point)


def test_a_stored_field_that_the_class_has_lost_is_refused() -> None:
    text = encode(TOTALS).replace('"sold":3', '"gone":1,"sold":3')

    with pytest.raises(ValueRefused, match="'gone'"):
        decode_as(text, Totals)


def test_a_lost_field_deep_inside_is_refused() -> None:
    text = encode(ORDER).replace('"sold":3', '"gone":1,"sold":3')

    with pytest.raises(ValueRefused, match="'gone'"):
        decode_as(text, Order)


def test_a_field_that_the_class_gained_takes_its_default() -> None:
    text = encode(TOTALS).replace('"price":{"$decimal":"1.10"},', "")

    assert decode_as(text, Totals).price == Decimal("0.00")


def test_an_object_that_would_not_come_back_equal_is_refused() -> None:
    with pytest.raises(ValueRefused, match="would not come back equal"):
        encode(Untyped({1, 2}))


@pytest.mark.parametrize("value", [Uncompared(3), Point(3)], ids=["dataclass", "struct"])
def test_an_object_of_a_class_without_equality_comes_back(value: Any) -> None:
    back = decode_as(encode(value), type(value))

    assert encode(back) == encode(value)


def test_a_class_of_the_started_script_is_refused() -> None:
    cls = dataclasses.make_dataclass("Here", [("a", int)])
    cls.__module__ = "__main__"

    with pytest.raises(ValueRefused, match="move it to a module"):
        encode(cls(1))


def test_an_object_in_a_set_is_refused() -> None:
    with pytest.raises(ValueRefused, match=r"At value\[…\]\[0\]: .*Colour.* in a set"):
        encode({(Colour.RED,)})


# --- what is refused ---


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "JSON has no word"),
        ([math.inf], r"At value\[0\]"),
        (Decimal("NaN"), "NaN is no number"),
        (Decimal("-Infinity"), "no number"),
        (Shout("x"), r"Shout is a str of another class.*str\("),
        (bytearray(b"x"), "bytearray cannot be kept"),
        (Fraction(1, 3), "fractions.Fraction cannot be kept"),
        (object(), "object cannot be kept"),
        (Totals, "type cannot be kept"),
        ({1: "a"}, "keys must be str, not int"),
        ({"a": {Shout("x"): 1}}, r"At value\['a'\]: .*keys must be str"),
        ("\ud800", "lone surrogates"),
        ({"\udfff": 1}, "lone surrogates"),
        (time(0, tzinfo=timezone(timedelta(microseconds=-1))), "less than a second"),
        (Untyped(object()), "Untyped cannot be kept"),
        (Untyped(math.nan), "nan"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(ValueRefused, match=words):
        encode(value)


def test_a_zone_that_has_no_name_is_refused() -> None:
    file = importlib.resources.files("tzdata.zoneinfo.Europe").joinpath("Riga")
    with file.open("rb") as stream:
        nameless = ZoneInfo.from_file(stream)

    with pytest.raises(ValueRefused, match="use ZoneInfo"):
        encode(datetime(2026, 1, 1, tzinfo=nameless))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not the JSON text"),
        ("1 2", "Extra data"),
        ("{'a': 1}", "not the JSON text"),
        ("NaN", "no value"),
        ("-Infinity", "no value"),
        ("1e999", "no value"),
        ("9" * 700, "in hex"),
        ('{"a":1,"a":2}', "a key twice"),
        ('{"$date":"2026-01-01","$date":"2026-01-01"}', "a key twice"),
        ('{"$pickle":"gASV"}', "unknown"),
        ('{"$":1}', "unknown"),
        ('{"$date":"2026-01-01","more":1}', "does not stand alone"),
        ('{"$date":"2026-W01-1"}', "it is written '2025-12-29'"),
        ('{"$date":20260101}', "it takes str, not int"),
        ('{"$date":"2026-02-30"}', "cannot be read"),
        ('{"$datetime":"2026-01-01T00:00:00Z"}', r"it is written '2026-01-01T00:00:00\+00:00'"),
        ('{"$datetime":"2026-01-01T00:00:00[../../etc/passwd]"}', "cannot be read"),
        ('{"$datetime":"2026-01-01T00:00:00[Europe]"}', "cannot be read"),
        ('{"$datetime":"2026-01-01T00:00:00[Europe/Nowhere]"}', "cannot be read"),
        ('{"$datetime":"2026-01-01T00:00:00[Europe/Riga"}', "it is written"),
        ('{"$bytes":"aGk"}', "cannot be read"),
        ('{"$bytes":"aG k="}', "cannot be read"),
        ('{"$decimal":"1_0"}', "it is written '10'"),
        ('{"$decimal":"NaN"}', "no number"),
        ('{"$decimal":"1E999999999999999999999"}', "cannot be read"),
        ('{"$int":"0x10"}', "short enough"),
        ('{"$timedelta_us":99999999999999999999999}', "cannot be read"),
        ('{"$timedelta_us":true}', "it takes int, not bool"),
        ('{"$uuid":"{00000000-0000-0000-0000-000000000005}"}', "it is written"),
        ('{"$set":[1,1]}', "twice"),
        ('{"$set":[1,true]}', "twice"),
        ('{"$set":[[1]]}', "cannot be in a set"),
        ('{"$tuple":{"a":1}}', "unknown here"),
        ('{"$typed":["a.B",{"x":{"$typed":["a.C",1]}}]}', "a name and plain fields"),
        ('{"$typed":[1,{}]}', "a name and plain fields"),
        ('"\\ud800"', "lone surrogates"),
        ('{"\\ud800":1}', "lone surrogates"),
    ],
)
def test_a_text_that_encode_never_writes_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueRefused, match=words):
        decode(text)


@pytest.mark.parametrize(
    ("value", "wanted", "words"),
    [
        ("7", int, "stored as str, and was asked for as int"),
        (7, str, "stored as int, and was asked for as str"),
        (True, int, "stored as bool, and was asked for as int"),
        (7, float, "stored as int, and was asked for as float"),
        ([1], set[int], r"stored as list, and was asked for as set\[int\]"),
        ({1}, list[int], r"stored as set, and was asked for as list\[int\]"),
        ({"a": [1]}, dict[str, tuple[int, ...]], "a part of it is list, not tuple"),
        ({"1": 1}, dict[int, int], "keys of a stored dict are str"),
        ("2026-01-01", date, "stored as str, and was asked for as datetime.date"),
        ({"sold": 1}, Totals, "stored as dict"),
        (TOTALS, dict, "Totals, and was asked for as dict"),
        (TOTALS, object, "Totals, and was asked for as object"),
        (None, Totals, "stored as NoneType"),
    ],
)
def test_another_type_than_the_stored_one_is_refused(value: Any, wanted: Any, words: str) -> None:
    with pytest.raises(ValueRefused, match=words):
        decode_as(encode(value), wanted)


@pytest.mark.parametrize("value", EVERY_KIND, ids=range(len(EVERY_KIND)))
def test_asking_for_the_stored_type_gives_the_value(value: object) -> None:
    assert same(decode_as(encode(value), type(value)), value)


# --- bounds ---


def _nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = (value,)
    return value


def test_the_depth_has_a_bound_both_ways() -> None:
    deepest = _nested(DEPTH_MAX)

    assert decode(encode(deepest)) == deepest
    with pytest.raises(ValueRefused, match="levels deep"):
        encode(_nested(DEPTH_MAX + 1))
    with pytest.raises(ValueRefused, match="levels deep"):
        decode("[" * (DEPTH_MAX + 1) + "1" + "]" * (DEPTH_MAX + 1))
    with pytest.raises(ValueRefused, match="levels deep"):
        decode("[" * 400_000 + "]" * 400_000)


def test_a_value_that_holds_itself_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(ValueRefused, match="holds itself"):
        encode(ring)
    knot = Untyped(None)
    knot.inside = knot
    with pytest.raises(ValueRefused, match="recursion"):
        encode(knot)


def test_a_small_value_of_endless_text_is_refused_early() -> None:
    doubled: object = "x"
    for _ in range(31):
        doubled = [doubled, doubled]

    with pytest.raises(ValueRefused, match="1 MiB"):
        encode(doubled)


def test_the_text_has_a_bound_both_ways() -> None:
    longest = "x" * (TEXT_BYTES_MAX - 2)

    assert decode(encode(longest)) == longest
    for value in (
        longest + "x",
        "é" * (TEXT_BYTES_MAX // 2),
        b"x" * TEXT_BYTES_MAX,
        1 << 5_000_000,
    ):
        with pytest.raises(ValueRefused, match="1 MiB"):
            encode(value)
    with pytest.raises(ValueRefused, match="1 MiB"):
        decode(f'"{longest}x"')
