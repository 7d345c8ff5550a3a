"""What a receiving peer keeps: each message with its envelope, in order of arrival, and a way to wait for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

# What a peer says instead of the ordinary reply to a command; None lets it answer as usual.
Answer = Callable[[str], str | None]


@dataclass(frozen=True)
class Received:
    """One message as it came off the wire: dots unstuffed, nothing else touched.

    `mail_params` and `rcpt_params` (one for each recipient) have upper-case names, and "" for those without a value.
    `by` is DATA or BDAT; `tls` the protocol version, None in the clear; `client` the client's IP address.
    """

    reverse_path: str
    recipients: list[str]
    content: bytes
    mail_params: dict[str, str]
    rcpt_params: list[dict[str, str]]
    by: str
    hello: str
    tls: str | None
    username: str | None
    client: str


@dataclass
class Inbox:
    """`commands` are the command lines heard, of all connections, up to and with those that were refused."""

    messages: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    _arrival: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def put(self, message: Received) -> None:
        """A message has come whole."""
        async with self._arrival:
            self.messages.append(message)
            self._arrival.notify_all()

    async def wait_for(self, count: int, timeout: float = 60) -> list[Received]:  # noqa: ASYNC109 -- so its error can say how many came
        """All messages, as soon as there are `count` of them; raises TimeoutError saying how many there are."""
        try:
            async with asyncio.timeout(timeout), self._arrival:
                await self._arrival.wait_for(lambda: len(self.messages) >= count)
        except TimeoutError:
            raise TimeoutError(f"{len(self.messages)} of {count} messages came within {timeout} s") from None
        return self.messages


def params(text: str) -> dict[str, str]:
    """ESMTP parameters: `SIZE=12 SMTPUTF8` -> {"SIZE": "12", "SMTPUTF8": ""}."""
    pairs = [word.partition("=") for word in text.split()]
    return {name.upper(): value for name, _, value in pairs}
