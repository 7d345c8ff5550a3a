"""The client's half of one transaction: the envelope, the content by DATA or BDAT, and the replies to them.

A reply counts only as the answer to what was asked: content flows after 354 alone, and only an answer to the end of a
content that was sent whole can be a delivery (RFC 5321 section 3.3).
"""

from outgate.smtp.capabilities import Capabilities
from outgate.smtp.client_events import BodyWanted, TransactionDone
from outgate.smtp.commands import mail_command, rcpt_command
from outgate.smtp.content import DotWriter
from outgate.smtp.conversation import Conversation
from outgate.smtp.reply import Reply
from outgate.smtp.transaction import Addressee, Transaction, TransactionResult

_NOT_KNOWN = frozenset({500, 501, 502, 503, 504})  # what says that a command is not implemented


class Handover:
    """One message. `finished` once TransactionDone is among the events. Raises ValueError for what can't be said."""

    def __init__(
        self, transaction: Transaction, offered: Capabilities, conversation: Conversation, *, lmtp: bool
    ) -> None:
        if not transaction.recipients:
            raise ValueError("a transaction needs a recipient")
        self.finished = False
        self.content_complete = False  # all of it was handed out, its end included
        self._conversation, self._lmtp, self._pipelining = conversation, lmtp, offered.pipelining
        self._content = transaction.content
        # Several chunks without waiting need PIPELINING (RFC 3030 section 4.2); one can do without.
        self._chunking = offered.chunking and (offered.pipelining or transaction.content is not None)
        self._mail_command = _mail_command(transaction, offered)
        self._rcpt_commands = [_rcpt_command(recipient, offered) for recipient in transaction.recipients]
        self._dots = DotWriter()
        self._mail: Reply | None = None
        self._recipients: list[Reply] = []
        self._final: list[Reply] = []
        self._positive = 0  # recipients accepted
        self._offered = False  # DATA was sent, or a first BDAT, or the content was asked for
        self._streaming = False  # the application is to give the content, and has not given all
        self._chunk_fault: Reply | None = None  # the first refusal of a BDAT
        self._chunks_answered = False  # one of them at least

    # --- what is known -------------------------------------------------------------------------------------------

    @property
    def accepted(self) -> int:
        """How many recipients the content would go to."""
        return self._positive if self._mail and self._mail.positive else 0

    @property
    def may_be_delivered(self) -> bool:
        """The peer may have the whole content, and somebody to give it to."""
        refused = self._mail is not None and not self._mail.positive
        hopeless = refused or (len(self._recipients) == len(self._rcpt_commands) and not self.accepted)
        return self.content_complete and not hopeless

    @property
    def bdat_unanswered(self) -> bool:
        """The content goes by BDAT, the envelope was answered for, and no reply to a chunk has come."""
        answered = len(self._recipients) == len(self._rcpt_commands)
        return self._chunking and self._offered and answered and not self._chunks_answered

    @property
    def unclean(self) -> bool:
        """Something may be left of it with the peer, so RSET comes before the next (RFC 5321 section 4.1.1.5)."""
        return not self.accepted or not self._final or not all(reply.positive for reply in self._final)

    def result(self) -> TransactionResult | None:
        """The replies so far; None before the one to MAIL."""
        if self._mail is None:
            return None
        if not self._mail.positive:
            return TransactionResult(self._mail)
        # Whatever is said of content that nobody gets, it was not delivered.
        final = tuple(self._final) if self.accepted else ()
        return TransactionResult(
            self._mail,
            tuple(self._recipients),
            final,
            self.content_complete,
            bdat_refused=self._chunking and bool(final) and all(reply.code in _NOT_KNOWN for reply in final),
        )

    # --- sending -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Send all that may be sent before an answer."""
        self._conversation.say(self._mail_command, self._take_mail)
        if self._pipelining:
            self._conversation.out += self._rcpt_commands
            self._conversation.expected.extend([(self._take_rcpt, False)] * len(self._rcpt_commands))
            if self._content is not None:
                self._offer()

    def send_body(self, data: bytes, last: bool) -> None:
        """A piece of the content, after BodyWanted. Passed over once the peer has refused the content."""
        if not self._streaming:
            return
        self._streaming = not last
        self.content_complete = last
        if not self._chunking:
            self._send_dotted(data, last)
        elif data or last:
            self._send_chunk(data, last)

    def _offer(self) -> None:
        """Offer the content: by DATA, or by a BDAT that brings all of it, or by asking the application for pieces."""
        self._offered = True
        if not self._chunking:
            self._conversation.say(b"DATA\r\n", self._take_data, continues=True)
        elif self._content is not None:
            self.content_complete = True
            self._send_chunk(self._content, last=True)
        else:
            self._want()

    def _want(self) -> None:
        self._streaming = True
        self._conversation.events.append(BodyWanted())

    def _send_chunk(self, data: bytes, last: bool) -> None:
        command = b"BDAT %d%b\r\n" % (len(data), b" LAST" if last else b"")
        self._conversation.say(command, self._take_final if last else self._take_chunk)
        self._conversation.out.append(data)

    def _send_dotted(self, data: bytes, last: bool) -> None:
        self._conversation.out.append(self._dots.feed(data))
        if last:
            self._conversation.say(self._dots.end(), self._take_final)

    # --- replies -------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """All that was sent is answered: offer the content now, or wait for more of it, or be done."""
        if self.accepted and not self._offered:
            self._offer()
        elif not self._streaming:
            self._finish()

    def refused_early(self, reply: Reply) -> bool:
        """A reply that came unasked: in the middle of DATA it may be a refusal, and DATA can't be left then."""
        if not self._streaming or not (reply.transient or reply.permanent):
            return False
        self._conversation.unusable = "the peer refused the content before its end"
        self._final.append(reply)
        self._finish()
        return True

    def _take_mail(self, reply: Reply) -> None:
        self._mail = reply
        if reply.positive and not self._pipelining:
            self._next_rcpt()

    def _take_rcpt(self, reply: Reply) -> None:
        self._recipients.append(reply)
        self._positive += reply.positive
        if not self._pipelining:
            self._next_rcpt()

    def _next_rcpt(self) -> None:
        """One command at a time."""
        number = len(self._recipients)
        if number < len(self._rcpt_commands):
            self._conversation.say(self._rcpt_commands[number], self._take_rcpt)

    def _take_data(self, reply: Reply) -> None:
        """354: content may come, unless nobody will get it: then an empty one ends it (RFC 2920 section 3.1)."""
        if reply.code == 354:
            self._send_content()
        elif reply.transient or reply.permanent:
            self._final.append(reply)
        else:
            # Nothing was sent that this could acknowledge: one reply too many came before, or the peer is no server.
            self._conversation.fault(f"{reply.code} is no answer to DATA")

    def _send_content(self) -> None:
        if not self.accepted:
            self._conversation.say(b".\r\n", self._take_final)
        elif self._content is not None:
            self.content_complete = True
            self._send_dotted(self._content, last=True)
        else:
            self._want()

    def _take_chunk(self, reply: Reply) -> None:
        self._chunks_answered = True
        if not reply.positive and self._chunk_fault is None:
            self._chunk_fault = reply
            self._final.append(reply)
            self._streaming = False

    def _take_final(self, reply: Reply) -> None:
        """With LMTP there is one for each recipient that was accepted (RFC 2033 section 4.2)."""
        self._chunks_answered = True
        if self._chunk_fault:
            return
        if self._late(reply):
            self._conversation.fault("each answer is that to the command before")
        self._final.append(reply)
        if self._lmtp and len(self._final) < self.accepted:
            self._conversation.expected.appendleft((self._take_final, False))

    def _late(self, reply: Reply) -> bool:
        """A second answer to the message before came behind MAIL, and moved all others by one: by their status codes
        (RFC 3463) this one is about the recipient, and the recipient's about the sender.
        """
        shifted = reply.enhanced == "2.1.5" and self._recipients[0].enhanced == "2.1.0"
        return shifted and not self._lmtp

    def _finish(self) -> None:
        result = self.result()
        assert result is not None  # MAIL is answered first
        self.finished = True
        self._conversation.events.append(TransactionDone(result))


def _mail_command(transaction: Transaction, offered: Capabilities) -> bytes:
    words = "".join([words(transaction) for words in offered.mail_words])
    return mail_command(transaction.reverse_path, words)


def _rcpt_command(recipient: Addressee, offered: Capabilities) -> bytes:
    words = "".join([words(recipient) for words in offered.rcpt_words])
    return rcpt_command(recipient.address, words)
