"""What is in the queue: a message, its recipients, and both together as a worker gets them. Data only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import Row

from outgate.mail.headers import Field


@dataclass(frozen=True, slots=True)
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
    automatic: bool
    envid: str | None
    ret: str | None
    protocol: str
    received_at: float
    rewrite_from: bool = False
    journalled: bool = False

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        """As it was stored; a new one is made in submit.queue_entry only."""
        return cls(**row._asdict())


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient without a final outcome. `queue` is route.Route.queue as last decided."""

    number: int
    address: str
    queue: str
    orcpt: str | None = None
    notify: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """What a worker holds a lease on. `content` is the whole message if it is in memory anyway (see Queue.put), and
    `fields` its header, already read.
    """

    message: Message
    recipients: tuple[Recipient, ...]
    content: bytes | None = field(default=None, repr=False)
    fields: Sequence[Field] | None = field(default=None, repr=False)
