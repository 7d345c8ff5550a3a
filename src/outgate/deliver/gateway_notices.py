"""Tells an administrator of gateways that fail: one message for each, at most once a day, over all nodes.

A subscriber to the record: a recipient that waits late by a gateway is the sign. Delivery does not wait for it, and
nothing depends on it. Knows no transport, and not how a message is written.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from outgate.deliver.notices import Notices
from outgate.model import QueueKind
from outgate.printable import printable
from outgate.queue.queue_id import to_text
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import StoreUnavailable

REASON: Final = 1000  # characters

_GATEWAYS: Final = (QueueKind.GATEWAY.value, QueueKind.DOMAIN_GATEWAY.value)
_TEXT: Final = """\
Mail that should leave by {name} waits, since:

    {reason}

One of the messages is {message}, from {sender}. See all that waits there, and try again at once when it is mended:

    outgate queue list --queue {queue}
    outgate queue retry --queue {queue}
{of_user}
The senders are told as well. You are told again tomorrow if it still fails. docs/operating.md says what else to do.
"""
_OF_USER: Final = """
If its password was changed, this asks for the new one, tries it, and sends what waits:

    outgate sendas gateway set {account} {address} --username {username}
"""

_log = structlog.get_logger("deliver")


class Named(Protocol):
    """A queue's name, and whose gateway it is if it is a user's."""

    @property
    def short(self) -> str: ...
    @property
    def account(self) -> str | None: ...
    @property
    def address(self) -> str | None: ...
    @property
    def username(self) -> str | None: ...
    @property
    def in_full(self) -> str: ...


class GatewayNotices:
    """Call it with what was committed. `named` finds a queue's name in the database, in a thread."""

    def __init__(self, notices: Notices, named: Callable[[str], Named]) -> None:
        self._notices, self._named = notices, named
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, events: Sequence[MessageEvent]) -> None:
        """Begin to tell of each gateway that these events show to fail."""
        for event in {event.detail["queue"]: event for event in events if _tells_of_gateway(event)}.values():
            task = asyncio.get_running_loop().create_task(self._tell(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, event: MessageEvent) -> None:
        queue = event.detail["queue"]
        try:
            name = await asyncio.to_thread(self._named, queue)
        except StoreUnavailable as error:
            _log.error("notice of a failing gateway not sent", queue=queue, error=str(error))
            return
        await self._notices.write(f"gateway {queue}", f"Mail by {name.short} waits", _text(event, name), event.at)


def _text(event: MessageEvent, name: Named) -> str:
    of_user = ""
    if name.username:
        of_user = _OF_USER.format(account=name.account, address=name.address, username=printable(name.username, REASON))
    return _TEXT.format(
        name=name.in_full,
        queue=event.detail["queue"],
        reason=printable(event.detail["reason"], REASON),
        message=to_text(event.message_id),
        sender=printable(event.detail["sender"], REASON),
        of_user=of_user,
    )


def _tells_of_gateway(event: MessageEvent) -> bool:
    late = event.kind is EventKind.DEFERRED and event.detail.get("late")
    return bool(late) and event.detail["queue"].partition(":")[0] in _GATEWAYS
