"""`outgate send`: a message from this machine's administrator, by the way that a submission takes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outgate.cli.output import tell
from outgate.cli.shell import CommandContext, command

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from outgate.accept.submission import Content
    from outgate.queue import AddChunk


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        example="outgate send alice@example.com --to carol@recipient.example --subject Hello --text 'Hello, Carol.'\n"
        "outgate send alice@example.com --from alice@dominiopartner.example --to carol@recipient.example"
        " --subject Figures --attach figures.pdf < text\n"
        "outgate send alice@example.com --to carol@recipient.example --message message.eml",
    )(send)


def send(
    ctx: CommandContext,
    account: Annotated[str, typer.Argument(help="Who sends: an account", metavar="ACCOUNT", show_default=False)],
    to: Annotated[list[str], typer.Option("--to", help="A recipient; may be given several times", show_default=False)],
    sender: Annotated[
        str | None, typer.Option("--from", help="One of the account's addresses; else its default", show_default=False)
    ] = None,
    subject: Annotated[str, typer.Option("--subject", help="The subject")] = "",
    text: Annotated[
        str | None, typer.Option("--text", help="The text; else standard input", show_default=False)
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A file to attach; may be given several times")
    ] = None,
    message: Annotated[
        Path | None,
        typer.Option("--message", help="Send this whole message (RFC 5322); - is standard input", allow_dash=True),
    ] = None,
) -> None:
    """Queue a message for an account: a new one, or one that is whole in a file. The running server delivers it.

    It passes the same checks as a submission, and is refused (exit status 6) where that would be. No password: whoever
    may read the data directory may do this. A whole message must have From; --to is its envelope, whatever its header.
    """
    if message is not None and (sender or subject or attach or text is not None):
        raise typer.BadParameter("--message is a whole message: leave out --from, --subject, --text and --attach")
    from outgate import clock
    from outgate.queue.queue_id import QueueIds, to_text

    now = clock.now()
    identity = QueueIds().new(now)
    owner = _account(ctx, account)
    if message is not None:
        raw = with_crlf(_read(message))
    else:
        body = sys.stdin.read() if text is None else text
        raw = _compose(ctx, owner, sender, to, subject, body, attach or (), identity, now)
    put = _queue(ctx, owner, raw, to, identity, now)
    ways = {one.address: str(one.queue) for one in put.recipients}
    told = "\n".join(f"  to {address} by {queue}" for address, queue in ways.items())
    value = {"id": to_text(identity), "from": put.message.chosen_from, "recipients": ways}
    tell(ctx, value, f"queued as {value['id']}\n{told}")


def with_crlf(raw: bytes) -> bytes:
    """A message from a file, with the line ends of the wire."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()


def _account(ctx: CommandContext, address: str) -> Any:
    from outgate.operations import send_as_operations

    with ctx.reading() as op:
        return send_as_operations.account(op, address)


def _compose(
    ctx: CommandContext,
    account: Any,
    sender: str | None,
    to: Sequence[str],
    subject: str,
    text: str,
    files: Sequence[Path],
    identity: int,
    now: float,
) -> bytes:
    from outgate.mail.addresses import Mailbox, canonical
    from outgate.mail.compose import compose
    from outgate.queue.queue_id import to_text

    address = canonical(sender) if sender else next(one.address for one in account.send_as.values() if one.is_default)
    entry = account.send_as.get(address)
    name, reply_to = (entry.display_name or account.name, entry.reply_to) if entry else ("", "")
    return compose(
        sender=Mailbox(name, address),
        to=[Mailbox("", one) for one in to],
        subject=subject,
        text=text,
        date=now,
        message_id=f"{to_text(identity)}@{ctx.installation().config.hostname}",
        reply_to=Mailbox("", reply_to) if reply_to else None,
        attachments=[_attachment(file) for file in files],
    )


def _attachment(file: Path) -> Any:
    from mimetypes import guess_type

    from outgate.mail.compose import AttachedFile

    kind, encoding = guess_type(file.name)
    return AttachedFile(file.name, kind if kind and not encoding else "application/octet-stream", file.read_bytes())


def _queue(ctx: CommandContext, account: Any, raw: bytes, to: Sequence[str], identity: int, now: float) -> Any:
    """Decide as for a submission and commit it; the Put. Raises NotAllowed with the reason of a refusal."""
    from outgate.accept.submission import Envelope, prepare
    from outgate.accept.submission_compliance import must_be_looked_into
    from outgate.directory.accounts import load_organisation
    from outgate.directory.errors import NotAllowed
    from outgate.mail.addresses import canonical
    from outgate.operations import mail_operations
    from outgate.smtp import MailParams, RcptParams, Reply

    pieces, content = _content(raw, identity, ctx.installation().config)
    utf8 = content.examined.has_utf8 or not all(one.isascii() for one in to)
    params = MailParams(smtputf8=utf8)
    recipients = [(one, RcptParams()) for one in dict.fromkeys(to) if canonical(one)]
    envelope = Envelope(account.primary, params, recipients, peer="", protocol="UTF8SMTP" if utf8 else "ESMTP")
    with ctx.writing_one_of_many() as op:
        organisation = load_organisation(op.connection)
        if ctx.installation().config.local.mailbox == "maildir":
            _check_mailboxes(op.connection, organisation.domains, to)
        put = prepare(account, organisation, envelope, content, now)
        if isinstance(put, Reply):
            raise NotAllowed(" ".join(put.lines))
        if must_be_looked_into(account.policy, put) and (reason := _attachments_refused(account.policy, raw)):
            raise NotAllowed(reason)
        mail_operations.send(op, account.primary, pieces, put)
    return put


def _attachments_refused(policy: Any, raw: bytes) -> str | None:
    from outgate.compliance.attachment_policy import refuses_attachments
    from outgate.mail.attachments import Scanner, TooComplex

    scanner = Scanner()
    try:
        scanner.feed(raw)
        return refuses_attachments(policy, scanner.attachments())
    except TooComplex as error:
        return str(error)


def _check_mailboxes(connection: "Connection", domains: frozenset[str], to: Sequence[str]) -> None:
    """As at RCPT: a colleague's address that does not exist is refused, not returned later."""
    from outgate.directory.accounts import local_mailbox
    from outgate.directory.errors import NotFound
    from outgate.mail.addresses import canonical

    for address in map(canonical, to):
        if address.rpartition("@")[2] in domains and local_mailbox(connection, address) is None:
            raise NotFound(f"<{address}>: no such mailbox here")


def _content(raw: bytes, identity: int, config: Any) -> "tuple[list[AddChunk], Content]":
    """The message in pieces as the queue keeps it, and what is known of it. Raises Invalid and MessageFault."""
    from outgate.accept.submission import Content
    from outgate.directory.errors import Invalid
    from outgate.mail.dkim import BodyDigest
    from outgate.mail.header_check import examine, split_message
    from outgate.queue import AddChunk
    from outgate.queue.mail_queue import CHUNK_BYTES

    _check(raw, config.submission.max_message_bytes, config.submission.max_line_bytes)
    header_size = split_message(raw) or len(raw)
    if header_size > CHUNK_BYTES:
        raise Invalid("the header is longer than 256 KiB; send fewer or shorter fields")
    digest = BodyDigest()
    digest.update(raw[header_size:])
    pieces = [raw[at : at + CHUNK_BYTES] for at in range(0, len(raw), CHUNK_BYTES)]
    content = Content(
        identity=identity,
        examined=examine(raw[:header_size]),
        size=len(raw),
        header_size=header_size,
        chunks=len(pieces),
        body_digest=digest.digest(),
        eight_bit=not raw.isascii(),
        last_chunk=pieces[-1],
    )
    return [AddChunk(identity, number, piece) for number, piece in enumerate(pieces[:-1])], content


def _check(raw: bytes, max_bytes: int, max_line: int) -> None:
    """What the SMTP engine refuses of a submission's content."""
    from outgate.directory.errors import Invalid

    if len(raw) > max_bytes:
        raise Invalid(f"the message has {len(raw)} bytes, more than submission.max_message_bytes ({max_bytes})")
    if b"\0" in raw or b"\r" in raw.replace(b"\r\n", b""):
        raise Invalid("the message has a NUL byte or a bare CR")
    if any(len(line) > max_line for line in raw.split(b"\r\n")):
        raise Invalid(f"the message has a line of over {max_line} bytes (RFC 5322 2.1.1); encode it")
