"""What a reply or a forwarded message begins with: to whom, from which address, subject and quoted text. Pure.

From which address is the account's choice: the one that was written to, or always the default.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen
from outgate.mail.addresses import Mailbox, without_tag
from outgate.mailbox.letter import Letter, LetterHead, compared
from outgate.model import Account

_REPLIED: Final = re.compile(r"(re|r|aw|sv|antw)\s*(\[\d+\])?:", re.IGNORECASE)
_FORWARDED: Final = re.compile(r"(fwd?|i|wg)\s*:", re.IGNORECASE)


class AnswerKind(StrEnum):
    """To the sender, to all, to somebody else."""

    REPLY = "reply"
    ALL = "all"
    FORWARD = "forward"


@frozen
class Answer:
    """What the writer is filled with; `sender` is one of the account's addresses."""

    sender: str
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    subject: str
    in_reply_to: str
    references: tuple[str, ...]


def answer_to(head: LetterHead, kind: AnswerKind, account: Account, *, from_received: bool) -> Answer:
    """`from_received`: from the address that the letter was written to, if it is one that the account sends as."""
    own = {entry.address for entry in account.send_as.values() if entry.is_primary or entry.treat_as_alias}
    sender = _sender(head, account, from_received=from_received)
    if kind is AnswerKind.FORWARD:
        return Answer(sender, (), (), _prefixed("Fwd: ", _FORWARDED, head.subject), "", ())
    mine = compared(head.sender.address) in own
    to = head.to if mine else (head.reply_to or (head.sender,))
    others = (*(() if mine else head.to), *head.cc) if kind is AnswerKind.ALL else ()
    named = {compared(one.address) for one in to}
    left_out = own | named
    cc = [one for one in _each_once(others) if not {compared(one.address), _untagged(one)} & left_out]
    references = tuple(dict.fromkeys((*head.references, *([head.message_id] if head.message_id else []))))
    subject = _prefixed("Re: ", _REPLIED, head.subject)
    return Answer(sender, tuple(_each_once(to)), tuple(cc), subject, head.message_id, references[-30:])


def _untagged(mailbox: Mailbox) -> str:
    """One's own address with a +tag is one's own."""
    address = compared(mailbox.address)
    return without_tag(address) or address


def _sender(head: LetterHead, account: Account, *, from_received: bool) -> str:
    usable = {
        entry.address: entry for entry in account.send_as.values() if entry.verified and not entry.is_whole_domain
    }
    default = next(entry.address for entry in account.send_as.values() if entry.is_default)
    if not from_received:
        return default
    written_to = (compared(one.address) for one in (*head.to, *head.cc))
    # A letter of one's own (in a conversation) is answered as it was written.
    return next((one for one in (compared(head.sender.address), *written_to) if one in usable), default)


def quoted(letter: Letter, introduction: str) -> str:
    """The text of a letter below what is about to be written (RFC 3676 section 4.5 has the brackets)."""
    lines = [f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in letter.text.split("\n")]
    return "\n\n" + "\n".join([introduction, *lines]) + "\n"


def forwarded(letter: Letter, fields: Sequence[tuple[str, str]], title: str) -> str:
    """The text of a letter with what people ask for of its header."""
    header = [f"{name}: {value}" for name, value in fields if value]
    return "\n\n" + "\n".join([f"---------- {title} ----------", *header, "", letter.text]) + "\n"


def _prefixed(prefix: str, known: re.Pattern[str], subject: str) -> str:
    return subject if known.match(subject) else f"{prefix}{subject}"


def _each_once(people: Iterable[Mailbox]) -> list[Mailbox]:
    return list({compared(one.address): one for one in people if "@" in one.address}.values())
