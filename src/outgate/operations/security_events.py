"""What the server refuses by itself and an administrator must know of, put into the audit trail in a thread: the event
loop never waits for the database's lock. Knows no operation.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from sqlalchemy import Engine

from outgate.operations.context import record
from outgate.record.audit_trail import REFUSED, AuditEntry
from outgate.store.vault import Vault

ACTOR = "server"

_log = structlog.get_logger("security")


class SecurityEvents:
    """Call it with what happened, to whom or what, and from which address. Never blocks and never raises."""

    def __init__(self, engine: Engine, vault: Vault, now: Callable[[], float]) -> None:
        self._engine, self._vault, self._now = engine, vault, now
        self._thread = ThreadPoolExecutor(1, "security")

    def __call__(self, kind: str, target: str, peer: str) -> None:
        """Log it, and record it as `security.<kind>`."""
        _log.warning(kind, target=target, peer=peer)
        entry = AuditEntry(self._now(), ACTOR, peer, f"security.{kind}", target, outcome=REFUSED)
        self._thread.submit(record, self._engine, self._vault, entry).add_done_callback(_tell)

    def close(self) -> None:
        """Wait for what is being recorded; not on the event loop."""
        self._thread.shutdown()


def _tell(done: Future[None]) -> None:
    if error := done.exception():
        _log.error("not in the audit trail", error=str(error))
