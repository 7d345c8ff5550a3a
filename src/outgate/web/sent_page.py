"""Sent: what a user has sent from the pages, what became of each message, and what can be done where somebody has not
got it. The journey is told from the record, without what is not for users' eyes.
"""

from collections.abc import Callable
from typing import Final

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from outgate.deliver.outcome import COMMON_LOG_IN
from outgate.directory.errors import NotFound
from outgate.http.http_route import HttpRoute
from outgate.mailbox.clean_html import cleaned
from outgate.mailbox.letter import Letter, file_of, letter_of
from outgate.mailbox.user_mailbox import MailboxUnavailable
from outgate.operations import send_as_overview, sent_operations
from outgate.operations.public_reply import reply_to_sender
from outgate.operations.send_as_overview import SendAsOverview
from outgate.operations.sent_operations import GIVEN_UP, RECALLED, SentDetails
from outgate.queue.queue_id import from_text, to_text
from outgate.route import refuses_past_gateway
from outgate.web import accounts_page
from outgate.web.letter_page import HELD_BACK, download
from outgate.web.sent_steps import steps_of
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.way import way_of
from outgate.web.words import N_
from outgate.writing.sent_messages import SentState

PATH: Final = "/sent"
ONE: Final = f"{PATH}/{{identity}}"
AT_ONCE: Final = 50  # messages of one page
MOVES: Final = 600.0  # seconds after it may leave that its page looks again by itself
DONE: Final = {
    "sent": N_("The message is sent."),
    "later": N_("The message is kept here and leaves at its time, whether you are here or not."),
    "again": N_("It is tried again now."),
    "past-gateway": N_("Your organisation's servers deliver it now."),
    "given-up": N_("It goes to nobody any more who has not got it."),
}
STATES: Final = {
    SentState.EARLY: N_("waits for its time"),
    SentState.LEAVING: N_("on its way"),
    SentState.WAITS: N_("waits"),
    SentState.FAILED: N_("not delivered"),
    SentState.DELIVERED: N_("delivered"),
}
OWN_REASONS: Final = {
    RECALLED: N_("taken back before it left"),
    GIVEN_UP: N_("given up by you"),
    COMMON_LOG_IN: N_("The log-in at the server that your administrator has set does not work now."),
}


class SentPage:
    """The list, a message, and what is done to it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [
            visits.get(PATH, show),
            visits.get(ONE, show_one),
            visits.get(f"{ONE}/text", show_text, policy=HELD_BACK),
            visits.get(f"{ONE}/files/{{number:int}}", give_file),
            visits.post(f"{ONE}/undo", undo),
            visits.post(f"{ONE}/retry", retry),
            visits.post(f"{ONE}/past-gateway", send_past_gateway),
            visits.post(f"{ONE}/give-up", give_up),
        ]


def show(visit: Visit) -> Response:
    """The newest first."""
    before = _identity_or_none(visit.form.text("before"))
    with visit.reading() as op:
        found = sent_operations.list_sent(op, visit.address, AT_ONCE + 1, before)
        seen = send_as_overview.overview(op, visit.address)
    done = DONE.get(visit.form.text("done"), "")
    return visit.page(
        "sent.html",
        shown=[(one, _way(seen, one.sender)) for one in found[:AT_ONCE]],
        more=to_text(found[AT_ONCE - 1].id) if len(found) > AT_ONCE else "",
        states=STATES,
        to_text=to_text,
        said=_said(visit),
        done=visit.said(done) if done else "",
    )


def _way(seen: SendAsOverview, address: str) -> object:
    """As the address leaves now; None if it is the user's no more."""
    entry = seen.entry(address)
    return way_of(seen.account, seen.organisation, entry) if entry else None


def _said(visit: Visit) -> Callable[[str], str]:
    """Of a reason what its sender may know."""

    def said(reason: str) -> str:
        own = OWN_REASONS.get(reason)
        return visit.said(own) if own else reply_to_sender(reason)

    return said


async def show_one(visit: Visit) -> Response:
    """Its journey, then what it says."""
    details = await visit.in_thread(_details, visit)
    try:
        letter, why = await _letter(visit, details), ""
    except MailboxUnavailable as error:
        letter, why = None, visit.said.error(error)
    return await visit.in_thread(_page, visit, details, letter, why)


def _details(visit: Visit) -> SentDetails:
    with visit.reading() as op:
        return sent_operations.show_sent(op, visit.address, _identity(visit))


def _page(visit: Visit, details: SentDetails, letter: Letter | None, why: str) -> Response:
    sent = details.sent
    with visit.reading() as op:
        seen = send_as_overview.overview(op, visit.address)
    entry, done = seen.entry(sent.sender), DONE.get(visit.form.text("done"), "")
    now = visit.services.now()
    is_moving = sent.state in (SentState.EARLY, SentState.LEAVING, SentState.WAITS) and now < sent.sent_at + MOVES
    return visit.page(
        "sent_one.html",
        sent=sent,
        identity=to_text(sent.id),
        path=f"{PATH}/{to_text(sent.id)}",
        letter=letter,
        why=why,
        way=_way(seen, sent.sender),
        server=accounts_page.path_of(entry.covered_by or entry.address, "server") if entry and entry.gateway else "",
        past_gateway=entry and not refuses_past_gateway(seen.account, entry),
        steps=steps_of(details.events),
        states=STATES,
        said=_said(visit),
        is_moving=is_moving,
        done=visit.said(done) if done else "",
    )


async def _letter(visit: Visit, details: SentDetails) -> Letter | None:
    """Its copy: as it is kept here, else of the Sent mailbox."""
    raw = await _copy(visit, details)
    if raw is None:
        return None
    return await visit.in_thread(letter_of, raw, to_text(details.sent.id), details.sent.sent_at)


async def _copy(visit: Visit, details: SentDetails) -> bytes | None:
    sent = details.sent
    if details.raw is not None:
        return details.raw
    return await visit.in_mailbox(lambda mailbox: mailbox.sent_copy(sent.file_name, sent.rfc822_message_id))


async def show_text(visit: Visit) -> Response:
    """The HTML of the copy, in its frame."""
    letter = await _existing(visit)
    clean = await visit.in_thread(cleaned, letter.html, letter.pictures)
    return HTMLResponse(visit.fragment("letter_text.html", html=Markup(clean.html)))  # noqa: S704  # it is clean


async def give_file(visit: Visit) -> Response:
    """A file of the copy."""
    raw = await _copy(visit, await visit.in_thread(_details, visit))
    found = await visit.in_thread(file_of, raw, visit.request.path_params["number"]) if raw else None
    if found is None:
        raise HTTPException(404)
    return download(*found)


async def _existing(visit: Visit) -> Letter:
    letter = await _letter(visit, await visit.in_thread(_details, visit))
    if letter is None:
        raise HTTPException(404)
    return letter


# --- what is done ----------------------------------------------------------------------------------------------------


def undo(visit: Visit) -> Response:
    """It is a draft again, if it has not left."""
    with visit.writing() as op:
        draft = sent_operations.recall(op, visit.address, _identity(visit))
    return visit.go_to(f"/?draft={draft}&done=taken-back")


async def retry(visit: Visit) -> Response:
    """What waits is tried now; once nothing does, it is sent again, from its copy, to those for whom it has failed."""
    details = await visit.in_thread(_details, visit)
    if _waits(details):
        return await visit.in_thread(_retry, visit)
    raw = await _copy(visit, details)
    return await visit.in_thread(_send_again, visit, raw)


async def send_past_gateway(visit: Visit) -> Response:
    """The same by the organisation's servers, in the place of the address's own."""
    details = await visit.in_thread(_details, visit)
    if _waits(details):
        return await visit.in_thread(_move, visit)
    raw = await _copy(visit, details)
    return await visit.in_thread(_send_again, visit, raw, True)


def _waits(details: SentDetails) -> bool:
    return details.sent.is_waiting or details.sent.state is not SentState.FAILED


def _move(visit: Visit) -> Response:
    with visit.writing() as op:
        sent_operations.send_past_gateway(op, visit.address, _identity(visit))
    return visit.go_to(f"{visit.path.rpartition('/')[0]}?done=past-gateway")


def _retry(visit: Visit) -> Response:
    with visit.writing() as op:
        sent_operations.retry_sent(op, visit.address, _identity(visit))
    return visit.go_to(f"{visit.path.rpartition('/')[0]}?done=again")


def _send_again(visit: Visit, raw: bytes | None, past_gateway: bool = False) -> Response:
    if raw is None:
        raise NotFound("its copy is not in the Sent mailbox any more; write it anew")
    with visit.writing() as op:
        identity = sent_operations.send_again(op, visit.address, _identity(visit), raw, visit.services.dispatch)
        if past_gateway:
            sent_operations.send_past_gateway(op, visit.address, identity)
    return visit.go_to(f"{PATH}/{to_text(identity)}?done={'past-gateway' if past_gateway else 'again'}")


def give_up(visit: Visit) -> Response:
    """Nobody gets it any more who has not got it, and the strip is silent about it."""
    with visit.writing() as op:
        sent_operations.give_up(op, visit.address, _identity(visit))
    return visit.go_to(f"{visit.path.rpartition('/')[0]}?done=given-up")


def _identity(visit: Visit) -> int:
    found = _identity_or_none(visit.request.path_params["identity"])
    if found is None:
        raise NotFound("there is no such message among those that you have sent here")
    return found


def _identity_or_none(text: str) -> int | None:
    try:
        return from_text(text)
    except ValueError:
        return None
