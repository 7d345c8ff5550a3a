"""What becomes of a submission, case by case: pure."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.compliance.attachment_policy import Attachments
from outgate.mail.addresses import canonical
from outgate.mail.attachments import Attachment, TooComplex
from outgate.model import Policy, TlsDemand, UnknownFrom
from outgate.queue import Put
from outgate.record.events import EventKind
from outgate.submit import EnvelopeRecipient, Refusal, RefusalReason, Submission
from outgate.submit.decision import RoutedSubmission, decide, routed
from outgate.submit.queue_entry import refused
from outgate.submit.quotas import Use, over_quota, quotas_of
from outgate.submit.usage import Sent
from submissions import ALICE, CAROL, LIMITS, NOON, ORGANISATION, PARTNER, account, submission

ON = Policy(allow_external_smtp=True)
HOUR = int(NOON // 3600)


def decision(
    message: Submission,
    attachments: Attachments = (),
    sent: Sequence[Sent] = (),
) -> Put | Refusal:
    candidate = routed(message, ORGANISATION, LIMITS)
    if isinstance(candidate, Refusal):
        return candidate
    uses = {one.holder: Use(HOUR, sent) for one in candidate.quotas}
    return decide(candidate, attachments, candidate.quotas, uses)


def taken(message: Submission) -> Put:
    outcome = decision(message)
    assert isinstance(outcome, Put), outcome
    return outcome


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        (submission(fields=b"Received: x\r\n" * 6), RefusalReason.LOOP, "554 5.4.6 Too many Received lines"),
        (
            submission(recipients=[EnvelopeRecipient(f"r{n}@recipient.example") for n in range(101)]),
            RefusalReason.TOO_MANY,
            "452 4.5.3 Too many recipients; at most 100",
        ),
        (
            submission(
                replace(ON, recipients_per_message=2, sources={"recipients_per_message": "/Sales"}),
                recipients=[EnvelopeRecipient(f"r{n}@recipient.example") for n in range(3)],
            ),
            RefusalReason.TOO_MANY,
            "550 5.5.3 A message may have 2 recipients at most (from unit /Sales); send it to fewer at a time",
        ),
        (
            submission(replace(ON, message_bytes=100), body=b"x" * 100),
            RefusalReason.TOO_LARGE,
            "552 5.3.4 The message is larger than 100 bytes, which are the most that may be sent (the default)",
        ),
        (submission(suspended=True), RefusalReason.NOT_AUTHORISED, "550 5.7.1 the account alice@example.com is susp"),
        (submission(sender=CAROL), RefusalReason.NOT_AUTHORISED, f"550 5.7.1 MAIL FROM <{CAROL}> is not an address"),
        (
            submission(sender=CAROL, reverse_path=""),
            RefusalReason.NOT_AUTHORISED,
            f"550 5.7.1 From <{CAROL}> is not an address",
        ),
        (
            submission(replace(ON, refused_recipient_domains=("recipient.example",))),
            RefusalReason.POLICY,
            f"550 5.7.1 mail from {PARTNER} may not go to {CAROL}",
        ),
        (
            submission(Policy(external_from=False)),
            RefusalReason.POLICY,
            f"550 5.7.1 {PARTNER} is outside the organisation's domains",
        ),
    ],
)
def test_what_may_not_be_sent_is_refused_with_its_reason(message: Submission, reason: RefusalReason, said: str) -> None:
    outcome = decision(message)
    assert isinstance(outcome, Refusal)
    assert outcome.reason is reason
    assert str(outcome).startswith(said)


def test_a_message_at_its_limits_is_taken() -> None:
    many = [EnvelopeRecipient(f"r{n}@recipient.example") for n in range(100)]
    assert len(taken(submission(recipients=many, fields=b"Received: x\r\n" * 5)).recipients) == 100


TOOL = Attachment("tool.exe", "application/octet-stream", 2)
NO_TOOLS = replace(ON, refused_attachments=(".exe",))


@pytest.mark.parametrize(
    ("policy", "sender", "attachments", "asked", "text"),
    [
        (NO_TOOLS, PARTNER, [TOOL], True, "'tool.exe' may not leave"),
        (NO_TOOLS, PARTNER, TooComplex("the message has too many parts"), True, "the message has too many parts"),
        (NO_TOOLS, PARTNER, [replace(TOOL, filename="fine.pdf")], True, None),
        (NO_TOOLS, ALICE, [TOOL], False, None),
        (ON, PARTNER, [TOOL], False, None),
    ],
)
def test_attachments_matter_where_policy_speaks_of_them_and_a_gateway_is_taken(
    policy: Policy, sender: str, attachments: Attachments, asked: bool, text: str | None
) -> None:
    candidate = routed(submission(policy, sender=sender), ORGANISATION, LIMITS)
    assert isinstance(candidate, RoutedSubmission)
    assert candidate.asks_for_attachments is asked
    outcome = decide(candidate, attachments, (), {})
    if text is None:
        assert isinstance(outcome, Put)
    else:
        assert isinstance(outcome, Refusal)
        assert (outcome.reason, outcome.code) == (RefusalReason.ATTACHMENT, 550)
        assert text in outcome.text


def test_over_a_limit_a_message_is_refused_for_now() -> None:
    sent = [Sent(HOUR - 3, 1, 1)]
    outcome = decision(submission(replace(ON, messages_per_day=1)), sent=sent)
    assert isinstance(outcome, Refusal)
    assert (outcome.reason, outcome.code) == (RefusalReason.TOO_MANY, 450)
    for policy in (replace(ON, messages_per_day=2), replace(ON, messages_per_hour=1, recipients_per_hour=1)):
        assert isinstance(decision(submission(policy), sent=sent), Put)


# --- the entry -------------------------------------------------------------------------------------------------------


def test_the_entry_says_what_was_submitted() -> None:
    to = [EnvelopeRecipient(CAROL, "FAILURE", "rfc822;c@x"), EnvelopeRecipient("Bob@Example.com")]
    message = submission(recipients=to, fields=b"Message-ID: <1@client.example>\r\n")
    message = replace(message, envelope=replace(message.envelope, smtputf8=True, envid="e1", ret="HDRS"))
    put = taken(message)
    entry = put.message
    assert (entry.id, entry.account_id, entry.chosen_from, entry.reverse_path) == (1, 7, PARTNER, PARTNER)
    assert (entry.smtputf8, entry.envid, entry.ret, entry.protocol) == (True, "e1", "HDRS", "ESMTPSA")
    assert (entry.received_at, put.due_at, put.fields) == (NOON, NOON, message.header.fields)
    assert (entry.rewrite_from, entry.journalled, put.journal_of) == (False, False, None)
    assert [(one.number, one.address, one.queue, one.orcpt, one.notify) for one in put.recipients] == [
        (0, CAROL, put.recipients[0].queue, "rfc822;c@x", "FAILURE"),
        (1, "Bob@Example.com", put.recipients[0].queue, None, None),
    ]
    accepted, way = put.events
    assert accepted.detail == {
        "account": ALICE,
        "from": [PARTNER],
        "mail_from": PARTNER,
        "recipients": [CAROL, "Bob@Example.com"],
        "size": entry.size,
        "peer": "192.0.2.1",
        "protocol": "ESMTPSA",
        "message_id": "<1@client.example>",
    }
    assert way.detail["recipients"] == [CAROL, "Bob@Example.com"]


def test_each_queue_has_an_event_of_its_own() -> None:
    to = [EnvelopeRecipient(one) for one in (CAROL, "bob@example.com", "dora@recipient.example")]
    put = taken(submission(sender=ALICE, recipients=to))
    assert [(one.detail["way"], one.detail["recipients"]) for one in put.events if one.kind is EventKind.ROUTED] == [
        ("direct", [CAROL, "dora@recipient.example"]),
        ("local", ["bob@example.com"]),
    ]


def test_a_from_that_policy_replaces_is_marked() -> None:
    put = taken(submission(replace(ON, unknown_from=UnknownFrom.REWRITE), sender=CAROL))
    assert (put.message.chosen_from, put.message.rewrite_from) == (ALICE, True)


def test_a_null_sender_stays_null() -> None:
    put = taken(submission(fields=b"Auto-Submitted: auto-replied\r\n", reverse_path=""))
    assert put.message.reverse_path == ""


def test_a_refused_message_is_on_record_as_an_accepted_one_would_be_with_the_reply() -> None:
    message = submission(fields=b"Message-ID: <1@client.example>\r\n")
    event = refused(message, Refusal(RefusalReason.POLICY, 550, "5.7.1", "no"))
    assert (event.kind, event.at, event.message_id) == (EventKind.REFUSED, NOON, 1)
    assert event.detail == taken(message).events[0].detail | {"refused": "550 5.7.1 no"}


def test_an_address_named_twice_is_one_recipient_with_what_was_said_first() -> None:
    to = [
        EnvelopeRecipient("bob@example.com", "NEVER"),
        EnvelopeRecipient(CAROL),
        EnvelopeRecipient('"Bob"@Example.com'),
        EnvelopeRecipient("carol@RECIPIENT.example"),
    ]
    put = taken(submission(recipients=to))
    assert [(one.number, one.address, one.notify) for one in put.recipients] == [
        (0, "bob@example.com", "NEVER"),
        (1, CAROL, None),
    ]
    assert put.events[0].detail["recipients"] == ["bob@example.com", CAROL]


@given(st.lists(st.sampled_from(["bob", "Bob", "BOB", "carol", "dora", '"dora"', "Größe", "GRÖSSE"]), min_size=1))
def test_recipients_are_the_compared_forms_in_the_order_of_their_first_names(names: list[str]) -> None:
    addresses = [f"{name}@recipient.example" for name in names]
    put = taken(submission(sender=ALICE, recipients=[EnvelopeRecipient(one) for one in addresses]))
    forms = [canonical(one.address) for one in put.recipients]
    assert forms == list(dict.fromkeys(map(canonical, addresses)))
    assert [one.address for one in put.recipients] == [
        next(one for one in addresses if canonical(one) == form) for form in forms
    ]
    assert [one.number for one in put.recipients] == list(range(len(forms)))


# --- limits of an hour and a day -------------------------------------------------------------------------------------

HOURS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=24)
MOST = st.integers(0, 60)


@given(HOURS, st.lists(st.integers(1, 20)), MOST, MOST, MOST, MOST, st.integers(1, 20))
def test_a_message_is_refused_exactly_if_it_passes_a_limit(
    hours: list[tuple[int, int]],
    since: list[int],
    messages: int,
    recipients: int,
    by_hour: int,
    of_unit: int,
    more: int,
) -> None:
    sent = [Sent(HOUR - 23 + n, *one) for n, one in enumerate(hours)]
    policy = Policy(
        messages_per_day=messages,
        recipients_per_day=recipients,
        messages_per_hour=by_hour,
        unit_recipients_per_hour=of_unit,
        sources={"unit_recipients_per_hour": "/Sales"},
    )
    quotas = quotas_of(account(policy))
    this_hour = [one for one in sent if one.hour == HOUR]
    over = (
        bool(messages and sum(one.messages for one in sent) + len(since) + 1 > messages),
        bool(recipients and sum(one.recipients for one in sent) + sum(since) + more > recipients),
        bool(by_hour and sum(one.messages for one in this_hour) + len(since) + 1 > by_hour),
        bool(of_unit and sum(one.recipients for one in this_hour) + sum(since) + more > of_unit),
    )
    refusal = over_quota(quotas, {7: Use(HOUR, sent, since), "/Sales": Use(HOUR, sent, since)}, more)
    assert (refusal is not None) is any(over)
    if refusal:
        never = bool((recipients and more > recipients) or (of_unit and more > of_unit))
        assert (refusal.code == 550) is never
        assert ("try again after" in refusal.text) is not never


@pytest.mark.parametrize(
    ("fields", "require_tls", "demand"),
    [
        (b"", False, TlsDemand.USUAL),
        (b"", True, TlsDemand.REQUIRED),
        (b"TLS-Required: No\r\n", False, TlsDemand.WAIVED),
        (b"TLS-Required: No\r\n", True, TlsDemand.REQUIRED),  # RFC 8689 section 3
        (b"TLS-Required: maybe\r\n", False, TlsDemand.USUAL),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False, TlsDemand.USUAL),
    ],
)
def test_what_the_sender_demands_of_tls_is_kept(fields: bytes, require_tls: bool, demand: TlsDemand) -> None:
    message = submission(fields=fields)
    message = replace(message, envelope=replace(message.envelope, require_tls=require_tls))
    assert taken(message).message.tls_demand is demand


def test_what_is_held_back_is_due_then_and_its_time_runs_from_then() -> None:
    message = submission()
    held = taken(replace(message, envelope=replace(message.envelope, hold_until=message.at + 3600)))
    assert (held.due_at, held.message.waits_since) == (message.at + 3600,) * 2
    assert taken(message).due_at == message.at
