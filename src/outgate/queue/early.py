"""Mail that its sender lets leave later (RFC 4865), as a condition on rows. Knows no change of a queue."""

from sqlalchemy import BindParameter, ColumnElement, select

from outgate.store.tables import message, recipient


def is_early(now: float | BindParameter[float]) -> ColumnElement[bool]:
    """Of a recipient: whether the message may not leave yet. Such messages are few, and have an index."""
    return recipient.c.message_id.in_(select(message.c.id).where(message.c.not_before > now))
