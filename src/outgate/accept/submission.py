"""From a message that has arrived whole to what goes into the queue, or the reply that refuses it. Pure.

Here authorise and route meet the message for the first time; deliver asks both again at every attempt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outgate.authorise import authorise
from outgate.mail.addresses import canonical
from outgate.mail.header_check import CheckedHeader
from outgate.mail.headers import value
from outgate.model import Account, Organisation, QueueKey, Refused
from outgate.queue import Message, Put, Recipient
from outgate.record import events
from outgate.record.events import MessageEvent
from outgate.route import Route, route
from outgate.smtp import MailParams, RcptParams, Reply


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the client said before the content."""

    reverse_path: str
    params: MailParams
    recipients: Sequence[tuple[str, RcptParams]]
    peer: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of the content without having it."""

    identity: int
    examined: CheckedHeader
    size: int
    header_size: int
    chunks: int
    body_digest: bytes
    eight_bit: bool
    last_chunk: bytes


def prepare(
    account: Account, organisation: Organisation, envelope: Envelope, content: Content, received_at: float
) -> Put | Reply:
    """The change that puts the message into the queue, or why it is refused."""
    examined = content.examined
    reverse_path = canonical(envelope.reverse_path) if envelope.reverse_path else ""
    verdict = authorise(account, reverse_path, examined.header_from, examined.sender)
    if isinstance(verdict, Refused):
        return Reply(550, "5.7.1", (verdict.reason,))
    routes = []
    for address, _ in envelope.recipients:
        way = route(
            organisation,
            account,
            verdict.chosen,
            canonical(address),
            reverse_path=reverse_path,
            automatic=examined.automatic,
        )
        if isinstance(way, Refused):
            return Reply(550, "5.7.1", (way.reason,))
        routes.append(way)
    recipients = tuple(
        Recipient(number, address, way.queue, params.orcpt, params.notify)
        for number, ((address, params), way) in enumerate(zip(envelope.recipients, routes, strict=True))
    )
    message = Message(
        id=content.identity,
        account_id=account.id,
        chosen_from=verdict.chosen.address,
        reverse_path=envelope.reverse_path,
        size=content.size,
        header_size=content.header_size,
        chunks=content.chunks,
        body_digest=content.body_digest,
        eight_bit=content.eight_bit,
        smtputf8=envelope.params.smtputf8,
        automatic=examined.automatic,
        envid=envelope.params.envid,
        ret=envelope.params.ret,
        protocol=envelope.protocol,
        received_at=received_at,
        rewrite_from=verdict.rewrite,
    )
    recorded = [
        _accepted(account, envelope, content, received_at),
        *routed(message.id, received_at, envelope.recipients, routes),
    ]
    return Put(message, recipients, content.last_chunk, recorded, due_at=received_at, fields=examined.fields)


def not_taken(account: Account, envelope: Envelope, content: Content, reply: Reply, at: float) -> MessageEvent:
    """What the record says of a message that is refused by this reply."""
    words = " ".join([str(reply.code), reply.enhanced or "", *reply.lines])
    return events.refused(_accepted(account, envelope, content, at), words)


def _accepted(account: Account, envelope: Envelope, content: Content, received_at: float) -> MessageEvent:
    return events.accepted(
        content.identity,
        received_at,
        account=account.primary,
        header_from=content.examined.header_from,
        reverse_path=envelope.reverse_path,
        recipients=[address for address, _ in envelope.recipients],
        size=content.size,
        peer=envelope.peer,
        protocol=envelope.protocol,
        rfc822_message_id=_message_id(content.examined),
    )


def _message_id(examined: CheckedHeader) -> str:
    field = next((field for field in examined.fields if field.name == b"message-id"), None)
    return value(field).strip().decode("utf-8", "replace")[:998] if field else ""


def routed(
    message_id: int, at: float, recipients: Sequence[tuple[str, RcptParams]], routes: Sequence[Route]
) -> list[MessageEvent]:
    """One fact for each way, with the recipients that take it."""
    by_way: dict[QueueKey, list[int]] = {}
    for index, way in enumerate(routes):
        by_way.setdefault(way.queue, []).append(index)
    return [
        events.routed(
            message_id,
            at,
            recipients=[recipients[index][0] for index in indices],
            way=routes[indices[0]].kind.value,
            queue=str(queue),
            reasons=routes[indices[0]].reasons,
        )
        for queue, indices in by_way.items()
    ]
