"""What is in the queue: a message, its recipients, and both together as a worker gets them. Data only."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Row

from outgate.frozen import frozen
from outgate.mail.headers import Field
from outgate.model import QueueKey, TlsDemand
from outgate.route import Ways


@frozen
class Message:
    """A message as it was accepted. Fields as the columns of store.tables.message; sizes in bytes."""

    id: int
    account_id: int | None
    chosen_from: str
    reverse_path: str
    size: int
    header_size: int
    chunks: int
    body_digest: bytes
    eight_bit: bool
    smtputf8: bool
    envid: str | None
    ret: str | None
    protocol: str
    received_at: float
    rewrite_from: bool = False
    journalled: bool = False
    not_before: float | None = None
    tls_demand: TlsDemand = TlsDemand.USUAL

    @property
    def is_own(self) -> bool:
        """Whether it is the organisation's own: of what others hand in, account or not, the From is kept."""
        return self.account_id is None and not self.chosen_from

    @property
    def waits_since(self) -> float:
        """When it could first have left: what it waits for by its sender's wish is no delay."""
        return self.received_at if self.not_before is None else self.not_before

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """As it was stored; a new one is made in submit.queue_entry only."""
        return cls(**{**row._asdict(), "tls_demand": TlsDemand(row.tls_demand)})


class Instruction(StrEnum):
    """What an administrator wants done with a recipient that waits."""

    RETURN = "return"  # to the sender, with a report
    ORGANISATION = "organisation"  # by the organisation's own servers, past the address's gateway
    DIRECT = "direct"  # to the recipient's exchangers, past all gateways


@frozen
class Recipient:
    """A recipient without a final outcome. `queue` is route.Route.queue as last decided; `delay_told` says that the
    sender was told that it takes longer, `last_reply` why it waits, if it was put off before."""

    number: int
    address: str
    queue: QueueKey
    orcpt: str | None = None
    notify: str | None = None
    attempts: int = 0
    delay_told: bool = False
    instruction: Instruction | None = None
    last_reply: str | None = None

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """As the database has it."""
        return cls(
            row.number,
            row.address,
            QueueKey.parse(row.queue),
            row.orcpt,
            row.notify,
            row.attempts,
            row.delay_told,
            Instruction(row.instruction) if row.instruction else None,
            row.last_reply,
        )


@frozen
class Room:
    """How many more messages a worker may hold: `free` in all, and how many it holds of each queue already.

    The bound of a queue moves with what is free, so that one slow destination alone never has more than a tenth of the
    places, and many of them never all (dynamic thresholds: Choudhury and Hahne, 1998). A queue of which nothing is held
    has room as long as there is any.
    """

    free: int
    held: Mapping[QueueKey, int]

    def of(self, queue: QueueKey) -> int:
        """How many more messages of this queue may be held."""
        return room_of(self.free, self.held.get(queue, 0))

    def less(self, queue: QueueKey, messages: int) -> "Room":
        """What is left when so many more are held."""
        return Room(self.free - messages, {**self.held, queue: self.held.get(queue, 0) + messages})


_SHARE: Final = 9  # a queue may hold a ninth of what is free: alone, a tenth of all


def room_of(free: int, held: int) -> int:
    """How many more messages of a queue of which so many are held: the most n with held + n <= (free - n) / _SHARE."""
    within = (free - held * _SHARE) // (_SHARE + 1)
    return max(within, min(1 - held, free), 0)


@frozen
class Item:
    """What a worker holds a lease on. What is in memory anyway comes with it (see Queue.put): `content` is the whole
    message, `fields` its header, already read, and `ways` what submission has just decided.
    """

    message: Message
    recipients: tuple[Recipient, ...]
    content: bytes | None = field(default=None, repr=False)
    fields: Sequence[Field] | None = field(default=None, repr=False)
    ways: Ways | None = field(default=None, repr=False)


@frozen
class Claimed:
    """What a step of a claim brought, the queues in which more is due than there was room for, and those that are left
    for the next step: the ones that it did not come to, then those of which it took a part.
    """

    items: Sequence[Item]
    left_behind: frozenset[QueueKey]
    queues: Sequence[QueueKey]
