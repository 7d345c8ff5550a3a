"""The server's half of a transaction: MAIL, RCPT, then the content by DATA or BDAT, and the answers about them.

Knows no EHLO and no log-in, only whether one is asked for.
"""

import re
from collections.abc import Callable
from functools import partial

from outgate.smtp.commands import BadArgument, mail_argument, rcpt_argument
from outgate.smtp.content import ContentCheck
from outgate.smtp.dialogue import Dialogue, SessionStage
from outgate.smtp.extensions import Tls
from outgate.smtp.limits import SessionLimits
from outgate.smtp.reply import Reply
from outgate.smtp.server_events import (
    Mail,
    MessageAborted,
    MessageData,
    MessageEnded,
    MessageQuestion,
    MessageStarted,
    Rcpt,
)
from outgate.smtp.server_modes import Chunk, DotContent

OUT_OF_ORDER = Reply(503, "5.5.1", ("Bad sequence of commands",))
SYNTAX = Reply(501, "5.5.4", ("Syntax error in arguments",))
_SENDER_OK = Reply(250, "2.1.0", ("Ok",))
_RECIPIENT_OK = Reply(250, "2.1.5", ("Ok",))
_MESSAGE_OK = Reply(250, "2.0.0", ("Ok",))
_GO_ON = Reply(354, "", ("Start mail input; end with <CRLF>.<CRLF>",))
_NO_RECIPIENTS = Reply(503, "5.5.1", ("No valid recipients",))
_ALL_REFUSED = Reply(554, "5.5.1", ("No valid recipients",))
_LOG_IN_FIRST = Reply(530, "5.7.0", ("Authentication required",))
_TLS_FIRST = Reply(530, "5.7.0", ("Must issue a STARTTLS command first",))

_BDAT = re.compile(r"([0-9]{1,19})( +LAST)?", re.IGNORECASE | re.ASCII)


class Receipt:
    """Takes one message after the other. `max_size` in bytes."""

    def __init__(self, dialogue: Dialogue, limits: SessionLimits, *, max_size: int, auth_required: bool) -> None:
        self.refused = False  # so what is pipelined behind comes out of order by no fault of the client
        self._dialogue, self._limits = dialogue, limits
        self._max_size, self._auth_required = max_size, auth_required
        self._recipients = 0
        self._tried = False  # a recipient was named, accepted or not
        self._check: ContentCheck | None = None  # while content comes

    # --- commands ------------------------------------------------------------------------------------------------

    def mail(self, argument: str) -> None:
        """MAIL."""
        dialogue = self._dialogue
        if self._auth_required and not dialogue.authenticated:
            dialogue.fault(_TLS_FIRST if dialogue.tls is Tls.AVAILABLE else _LOG_IN_FIRST)
            return
        self.refused = True  # until it is accepted
        try:
            path, params = mail_argument(argument, self._max_size)
        except BadArgument as error:
            dialogue.fault(error.reply)
        else:
            dialogue.utf8 = params.smtputf8
            dialogue.events.append(Mail(path, params))

    def rcpt(self, argument: str) -> None:
        """RCPT."""
        self._tried = True
        if self._recipients >= self._limits.max_recipients:
            self._dialogue.refuse(Reply(452, "4.5.3", (f"Too many recipients; at most {self._limits.max_recipients}",)))
            return
        try:
            path, params = rcpt_argument(argument, smtputf8=self._dialogue.utf8)
        except BadArgument as error:
            self._dialogue.fault(error.reply)
        else:
            self._dialogue.events.append(Rcpt(path, params))

    def data(self, argument: str) -> None:
        """DATA."""
        if argument:
            self._dialogue.fault(SYNTAX)
        elif self._dialogue.stage is SessionStage.RCPT:
            self._dialogue.mode = DotContent(self._content, self._content_ended)
            self._dialogue.events.append(MessageStarted())
        elif self._tried:
            self._dialogue.refuse(_ALL_REFUSED)  # RFC 2920 section 3.1: all of it was pipelined
        else:
            self._dialogue.fault(_NO_RECIPIENTS)

    def bdat(self, argument: str) -> None:
        """BDAT. The chunk's bytes follow at once and are taken off the stream whatever the reply (RFC 3030)."""
        match = _BDAT.fullmatch(argument)
        if not match:
            self._dialogue.shut_down(SYNTAX)  # how many bytes follow can't be known
            return
        chunk = Chunk(int(match[1]), self._content, self._chunk_ended, last=bool(match[2]))
        dialogue = self._dialogue
        if dialogue.stage is SessionStage.RCPT:
            dialogue.stage = SessionStage.BDAT
            dialogue.events.append(MessageStarted())
        elif dialogue.stage is SessionStage.MAIL:
            chunk.refuse = partial(dialogue.refuse if self._tried else dialogue.fault, _NO_RECIPIENTS)
        elif dialogue.stage is not SessionStage.BDAT:
            chunk.refuse = partial(dialogue.refuse if self.refused else dialogue.fault, OUT_OF_ORDER)
        dialogue.mode = chunk

    def out_of_order(self, verb: bytes) -> None:
        """A command of a transaction where there is none."""
        reply = OUT_OF_ORDER if verb != b"DATA" or self._dialogue.stage is SessionStage.START else _NO_RECIPIENTS
        (self._dialogue.refuse if self.refused else self._dialogue.fault)(reply)

    # --- answers -------------------------------------------------------------------------------------------------

    def accept(self, question: MessageQuestion, reply: Reply | None) -> None:
        """The application said yes."""
        _ACCEPTED[type(question)](self, reply)

    def reject(self, question: MessageQuestion, reply: Reply) -> None:
        """The application said no."""
        _REJECTED[type(question)](self, reply)

    def _mail_accepted(self, reply: Reply | None) -> None:
        self._dialogue.stage, self.refused = SessionStage.MAIL, False
        self._dialogue.say(reply or _SENDER_OK)

    def _mail_rejected(self, reply: Reply) -> None:
        self._reset()
        self._dialogue.refuse(reply)

    def _rcpt_accepted(self, reply: Reply | None) -> None:
        self._dialogue.stage = SessionStage.RCPT
        self._recipients += 1
        self._dialogue.say(reply or _RECIPIENT_OK)

    def _start_accepted(self, reply: Reply | None) -> None:
        self._check = ContentCheck(self._limits.max_line, self._max_size)
        if isinstance(self._dialogue.mode, DotContent):
            self._dialogue.say(reply or _GO_ON)

    def _start_rejected(self, reply: Reply) -> None:
        if isinstance(self._dialogue.mode, Chunk):
            self._dialogue.mode.refuse = partial(self._dialogue.refuse, reply)
        else:
            self._dialogue.mode = self._dialogue.commands
            self._dialogue.refuse(reply)
        self.refused = True
        self._reset()

    def _message_accepted(self, reply: Reply | None) -> None:
        self._dialogue.counts.message()
        self._dialogue.say(reply or _MESSAGE_OK)

    def _refuse(self, reply: Reply) -> None:
        self._dialogue.refuse(reply)

    # --- content -------------------------------------------------------------------------------------------------

    def _content(self, piece: bytes) -> None:
        check = self._check
        if check and piece:
            check.feed(piece)
            if not check.fault:
                self._dialogue.events.append(MessageData(piece))

    def _chunk_ended(self, chunk: Chunk) -> None:
        self._dialogue.mode = self._dialogue.commands
        if chunk.refuse:
            chunk.refuse()
        elif self._check and (chunk.last or self._check.fault):
            self._content_ended()
        elif chunk.size or self._dialogue.idle_command():
            self._dialogue.say(Reply(250, "2.0.0", (f"{chunk.size} octets received",)))

    def _content_ended(self) -> None:
        self._dialogue.mode = self._dialogue.commands
        check = self._check
        assert check is not None  # content comes only after MessageStarted was accepted
        check.end()
        if check.fault:
            self.refused = True  # more chunks may be on their way
            self.abort(check.fault.lines[0])
            self._dialogue.refuse(check.fault)
        else:
            self._reset()
            self._dialogue.events.append(MessageEnded(check.size, check.eight_bit))

    # --- ends ----------------------------------------------------------------------------------------------------

    def abort(self, reason: str) -> None:
        """Forget the transaction; the application is told if content has come."""
        if self._check:
            self._dialogue.events.append(MessageAborted(reason))
        self._reset()

    def _reset(self) -> None:
        """Back to before MAIL."""
        self._check = None
        self._recipients, self._tried, self._dialogue.utf8 = 0, False, False
        if self._dialogue.stage is not SessionStage.START:
            self._dialogue.stage = SessionStage.HELLO


_ACCEPTED: dict[type[MessageQuestion], Callable[[Receipt, Reply | None], None]] = {
    Mail: Receipt._mail_accepted,
    Rcpt: Receipt._rcpt_accepted,
    MessageStarted: Receipt._start_accepted,
    MessageEnded: Receipt._message_accepted,
}
_REJECTED: dict[type[MessageQuestion], Callable[[Receipt, Reply], None]] = {
    Mail: Receipt._mail_rejected,
    Rcpt: Receipt._refuse,
    MessageStarted: Receipt._start_rejected,
    MessageEnded: Receipt._refuse,
}
