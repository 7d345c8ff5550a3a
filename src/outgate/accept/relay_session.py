"""One session of a mail server in front that is trusted: it logs nobody in, and says of each message whose it is.

By XCLIENT, or, where none has come, by a field of the header, which is taken out before anything else sees the message:
a server that says XCLIENT may pass on what its client writes, and put no Received field above it. What names no account
takes the organisation's own ways, never a user's gateway. Knows no network: who may come here is the listener's to say.
"""

from outgate import clock
from outgate.accept.incoming import IncomingMessage
from outgate.accept.session import Session
from outgate.accept.unfinished import UnfinishedBytes
from outgate.mail.account_field import without_account_field
from outgate.mail.header_check import CheckedHeader, split_message
from outgate.queue import Queue
from outgate.smtp import ClientNamed, Mail, MessageEnded, ServerEvent, SessionLimits, SmtpServer, Tls
from outgate.submit import Content, Refusal, RefusalReason

_NOBODY = 0  # no account has this id: what all messages that have not come whole are counted under


class RelayedMessage(IncomingMessage):
    """A message while it arrives, without the field that names its account."""

    def __init__(self, queue: Queue, identity: int, unfinished: UnfinishedBytes, name: str) -> None:
        super().__init__(queue, identity, _NOBODY, unfinished)
        self._name = name.lower().encode()
        self.account: str | None = None  # until the header has come

    def beginning(self, data: bytes) -> bytes:
        """Without the field, once."""
        if self.account is not None:
            return data
        end = split_message(data) or len(data)
        header, self.account = without_account_field(data[:end], self._name)
        self.taken_out = end - len(header)
        return header + data[end:]


class RelaySession(Session):
    """Drives one connection of a trusted server."""

    needs_log_in = False
    _login: str | None = None  # empty: the server in front has said that nobody has logged in

    def _made_engine(self, tls: Tls) -> SmtpServer:
        settings = self._services.config.submission
        return SmtpServer(
            self._services.config.hostname,
            max_size=settings.max_message_bytes,
            tls=tls,
            mechanisms=(),
            auth_required=False,
            limits=SessionLimits(max_recipients=settings.max_recipients, max_line=settings.max_line_bytes),
            xclient=True,
        )

    def _handle(self, event: ServerEvent) -> None:
        if isinstance(event, ClientNamed):
            self._login = event.login
        else:
            super()._handle(event)

    async def _start_tls(self) -> None:
        if self._login is not None:
            self._login = ""  # who was named in the clear is forgotten (RFC 3207 section 4.2)
        await super()._start_tls()

    async def _check_mail(self, address: str, event: Mail) -> None:
        """Whose it is may come with the header only."""
        self._engine.accept()

    def _new_incoming(self) -> IncomingMessage:
        services = self._services
        name = services.config.relay.account_field
        return RelayedMessage(services.queue, services.queue_ids.new(clock.now()), services.unfinished, name)

    async def _store(self, incoming: IncomingMessage, event: MessageEnded, mail: Mail) -> Refusal | None:
        if not isinstance(incoming, RelayedMessage):
            raise AssertionError("it was begun here")
        message = incoming.end(size=event.size, eight_bit=event.eight_bit)
        if isinstance(message, Refusal):
            return message
        name = incoming.account if self._login is None else self._login
        if not name:
            return await self._relay(incoming.identity, *message, mail)
        entry = await self._services.directory.login(name)
        if entry is None:
            text = f"<{name}> has no account here: outgate user add, or log in to the server in front as somebody else"
            refusal = Refusal(RefusalReason.NOT_AUTHORISED, 550, "5.7.1", text)
            await self._services.submitter.refuse_relay(
                incoming.identity, clock.now(), self._envelope(mail), *message, refusal
            )
            return refusal
        return await self._submit(entry.account_id, incoming.identity, *message, mail)

    async def _relay(self, identity: int, header: CheckedHeader, content: Content, mail: Mail) -> Refusal | None:
        services = self._services
        organisation = await services.directory.organisation()
        outcome = await services.submitter.relay(
            identity, clock.now(), self._envelope(mail), header, content, organisation
        )
        return outcome if isinstance(outcome, Refusal) else None

    def _protocol(self, mail: Mail) -> str:
        """RFC 3848, without a log-in."""
        return ("UTF8SMTP" if mail.params.smtputf8 else "ESMTP") + ("S" if self._engine.is_secured else "")
