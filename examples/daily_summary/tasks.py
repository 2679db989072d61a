"""The daily summary as a task: who gets one, and what is done once for each of them.

Nothing here knows whether today's mails went out already, or what was killed halfway: that is kept
in the store, and asked before each mail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime

from customers import Customer, customers, summary
from mail import compose, send
from sexton import Item, Sexton

app = Sexton()


@app.plan(schedule="30 7 * * *", tz="Europe/London", retry="30m x 3", expires="4h")
def daily_summary() -> Iterator[Customer]:
    """A mail for every customer: what they bought in the last twelve months."""
    yield from customers()


@daily_summary.each(key="id", cap="1/day per email", width=4)
def send_summary(customer: Customer, item: Item) -> None:
    """Send one mail. It raises if the server did not take it, and is tried again then."""
    mail = compose(customer, summary(customer, day_of(item)), message_id=item.message_id)
    host, port = os.environ.get("SMTP_HOST", "localhost"), int(os.environ.get("SMTP_PORT", "25"))
    send(mail, host=host, port=port)


def day_of(item: Item) -> date:
    """The day that a summary is for: a late or repeated attempt still belongs to its period."""
    try:
        return datetime.fromisoformat(item.period).date()
    except ValueError:  # a forced run has no moment of the schedule: it is for today
        return datetime.now(UTC).date()
