"""Every page crossed with every role. `EXPECTED` is written by hand; the pages are really asked for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from bench.large_organisation import Size
from bench.pages import LEFT_OUT, pages_asked

from outgate import clock
from outgate.directory import roles, units, users
from outgate.directory.privileges import BUILT_IN
from outgate.directory.users import Credentials
from outgate.queue.queue_id import to_text
from outgate.record import message_log
from outgate.sendas import proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.store.engine import write
from outgate.web.granted_addresses_page import GATEWAY
from outgate.webhooks import endpoints
from outgate.webhooks.endpoints import WebhookSettings
from record.recorded import accepted
from way.place import PASSWORD, Site, install, running
from web.all_pages import all_pages
from web.links import opened
from web.people import ALICE, BOB, browser_at, logged_in

PARTNER: Final = "alice@dominiopartner.example"
GRANTED: Final = "sales@proven.example"
MESSAGE: Final = 1
EVERYBODY: Final = {*BUILT_IN, "nobody"}
MANAGE_THE_QUEUE: Final = {"super-admin", "mail-settings-admin"}
MANAGE_USERS: Final = {"super-admin", "user-admin"}
MANAGE_SEND_AS: Final = MANAGE_THE_QUEUE | MANAGE_USERS
SEE_THE_LOG: Final = MANAGE_THE_QUEUE | {"auditor", "help-desk"}
# Pages that show something of the organisation, and whom: the path, who may look, who may save (None: nothing to save).
CONSOLE: Final[dict[str, tuple[set[str], set[str] | None]]] = {
    "/admin": (set(BUILT_IN), None),
    "/admin/check": (set(BUILT_IN), None),
    "/admin/search": (set(BUILT_IN), None),
    "/admin/directory/users": (set(BUILT_IN), None),
    "/admin/directory/users/add": (MANAGE_USERS, MANAGE_USERS),
    "/admin/directory/users/{address:path}": (set(BUILT_IN), MANAGE_USERS),
    "/admin/directory/units": (set(BUILT_IN), {"super-admin"}),
    "/admin/directory/roles": ({"super-admin", "auditor"}, {"super-admin"}),
    "/admin/apps/mail/compliance": (set(BUILT_IN), {"super-admin", "mail-settings-admin"}),
    "/admin/apps/mail/end-user-access": (set(BUILT_IN), {"super-admin", "mail-settings-admin"}),
    "/admin/apps/mail/routing": (set(BUILT_IN), {"super-admin", "mail-settings-admin"}),
    "/admin/apps/mail/authenticate-email": (set(BUILT_IN), {"super-admin"}),
    "/admin/account/proven-domains": (set(BUILT_IN), {"super-admin"}),
    "/admin/apps/mail/granted-addresses": (set(BUILT_IN), MANAGE_SEND_AS),
    "/admin/apps/mail/granted-addresses/gateway": (MANAGE_SEND_AS, MANAGE_SEND_AS),
    "/admin/apps/mail/authenticate-email/check": (set(BUILT_IN), None),
    "/admin/reporting/gateways": (set(BUILT_IN), None),
    "/admin/reporting/dashboard": (SEE_THE_LOG, None),
    "/admin/reporting/admin-log-events": ({"super-admin", "auditor"}, None),
    "/admin/reporting/email-log-search": (SEE_THE_LOG, None),
    "/admin/reporting/email-log-search/{identity}": (SEE_THE_LOG, None),
    "/admin/reporting/tls-reports": (SEE_THE_LOG, None),
    "/admin/reporting/tls-reports/{domain}": (SEE_THE_LOG, None),
    "/admin/reporting/queue": (
        {"super-admin", "mail-settings-admin", "auditor"},
        {"super-admin", "mail-settings-admin"},
    ),
    "/admin/reporting/reply-rules": (
        {"super-admin", "mail-settings-admin", "auditor"},
        {"super-admin", "mail-settings-admin"},
    ),
    "/admin/reporting/retry-schedules": (
        {"super-admin", "mail-settings-admin", "auditor"},
        {"super-admin", "mail-settings-admin"},
    ),
    "/admin/reporting/webhooks": (SEE_THE_LOG, {"super-admin"}),
    "/admin/reporting/webhooks/{name}": (SEE_THE_LOG, {"super-admin"}),
}
# What is answered by something to be seen once, and by no other page.
SECRETS: Final = {"/admin/reporting/webhooks"}
# What is sent to change something, of no harm to what other roles look at.
SAVED: Final = {
    "/admin/directory/users/add": {"address": "new-{role}@example.com", "password": PASSWORD},
    "/admin/directory/users/{address:path}": {"do": "edit", "name": "Alice", "language": "en"},
    "/admin/directory/units": {"do": "create", "unit": "/Sales", "new": "{role}"},
    "/admin/directory/roles": {"do": "assign", "user": BOB, "role": "auditor", "unit": "/Sales"},
    "/admin/apps/mail/routing": {"do": "remove", "meant": "on"},
    "/admin/apps/mail/authenticate-email": {"do": "add", "new": "{role}.example"},
    "/admin/account/proven-domains": {"do": "begin", "new": "{role}.partner.example"},
    "/admin/apps/mail/granted-addresses": {"do": "add", "address": "{role}@proven.example", "unit": "/Sales"},
    "/admin/apps/mail/granted-addresses/gateway": {"do": "remove", "meant": "on", "address": GRANTED, "unit": "/"},
    "/admin/apps/mail/compliance": {"unit": "/Sales", "setting": "messagesPerDay", "value": "0"},
    "/admin/apps/mail/end-user-access": {"unit": "/Sales"},
    "/admin/reporting/reply-rules": {
        "do": "add",
        "name": "of-{role}",
        "words": "450 busy",
        "action": "wait",
        "minutes": "5",
        "reason": "why",
    },
    "/admin/reporting/retry-schedules": {
        "do": "set",
        "destination": "{role}.example",
        "first": "5",
        "first-unit": "minute",
        "reason": "why",
    },
    "/admin/reporting/webhooks": {"name": "of-{role}", "url": "https://hooks.example/", "message.bounced": "on"},
    "/admin/reporting/webhooks/{name}": {"do": "enable"},
    "/admin/reporting/queue": {"do": "delete", "meant": "on", "queue": "mx:nowhere.example"},
}
# Pages of one's own mail: whoever is logged in may look at their own, and nobody at another's.
OWN: Final = {
    "/": 200,
    "/authorize": 404,  # no program asks
    "/drafts": 200,
    "/inbox": 200,
    "/inbox/{key}": 404,
    "/inbox/{key}/text": 404,
    "/inbox/{key}/text/with-pictures": 404,
    "/inbox/{key}/files/{number:int}": 404,
    "/sent": 200,
    "/sent/{identity}": 404,
    "/sent/{identity}/text": 404,
    "/sent/{identity}/files/{number:int}": 404,
    "/prove": 200,
    "/settings/security": 200,
    "/settings/security/password": 200,
    "/settings/security/second-factor": 303,  # nothing is being set up
    "/settings/security/second-factor/remove": 200,
    "/settings/security/passkeys/add": 200,
    "/settings/mail-program": 200,
    "/settings/mail-program/apple.mobileconfig": 404,  # no server for reading mail is known
    "/settings/accounts": 200,
    "/settings/accounts/add": 200,
    "/settings/accounts/add/server": 400,  # without an address
    "/settings/accounts/add/found": 200,
    "/settings/accounts/{address:path}/edit": 404,
    "/settings/accounts/signed-in": 400,
    "/settings/accounts/{address:path}/delete": 404,
    "/settings/accounts/{address:path}/confirm": 404,
    "/settings/accounts/{address:path}/server": 404,
    "/settings/accounts/{address:path}/advice": 404,
    "/settings/accounts/{address:path}/signature": 404,
}
# What everybody may ask for, logged in or not.
PUBLIC: Final = {"/log-in", "/log-in/link/{token}", "/csp-reports", "/confirm/{token}", "/static/{digest}/{name}"}
# What mail programs ask for (test_mail_program_page.py), as each of them spells it.
PROGRAMS: Final = {
    "/mail/config-v1.1.xml",
    "/.well-known/autoconfig/mail/config-v1.1.xml",
    "/.well-known/user-agent-configuration.json",
    *(f"/{word}/{word}.json" for word in ("autodiscover", "Autodiscover", "AutoDiscover")),
    *(f"/{word}/{word}.json/v1.0/{{address}}" for word in ("autodiscover", "Autodiscover", "AutoDiscover")),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """With somebody of each role, for everything; alice has an address that is nobody else's."""
    path: Path = tmp_path_factory.mktemp("roles") / "outgate"
    site = install(path, web={"public_url": f"http://127.0.0.1:{port}", "port": port})
    credentials = Credentials.derive(PASSWORD, 4096)
    with opened(site) as place, write(place.engine) as connection:
        units.create(connection, "/Sales")
        for role in EVERYBODY:
            users.create(connection, f"{role}@example.com", credentials, clock.now())
            if role in BUILT_IN:
                roles.assign(connection, f"{role}@example.com", role, "/", clock.now())
        proven_domains.begin(connection, "proven.example", clock.now())
        proven_domains.settle_check(connection, "proven.example", True, clock.now())
        proven_domains.grant(connection, AddressGrant(GRANTED, None, "/"), clock.now())
        message_log.add(connection, [accepted(MESSAGE, at=clock.now())])
        tickets = WebhookSettings("tickets", "https://hooks.example/")
        endpoints.create(connection, place.vault, tickets, ALICE, clock.now())
    asyncio.run(site.add_external(ALICE, PARTNER))
    return site


def filled_in(path: str) -> str:
    """A route's path as an address: in the console of what is there, elsewhere of what is nobody's who asks."""
    address = ALICE if path.startswith("/admin") else PARTNER
    named = {"{address:path}": address, "{key}": "1.x", "{number:int}": "1", "{identity}": to_text(MESSAGE)}
    named["{name}"] = "tickets"
    named["{domain}"] = "recipient.example"
    for name, value in named.items():
        path = path.replace(name, value)
    asked = {"/admin/check": "name=pages", GATEWAY: f"address={GRANTED}&unit=/"}
    return f"{path}?{asked[path]}" if path in asked else path


def sent_by(role: str, path: str) -> dict[str, str]:
    """What somebody of a role sends there: nobody adds what another has added."""
    return {name: text.replace("{role}", role) for name, text in SAVED[path].items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(site: Site, port: int) -> AsyncIterator[int]:
    """The port of a running server."""
    server = await running(site)
    yield port
    await server.stop()


def test_the_tables_have_every_page(site: Site) -> None:
    routes = all_pages(site)
    shown = {route.path for route in routes if "GET" in route.methods}
    posted = {route.path for route in routes if route.methods == frozenset({"POST"})}
    assert shown == {*CONSOLE, *OWN, *PUBLIC, *PROGRAMS} - {"/csp-reports"}
    measured = {one.route for one in pages_asked(Size(), 0.0)}
    assert measured | set(LEFT_OUT) == shown - PROGRAMS | {"/csp-reports"}
    assert not measured & set(LEFT_OUT)
    console = {path for path in posted if path.startswith("/admin")}
    assert console == {path for path, (_, save) in CONSOLE.items() if save is not None}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("role", sorted(EVERYBODY))
async def test_a_role_sees_its_pages_and_no_other(pages: int, role: str) -> None:
    async with logged_in(pages, f"{role}@example.com") as browser:
        for path, status in OWN.items():
            answer = await browser.get(filled_in(path))
            assert answer.status_code == status, path
        for path, (see, save) in CONSOLE.items():
            assert (await browser.get(filled_in(path))).status_code == (200 if role in see else 403), path
            if save is None:
                continue
            answer = await browser.post(filled_in(path), data=sent_by(role, path))
            done = 200 if path in SECRETS else 303
            assert answer.status_code == (done if role in save else 403), path


@pytest.mark.asyncio(loop_scope="module")
async def test_a_stranger_sees_nothing_but_the_log_in(pages: int) -> None:
    async with browser_at(pages) as browser:
        for path in {*OWN, *CONSOLE}:
            answer = await browser.get(filled_in(path))
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/log-in")
        for path in (path for path, (_, save) in CONSOLE.items() if save is not None):
            answer = await browser.post(filled_in(path), data=sent_by("nobody", path))
            assert answer.headers["location"].startswith("/log-in")
