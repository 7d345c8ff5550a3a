"""The message as it leaves by a certain way: header edited, signed where it is ours to sign, the body as it came."""

from collections.abc import AsyncIterator, Awaitable, Callable

from outgate import clock
from outgate.authorise import entry_for
from outgate.deliver.delivery import Delivery
from outgate.deliver.outcome import Outcome, Verdict
from outgate.frozen import frozen
from outgate.mail.addresses import Mailbox, ascii_form, needs_smtputf8
from outgate.mail.dkim import DkimKey, sign
from outgate.mail.header_check import examine
from outgate.mail.header_rewrite import Trace, outgoing
from outgate.model import TlsDemand
from outgate.queue import Queue
from outgate.queue.queue_id import to_text
from outgate.route import RouteKind
from outgate.smtp import Addressee, Capabilities, Transaction

KeysOf = Callable[[str, int], Awaitable[tuple[DkimKey, ...]]]  # by domain, as of a version of the directory

# By these ways the mail leaves by our own servers for others to check: there it bears our signature.
_SIGNED_WAYS = frozenset({RouteKind.DIRECT, RouteKind.DOMAIN_GATEWAY})


@frozen
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


async def prepare(queue: Queue, delivery: Delivery, hostname: str, keys_of: KeysOf) -> Transmission:
    """Read the message and make the header that this way asks for (docs/header-changes.md)."""
    message = delivery.item.message
    first = await queue.first_piece(delivery.item)
    submitted, body = first[: message.header_size], first[message.header_size :]
    header = _edited(delivery, submitted, hostname, await _signing_keys(delivery, submitted, keys_of))
    size = len(header) + message.size - message.header_size
    more = queue.later_pieces(delivery.item) if message.chunks > 1 else None
    return Transmission(header, body, more, size, message.eight_bit)


def _from_domain(delivery: Delivery, submitted: bytes) -> str:
    """The organisation's own mail is from its postmaster."""
    return (delivery.item.message.chosen_from or examine(submitted).header_from[0]).rpartition("@")[2]


async def _signing_keys(delivery: Delivery, submitted: bytes, keys_of: KeysOf) -> tuple[DkimKey, ...]:
    """The organisation's mailboxes may be elsewhere, and be asked whether what is from its postmaster is."""
    route = delivery.route
    if route.kind not in _SIGNED_WAYS and not (route.kind is RouteKind.LOCAL and delivery.item.message.is_own):
        return ()
    on_behalf_of = route.on_behalf_of
    domain = on_behalf_of.rpartition("@")[2] if on_behalf_of else _from_domain(delivery, submitted)
    return await keys_of(domain, delivery.version)


def _edited(delivery: Delivery, submitted: bytes, hostname: str, keys: tuple[DkimKey, ...]) -> bytes:
    message, route = delivery.item.message, delivery.route
    user_gateway = route.kind is RouteKind.USER_GATEWAY
    primary = delivery.account.primary if delivery.account else ""
    block = outgoing(
        delivery.item.fields or examine(submitted).fields,
        trace=Trace(hostname, to_text(message.id), message.protocol, message.received_at),
        sender=route.on_behalf_of,
        hide=primary if user_gateway and primary != message.chosen_from else None,
        from_domain=_from_domain(delivery, submitted),
        rewrite_from=_rewrite_from(delivery),
    )
    now = clock.now()
    # Each signs the message, none the others' signatures: recipients know one kind of key or both (RFC 8463 section 3).
    block = b"".join([sign(block, message.body_digest, key, now) for key in keys]) + block
    # A message may end with its header; then it leaves without an empty line as well.
    return block + (b"\r\n" if submitted.endswith(b"\r\n\r\n") or submitted == b"\r\n" else b"")


def _rewrite_from(delivery: Delivery) -> Mailbox | None:
    """What From becomes, if the one submitted is not the account's own and policy said to replace it."""
    message = delivery.item.message
    if not message.rewrite_from or delivery.account is None:
        return None
    chosen = entry_for(delivery.account, message.chosen_from)
    name = chosen.display_name if chosen else ""
    return Mailbox(name or delivery.account.name, message.chosen_from)


def transaction(
    delivery: Delivery, transmission: Transmission, peer: Capabilities, *, verified: bool = False
) -> Transaction | Outcome:
    """The transaction for this peer, or why this peer can't take the message as it is: it is never converted.

    `verified`: TLS says that the peer is the one that is meant.
    """
    message = delivery.item.message
    if transmission.eight_bit and not peer.eight_bit:
        return Outcome(Verdict.FAILED, "5.6.3 the next server does not take 8-bit content, and mail is never converted")
    if peer.size and transmission.size > peer.size:
        return Outcome(Verdict.FAILED, f"5.3.4 the next server takes at most {peer.size} bytes")
    requires_tls = message.tls_demand is TlsDemand.REQUIRED and delivery.route.kind is not RouteKind.LOCAL
    if requires_tls and not (verified and peer.require_tls):
        what = "does not offer REQUIRETLS" if verified else "could not be verified by TLS"
        return Outcome(Verdict.FAILED, f"5.7.30 REQUIRETLS was asked for, and the next server {what}")
    # No more is asked of the next server than of us: a header in UTF-8 that came without SMTPUTF8 goes on as it came.
    flagged = message.smtputf8 and not transmission.header.isascii()
    paths = [delivery.route.reverse_path, *(one.address for one in delivery.recipients)]
    plain = "".join(paths).isascii()  # as nearly always
    smtputf8 = flagged or (not plain and any(needs_smtputf8(one) for one in paths if one))
    if smtputf8 and not peer.smtputf8:
        return Outcome(Verdict.FAILED, "5.6.7 the next server does not take internationalised mail (RFC 6531)")
    if not (plain or smtputf8):
        paths = [ascii_form(one) or one if one else "" for one in paths]
    addressees = [
        Addressee(address, one.notify, one.orcpt if smtputf8 or (one.orcpt or "").isascii() else None)
        for address, one in zip(paths[1:], delivery.recipients, strict=True)
    ]
    return Transaction(
        paths[0],
        addressees,
        size=transmission.size,
        eight_bit=transmission.eight_bit,
        smtputf8=smtputf8,
        envid=message.envid,
        ret=message.ret,
        content=transmission.whole,
        require_tls=requires_tls,
    )
