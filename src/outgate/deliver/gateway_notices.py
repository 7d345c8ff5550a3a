"""Tells an administrator of gateways that fail: one message for each, at most once a day, over all nodes.

A subscriber to the record: a recipient that waits late by a gateway is the sign. Delivery does not wait for it, and
nothing depends on it. Knows no transport, and not how a message is written.
"""

import asyncio
import shlex
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from outgate.deliver.notices import Notices
from outgate.model import QueueKind, UsersGateway
from outgate.printable import printable
from outgate.queue.queue_id import to_text
from outgate.record.events import EventKind, MessageEvent
from outgate.store.engine import StoreUnavailable

REASON: Final = 1000  # characters

_GATEWAYS: Final = (QueueKind.GATEWAY.value, QueueKind.COMMON_GATEWAY.value, QueueKind.DOMAIN_GATEWAY.value)
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

    {command}
"""

_log = structlog.get_logger("deliver")


class GatewayNotices:
    """Call it with what was committed. `owned` finds a user's gateway by its queue in the database, in a thread."""

    def __init__(self, notices: Notices, owned: Callable[[str], UsersGateway | None]) -> None:
        self._notices, self._owned = notices, owned
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, events: Sequence[MessageEvent]) -> None:
        """Begin to tell of each gateway that these events show to fail."""
        for event in {event.detail["queue"]: event for event in events if _tells_of_gateway(event)}.values():
            task = asyncio.get_running_loop().create_task(self._tell(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, event: MessageEvent) -> None:
        queue, name = event.detail["queue"], printable(event.detail["queue_name"], REASON)
        try:
            owned = await asyncio.to_thread(self._owned, queue)
        except StoreUnavailable as error:
            _log.error("notice of a failing gateway not sent", queue=name, error=str(error))
            return
        await self._notices.write(f"gateway {queue}", f"Mail by {name} waits", _text(event, name, owned), event.at)


def _text(event: MessageEvent, name: str, owned: UsersGateway | None) -> str:
    of_user = ""
    if owned:
        name += f", the {owned.in_words}"
        of_user = _OF_USER.format(command=_command(owned)) if owned.gateway.username else ""
    return _TEXT.format(
        name=name,
        queue=event.detail["queue"],
        reason=printable(event.detail.get("said") or event.detail["reason"], REASON),
        message=to_text(event.message_id),
        sender=printable(event.detail["sender"], REASON),
        of_user=of_user,
    )


def _command(owned: UsersGateway) -> str:
    """To be pasted into a shell, by root perhaps: what the user has written is a word there and nothing else."""
    return shlex.join(printable(word, REASON) for word in owned.repair)


def _tells_of_gateway(event: MessageEvent) -> bool:
    late = event.kind is EventKind.DEFERRED and event.detail.get("late")
    return bool(late) and event.detail["queue"].partition(":")[0] in _GATEWAYS
