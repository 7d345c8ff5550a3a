"""Writes facts and finds them again. Rows are added and never changed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select

from outgate.record.events import EventKind, MessageEvent
from outgate.store.batch import Batch, Step
from outgate.store.tables import fact

_ADD = Step(90, insert(fact))


def add(conn: Connection, events: Sequence[MessageEvent]) -> None:
    """Record events within the caller's transaction."""
    batch = Batch()
    add_to(batch, events)
    batch.execute(conn)


def add_to(batch: Batch, events: Sequence[MessageEvent]) -> None:
    """Record events together with what they tell of."""
    batch.add(
        _ADD,
        *(
            {"message_id": one.message_id, "at": one.at, "kind": one.kind.value, "detail": _encode(one.detail)}
            for one in events
        ),
    )


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages `search` shows; what is None is not asked for. Texts match anywhere in the address or queue id."""

    address: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 50


def history(conn: Connection, message_id: int) -> list[MessageEvent]:
    """All facts of one message, oldest first; empty if there is no such message."""
    rows = conn.execute(select(fact).where(fact.c.message_id == message_id).order_by(fact.c.id))
    return [_fact(row) for row in rows]


def search(conn: Connection, wanted: MessageFilter) -> Iterator[MessageEvent]:
    """The `accepted` or `refused` facts of the newest messages that match, newest first."""
    conditions: list[ColumnElement[bool]] = [fact.c.kind.in_([EventKind.ACCEPTED.value, EventKind.REFUSED.value])]
    if wanted.since is not None:
        conditions.append(fact.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(fact.c.at < wanted.until)
    if wanted.address:
        conditions.append(fact.c.detail.icontains(wanted.address, autoescape=True))
    rows = conn.execute(select(fact).where(and_(*conditions)).order_by(fact.c.id.desc()).limit(wanted.limit))
    return (_fact(row) for row in rows)


def latest(conn: Connection, after: int, limit: int) -> list[tuple[int, MessageEvent]]:
    """Facts with a row number above `after`, oldest first, each with its number: for `outgate log --follow`."""
    rows = conn.execute(select(fact).where(fact.c.id > after).order_by(fact.c.id).limit(limit))
    return [(row.id, _fact(row)) for row in rows]


def _fact(row: Row[tuple[object, ...]]) -> MessageEvent:
    return MessageEvent(row.message_id, row.at, EventKind(row.kind), json.loads(row.detail))
