"""Who gets a summary, and of what: the customers of a shop and what they bought.

The shop is the Chinook sample database. It is only read, and never written beside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

CHINOOK = Path(__file__).with_name("chinook.sqlite")


@dataclass(frozen=True)
class Customer:
    """One customer; `company` is '' for a private person."""

    id: int
    first_name: str
    last_name: str
    email: str
    city: str
    country: str
    company: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True)
class Purchase:
    """One line of an invoice; `price` is that of all `quantity` pieces, in US dollars."""

    on: date
    track: str
    artist: str
    quantity: int
    price: Decimal


@dataclass(frozen=True)
class Summary:
    """What one customer bought from `since` up to the day before `day`; maybe nothing.

    `purchases`: oldest first. `invoices`: how many there were. `total`: of the invoices, in US
    dollars.
    """

    since: date
    day: date
    purchases: tuple[Purchase, ...]
    invoices: int
    total: Decimal


def customers(db: Path = CHINOOK) -> Iterator[Customer]:
    """Every customer, in the order of their ids."""
    with closing(_open(db)) as shop:
        for row in shop.execute(
            "SELECT CustomerId, FirstName, LastName, Email, ifnull(City, ''), ifnull(Country, ''),"
            " ifnull(Company, '') FROM Customer ORDER BY CustomerId"
        ):
            yield Customer(*row)


def summary(customer: Customer, day: date, db: Path = CHINOOK) -> Summary:
    """What the customer bought in the twelve months before `day`; the day itself is not in it."""
    since = a_year_before(day)
    wanted = (customer.id, since.isoformat(), day.isoformat())
    with closing(_open(db)) as shop:
        totals = shop.execute(
            "SELECT Total FROM Invoice"
            " WHERE CustomerId = ? AND InvoiceDate >= ? AND InvoiceDate < ?",
            wanted,
        ).fetchall()
        rows = shop.execute(
            "SELECT Invoice.InvoiceDate, Track.Name, ifnull(Artist.Name, ''),"
            " InvoiceLine.Quantity, InvoiceLine.UnitPrice"
            " FROM Invoice"
            " JOIN InvoiceLine USING (InvoiceId)"
            " JOIN Track USING (TrackId)"
            " LEFT JOIN Album USING (AlbumId)"
            " LEFT JOIN Artist USING (ArtistId)"
            " WHERE CustomerId = ? AND InvoiceDate >= ? AND InvoiceDate < ?"
            " ORDER BY InvoiceDate, InvoiceLineId",
            wanted,
        ).fetchall()
    total = sum((_dollars(amount) for (amount,) in totals), Decimal("0.00"))
    return Summary(since, day, tuple(_purchase(*row) for row in rows), len(totals), total)


def a_year_before(day: date) -> date:
    """The same day of the year before; for 29 February the 28th."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def _open(db: Path) -> sqlite3.Connection:
    # `immutable` lets SQLite read the file without a lock or a journal beside it, so that the
    # example also runs from a directory that nobody may write to.
    return sqlite3.connect(f"{db.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def _purchase(bought: str, track: str, artist: str, quantity: int, unit_price: float) -> Purchase:
    on = datetime.fromisoformat(bought).date()
    return Purchase(on, track, artist, quantity, quantity * _dollars(unit_price))


def _dollars(amount: float) -> Decimal:
    """An amount as the shop means it: its database keeps binary floats, and 1.98 is none."""
    return Decimal(str(amount)).quantize(Decimal("0.01"))
