"""Submissions for tests: alice, her addresses, her organisation, and a message of hers."""

from collections.abc import Sequence

from outgate.mail.header_check import examine
from outgate.model import Account, Gateway, Organisation, Policy, Security, SendAs
from outgate.submit import Envelope, EnvelopeRecipient, MessageLimits, Submission
from outgate.submit.whole_message import content_of

ALICE, PARTNER, CAROL = "alice@example.com", "alice@dominiopartner.example", "carol@recipient.example"
GATEWAY = Gateway("1", "smtp.dominiopartner.example", 587, Security.STARTTLS, "alice", b"sealed")
ORGANISATION = Organisation(frozenset({"example.com"}))
LIMITS = MessageLimits(message_bytes=1_000_000, line_bytes=998, recipients=100, received=5)
NOON = 500_000 * 3600.0


def account(policy: Policy = Policy(allow_external_smtp=True), *, suspended: bool = False) -> Account:  # noqa: B008 -- frozen
    """Alice, with an address of another domain that has a gateway."""
    addresses = {
        ALICE: SendAs(ALICE, is_primary=True, is_default=True, verified=True, own_domain=True),
        PARTNER: SendAs(PARTNER, verified=True, gateway=GATEWAY),
    }
    return Account(7, ALICE, "Alice", "/", suspended, policy, addresses)


def submission(
    policy: Policy = Policy(allow_external_smtp=True),  # noqa: B008 -- frozen
    *,
    sender: str = PARTNER,
    recipients: Sequence[EnvelopeRecipient] = (EnvelopeRecipient(CAROL),),
    fields: bytes = b"",
    body: bytes = b"Hello\r\n",
    reverse_path: str | None = None,
    suspended: bool = False,
) -> Submission:
    """A message of alice's."""
    header = b"From: %b\r\n%b\r\n" % (sender.encode(), fields)
    envelope = Envelope(sender if reverse_path is None else reverse_path, recipients, "ESMTPSA", peer="192.0.2.1")
    content = content_of(header + body, len(header))
    return Submission(1, NOON, account(policy, suspended=suspended), envelope, examine(header), content)
