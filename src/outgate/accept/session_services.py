"""What all submission sessions of a process share. Data only, so that a session can be made with just this."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

from outgate.accept.authenticator import Authenticator
from outgate.accept.tls import Certificate
from outgate.accept.unfinished import UnfinishedBytes
from outgate.config import Config
from outgate.directory.reader import DirectoryReader
from outgate.queue import Queue
from outgate.queue.queue_id import QueueIds
from outgate.smtp import TokenIssuer
from outgate.submit import Submitter


@dataclass(slots=True)
class SessionServices:
    """The parts that sessions use, and what runs that no session waits for."""

    config: Config
    queue: Queue
    directory: DirectoryReader
    submitter: Submitter
    log_in: Authenticator
    certificate: Certificate
    scram_secret: bytes
    token_issuer: TokenIssuer | None = None
    queue_ids: QueueIds = field(default_factory=QueueIds)
    unfinished: UnfinishedBytes = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.unfinished = UnfinishedBytes(self.config.submission.max_unfinished_bytes)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Let something run that no session waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
