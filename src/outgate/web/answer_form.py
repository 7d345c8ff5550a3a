"""What the writer is filled with when a letter is answered or forwarded."""

from typing import Final

from outgate.directory.users import ReplyFrom
from outgate.mail.compose import AttachedFile
from outgate.mailbox.answer import AnswerKind, answer_to, forwarded, quoted
from outgate.mailbox.letter import Letter, LetterHead, files_of, letter_of, people_text
from outgate.operations import draft_operations, send_as_operations
from outgate.operations.context import OperationContext
from outgate.operations.draft_operations import WrittenDraft
from outgate.web.visit import Visit
from outgate.web.words import N_, Words
from outgate.writing.drafts import DraftContent, sendable

WROTE: Final = N_("On %(when)s %(who)s wrote:")
FORWARDED: Final = N_("Forwarded message")
FIELDS: Final = {"from": N_("From"), "date": N_("Date"), "subject": N_("Subject"), "to": N_("To")}


def content_for(visit: Visit, op: OperationContext, letter: Letter, kind: AnswerKind) -> DraftContent:
    """As the account's setting says, and in the user's language."""
    account = send_as_operations.account(op, visit.address)
    from_received = visit.holder.user.reply_from == ReplyFrom.RECEIVED
    answer = answer_to(letter.head, kind, account, from_received=from_received)
    return DraftContent(
        sender=answer.sender,
        to=people_text(answer.to),
        cc=people_text(answer.cc),
        subject=answer.subject,
        text=_text(visit, letter, kind),
        in_reply_to=answer.in_reply_to,
        references=" ".join(answer.references),
    )


def _text(visit: Visit, letter: Letter, kind: AnswerKind) -> str:
    said, head = visit.said, letter.head
    when = said.long_moment(head.at, visit.zone)
    if kind is AnswerKind.FORWARD:
        return forwarded(letter, _fields(said, head, when), said(FORWARDED))
    return quoted(letter, said(WROTE, when=when, who=people_text((head.sender,))))


def _fields(said: Words, head: LetterHead, when: str) -> list[tuple[str, str]]:
    values = {"from": people_text((head.sender,)), "date": when, "subject": head.subject, "to": people_text(head.to)}
    return [(said(name), values[key]) for key, name in FIELDS.items()]


def forward(visit: Visit, raw: bytes, key: str, at: float) -> int:
    """A draft that forwards a letter with its files; returns its id. Nothing is read while the base waits."""
    letter = letter_of(raw, key, at)
    contents = files_of(raw, [file.number for file in letter.files])
    largest = visit.services.config.submission.max_message_bytes
    with visit.writing() as op:
        written = WrittenDraft.of(content_for(visit, op, letter, AnswerKind.FORWARD))  # it has no HTML
        draft = draft_operations.save_draft(op, visit.address, None, written)
        for file in letter.files:
            name, data = contents[file.number]
            one = AttachedFile(name, sendable(file.content_type, name), data)
            draft_operations.attach_file(op, visit.address, draft, one, largest)
    return draft
