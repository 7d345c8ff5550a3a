"""The organisation's domain outbound gateway: takes mail from Outgate's address, keeps a log, delivers it.

It knows Outgate by its address alone, as such gateways mostly do.
"""

from contextlib import AsyncExitStack

from aiosmtpd.smtp import SMTP, Envelope, Session

from outgate.demo import mta
from outgate.demo.certificates import Authority
from outgate.demo.network import Network


class Relay(mta.MailServer):
    """`log` is what it handed over."""

    def __init__(self, network: Network, authority: Authority) -> None:
        self.log: list[mta.ReceivedEntry] = []
        self._network = network
        self._authority = authority
        self._way_out = mta.Outbound(network.relay, network.smtp_port, authority.client_context())

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until the stack is closed."""
        host = self._network.relay
        tls = self._authority.server_context(host)
        await stack.enter_async_context(mta.listening(self, host, self._network.smtp_port, tls))

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.peer or session.peer[0] != self._network.outgate.address:
            return "550 5.7.1 this server relays for the organisation's mail server only"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        message = mta.incoming(session, envelope)
        reply = await self._way_out.hand_over(message, mta.traced(self._network.relay, message))
        if reply.startswith("250"):
            self.log.append(mta.entry(message))
        return reply
