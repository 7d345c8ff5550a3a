"""What the parts of the server engine share: replies to send, events, the mode, and how far the session is.

Knows no command and no extension.
"""

from collections import deque
from enum import StrEnum

from outgate.smtp.extensions import Tls
from outgate.smtp.limits import SessionCounts, SessionLimits
from outgate.smtp.reply import Reply
from outgate.smtp.server_events import ServerEvent
from outgate.smtp.server_modes import Mode

TOO_MANY_ERRORS = Reply(421, "4.7.0", ("Too many errors; closing the connection",))
TOO_MANY_COMMANDS = Reply(421, "4.7.0", ("Too many commands without a message; closing the connection",))


class SessionStage(StrEnum):
    """How far the session is; decides which commands are in order."""

    START = "start"  # before EHLO
    HELLO = "hello"
    MAIL = "mail"
    RCPT = "rcpt"  # at least one recipient was accepted
    BDAT = "bdat"  # between two chunks


class Dialogue:
    """The state of one session."""

    def __init__(self, tls: Tls, limits: SessionLimits) -> None:
        self.tls = tls
        self.counts = SessionCounts(limits)
        self.stage = SessionStage.START
        self.authenticated = False
        self.utf8 = False  # the transaction is one of SMTPUTF8, so replies may be in UTF-8
        self.closing = False
        self.events: deque[ServerEvent] = deque()
        self.commands: Mode  # command lines; the mode to come back to
        self.mode: Mode
        self._out: list[bytes] = []

    def data_to_send(self) -> bytes:
        """All replies queued so far, in one piece."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def say(self, reply: Reply) -> None:
        """Queue a reply."""
        self._out.append(reply.encode(utf8=self.utf8))

    def refuse(self, reply: Reply) -> None:
        """Refuse what a good client may say too, such as one that pipelines and has not heard of a refusal yet."""
        self.say(reply)
        if self.counts.refusal():
            self.shut_down(TOO_MANY_ERRORS)

    def fault(self, reply: Reply) -> None:
        """Refuse something that a good client does not say."""
        self.say(reply)
        if self.counts.error():
            self.shut_down(TOO_MANY_ERRORS)

    def idle_command(self) -> bool:
        """Count a command that brings no message nearer; False when it was one too many."""
        if self.counts.idle_command():
            self.shut_down(TOO_MANY_COMMANDS)
        return not self.closing

    def shut_down(self, reply: Reply) -> None:
        """Say a last word, such as 421, and close."""
        self.say(reply)
        self.closing = True
