"""The message as it leaves by a certain way: header edited, signed where it is ours to sign, the body as it came."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from outgate import clock
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.mail.addresses import Mailbox, ascii_form, needs_smtputf8
from outgate.mail.dkim import DkimKey, sign
from outgate.mail.header_check import examine
from outgate.mail.header_rewrite import Trace, outgoing
from outgate.queue import Item, Queue
from outgate.queue.queue_id import to_text
from outgate.route import RouteKind
from outgate.smtp import Addressee, Capabilities, Transaction

KeyFor = Callable[[str, int], Awaitable[DkimKey | None]]  # by domain, as of a version of the directory

# By these ways the mail leaves by our own servers for others to check: there it bears our signature.
_SIGNED_WAYS = frozenset({RouteKind.DIRECT, RouteKind.DOMAIN_GATEWAY})


@dataclass(frozen=True, slots=True)
class Transmission:
    """Header block with its empty line, the rest of the first piece, and the pieces after it.

    `footer` says whether one was added or why not, where policy asks for one.
    """

    header: bytes
    body: bytes
    more: AsyncIterator[bytes] | None
    size: int
    eight_bit: bool
    footer: str = ""

    @property
    def whole(self) -> bytes | None:
        """The message in one, if it is all here."""
        return self.header + self.body if self.more is None else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The message in pieces."""
        yield self.header + self.body
        if self.more is not None:
            async for piece in self.more:
                yield piece


async def prepare(queue: Queue, delivery: Delivery, hostname: str, key_for: KeyFor) -> Transmission:
    """Read the message and make the header that this way asks for (docs/header-changes.md)."""
    key = None
    if delivery.route.kind in _SIGNED_WAYS:
        key = await key_for(_signing_domain(delivery, hostname), delivery.version)
    message = delivery.item.message
    pieces = queue.content(delivery.item)
    first = await anext(pieces)
    submitted, body = first[: message.header_size], first[message.header_size :]
    header = _edited(delivery, submitted, hostname, key)
    size = len(header) + message.size - message.header_size
    return Transmission(header, body, pieces if message.chunks > 1 else None, size, message.eight_bit)


async def submitted_header(queue: Queue, item: Item) -> bytes:
    """The header block as it was submitted."""
    return (await anext(queue.content(item)))[: item.message.header_size]


def _from_domain(delivery: Delivery, hostname: str) -> str:
    return (delivery.item.message.chosen_from or f"@{hostname}").rpartition("@")[2]


def _signing_domain(delivery: Delivery, hostname: str) -> str:
    on_behalf_of = delivery.route.on_behalf_of
    return on_behalf_of.rpartition("@")[2] if on_behalf_of else _from_domain(delivery, hostname)


def _edited(delivery: Delivery, submitted: bytes, hostname: str, key: DkimKey | None) -> bytes:
    message, route = delivery.item.message, delivery.route
    user_gateway = route.kind is RouteKind.USER_GATEWAY
    primary = delivery.account.primary if delivery.account else ""
    block = outgoing(
        delivery.item.fields or examine(submitted).fields,
        trace=Trace(hostname, to_text(message.id), message.protocol, message.received_at),
        sender=route.on_behalf_of,
        hide=primary if user_gateway and primary != message.chosen_from else None,
        from_domain=_from_domain(delivery, hostname),
        rewrite_from=_rewrite_from(delivery),
    )
    if key:
        block = sign(block, message.body_digest, key, clock.now()) + block
    # A message may end with its header; then it leaves without an empty line as well.
    return block + (b"\r\n" if submitted.endswith(b"\r\n\r\n") or submitted == b"\r\n" else b"")


def _rewrite_from(delivery: Delivery) -> Mailbox | None:
    """What From becomes, if the one submitted is not the account's own and policy said to replace it."""
    message = delivery.item.message
    if not message.rewrite_from or delivery.account is None:
        return None
    chosen = delivery.account.send_as[message.chosen_from]
    return Mailbox(chosen.display_name or delivery.account.name, chosen.address)


def transaction(delivery: Delivery, transmission: Transmission, peer: Capabilities) -> Transaction | Outcome:
    """The transaction for this peer, or why this peer can't take the message as it is: it is never converted."""
    message = delivery.item.message
    if transmission.eight_bit and not peer.eight_bit:
        return Outcome(Verdict.FAILED, "5.6.3 the next server does not take 8-bit content, and mail is never converted")
    if peer.size and transmission.size > peer.size:
        return Outcome(Verdict.FAILED, f"5.3.4 the next server takes at most {peer.size} bytes")
    reverse_path = delivery.route.reverse_path
    addressees = [Addressee(one.address, one.notify, one.orcpt) for one in delivery.recipients]
    smtputf8 = not transmission.header.isascii() or any(
        needs_smtputf8(address) for address in (reverse_path, *(one.address for one in addressees)) if address
    )
    if smtputf8 and not peer.smtputf8:
        # A header in UTF-8 that came without SMTPUTF8 goes on as it came; one that came with it must not.
        if not reverse_path.isascii() or (message.smtputf8 and not transmission.header.isascii()):
            return Outcome(Verdict.FAILED, "5.6.7 the next server does not take internationalised mail (RFC 6531)")
        ascii_forms = [ascii_form(one.address) for one in addressees]
        if None in ascii_forms:
            return Outcome(Verdict.FAILED, "5.6.7 the next server does not take internationalised addresses (RFC 6531)")
        addressees = [
            Addressee(form or one.address, one.notify, one.orcpt)
            for form, one in zip(ascii_forms, addressees, strict=True)
        ]
        smtputf8 = False
    return Transaction(
        reverse_path,
        addressees,
        size=transmission.size,
        eight_bit=transmission.eight_bit,
        smtputf8=smtputf8,
        envid=message.envid,
        ret=message.ret,
        content=transmission.whole,
    )
