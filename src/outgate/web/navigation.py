"""What the rail at the left shows: the pages that there are, and those that somebody may see. Pure.

A new page is a line here and its routes in page_routes.py.
"""

from collections.abc import Iterator
from typing import Final

from outgate.directory.privileges import Grant, Privilege
from outgate.frozen import frozen
from outgate.web.words import N_


@frozen
class Entry:
    """One link; `group` is the heading that it stands under, empty for none. Nobody needs `needs` for their own mail.

    `also` is what else the console's search finds it by: the names that the reference has for it.
    """

    path: str
    title: str
    group: str = ""
    needs: Privilege | None = None
    also: tuple[str, ...] = ()


MAIL: Final = (
    Entry("/settings/accounts", N_("Accounts"), N_("Settings")),
    Entry("/settings/security", N_("Security"), N_("Settings")),
)

CONSOLE: Final = (
    Entry(
        "/admin/apps/mail/end-user-access",
        N_("End User Access"),
        N_("Apps › Workspace › Mail"),
        Privilege.UNITS_READ,
        (N_("Allow per-user outbound gateways"), "Gmail", "End User Access"),
    ),
    Entry("/admin/reporting/email-log-search", N_("Email log search"), N_("Reporting"), Privilege.LOG_READ),
    Entry("/admin/reporting/queue", N_("Queue"), N_("Reporting"), Privilege.QUEUE_READ),
)


def seen(entries: tuple[Entry, ...], grants: tuple[Grant, ...]) -> Iterator[Entry]:
    """Those that somebody with these privileges, wherever they hold, has any use for."""
    held = {privilege for grant in grants for privilege in grant.privileges}
    return (entry for entry in entries if entry.needs is None or entry.needs in held)
