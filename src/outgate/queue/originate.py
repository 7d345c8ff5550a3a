"""Mail that the organisation itself sends (delivery reports, confirmation codes), made ready for the queue. Pure."""

from collections.abc import Sequence

from outgate.mail.addresses import canonical
from outgate.mail.dkim import BodyDigest
from outgate.mail.header_check import split_message
from outgate.model import Organisation
from outgate.queue.changes import Put
from outgate.queue.entry import Message, Recipient
from outgate.queue.mail_queue import CHUNK_BYTES
from outgate.record import events
from outgate.route import own_route

OWN_MAIL = "the organisation"  # stands for the account in the record


def originate(
    identity: int, raw: bytes, reverse_path: str, recipients: Sequence[str], organisation: Organisation, now: float
) -> Put:
    """Queue `raw` (a whole message of at most 256 KiB) for these recipients, with no account behind it."""
    if len(raw) > CHUNK_BYTES:
        raise ValueError("mail of the organisation itself is short")
    header_size = split_message(raw) or len(raw)
    digest = BodyDigest()
    digest.update(raw[header_size:])
    ways = [own_route(organisation, canonical(one), reverse_path) for one in recipients]
    message = Message(
        id=identity,
        account_id=None,
        chosen_from="",
        reverse_path=reverse_path,
        size=len(raw),
        header_size=header_size,
        chunks=1,
        body_digest=digest.digest(),
        eight_bit=not raw.isascii(),
        smtputf8=not raw[:header_size].isascii() or not all(one.isascii() for one in recipients),
        automatic=True,
        envid=None,
        ret=None,
        protocol="ESMTP",
        received_at=now,
    )
    recorded = [
        events.accepted(
            identity,
            now,
            account=OWN_MAIL,
            header_from=[],
            reverse_path=reverse_path,
            recipients=recipients,
            size=len(raw),
            peer="",
            protocol="",
            rfc822_message_id="",
        ),
        *(
            events.routed(
                identity, now, recipients=[one], way=way.kind.value, queue=str(way.queue), reasons=way.reasons
            )
            for one, way in zip(recipients, ways, strict=True)
        ),
    ]
    waiting = tuple(Recipient(n, one, way.queue) for n, (one, way) in enumerate(zip(recipients, ways, strict=True)))
    return Put(message, waiting, raw, recorded, due_at=now)
