"""`outgate send`: a message from this machine's administrator, by the way that a submission takes."""

import sys
from collections.abc import Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated

import typer

from outgate import clock
from outgate.authorise import entry_for
from outgate.cli.output import JsonObject, tell
from outgate.cli.shell import CommandContext, command
from outgate.directory.errors import Invalid
from outgate.mail.addresses import Mailbox, canonical
from outgate.mail.compose import AttachedFile, compose
from outgate.mail.line_ends import with_crlf
from outgate.model import Account
from outgate.operations import mail_operations, send_as_operations
from outgate.operations.queue_names import queue_names
from outgate.queue import Put
from outgate.queue.queue_id import QueueIds, to_text
from outgate.wiring import send_limits

app = typer.Typer()


@command(
    app,
    example="outgate send alice@example.com --to carol@recipient.example --subject Hello --text 'Hello, Carol.'\n"
    "outgate send alice@example.com --from alice@dominiopartner.example --to carol@recipient.example"
    " --subject Figures --attach figures.pdf < text\n"
    "outgate send alice@example.com --to carol@recipient.example --message message.eml",
)
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
    now = clock.now()
    identity = QueueIds().new(now)
    owner = _account(ctx, account)
    if message is not None:
        raw = with_crlf(_read(message))
    else:
        body = _standard_input() if text is None else text
        raw = _compose(ctx, owner, sender, to, subject, body, attach or (), identity, now)
    put, names = _send(ctx, account, identity, to, raw)
    ways = {one.address: str(one.queue) for one in put.recipients}
    told = "\n".join(f"  to {address} by {names[queue]}" for address, queue in ways.items())
    value: JsonObject = {"id": to_text(identity), "from": put.message.chosen_from, "recipients": ways}
    tell(ctx, value, f"queued as {value['id']}{ctx.only_with_server()}\n{told}")


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise Invalid("standard input is not UTF-8; to send other bytes as they are, use --message") from None


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()


def _account(ctx: CommandContext, address: str) -> Account:
    with ctx.reading() as op:
        return send_as_operations.account(op, address)


def _compose(
    ctx: CommandContext,
    account: Account,
    sender: str | None,
    to: Sequence[str],
    subject: str,
    text: str,
    files: Sequence[Path],
    identity: int,
    now: float,
) -> bytes:
    address = canonical(sender) if sender else next(one.address for one in account.send_as.values() if one.is_default)
    entry = entry_for(account, address)
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


def _attachment(file: Path) -> AttachedFile:
    kind, encoding = guess_type(file.name)
    return AttachedFile(file.name, kind if kind and not encoding else "application/octet-stream", file.read_bytes())


def _send(
    ctx: CommandContext, account: str, identity: int, to: Sequence[str], raw: bytes
) -> tuple[Put, dict[str, str]]:
    """What was queued, and the names of its queues."""
    limits = send_limits(ctx.installation().config)
    with ctx.writing_one_of_many() as op:
        put = mail_operations.send(op, account, identity, to, raw, limits)
        return put, queue_names(op, {str(one.queue) for one in put.recipients})
