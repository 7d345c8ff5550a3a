"""What all submission sessions of a process share. Data only, so that a session can be made with just this."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

from prometheus_client import Gauge

from outgate.accept.authenticator import Authenticator
from outgate.accept.tls import Certificate
from outgate.config import Config
from outgate.directory.reader import DirectoryReader
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds
from outgate.smtp import TokenIssuer
from outgate.submit import Submitter

_SESSIONS = Gauge("outgate_submission_sessions", "Sessions of mail programs that are open")


@dataclass(slots=True)
class SessionServices:
    """The parts that sessions use, and the count of sessions by peer."""

    config: Config
    queue: Queue
    directory: DirectoryReader
    submitter: Submitter
    log_in: Authenticator
    certificate: Certificate
    scram_secret: bytes
    token_issuer: TokenIssuer | None = None
    queue_ids: QueueIds = field(default_factory=QueueIds)
    sessions_by_peer: dict[str, int] = field(default_factory=dict)
    sessions: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Let something run that no session waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def enter(self, peer: str) -> bool:
        """Count a session; False if there are too many already."""
        settings = self.config.submission
        count = self.sessions_by_peer.get(peer, 0) + 1
        self.sessions_by_peer[peer] = count
        self.sessions += 1
        _SESSIONS.inc()
        return count <= settings.max_sessions_per_peer and self.sessions <= settings.max_sessions

    def leave(self, peer: str) -> None:
        """A session has ended."""
        self.sessions -= 1
        _SESSIONS.dec()
        self.sessions_by_peer[peer] -= 1
        if not self.sessions_by_peer[peer]:
            del self.sessions_by_peer[peer]
