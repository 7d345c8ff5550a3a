"""What the parts of the client engine share: bytes to send, who takes the next replies, events.

Knows no command.
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

from outgate.smtp.client_events import ClientEvent
from outgate.smtp.commands import command_line
from outgate.smtp.reply import ProtocolError, Reply

Taker = Callable[[Reply], None]


class Conversation:
    """The state of one connection. `expected` has whom the next replies are for, in their order, and whether 3xx can
    be an answer.
    """

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.events: deque[ClientEvent] = deque()
        self.expected: deque[tuple[Taker, bool]] = deque()
        self.unusable = ""  # why nothing can be said any more

    def command(self, text: str, taker: Taker, *, continues: bool = False) -> None:
        """Send a command. Raises ValueError for what would make two of it."""
        self.say(command_line(text), taker, continues=continues)

    def say(self, line: bytes, taker: Taker, *, continues: bool = False) -> None:
        """Send what is answered by one reply; by 3xx only if it `continues`."""
        self.out.append(line)
        self.expected.append((taker, continues))

    def take(self, reply: Reply) -> None:
        """Give a reply to whom it is for. Raises ProtocolError if it can't be the answer to what was asked."""
        taker, continues = self.expected.popleft()
        if reply.intermediate and not continues:
            self.fault(f"{reply.code} is no answer to what was asked")
        taker(reply)

    def fault(self, words: str) -> NoReturn:
        """The peer can't be understood: whatever it says from now on would be taken for something else."""
        self.unusable = words
        raise ProtocolError(words)
