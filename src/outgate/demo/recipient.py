"""The recipients' server: checks SPF, DKIM and DMARC of what comes. Knows no sender."""

import asyncio
from contextlib import AsyncExitStack

from aiosmtpd.smtp import SMTP, Envelope, Session

from outgate.demo import mta
from outgate.demo.arrival import Arrival, Arrivals, examine
from outgate.demo.certificates import Authority
from outgate.demo.network import RECIPIENTS, Network


class RecipientServer(mta.MailServer):
    """Every address of the recipients' domain exists; `arrivals` are to be taken from the queue, `kept` has all."""

    def __init__(self, network: Network, authority: Authority, kept: Arrivals) -> None:
        self.address = f"carol@{RECIPIENTS}"
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        self._network = network
        self._authority = authority
        self._kept = kept

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until the stack is closed."""
        host = self._network.recipient
        tls = self._authority.server_context(host)
        await stack.enter_async_context(mta.listening(self, host, self._network.smtp_port, tls))

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.rpartition("@")[2].lower() != RECIPIENTS:
            return "550 5.7.1 this server takes mail for its own domain only"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        arrival = await asyncio.to_thread(examine, mta.incoming(session, envelope))
        self._kept.keep(arrival)
        self.arrivals.put_nowait(arrival)
        return "250 2.0.0 OK"
