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
    Entry("/", N_("Write")),
    Entry("/inbox", N_("Inbox")),
    Entry("/sent", N_("Sent")),
    Entry("/drafts", N_("Drafts")),
    Entry("/settings/accounts", N_("Accounts"), N_("Settings")),
    Entry("/settings/security", N_("Security"), N_("Settings")),
    Entry("/settings/mail-program", N_("Mail program"), N_("Settings")),
)

HOME: Final = Entry("/admin", N_("Home"))
SEARCH: Final = f"{HOME.path}/search"
_DIRECTORY: Final = N_("Directory")
_ACCOUNT: Final = N_("Account")
_MAIL: Final = N_("Apps › Workspace › Mail")
_REPORTING: Final = N_("Reporting")
CONSOLE: Final = (
    Entry("/admin/directory/users", N_("Users"), _DIRECTORY, Privilege.USERS_READ),
    Entry("/admin/directory/units", N_("Organizational units"), _DIRECTORY, Privilege.UNITS_READ),
    Entry(
        "/admin/directory/roles",
        N_("Admin roles"),
        _DIRECTORY,
        Privilege.ROLES_READ,
        (N_("Privileges"), "Gmail Settings"),
    ),
    Entry(
        "/admin/account/proven-domains",
        N_("Proven domains"),
        _ACCOUNT,
        Privilege.UNITS_READ,
        (N_("Domains"), N_("Manage domains"), "DNS", "TXT"),
    ),
    Entry(
        "/admin/apps/mail/end-user-access",
        N_("End User Access"),
        _MAIL,
        Privilege.UNITS_READ,
        (N_("Allow per-user outbound gateways"), "Gmail", "End User Access"),
    ),
    Entry("/admin/apps/mail/routing", N_("Routing"), _MAIL, Privilege.UNITS_READ, (N_("Outbound gateway"),)),
    Entry("/admin/apps/mail/compliance", N_("Compliance"), _MAIL, Privilege.UNITS_READ),
    Entry(
        "/admin/apps/mail/granted-addresses",
        N_("Granted addresses"),
        _MAIL,
        Privilege.SEND_AS_READ,
        (N_("Send mail as"), N_("Common server"), "SMTP"),
    ),
    Entry(
        "/admin/apps/mail/authenticate-email",
        N_("Authenticate email"),
        _MAIL,
        Privilege.UNITS_READ,
        ("DKIM", "SPF", "DMARC", "DNS", N_("Domains")),
    ),
    Entry("/admin/reporting/dashboard", N_("Dashboard"), _REPORTING, Privilege.LOG_READ, (N_("Charts"),)),
    Entry("/admin/reporting/email-log-search", N_("Email log search"), _REPORTING, Privilege.LOG_READ),
    Entry(
        "/admin/reporting/tls-reports",
        N_("TLS reports"),
        _REPORTING,
        Privilege.LOG_READ,
        ("TLS", "MTA-STS", "DANE", "TLSRPT"),
    ),
    Entry("/admin/reporting/queue", N_("Queue"), _REPORTING, Privilege.QUEUE_READ),
    Entry("/admin/reporting/retry-schedules", N_("Retry schedules"), _REPORTING, Privilege.QUEUE_READ),
    Entry("/admin/reporting/webhooks", N_("Webhooks"), _REPORTING, Privilege.LOG_READ, (N_("Notifications"), "HTTP")),
    Entry("/admin/reporting/reply-rules", N_("Reply rules"), _REPORTING, Privilege.QUEUE_READ),
    Entry(
        "/admin/reporting/gateways",
        N_("Gateways"),
        _REPORTING,
        Privilege.SEND_AS_READ,
        (N_("Send mail as"), N_("Send-as addresses and gateways"), "Gmail", "SMTP"),
    ),
    Entry(
        "/admin/reporting/admin-log-events", N_("Admin log events"), _REPORTING, Privilege.AUDIT_READ, (N_("Audit"),)
    ),
)


def seen(entries: tuple[Entry, ...], grants: tuple[Grant, ...]) -> Iterator[Entry]:
    """Those that somebody with these privileges, wherever they hold, has any use for."""
    held = {privilege for grant in grants for privilege in grant.privileges}
    return (entry for entry in entries if entry.needs is None or entry.needs in held)


def console(grants: tuple[Grant, ...]) -> tuple[Entry, ...]:
    """What somebody sees of the console, its home first; nothing if it is not for them."""
    pages = tuple(seen(CONSOLE, grants))
    return (HOME, *pages) if pages else ()
