"""What the writer is filled with when a letter is answered or forwarded."""

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from outgate.directory.errors import NotFound
from outgate.directory.users import ReplyFrom
from outgate.mail.compose import AttachedFile
from outgate.mailbox.answer import AnswerKind, answer_to, forwarded, quoted
from outgate.mailbox.letter import Letter, LetterHead, file_of, letter_of, people_text
from outgate.operations import draft_operations, send_as_operations
from outgate.operations.context import OperationContext
from outgate.web.visit import Visit
from outgate.web.words import N_, Words
from outgate.writing.drafts import DraftContent

WROTE: Final = N_("On %(when)s %(who)s wrote:")
FORWARDED: Final = N_("Forwarded message")
FIELDS: Final = {"from": N_("From"), "date": N_("Date"), "subject": N_("Subject"), "to": N_("To")}


async def begun(visit: Visit, make: Callable[[Visit, OperationContext, DraftContent], object]) -> object:
    """The form for an answer to the letter that is named; a forwarded one is a draft already, with its files."""
    key, kind = visit.form.text("letter"), _kind(visit.form.text("as"))
    found = await visit.in_mailbox(lambda mailbox: mailbox.raw(key))
    if found is None:
        raise NotFound("this message is not in your mailbox any more")
    return await visit.in_thread(_begun, visit, make, letter_of(found[0], key, found[1]), found[0], kind)


def _kind(text: str) -> AnswerKind:
    return AnswerKind(text) if text in set(AnswerKind) else AnswerKind.REPLY


def _begun(
    visit: Visit,
    make: Callable[[Visit, OperationContext, DraftContent], object],
    letter: Letter,
    raw: bytes,
    kind: AnswerKind,
) -> object:
    with visit.reading() as op:
        content = content_for(visit, op, letter, kind)
        writing = make(visit, op, content)
    if kind is AnswerKind.FORWARD and letter.files:
        return _with_files(visit, content, letter, raw)
    return writing


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


def _with_files(visit: Visit, content: DraftContent, letter: Letter, raw: bytes) -> Response:
    largest = visit.services.config.submission.max_message_bytes
    with visit.writing() as op:
        draft = draft_operations.save_draft(op, visit.address, None, content)
        for file in letter.files:
            if found := file_of(raw, file.number):
                kind = "application/octet-stream" if file.content_type.startswith("message/") else file.content_type
                draft_operations.attach_file(op, visit.address, draft, AttachedFile(file.name, kind, found[1]), largest)
    return visit.go_to(f"/?draft={draft}")
