"""The example's own parts: the shop's customers, their mails, and the server that keeps them."""

from __future__ import annotations

import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "daily_summary"
# The example's modules find each other as they do for a user: as neighbours in one directory.
sys.path.insert(0, str(EXAMPLE))

from customers import CHINOOK, Customer, a_year_before, customers, summary  # noqa: E402
from mail import compose, send  # noqa: E402
from smtp_sink import Mailbox, Sink  # noqa: E402

GOOD_DAY = date(2026, 1, 1)
LONG_S = 60.0  # far above what any answer takes


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "mailbox")


@pytest.fixture
def sink(mailbox: Mailbox) -> Iterator[Sink]:
    with Sink(mailbox) as running:
        yield running


def customer_named(last_name: str) -> Customer:
    [found] = [one for one in customers() if one.last_name == last_name]
    return found


def send_summary(to: Customer, sink: Sink, message_id: str = "<1@x.invalid>") -> None:
    send(
        compose(to, summary(to, GOOD_DAY), message_id=message_id), host="127.0.0.1", port=sink.port
    )


# --- the shop ---


def test_every_customer_of_the_shop_is_listed_once() -> None:
    everyone = list(customers())

    assert len(everyone) == 59
    assert len({one.id for one in everyone}) == len({one.email for one in everyone}) == 59
    assert len({one.country for one in everyone}) == 24
    assert everyone[0] == Customer(
        1,
        "Luís",
        "Gonçalves",
        "luisg@embraer.com.br",
        "São José dos Campos",
        "Brazil",
        "Embraer - Empresa Brasileira de Aeronáutica S.A.",
    )


def test_the_readmes_day_has_the_figures_that_it_says() -> None:
    summaries = [summary(one, GOOD_DAY) for one in customers()]

    assert sum(bool(one.invoices) for one in summaries) == 46
    assert sum(one.invoices for one in summaries) == 80
    assert sum(one.total for one in summaries) == Decimal("450.58")


def test_a_total_is_exact_and_the_sum_of_its_lines() -> None:
    for one in customers():
        bought = summary(one, GOOD_DAY)

        assert bought.total == sum((line.price for line in bought.purchases), Decimal(0))


def test_twelve_months_hold_their_first_day_and_not_the_day_itself() -> None:
    with sqlite3.connect(f"{CHINOOK.as_uri()}?mode=ro", uri=True) as shop:
        customer_id, text = shop.execute(
            "SELECT CustomerId, date(InvoiceDate) FROM Invoice WHERE InvoiceDate LIKE '2024-06-%'"
        ).fetchone()
    shop.close()
    [buyer] = [one for one in customers() if one.id == customer_id]
    bought_on = date.fromisoformat(text)

    def has_it(day: date) -> bool:
        return bought_on in {line.on for line in summary(buyer, day).purchases}

    assert not has_it(bought_on)
    assert has_it(date.fromordinal(bought_on.toordinal() + 1))
    assert has_it(bought_on.replace(year=2025))
    assert not has_it(date.fromordinal(bought_on.replace(year=2025).toordinal() + 1))


def test_a_year_before_a_leap_day_is_the_28th() -> None:
    assert a_year_before(date(2024, 2, 29)) == date(2023, 2, 28)


def test_reading_the_shop_leaves_its_file_and_directory_alone(tmp_path: Path) -> None:
    copy = tmp_path / "shop.sqlite"
    copy.write_bytes(CHINOOK.read_bytes())
    copy.chmod(0o400)

    for one in customers(copy):
        summary(one, GOOD_DAY, copy)

    assert copy.read_bytes() == CHINOOK.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["shop.sqlite"]


def test_a_shop_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        list(customers(tmp_path / "none.sqlite"))

    assert not list(tmp_path.iterdir())


# --- the mail ---


def test_a_mail_lists_what_was_bought(sink: Sink, mailbox: Mailbox) -> None:
    send_summary(customer_named("Gonçalves"), sink, "<abc@x.invalid>")

    [mail] = mailbox.mails()
    assert mail["Message-ID"] == "<abc@x.invalid>"
    assert mail["To"] == "Luís Gonçalves <luisg@embraer.com.br>"
    assert mail["Subject"] == "Luís, your music of the past year"
    text = mail.get_content()
    assert text.startswith("Dear Luís Gonçalves,")
    bought = summary(customer_named("Gonçalves"), GOOD_DAY)
    assert bought.invoices > 0
    assert all(line.track in text and line.artist in text for line in bought.purchases)
    assert f"${bought.total} in all." in text


def test_a_mail_to_who_bought_nothing_says_so(sink: Sink, mailbox: Mailbox) -> None:
    nobody = next(one for one in customers() if not summary(one, GOOD_DAY).invoices)

    send_summary(nobody, sink)

    text = mailbox.mails()[0].get_content()
    assert "you bought nothing from 2025-01-01 to the day before 2026-01-01." in text
    assert "$" not in text


def test_an_address_beyond_ascii_gets_its_mail(sink: Sink, mailbox: Mailbox) -> None:
    send_summary(customer_named("Wójcik"), sink)

    [mail] = mailbox.mails()
    assert mailbox.count() == {"stanisław.wójcik@wp.pl": 1}
    assert mail["To"] == "Stanisław Wójcik <stanisław.wójcik@wp.pl>"


def test_all_59_get_exactly_one_mail_with_their_own_name(sink: Sink, mailbox: Mailbox) -> None:
    everyone = list(customers())

    for one in everyone:
        send_summary(one, sink, f"<{one.id}@x.invalid>")

    assert mailbox.count() == Counter(one.email for one in everyone)
    for one, mail in zip(everyone, mailbox.mails(), strict=True):
        assert one.name in mail.get_content()
        assert mail["Message-ID"] == f"<{one.id}@x.invalid>"


def test_a_connection_that_breaks_after_the_mail_was_taken_is_no_failure() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    told: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            for answer in (b"220 hi", b"250 hello", b"250 from", b"250 to", b"354 go"):
                connection.sendall(answer + b"\r\n")
                if answer != b"354 go":
                    told.append(lines.readline())
            while lines.readline() != b".\r\n":
                pass
            connection.sendall(b"250 it is ours\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        buyer = customer_named("Gonçalves")
        message = compose(buyer, summary(buyer, GOOD_DAY), message_id="<1@x.invalid>")
        send(message, host="127.0.0.1", port=listener.getsockname()[1])
        thread.join(LONG_S)

    assert [line[:4].upper() for line in told] == [b"EHLO", b"MAIL", b"RCPT", b"DATA"]


# --- the server ---


def test_a_rejected_address_gets_nothing_until_it_is_accepted(sink: Sink, mailbox: Mailbox) -> None:
    bad = customer_named("Holý")

    mailbox.reject(bad.email)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send_summary(bad, sink)
    send_summary(customer_named("Hansen"), sink)

    assert refusal.value.recipients[bad.email][0] == 550
    assert mailbox.count() == {"bjorn.hansen@yahoo.no": 1}
    mailbox.accept_all()
    send_summary(bad, sink)
    assert mailbox.count()[bad.email] == 1


def test_a_header_of_the_sender_counts_for_nobody(sink: Sink, mailbox: Mailbox) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, local_hostname="localhost") as server:
        server.sendmail(
            "a@x.invalid", ["b@x.invalid"], b"Subject: x\r\nDelivered-To: c@x.invalid\r\n\r\n"
        )
        server.sendmail("a@x.invalid", ["b@x.invalid"], b"\r\nDelivered-To: c@x.invalid\r\n")

    assert mailbox.count() == {"b@x.invalid": 2}


def test_mails_sent_at_the_same_time_all_get_a_file(sink: Sink, mailbox: Mailbox) -> None:
    everyone = list(customers())[:16]
    threads = [threading.Thread(target=send_summary, args=(one, sink)) for one in everyone]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)

    assert [file.name for file in mailbox.files()] == [f"{n:06}.eml" for n in range(1, 17)]
    assert mailbox.count() == Counter(one.email for one in everyone)


def test_two_servers_on_one_mailbox_overwrite_nothing(sink: Sink, mailbox: Mailbox) -> None:
    with Sink(Mailbox(mailbox.directory)) as other:
        for server in (sink, other, sink, other):
            send_summary(customer_named("Hansen"), server)

    assert mailbox.count() == {"bjorn.hansen@yahoo.no": 4}


def test_a_port_that_is_taken_is_an_error(sink: Sink, mailbox: Mailbox) -> None:
    with pytest.raises(OSError, match="in use"), Sink(mailbox, port=sink.port):
        pass


def test_a_server_killed_after_its_yes_has_the_mail(tmp_path: Path) -> None:
    directory = tmp_path / "box"
    command = [sys.executable, str(EXAMPLE / "smtp_sink.py"), str(directory)]
    rejected = "frantisekw@jetbrains.com"

    for number in (1, 2):
        with subprocess.Popen(
            [*command, "--reject", rejected], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as server:
                server.sendmail("a@x.invalid", ["b@x.invalid"], b"Subject: x\r\n\r\n")
                with pytest.raises(smtplib.SMTPRecipientsRefused):
                    server.sendmail("a@x.invalid", [rejected], b"")
                process.kill()
                server.close()

        assert Mailbox(directory).count() == {"b@x.invalid": number}


def test_the_server_ends_quietly_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE / "smtp_sink.py"), str(tmp_path / "box")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        # A connection that stays open must not keep it.
        with socket.create_connection(("127.0.0.1", port)):
            process.terminate()
            _, errors = process.communicate(timeout=LONG_S)

    assert (process.returncode, errors) == (0, "")
