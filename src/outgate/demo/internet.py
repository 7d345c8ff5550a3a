"""The small internet without Outgate: starts every other party and stops it again. Knows no story."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from outgate.demo import nameserver, recipients_view
from outgate.demo.arrival import Arrivals
from outgate.demo.certificates import Authority
from outgate.demo.nameserver import Records
from outgate.demo.network import Network
from outgate.demo.partner import Partner
from outgate.demo.recipient import RecipientServer
from outgate.demo.relay import Relay
from outgate.demo.zones import zones
from outgate.frozen import frozen


@frozen
class Internet:
    """The parties, all running."""

    network: Network
    authority: Authority
    records: Records
    partner: Partner
    relay: Relay
    recipient: RecipientServer


@asynccontextmanager
async def running(network: Network, folder: Path) -> AsyncIterator[Internet]:
    """Run all parties until the block ends; certificates go into `folder`."""
    authority, kept = Authority(folder), Arrivals()
    partner = Partner(network, authority, kept)
    records = Records(zones(network))
    records.publish(partner.dns_record())
    relay, recipient = Relay(network, authority), RecipientServer(network, authority, kept)
    internet = Internet(network, authority, records, partner, relay, recipient)
    async with AsyncExitStack() as stack:
        stack.enter_context(nameserver.serve(records, network.nameserver, network.dns_port))
        stack.enter_context(nameserver.asking(network.nameserver, network.dns_port))
        for party in (internet.partner, internet.relay, internet.recipient):
            await party.start(stack)
        stack.enter_context(recipients_view.serve(kept, network.recipient, network.view_port))
        yield internet
