"""Inbox > a letter: who wrote what to whom, its conversation, its files, and from where a reply would leave.

HTML is shown cleaned, in a frame of its own with a policy of its own: nothing there runs, loads, or leads this page.
"""

from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from outgate.directory.errors import NotFound
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.http.security_headers import CSP_REPORTS
from outgate.mailbox.answer import AnswerKind
from outgate.mailbox.clean_html import CleanHtml, cleaned
from outgate.mailbox.conversations import LetterThread, conversation_of
from outgate.mailbox.letter import Letter, file_of, letter_of
from outgate.mailbox.user_mailbox import UserMailbox
from outgate.operations import send_as_overview
from outgate.web import inbox_page
from outgate.web.answer_form import content_for, forward
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.way import way_of

R = TypeVar("R")

PATH: Final = f"{inbox_page.PATH}/{{key}}"
_FRAME: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox; report-uri " + CSP_REPORTS
)
HELD_BACK: Final = _FRAME.format(images="data:")
WITH_PICTURES: Final = _FRAME.format(images="data: https: http:")


@frozen
class OpenLetter:
    """A letter with the conversation that it is in."""

    letter: Letter
    conversation: LetterThread


class LetterPage:
    """Shows one letter."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(PATH, show),
            visits.get(f"{PATH}/text", show_text, policy=HELD_BACK),
            visits.get(f"{PATH}/text/with-pictures", show_text_with_pictures, policy=WITH_PICTURES),
            visits.get(f"{PATH}/files/{{number:int}}", give_file),
            visits.post(f"{PATH}/forward", send_on),
        ]


def path_of(key: str) -> str:
    """Where a letter is."""
    return f"{inbox_page.PATH}/{quote(key, safe='')}"


async def show(visit: Visit) -> Response:
    """It is read by being shown."""
    opened = await visit.in_mailbox(lambda mailbox: _opened(mailbox, _key(visit)))
    return await visit.in_thread(_page, visit, opened)


def _page(visit: Visit, opened: OpenLetter) -> Response:
    letter = opened.letter
    clean = cleaned(letter.html, letter.pictures)
    with visit.reading() as op:
        seen = send_as_overview.overview(op, visit.address)
        reply_from = content_for(visit, op, letter, AnswerKind.REPLY).sender
    return visit.page(
        "letter.html",
        letter=letter,
        head=letter.head,
        path=path_of(letter.head.key),
        path_of=path_of,
        others=[one for one in opened.conversation.letters if one.key != letter.head.key],
        remote=clean.remote,
        with_pictures=visit.form.ticked("pictures"),
        reply_from=reply_from,
        reply_way=way_of(seen.account, seen.organisation, seen.account.send_as[reply_from]),
        query=f"letter={quote(letter.head.key, safe='')}",
    )


def _opened(mailbox: UserMailbox, key: str) -> OpenLetter:
    found = mailbox.raw(key)
    if found is None:
        raise NotFound("this message is not in your mailbox any more")
    mailbox.mark_seen([key])
    letter = letter_of(found[0], key, found[1])
    return OpenLetter(letter, conversation_of(letter.head, mailbox.heads()))


async def show_text(visit: Visit) -> Response:
    """What the frame shows, without pictures from elsewhere."""
    return await _text(visit, with_remote=False)


async def show_text_with_pictures(visit: Visit) -> Response:
    """The same with them, as its reader has asked for."""
    return await _text(visit, with_remote=True)


async def _text(visit: Visit, *, with_remote: bool) -> Response:
    clean = await _made_of(visit, lambda raw, at: _clean(letter_of(raw, _key(visit), at), with_remote))
    return HTMLResponse(visit.fragment("letter_text.html", html=Markup(clean.html)))  # noqa: S704  # it is clean


def _clean(letter: Letter, with_remote: bool) -> CleanHtml:
    return cleaned(letter.html, letter.pictures, with_remote=with_remote)


async def send_on(visit: Visit) -> Response:
    """A draft that forwards it, with its files."""
    raw, at = await _made_of(visit, lambda raw, at: (raw, at))
    draft = await visit.in_thread(forward, visit, raw, _key(visit), at)
    return visit.go_to(f"/?draft={draft}")


async def give_file(visit: Visit) -> Response:
    """To be kept, never shown: whatever it says that it is."""
    found = await _made_of(visit, lambda raw, _at: file_of(raw, visit.request.path_params["number"]))
    if found is None:
        raise HTTPException(404)
    return download(*found)


def download(name: str, content: bytes) -> Response:
    """A file of somebody else's."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


async def _made_of(visit: Visit, make: Callable[[bytes, float], R]) -> R:
    """What is made of the letter, in the thread that reads it: it may be large."""

    def made(mailbox: UserMailbox) -> R:
        found = mailbox.raw(_key(visit))
        if found is None:
            raise HTTPException(404)
        return make(*found)

    return await visit.in_mailbox(made)


def _key(visit: Visit) -> str:
    return str(visit.request.path_params["key"])
