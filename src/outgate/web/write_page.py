"""Write: the page on which a message is written, kept as a draft, and sent by the server that its From address has.

What was typed is a draft from the first thing on that has to be kept: a file, a save, the sending itself. So a message
that is refused, or taken back, loses nothing. What a reply begins with is in answer_form.py.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from markupsafe import escape
from starlette.responses import HTMLResponse, Response

from outgate.directory.errors import Invalid, NotFound
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.mail.compose import AttachedFile
from outgate.mailbox.answer import AnswerKind
from outgate.mailbox.html_text import text_of
from outgate.mailbox.letter import Letter, letter_of
from outgate.mailbox.user_mailbox import UserMailbox
from outgate.model import SendAs
from outgate.operations import draft_operations, send_as_operations, sent_operations
from outgate.operations.context import OperationContext
from outgate.operations.draft_operations import WrittenDraft
from outgate.operations.send_as_overview import SendAsOverview, overview
from outgate.queue.queue_id import to_text
from outgate.web.answer_form import content_for
from outgate.web.form import Form, SentFile, number_in
from outgate.web.time_field import time_asked
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.way import Way, way_of
from outgate.web.words import N_
from outgate.writing import drafts
from outgate.writing.drafts import Draft, DraftContent, DraftFile, sendable

PATH: Final = "/"
DONE: Final = {
    "saved": N_("The draft is saved."),
    "taken-back": N_("The message is taken back. It is a draft again."),
}
LISTS: Final = ("to", "cc", "bcc")


@frozen
class Sender:
    """An address to write from. `held` says that its server does not work now, so that mail waits."""

    entry: SendAs
    name: str
    way: Way
    held: bool
    signature: str
    signature_text: str


@frozen
class Writing:
    """What the form shows: what was typed, its files, and what is wrong with a field."""

    content: DraftContent
    draft: int | None = None
    files: tuple[DraftFile, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()
    why: str = ""
    later: str = ""


class WritePage:
    """The writer."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are. A message with its files comes in one form."""
        largest = visits.services.config.submission.max_message_bytes
        return [
            visits.get(PATH, show),
            visits.post(PATH, act, max_body=largest),
            visits.post("/write/check", check),
        ]


async def show(visit: Visit) -> Response:
    """A draft, an answer to a letter, or an empty form."""
    key = visit.form.text("letter")
    if not key:
        return await visit.in_thread(_show, visit)
    letter = await visit.in_mailbox(lambda mailbox: _letter(mailbox, key))
    return await visit.in_thread(_show_answer, visit, letter)


def _letter(mailbox: UserMailbox, key: str) -> Letter:
    found = mailbox.raw(key)
    if found is None:
        raise NotFound("this message is not in your mailbox any more")
    return letter_of(found[0], key, found[1])


def _show(visit: Visit) -> Response:
    found = _found(visit)
    return found if isinstance(found, Response) else _page(visit, found)


def _show_answer(visit: Visit, letter: Letter) -> Response:
    kind = AnswerKind.ALL if visit.form.text("as") == "all" else AnswerKind.REPLY
    with visit.reading() as op:
        writing = _empty(visit, op, content_for(visit, op, letter, kind))
    return _page(visit, writing)


def _found(visit: Visit) -> Writing | Response:
    number = visit.form.number("draft")
    if number is None:
        with visit.reading() as op:
            return _empty(visit, op)
    with visit.reading() as op:
        draft = draft_operations.show_draft(op, visit.address, number)
    if draft.sent_as is not None:
        return visit.go_to(f"/sent/{to_text(draft.sent_as)}")
    return _of_draft(draft)


def _of_draft(draft: Draft) -> Writing:
    return Writing(draft.content, draft.id, draft.files)


def _empty(visit: Visit, op: OperationContext, content: DraftContent | None = None) -> Writing:
    """A new message with the signature of its address, above what it quotes."""
    account = send_as_operations.account(op, visit.address)
    default = next(one.address for one in account.send_as.values() if one.is_default)
    form = visit.form
    content = content or DraftContent(default, to=form.text("to"), subject=form.text("subject"))
    signature = send_as_operations.signatures(op, visit.address).get(content.sender, "")
    text = f"\n\n-- \n{text_of(signature)}{content.text}" if signature else content.text
    return Writing(replace(content, text=text))


# --- what is done ----------------------------------------------------------------------------------------------------


async def act(visit: Visit) -> Response:
    """What the button says: send, send later, attach, take a file out, save, throw away."""
    return await visit.in_thread(_act, visit)


def _act(visit: Visit) -> Response:
    form, draft = visit.form, visit.form.number("draft")
    what, _, which = form.text("do").partition("-")
    if what == "discard":
        return _discard(visit, draft)
    try:
        draft = _kept(visit, draft)
        if what == "detach":
            _detach(visit, draft, number_in(which))
        if what in ("send", "later"):
            return _send(visit, draft, is_later=what == "later")
    except Exception as error:
        return _again(visit, draft, error)
    if form.text("quiet"):
        return HTMLResponse(visit.fragment("draft_state.html", draft=draft, files=_files(visit, draft)))
    return visit.go_to(f"/?draft={draft}" + ("&done=saved" if what == "save" else ""))


def _kept(visit: Visit, draft: int | None) -> int:
    """What was typed, and the files that came with it, in one transaction."""
    largest = visit.services.config.submission.max_message_bytes
    written = WrittenDraft.of(content_of(visit.form))
    with visit.writing() as op:
        kept = draft_operations.save_draft(op, visit.address, draft, written)
        for file in visit.form.files:
            draft_operations.attach_file(op, visit.address, kept, attached(file), largest)
    return kept


def _detach(visit: Visit, draft: int, file: int | None) -> None:
    if file is None:
        raise NotFound("this file is not with the draft any more")
    with visit.writing() as op:
        draft_operations.detach_file(op, visit.address, draft, file)


def attached(file: SentFile) -> AttachedFile:
    """A file as it is sent on: its name without a path or what would end a line."""
    name = "".join(char for char in file.name.replace("\\", "/").rpartition("/")[2] if char.isprintable()) or "file"
    return AttachedFile(name[-200:], sendable(file.content_type, name), file.content)


def _send(visit: Visit, draft: int, *, is_later: bool) -> Response:
    at = _chosen_time(visit) if is_later else 0.0
    with visit.writing() as op:
        identity = sent_operations.send_draft(op, visit.address, draft, visit.services.dispatch, at)
    return visit.go_to(f"/sent/{to_text(identity)}?done={'later' if is_later else 'sent'}")


def _chosen_time(visit: Visit) -> float:
    """As a browser's field has it, in the browser's zone."""
    at = time_asked(visit.form.text("at"), visit.zone)
    if at is None:
        raise Invalid("choose the day and the time at which it is to leave")
    if at <= visit.services.now():
        raise Invalid("choose a time that is still to come")
    return at


def _discard(visit: Visit, draft: int | None) -> Response:
    if draft is not None:
        with visit.writing() as op:
            draft_operations.delete_draft(op, visit.address, draft)
    return visit.go_to("/drafts?done=deleted")


def content_of(form: Form) -> DraftContent:
    """What was typed. HTML that is too long to be kept has no text: it is refused anyway."""
    html = form.long_text("html")
    typed = DraftContent(
        sender=form.text("from"),
        to=form.text("to"),
        cc=form.text("cc"),
        bcc=form.text("bcc"),
        subject=form.text("subject"),
        text="" if html.strip() else form.long_text("text"),
        html=html,
        in_reply_to=form.text("in_reply_to"),
        references=form.text("references"),
    )
    return replace(typed, text=text_of(html)) if html.strip() and drafts.is_short(typed) else typed


def _again(visit: Visit, draft: int | None, error: Exception) -> Response:
    """The form as it was typed, with what is wrong: beside the field if it is one's fault alone. What was a draft that
    is gone is kept as a new one."""
    status, why = status_of(error), visit.said.error(error)
    if visit.form.text("quiet"):
        return HTMLResponse(escape(why), status)
    content = content_of(visit.form)
    wrong = tuple((name, said) for name in LISTS if (said := _wrong(visit, content.sender, getattr(content, name))))
    draft, files = _existing(visit, draft)
    writing = Writing(content, draft, files, wrong, "" if wrong else why, visit.form.text("at"))
    return _page(visit, writing, status)


def _existing(visit: Visit, draft: int | None) -> tuple[int | None, tuple[DraftFile, ...]]:
    if draft is None:
        return None, ()
    try:
        return draft, _files(visit, draft)
    except NotFound:
        return None, ()


def _files(visit: Visit, draft: int) -> tuple[DraftFile, ...]:
    with visit.reading() as op:
        return draft_operations.show_draft(op, visit.address, draft).files


# --- checks while one types ------------------------------------------------------------------------------------------


def check(visit: Visit) -> Response:
    """What is wrong with a list of recipients, as the text below its field; nothing if all is well."""
    return HTMLResponse(visit.fragment("recipients_wrong.html", why=_wrong(visit, *_asked(visit.form))))


def _asked(form: Form) -> tuple[str, str]:
    return form.text("from"), form.text("recipients")


def _wrong(visit: Visit, sender: str, text: str) -> str:
    try:
        with visit.reading() as op:
            sent_operations.check_recipients(op, visit.address, sender, text, visit.services.send_limits)
    except Exception as error:
        status_of(error)
        return visit.said.error(error)
    return ""


# --- the form --------------------------------------------------------------------------------------------------------


def _page(visit: Visit, writing: Writing, status: int = 200) -> Response:
    with visit.reading() as op:
        seen, signatures = overview(op, visit.address), send_as_operations.signatures(op, visit.address)
    done = DONE.get(visit.form.text("done"), "")
    facts = {
        "writing": writing,
        "content": writing.content,
        "wrong": dict.fromkeys(LISTS, "") | dict(writing.wrong),
        "senders": [
            _sender(seen, entry, signatures.get)
            for entry in seen.account.send_as.values()
            if entry.verified and not entry.is_whole_domain
        ],
        "done": visit.said(done) if done and not writing.why else "",
    }
    return visit.page("write.html", status, **facts)


def _sender(seen: SendAsOverview, entry: SendAs, signature_of: Callable[[str, str], str]) -> Sender:
    health, signature = seen.health.get(entry.address), signature_of(entry.address, "")
    way = way_of(seen.account, seen.organisation, entry)
    return Sender(
        entry,
        entry.display_name or seen.account.name,
        way,
        health is not None and not health.works,
        signature,
        text_of(signature),
    )
