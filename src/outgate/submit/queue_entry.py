"""The entry in the queue, made of a message that is taken: the one place where a Message gets its fields. Pure.

`submitted` is an account's message, `relayed` one that a trusted server brings and that is no account's, `originated`
the organisation's own (delivery report, confirmation code, journal copy). What the record says of each is made beside
it, once.
"""

from collections.abc import Sequence
from dataclasses import field

from outgate.authorise import Authorised
from outgate.frozen import frozen
from outgate.mail.address_leak import needle
from outgate.mail.addresses import canonical
from outgate.mail.header_check import CheckedHeader
from outgate.mail.header_rewrite import made_message_id
from outgate.mail.headers import Field, value
from outgate.model import Account, Organisation, QueueKey, TlsDemand
from outgate.queue import Message, Put, Recipient
from outgate.queue.queue_id import to_text
from outgate.record import events
from outgate.record.events import MessageEvent
from outgate.route import Route, RouteKind, Ways, own_route
from outgate.submit.quotas import counted_units
from outgate.submit.refusal import Refusal
from outgate.submit.submission import Content, Envelope, Submission
from outgate.submit.usage import CountMessage

# These stand for the account in the record.
OWN_MAIL = "the organisation"
NOBODY = "no account"


@frozen
class _Origin:
    """Whom a message is from: what tells an account's message from nobody's, and either from the organisation's own,
    which has no `chosen_from`.

    `account` and the addresses of From are for the record; `units` are those for whose limits it counts.
    """

    account: str = OWN_MAIL
    account_id: int | None = None
    units: Sequence[str] = ()
    chosen_from: str = ""
    rewrite_from: bool = False
    header_from: Sequence[str] = ()
    fields: Sequence[Field] | None = field(default=None, repr=False)
    tls_demand: TlsDemand = TlsDemand.USUAL  # where there are no fields that say it


def submitted(submission: Submission, authorised: Authorised, routes: Sequence[Route]) -> Put:
    """The entry of an account's message; `routes` are those of the envelope's recipients, in their order."""
    origin = _origin(submission, authorised)
    put = _entry(submission.identity, submission.at, origin, submission.envelope, submission.content, routes)
    if submission.version is not None:
        put.ways = Ways(submission.version, submission.account, routes)
    return put


def refused(submission: Submission, refusal: Refusal) -> MessageEvent:
    """What the record says of an account's message that came whole and is not taken."""
    accepted = _accepted(
        submission.identity, submission.at, _origin(submission), submission.envelope, submission.content.size
    )
    return events.refused(accepted, str(refusal))


def refused_envelope(identity: int, at: float, account: Account, envelope: Envelope, reply: str) -> MessageEvent:
    """What the record says of a message that did not come, since its sender or a recipient was refused."""
    origin = _Origin(account=account.primary, account_id=account.id)
    return events.refused(_accepted(identity, at, origin, envelope, 0), reply)


def relayed(
    identity: int, at: float, envelope: Envelope, header: CheckedHeader, content: Content, organisation: Organisation
) -> Put:
    """The entry of a message that is no account's. It takes the organisation's own ways, but is not its own."""
    routes = _own_routes(envelope, organisation)
    return _entry(identity, at, _nobodys(header), envelope, content, routes)


def refused_relay(
    identity: int, at: float, envelope: Envelope, header: CheckedHeader, content: Content, refusal: Refusal
) -> MessageEvent:
    """What the record says of such a message, or of one whose account is not known, that is not taken."""
    return events.refused(_accepted(identity, at, _nobodys(header), envelope, content.size), str(refusal))


def originated(
    identity: int,
    at: float,
    envelope: Envelope,
    content: Content,
    organisation: Organisation,
    journal_of: int | None = None,
    tls_demand: TlsDemand = TlsDemand.USUAL,
) -> Put:
    """The entry of the organisation's own mail, which takes the organisation's own ways.

    `journal_of` is the queue id of the message that it is the journal copy of: both are noted in one transaction.
    """
    routes = _own_routes(envelope, organisation)
    return _entry(identity, at, _Origin(tls_demand=tls_demand), envelope, content, routes, journal_of)


def _own_routes(envelope: Envelope, organisation: Organisation) -> list[Route]:
    sender = envelope.reverse_path
    return [own_route(organisation, canonical(one.address), sender) for one in envelope.recipients]


def _nobodys(header: CheckedHeader) -> _Origin:
    """From is as it says: nobody here answers for it."""
    sender = header.header_from[0]
    return _Origin(account=NOBODY, chosen_from=sender, header_from=header.header_from, fields=header.fields)


def _origin(submission: Submission, authorised: Authorised | None = None) -> _Origin:
    header = submission.header
    return _Origin(
        account=submission.account.primary,
        account_id=submission.account.id,
        units=counted_units(submission.account.policy),
        chosen_from=authorised.chosen.address if authorised else "",
        rewrite_from=bool(authorised and authorised.rewrite),
        header_from=header.header_from,
        fields=header.fields,
    )


def _entry(
    identity: int,
    at: float,
    origin: _Origin,
    envelope: Envelope,
    content: Content,
    routes: Sequence[Route],
    journal_of: int | None = None,
) -> Put:
    message = Message(
        id=identity,
        account_id=origin.account_id,
        chosen_from=origin.chosen_from,
        reverse_path=envelope.reverse_path,
        size=content.size,
        header_size=content.header_size,
        chunks=content.chunks,
        body_digest=content.body_digest,
        eight_bit=content.eight_bit,
        smtputf8=envelope.smtputf8,
        envid=envelope.envid,
        ret=envelope.ret,
        protocol=envelope.protocol,
        received_at=at,
        rewrite_from=origin.rewrite_from,
        journalled=False,
        not_before=envelope.hold_until,
        tls_demand=_tls_demand(origin, envelope),
    )
    hides = origin.account_id is not None and RouteKind.USER_GATEWAY in [way.kind for way in routes]
    recorded = [
        _accepted(identity, at, origin, envelope, content.size, hides=hides),
        *_routed(identity, at, envelope, routes),
    ]
    if journal_of is not None:
        archive = envelope.recipients[0].address
        recorded.append(events.journalled(journal_of, at, copy=to_text(identity), to=archive))
    return Put(
        message,
        _waiting(envelope, routes),
        content.last_chunk,
        recorded,
        due_at=message.waits_since,
        fields=origin.fields,
        journal_of=journal_of,
        earlier_chunks=content.earlier_chunks,
        beside=_counted(origin, at, len(envelope.recipients)),
    )


def _counted(origin: _Origin, at: float, recipients: int) -> tuple[CountMessage, ...]:
    """For the limits of its account, if it has one, and of units."""
    return () if origin.account_id is None else (CountMessage(origin.account_id, at, recipients, origin.units),)


def _tls_demand(origin: _Origin, envelope: Envelope) -> TlsDemand:
    """REQUIRETLS goes before a header field that says the contrary (RFC 8689 section 3)."""
    if envelope.require_tls:
        return TlsDemand.REQUIRED
    fields = [value(one).strip().lower() for one in origin.fields or () if one.name == b"tls-required"]
    return TlsDemand.WAIVED if fields == [b"no"] else origin.tls_demand


def _waiting(envelope: Envelope, routes: Sequence[Route]) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(number, one.address, way.queue, one.orcpt, one.notify)
        for number, (one, way) in enumerate(zip(envelope.recipients, routes, strict=True))
    )


def _accepted(
    identity: int, at: float, origin: _Origin, envelope: Envelope, size: int, *, hides: bool = False
) -> MessageEvent:
    """`hides`: nothing in it may tell of the account, where it leaves."""
    message_id = _message_id(identity, origin)
    tells = hides and origin.account != origin.chosen_from and needle(origin.account).found_in(message_id.encode())
    return events.accepted(
        identity,
        at,
        account=origin.account,
        header_from=origin.header_from,
        reverse_path=envelope.reverse_path,
        recipients=[one.address for one in envelope.recipients],
        size=size,
        peer=envelope.peer,
        protocol=envelope.protocol,
        rfc822_message_id=message_id,
        made_message_id=made_message_id(to_text(identity), origin.chosen_from) if tells else "",
        not_before=envelope.hold_until,
    )


def _message_id(identity: int, origin: _Origin) -> str:
    """The message's own, or the one that it gets when it leaves; of what is refused before it has a From, none."""
    for one in origin.fields or ():
        if one.name == b"message-id":
            return value(one).strip().decode("utf-8", "replace")[:998]
    return made_message_id(to_text(identity), origin.chosen_from) if origin.chosen_from else ""


def _routed(identity: int, at: float, envelope: Envelope, routes: Sequence[Route]) -> list[MessageEvent]:
    """One event for each queue, with the recipients that wait in it."""
    by_queue: dict[QueueKey, tuple[Route, list[str]]] = {}
    for one, way in zip(envelope.recipients, routes, strict=True):
        by_queue.setdefault(way.queue, (way, []))[1].append(one.address)
    return [
        events.routed(
            identity,
            at,
            recipients=addresses,
            way=str(way.kind),
            queue=str(queue),
            queue_name=way.queue_name,
            reasons=way.reasons,
        )
        for queue, (way, addresses) in by_queue.items()
    ]
