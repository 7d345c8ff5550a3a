"""What the demonstration says of what it found."""

import asyncio
import io
import os
import signal
from dataclasses import replace
from email.message import EmailMessage
from importlib.resources import files
from io import BytesIO

import pytest
from jinja2.ext import babel_extract
from rich.console import Console

from outgate.demo import table
from outgate.demo.arrival import Arrival
from outgate.demo.checks import Checks
from outgate.demo.example_organisation import DemoError
from outgate.demo.network import Network
from outgate.demo.recipients_view import ITALIAN
from outgate.demo.run import _stopped_by_signals, code_in
from outgate.demo.story import Row, cases

NETWORK = Network("127.66.0")
ARRIVAL = Arrival(
    at=1_800_000_000.0,
    recipients=("carol@recipient.example",),
    message_id="<1@test.example>",
    subject="The figures",
    header_from="alice@dominiopartner.example",
    sender="alice@example.com",
    envelope_from="alice@example.com",
    delivered_by="mail.example.com",
    checks=Checks("pass", "example.com", "pass", "example.com", "fail", "quarantine"),
    text="Here they are.",
)
ROW = Row("switch-off", "switch off", ARRIVAL, ("mail.example.com",))


def test_the_story_has_the_four_cases_of_the_reference() -> None:
    assert [case.name for case in cases(NETWORK, "s")] == ["switch-off", "switch-on", "domain-gateway", "primary"]


def test_a_row_as_the_reference_says_has_no_differences() -> None:
    assert list(ROW.differences(cases(NETWORK, "s")[0].expected)) == []


@pytest.mark.parametrize(
    "changed",
    [
        replace(ROW, recorded_by=()),
        replace(ROW, arrival=replace(ARRIVAL, sender=None)),
        replace(ROW, arrival=replace(ARRIVAL, checks=replace(ARRIVAL.checks, dmarc="pass"))),
        replace(ROW, arrival=replace(ARRIVAL, delivered_by="relay.example.com")),
    ],
)
def test_whatever_is_not_as_the_reference_says_is_named(changed: Row) -> None:
    expected = cases(NETWORK, "s")[0].expected
    assert all("switch-off: " in difference for difference in changed.differences(expected))
    assert list(changed.differences(expected))


def test_mail_from_another_than_the_author_is_shown_on_behalf_in_both_orders() -> None:
    assert ARRIVAL.shown_as == "alice@dominiopartner.example on behalf of alice@example.com"
    assert ARRIVAL.shown_by_outlook == "alice@example.com on behalf of alice@dominiopartner.example"
    assert replace(ARRIVAL, sender=ARRIVAL.header_from).shown_as == ARRIVAL.header_from


def test_the_partners_password_is_in_no_text_of_a_command() -> None:
    for case in cases(NETWORK, "s3cret"):
        assert "s3cret" not in "".join(f"{command}{command!r}" for command in case.commands)


@pytest.mark.parametrize("width", [60, 80, 250])
def test_every_fact_of_a_row_is_on_the_screen_at_any_width(width: int) -> None:
    screen = io.StringIO()
    table.show(Console(file=screen, width=width), [replace(ROW, title="[bold]not markup")])
    shown = screen.getvalue()
    for fact in ("[bold]not", "dominiopartner.example", "mail.example.com", "pass", "fail"):
        assert fact in shown


def test_the_code_is_read_from_the_confirmation_message() -> None:
    message = EmailMessage()
    message.set_content("Your code is 123456789. It is good for a day.\n")
    assert code_in(message.as_bytes()) == "123456789"
    message.set_content("No code, 12345 or 1234567890.\n")
    with pytest.raises(DemoError):
        code_in(message.as_bytes())


def test_the_recipients_view_has_all_its_words_in_italian() -> None:
    sources = [files("outgate.demo") / name for name in ("recipients_view.html", "recipients_list.html")]
    found = {text for one in sources for _, _, text, _ in babel_extract(BytesIO(one.read_bytes()), ["_"], [], {})}
    texts = {text for text in found if isinstance(text, str)}  # none where the text is a check's result
    assert {*texts, "pass", "fail", "none", "inbox", "junk"} == set(ITALIAN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_cancels_the_demonstration_once(number: int) -> None:
    with _stopped_by_signals() as stopped:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        assert stopped.is_set()
        await asyncio.sleep(0)  # a second cancellation would be raised here
