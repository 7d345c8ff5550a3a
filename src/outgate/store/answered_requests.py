"""Requests that a program may repeat until it has an answer: what was answered to each, kept for a day.

A program names its request by a key of its own choice; the answer is kept in the transaction that does what was asked,
so that it holds over restarts. Of key and request digests are kept. The functions work in the caller's transaction.
"""

import hashlib
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from outgate.store.tables import answered_request as table

KEPT: Final = 86400.0  # seconds


class KeyUsed(Exception):
    """The key names another request already."""


def find(connection: Connection, account_id: int, key: str, request: bytes, now: float) -> str | None:
    """What was answered to this request; None if it is new. Raises KeyUsed."""
    mine = (table.c.account_id == account_id, table.c.key_digest == _digest(key.encode()), table.c.at > now - KEPT)
    row = connection.execute(select(table.c.request_digest, table.c.answer).where(*mine)).first()
    if row is None:
        return None
    if row.request_digest != _digest(request):
        raise KeyUsed
    answer: str = row.answer
    return answer


def keep(connection: Connection, account_id: int, key: str, request: bytes, answer: str, now: float) -> None:
    """This is the answer. What is older than a day is forgotten."""
    connection.execute(delete(table).where(table.c.at <= now - KEPT))
    digests = {"key_digest": _digest(key.encode()), "request_digest": _digest(request)}
    connection.execute(insert(table).values(account_id=account_id, answer=answer, at=now, **digests))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
