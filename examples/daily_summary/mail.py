"""One summary as one mail, and its way to the mail server."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime

from customers import Customer, Purchase, Summary

SENDER = Address("Chinook", "summary", "chinook.example")
SMTP_TIMEOUT_S = 30


def compose(customer: Customer, bought: Summary, *, message_id: str) -> EmailMessage:
    """The mail that tells a customer what they bought.

    `message_id`: with the angle brackets. A second copy under the same id is recognised as one by
    mail programs, so it has to be the same for every try.
    """
    name, _, domain = customer.email.rpartition("@")
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = Address(customer.name, name, domain)
    message["Subject"] = f"{customer.first_name}, your music of the past year"
    message["Date"] = localtime()
    message["Message-ID"] = message_id
    message.set_content("\n".join(_text(customer, bought)), cte="quoted-printable")
    return message


def send(message: EmailMessage, *, host: str, port: int) -> None:
    """Hand a mail to the server; raises smtplib's exceptions, or OSError, if it did not take it.

    An address with letters beyond ASCII needs a server that offers SMTPUTF8.
    """
    server = smtplib.SMTP(host, port, local_hostname="localhost", timeout=SMTP_TIMEOUT_S)
    try:
        server.send_message(message)
        # From here on the mail is the server's. A connection that breaks while we say goodbye must
        # not look as if the mail had not been sent.
        with suppress(OSError):
            server.quit()
    finally:
        server.close()


def _text(customer: Customer, bought: Summary) -> Iterator[str]:
    yield f"Dear {customer.name},"
    yield ""
    span = f"from {bought.since} to the day before {bought.day}"
    if not bought.invoices:
        yield f"you bought nothing {span}."
    else:
        yield f"this is what you bought {span}:"
        yield ""
        yield from map(_line, bought.purchases)
        yield ""
        pieces = _count(sum(one.quantity for one in bought.purchases), "track")
        yield f"{pieces} on {_count(bought.invoices, 'invoice')}, ${bought.total} in all."
    yield ""
    yield "Your Chinook music shop"
    yield ""


def _line(one: Purchase) -> str:
    times = f" × {one.quantity}" if one.quantity != 1 else ""
    artist = f", {one.artist}" if one.artist else ""
    return f"  {one.on}  {one.track}{artist}{times}: ${one.price}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
