"""What an address may still do for a message that waits: leave, wait on, come back; and which From it leaves with."""

from dataclasses import replace

import pytest

from deliver import ledger
from outgate.deliver.outcome import Verdict
from outgate.deliver.routing import decide, refusal
from outgate.deliver.transmission import prepare
from outgate.directory.reader import WayReading
from outgate.mail.dkim import DkimKey
from outgate.model import Account, Organisation, Policy, SendAs, UnknownFrom
from outgate.queue import Item, Queue

PRIMARY = SendAs("alice@example.com", is_primary=True, is_default=True, verified=True, own_domain=True)
WHOLE = SendAs("*@partner.example", display_name="Partner", verified=True, is_by_grant=True)
SALES = SendAs("sales@partner.example", verified=True, is_by_grant=True)
TAG = "alice+news@example.com"
REWRITE = Policy(allow_external_smtp=True, unknown_from=UnknownFrom.REWRITE)
HEADER = b"From: x@stranger.example\r\nSubject: Hi\r\n\r\n"


def reading(*entries: SendAs) -> WayReading:
    account = Account(7, PRIMARY.address, "Alice", "/", False, REWRITE, {one.address: one for one in entries})
    return WayReading(1, account, Organisation(frozenset({"example.com"}), primary_domain="example.com"))


def waiting(chosen_from: str, *, rewrite: bool = False) -> Item:
    message = replace(
        ledger.message(1), chosen_from=chosen_from, rewrite_from=rewrite, size=len(HEADER), header_size=len(HEADER)
    )
    return Item(message, ledger.recipients([(0, "recipient.example")]))


class OneContent(Queue):
    """A queue that holds one message."""

    def __init__(self) -> None:
        """Without a database."""

    async def first_piece(self, item: Item) -> bytes:
        """It."""
        return HEADER


async def no_key(_domain: str, _version: int) -> tuple[DkimKey, ...]:
    return ()


@pytest.mark.parametrize(
    ("chosen_from", "entries", "name"),
    [
        (TAG, [PRIMARY], "Alice"),  # its own entry, which was the default, is deleted
        (SALES.address, [PRIMARY, WHOLE], "Partner"),  # its own grant is taken back
        (SALES.address, [PRIMARY, SALES], "Alice"),
        (SALES.address, [PRIMARY, WHOLE, replace(SALES, verified=False, is_by_grant=False)], "Partner"),
    ],
)
async def test_what_was_rewritten_leaves_as_the_address_that_is_only_covered_by_now(
    chosen_from: str, entries: list[SendAs], name: str
) -> None:
    item = waiting(chosen_from, rewrite=True)
    (delivery,) = decide(item, item.recipients, reading(*entries))
    assert refusal(delivery, 0.0) is None
    header = (await prepare(OneContent(), delivery, "mail.example.com", no_key)).header.decode()
    assert f"\r\nFrom: {name} <{chosen_from}>\r\n" in f"\r\n{header}"


@pytest.mark.parametrize(
    ("chosen_from", "entries", "verdict", "code"),
    [
        ("anybody@partner.example", [PRIMARY, replace(WHOLE, verified=False)], Verdict.RETRY, "4.7.1"),
        (SALES.address, [PRIMARY, replace(SALES, verified=False)], Verdict.RETRY, "4.7.1"),
        ("sales+x@partner.example", [PRIMARY, replace(SALES, verified=False)], Verdict.RETRY, "4.7.1"),
        (SALES.address, [PRIMARY, SendAs(SALES.address)], Verdict.FAILED, "5.7.1"),
        (SALES.address, [PRIMARY], Verdict.FAILED, "5.7.1"),
    ],
)
def test_mail_waits_while_the_dns_does_not_prove_its_domain_and_comes_back_without_an_address(
    chosen_from: str, entries: list[SendAs], verdict: Verdict, code: str
) -> None:
    item = waiting(chosen_from)
    (delivery,) = decide(item, item.recipients, reading(*entries))
    outcome = refusal(delivery, 0.0)
    assert outcome
    assert (outcome.verdict, outcome.reason[:5]) == (verdict, code)
