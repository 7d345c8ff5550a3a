"""Messages on record, and how they are found again."""

from sqlalchemy import Engine

from outgate.record import events, message_log
from outgate.record.events import MessageEvent
from outgate.record.message_log import MessageFilter
from outgate.store.engine import read


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


def found(engine: Engine, wanted: MessageFilter) -> list[int]:
    with read(engine) as conn:
        return [one.event.message_id for one in message_log.search(conn, wanted)]
