"""One request of somebody who is logged in: who it is, what was sent, and how pages and operations are called.

Knows no page. A page that needs the database is a plain function of its visit, run in the base's threads; one that
waits for something else is `async` and goes to them by `in_thread`.
"""

from collections.abc import Callable
from datetime import tzinfo
from typing import TypeVar

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.mailbox.user_mailbox import UserMailbox
from outgate.operations.context import ProofNeeded
from outgate.operations.public_reply import reply_to_sender
from outgate.operations.request_transactions import RequestTransactions
from outgate.operations.session_operations import SessionHolder
from outgate.queue.queue_id import to_text
from outgate.web import navigation
from outgate.web.form import Form
from outgate.web.gateway_words import FAULTS
from outgate.web.navigation import Entry
from outgate.web.page import fragment, page
from outgate.web.services import PageServices
from outgate.web.words import Words
from outgate.writing.sent_messages import SentMessage

R = TypeVar("R")


@frozen
class Visit(RequestTransactions):
    """`zone` is the time zone of the browser; `trouble` what its user has sent and somebody has not got, where a page
    shows it. It is an operations.context.Transactions of its user."""

    request: Request
    services: PageServices
    holder: SessionHolder
    said: Words
    zone: tzinfo
    form: Form
    trouble: tuple[SentMessage, ...] = ()

    @property
    def address(self) -> str:
        """The user's primary address."""
        return self.holder.user.address

    @property
    def path(self) -> str:
        """As the route names it, without its variable parts filled in."""
        return self.request.url.path

    def may(self, privilege: Privilege, unit: str = "/") -> bool:
        """For what a page offers; what is done is checked by the operation."""
        return any(privilege in grant.privileges and grant.covers(unit) for grant in self.holder.grants)

    def require_proof(self) -> None:
        """Raises ProofNeeded unless the user has shown lately who they are."""
        if not self.holder.actor.proven:
            raise ProofNeeded

    async def in_mailbox(self, ask: Callable[[UserMailbox], R]) -> R:
        """Ask the user's mailbox something, from an `async` page. Raises MailboxUnavailable."""
        return await self.services.mail_threads.run(self._in_mailbox, ask)

    def _in_mailbox(self, ask: Callable[[UserMailbox], R]) -> R:
        with self.services.mailboxes.open(self.address) as mailbox:
            return ask(mailbox)

    # --- answers ---------------------------------------------------------------------------------------------------

    def page(self, template: str, status: int = 200, **facts: object) -> Response:
        """A page in the house: with the rail, whose entry is the one whose path begins this page's."""
        return page(self.said, template, self._house() | facts, status)

    def fragment(self, template: str, **facts: object) -> str:
        """A part of a page."""
        return fragment(self.said, template, self._house() | facts)

    def go_to(self, path: str) -> Response:
        """After a change: the browser asks for another page, so that a reload does not repeat the change."""
        if self.request.headers.get("hx-request") == "true":
            return Response(status_code=204, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)

    def moment(self, at: float) -> Markup:
        """A time in the user's zone and language."""
        return self.said.moment(at, self.zone, self.services.now())

    def _house(self) -> dict[str, object]:
        is_console = self.path.startswith(navigation.HOME.path)
        console = navigation.console(self.holder.grants)
        return {
            "visit": self,
            "moment": self.moment,
            "is_console": is_console,
            "entries": console if is_console else navigation.MAIL,
            "queue_name": to_text,
            "reply_to_sender": reply_to_sender,
            "faults": FAULTS,
            "console": console,
            "console_search": navigation.SEARCH,
        }

    def is_at(self, entry: Entry) -> bool:
        """Whether this page is the entry's or below it; what is at a top has all others below it."""
        is_top = entry.path in ("/", navigation.HOME.path)
        return self.path == entry.path or (not is_top and self.path.startswith(f"{entry.path}/"))
