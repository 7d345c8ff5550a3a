"""The providers' interfaces that take a message over HTTPS, as data: where it is posted, in which form, how large it
may be, and what says that it was taken. Knows no connection.

Gmail: users.messages.send, media upload. Microsoft Graph: user sendMail in MIME format.
"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Final

from outgate.egress.https_client import Fetched
from outgate.frozen import frozen
from outgate.model import GatewayKind
from outgate.printable import printable

_LONGEST_RECEIPT: Final = 100


@frozen
class MailApi:
    """One of them. `accepted` is the one status that means that the message is theirs; `largest` is in bytes of the
    message, before it is encoded; `connections` is how many requests of one mailbox may be under way at once.
    `largest_draft` is for a message that is made a draft there first (draft_upload); 0 where that is not done.
    """

    title: str
    target: str
    media_type: str
    accepted: int
    largest: int
    connections: int
    in_base64: bool
    receipt: Callable[[Fetched], str]
    largest_draft: int = 0

    def length(self, size: int) -> int:
        """Bytes of the body for a message of `size` bytes."""
        return (size + 2) // 3 * 4 if self.in_base64 else size

    def body(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The message as it is posted."""
        return _base64(pieces) if self.in_base64 else pieces


async def _base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """RFC 4648 section 4, in one line."""
    left = b""
    async for piece in pieces:
        text = left + piece
        whole = len(text) - len(text) % 3
        left = text[whole:]
        if whole:
            yield b64encode(text[:whole])
    if left:
        yield b64encode(left)


def _gmails(answer: Fetched) -> str:
    """The message's number in the user's mailbox."""
    try:
        return "as " + printable(str(json.loads(answer.content)["id"]), _LONGEST_RECEIPT)
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _graphs(answer: Fetched) -> str:
    """What Microsoft's support asks for."""
    request = answer.headers.get("request-id", "")
    return f"request-id {printable(request, _LONGEST_RECEIPT)}" if request else ""


_GRAPH: Final = MailApi(
    GatewayKind.GRAPH.in_words,
    "/v1.0/me/sendMail",
    "text/plain",
    202,
    3 * 1024 * 1024,  # a request has at most 4 MB, and base64 adds a third
    4,  # more are refused with 429 (MailboxConcurrency)
    in_base64=True,
    receipt=_graphs,
)
APIS: Final[Mapping[GatewayKind, MailApi]] = {
    GatewayKind.GMAIL: MailApi(
        GatewayKind.GMAIL.in_words,
        "/upload/gmail/v1/users/me/messages/send?uploadType=media",
        "message/rfc822",
        200,
        36_700_160,  # mediaUpload.maxSize of the discovery document
        4,
        in_base64=False,
        receipt=_gmails,
    ),
    GatewayKind.GRAPH: _GRAPH,
    GatewayKind.GRAPH_DRAFTS: replace(_GRAPH, largest_draft=36_700_160),  # Exchange Online's usual limit, 35 MB
}
