"""Answers that the directory alone decides, kept as long as it does not change: a program that looks again and again
costs two short queries, no transaction and no thread. Knows no method and no HTTP.

That a token is good is looked up each time; whatever else takes a right away changes the directory (suspension of the
user, for one), and with its version every answer is out of date.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from outgate.directory import access_tokens
from outgate.directory.access_tokens import AccessToken
from outgate.directory.cache import VERSION
from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.remembered import Remembered
from outgate.store.prepared import PreparedNumber, PreparedRows

ROOM: Final = 32 * 1024 * 1024  # bytes of answers
_BESIDE: Final = 500  # bytes that one takes beside its body

Asked = tuple[bytes, bytes]  # path and query


@frozen
class KnownAnswer:
    """What is known before a request is looked into. `version` is the directory's, and older than an answer that is
    made now; `body` is None if none is known that is as new.
    """

    token: AccessToken
    version: int
    body: bytes | None


class KnownAnswers:
    """By user and by what was asked. All raise store.engine.StoreUnavailable."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self.is_local = engine.dialect.name == "sqlite"  # answered at once: on a loop nobody waits
        self._now = now
        self._version = PreparedNumber(engine, VERSION)
        self._tokens = PreparedRows(engine, access_tokens.BY_DIGEST)
        self._bodies = Remembered[tuple[int, Asked], tuple[int, bytes]](ROOM)

    def look(self, secret: str, asked: Asked) -> KnownAnswer | None:
        """None if the token is not good."""
        version = self._version.read()
        rows = self._tokens.read(digest(secret))
        token = access_tokens.made(rows[0], self._now()) if rows else None
        if token is None:
            return None
        known = self._bodies.get((token.account_id, asked))
        return KnownAnswer(token, version, known[1] if known and known[0] == version else None)

    def keep(self, looked: KnownAnswer, asked: Asked, body: bytes) -> None:
        """What was answered after that look."""
        weight = len(body) + sum(map(len, asked)) + _BESIDE
        self._bodies.put((looked.token.account_id, asked), (looked.version, body), weight)
