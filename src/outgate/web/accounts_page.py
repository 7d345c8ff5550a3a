"""Settings > Accounts: the addresses that somebody sends mail as, the server that each leaves by, and what to do there.

Adding one is in wizard_page.py; the server of one in server_page.py.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from markupsafe import Markup
from starlette.responses import Response

from outgate.directory.users import ReplyFrom
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.mailbox.clean_html import written
from outgate.model import Refused, SendAs, WithoutGateway
from outgate.operations import confirmation_operations, send_as_operations, user_operations
from outgate.operations.account_lookup import entry_of
from outgate.operations.send_as_overview import GatewayHealth, SendAsOverview, overview
from outgate.web.reply_place import ReplyPlace, reply_place
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of
from outgate.web.way import Way, way_of
from outgate.web.words import N_

PATH: Final = "/settings/accounts"

# What a page says when it is shown after a change.
DONE: Final = {
    "added": N_("The address is added."),
    "confirmed": N_("The address is confirmed. You can send as it now."),
    "sent": N_("A new code is on its way."),
    "saved": N_("Saved."),
    "signature": N_("The signature is saved. It is below what you write from this address."),
    "deleted": N_("The address is deleted."),
    "server": N_("Its own server delivers from now on."),
    "no-server": N_("The organisation's servers deliver from now on."),
}


# What the domain of an address that has no server of its own asks of recipients (DMARC).
STRICT: Final = {
    "reject": N_(
        "%(domain)s asks recipients to refuse mail that does not leave by its own server. Give the address that server,"
        " or what you send as it will be refused."
    ),
    "quarantine": N_(
        "%(domain)s asks recipients to put mail into junk that does not leave by its own server. Give the address that"
        " server, or what you send as it will go there."
    ),
}


@frozen
class AddressRow:
    """One line of the list. `health` is None without a gateway that is in use, `not_used` why policy does not let the
    one that there is be used; `last_used` is None where no message of late is known.
    """

    entry: SendAs
    way: Way
    health: GatewayHealth | None
    not_used: Refused | None
    replies: ReplyPlace
    last_used: float | None
    path: str


class AccountsPage:
    """All that is done to addresses that are there already."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are. The address comes last but one: it may have a slash."""
        one = PATH + "/{address:path}"
        return [
            visits.get(PATH, show),
            visits.post(f"{PATH}/replies", choose_replies),
            visits.post(f"{one}/default", make_default),
            visits.get(f"{one}/delete", ask_before_deletion),
            visits.post(f"{one}/delete", delete),
            visits.get(f"{one}/confirm", ask_for_code),
            visits.post(f"{one}/confirm", confirm),
            visits.post(f"{one}/resend", resend),
            visits.get(f"{one}/edit", ask_for_changes),
            visits.post(f"{one}/edit", change),
        ]


def path_of(address: str, what: str = "") -> str:
    """Where a page about an address is."""
    return f"{PATH}/{quote(address, safe='@')}" + (f"/{what}" if what else "")


def address_of(visit: Visit) -> str:
    """Which address a page is about."""
    return str(visit.request.path_params["address"])


def show(visit: Visit) -> Response:
    """The list."""
    with visit.reading() as op:
        seen = overview(op, visit.address)
        rows = list(_rows(seen, send_as_operations.last_used(op, visit.address)))
    asked_about = next((one.entry.address for one in rows if one.way.on_behalf_of), "")
    done, policy = DONE.get(visit.form.text("done"), ""), seen.account.policy
    return visit.page(
        "accounts.html",
        rows=rows,
        done=visit.said(done) if done else "",
        default=next(one.entry.address for one in rows if one.entry.is_default),
        reply_from=visit.holder.user.reply_from,
        path_of=path_of,
        asked_about=asked_about,
        allows_servers=policy.allow_external_smtp,
        external_from=policy.external_from,
        refuses_without=policy.without_gateway is WithoutGateway.REFUSE,
    )


def _rows(seen: SendAsOverview, last_used: Mapping[str, float]) -> Iterator[AddressRow]:
    for entry in seen.account.send_as.values():
        way, not_used = way_of(seen.account, seen.organisation, entry), why_not_used(seen, entry)
        yield AddressRow(
            entry,
            way,
            seen.health.get(entry.address) if way.gateway else None,
            not_used,
            reply_place(seen.organisation, entry),
            last_used.get(entry.address),
            path_of(entry.address),
        )


def why_not_used(seen: SendAsOverview, entry: SendAs) -> Refused | None:
    """Why the server that an address has is not used, as the setting says it; None if it is, or there is none."""
    if entry.gateway is None:
        return None
    gateway = entry.gateway
    return seen.account.policy.refuses_gateway(gateway.host, gateway.port, gateway.security)


def choose_replies(visit: Visit) -> Response:
    """Which address replies go from."""
    wanted = ReplyFrom.DEFAULT if visit.form.text("reply_from") == "default" else ReplyFrom.RECEIVED
    with visit.writing() as op:
        user_operations.prefer(op, visit.address, reply_from=wanted)
    return visit.go_to(f"{PATH}?done=saved")


def make_default(visit: Visit) -> Response:
    """The address that new mail is from."""
    with visit.writing() as op:
        send_as_operations.edit(op, visit.address, address_of(visit), make_default=True)
    return visit.go_to(f"{PATH}?done=saved")


# --- deleting --------------------------------------------------------------------------------------------------------


def ask_before_deletion(visit: Visit) -> Response:
    """Says what is lost."""
    with visit.reading() as op:
        seen = overview(op, visit.address)
    entry = entry_of(seen.account, address_of(visit))
    return visit.page("address_delete.html", entry=entry, health=seen.health.get(entry.address))


def delete(visit: Visit) -> Response:
    """Take the address away."""
    with visit.writing() as op:
        send_as_operations.remove(op, visit.address, address_of(visit))
    return visit.go_to(f"{PATH}?done=deleted")


# --- confirming ------------------------------------------------------------------------------------------------------


def ask_for_code(visit: Visit, status: int = 200, why: str = "") -> Response:
    """The last step of the wizard, and what `verify` in the list leads to."""
    with visit.reading() as op:
        entry = entry_of(send_as_operations.account(op, visit.address), address_of(visit))
    if entry.verified and not why:
        return visit.go_to(PATH)
    done = DONE.get(visit.form.text("done"), "")
    strict = "" if entry.gateway else STRICT.get(visit.form.text("policy"), "")
    return visit.page(
        "address_confirm.html",
        status,
        entry=entry,
        why=why,
        done=visit.said(done) if done else "",
        warning=visit.said(strict, domain=entry.address.rpartition("@")[2]) if strict else "",
        path=path_of(entry.address),
    )


def confirm(visit: Visit) -> Response:
    """The code was entered."""
    try:
        with visit.writing() as op:
            confirmation_operations.verify(op, visit.address, address_of(visit), visit.form.text("code"))
    except Exception as error:
        return ask_for_code(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?done=confirmed")


def resend(visit: Visit) -> Response:
    """Mail a new code."""
    address = address_of(visit)
    try:
        with visit.writing() as op:
            confirmation_operations.resend(op, visit.address, address, visit.services.confirmation)
    except Exception as error:
        return ask_for_code(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{path_of(address, 'confirm')}?done=sent")


# --- editing ---------------------------------------------------------------------------------------------------------


def ask_for_changes(visit: Visit, status: int = 200, why: str = "") -> Response:
    """Name, Reply-To, treatment as an alias; and the server, if it may have one."""
    with visit.reading() as op:
        seen = overview(op, visit.address)
        signatures = send_as_operations.signatures(op, visit.address)
    account, entry, form = seen.account, entry_of(seen.account, address_of(visit)), visit.form
    way = way_of(account, seen.organisation, entry)
    return visit.page(
        "address_edit.html",
        status,
        entry=entry,
        way=way,
        health=seen.health.get(entry.address) if way.gateway else None,
        not_used=why_not_used(seen, entry),
        replies=reply_place(seen.organisation, entry),
        signature=Markup(written(signatures.get(entry.address, ""))),  # noqa: S704  # it is clean
        why=why,
        path=path_of(entry.address),
        name=form.text("name") if why else entry.display_name,
        reply_to=form.text("reply_to") if why else entry.reply_to,
        alias=form.ticked("alias") if why else entry.treat_as_alias,
        may_have_server=not entry.own_domain and account.policy.allow_external_smtp,
    )


def change(visit: Visit) -> Response:
    """What was entered."""
    form = visit.form
    try:
        with visit.writing() as op:
            account = send_as_operations.account(op, visit.address)
            entry = entry_of(account, address_of(visit))
            send_as_operations.edit(
                op,
                visit.address,
                entry.address,
                display_name=form.text("name"),
                reply_to=form.text("reply_to"),
                treat_as_alias=entry.is_primary or form.ticked("alias"),
            )
    except Exception as error:
        return ask_for_changes(visit, status_of(error), visit.said.error(error))
    return visit.go_to(f"{PATH}?done=saved")
