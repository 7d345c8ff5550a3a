"""Messages on record, and how they are found again."""

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Engine

from outgate.record import events, message_log, search_keys
from outgate.record.events import MessageEvent, Passage
from outgate.record.message_log import MessageFilter
from outgate.store.batch import apply
from outgate.store.engine import read, write


def accepted(number: int, sender: str = "alice@example.com", *recipients: str, at: float = 0.0) -> MessageEvent:
    return events.accepted(
        number,
        at or float(number),
        account="alice@example.com",
        header_from=[sender],
        reverse_path=sender,
        recipients=recipients or ["carol@recipient.example"],
        size=1,
        peer="",
        protocol="",
        rfc822_message_id=f" <{number}@client.example> ",
    )


def partly_delivered(number: int, sender: str, at: float, reply: str) -> Iterator[MessageEvent]:
    """A message by the address's own server to two people who get it, and one who is put off with this reply."""
    people = ["giulia@cliente.example", "acquisti@cliente.example", "capo@cliente.example"]
    passage = Passage(number, sender, "gateway:1", "user-gateway")
    yield accepted(number, sender, *people, at=at)
    yield events.routed(
        number,
        at,
        recipients=people,
        way="user-gateway",
        queue="gateway:1",
        queue_name="",
        reasons=[f"{sender} has the gateway smtp.dominiopartner.example:587"],
    )
    yield events.attempt(
        number,
        at + 1,
        way="user-gateway",
        verdicts=["delivered", "delivered", "retry"],
        peer="smtp.dominiopartner.example[192.0.2.1]:587",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        mail_from=sender,
        recipients=3,
        reply="250 2.0.0 Ok: queued as 4F2A91C03",
        seconds=0.048,
    )
    for one in people[:2]:
        yield events.delivered(passage, at + 1, recipient=one, by="smtp.x", reply="250 2.0.0 Ok", delay=1.0)
    yield events.deferred(passage, at + 1, recipient=people[2], reason=reply, next_attempt=at + 300)


def found(engine: Engine, wanted: MessageFilter) -> list[int]:
    with read(engine) as conn:
        return [one.event.message_id for one in message_log.search(conn, wanted)]


async def sort_in(engine: Engine, crash_after: int | None = None) -> None:
    """Sort in all that is fresh now, as the server does in some seconds, or so many steps of it."""
    for step in islice((await search_keys.oldest(engine)).steps(), crash_after):
        with write(engine) as conn:
            assert apply(conn, [step]) == [True]
