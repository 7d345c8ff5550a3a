"""Every page with something on it: whose it is, its addresses, and an installation in which there is something to see.

A new page has its line here: it is then looked at in all themes, languages and sizes, and `make
screenshots` takes its picture for docs/screens.
"""

import asyncio
import hashlib
from typing import Final

from sqlalchemy import Connection, insert

from inbox import letters
from outgate import clock
from outgate.directory import own_rules, own_schedules, program_consents, programs, restrictions, users
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.own_rules import OwnRule
from outgate.directory.own_schedules import OwnSchedule
from outgate.directory.reply_rules import ReplyRule, RuleAction
from outgate.model import Cause, QueueKey, QueueKind, Restriction, ScheduleChange, Security
from outgate.queue.queue_id import to_text
from outgate.record import message_log, tallies
from outgate.sendas import common_gateways, proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import tables
from outgate.store.engine import write
from outgate.store.vault import Vault
from outgate.tls_reports import report_rows, session_rows
from outgate.tls_reports.utc_days import last_whole
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession
from outgate.webhooks import endpoints, event_body, tries
from outgate.webhooks.endpoints import WebhookSettings
from outgate.webhooks.posting import PostResult
from pages.conftest import ALICE, ANNA, PARTNER
from record.recorded import partly_delivered
from way.place import Site
from web.links import opened

WAITING: Final = 1  # a message
PARTNERS_SERVER: Final = "smtp.dominiopartner.example"
PROVEN: Final = "studio.example"  # a domain whose record was there and is not any more
LINK: Final = "made-for-alice"  # the secret of a log-in link
PROGRAM: Final = "mail-tool-1"
RETURN: Final = "https://localhost/stays"
VERIFIER: Final = "a-verifier-of-forty-three-characters-or-more-0"
CHALLENGE: Final = "EZ7-Z0w7u1Y0cBuWMt9kfkIyF49b13ZOIP42wG-kmK4"  # its SHA-256
AUTHORIZE: Final = (
    f"/authorize?response_type=code&client_id={PROGRAM}&redirect_uri={RETURN}&scope=https://mail.google.com/"
    "&code_challenge=x&code_challenge_method=S256"
)
PUBLIC_PAGES: Final = ("/log-in", f"/log-in/link/{LINK}", "/log-in/link/spent")
USER_PAGES: Final = (
    "/",
    "/inbox",
    "/inbox?q=nothing",
    "/inbox/1.html",
    "/?letter=1.html&as=all",
    "/sent",
    "/drafts",
    "/prove",
    "/settings/security",
    "/settings/security/password",
    "/settings/security/second-factor",
    "/settings/security/second-factor/remove",
    "/settings/security/passkeys/add",
    "/settings/mail-program",
    AUTHORIZE,
    "/settings/accounts",
    "/settings/accounts/add",
    "/settings/accounts/add/server?address=me@studio.example&name=Me&provider=Fastmail",
    "/settings/accounts/add/server?address=sales@example.com",
    f"/settings/accounts/{PARTNER}/edit",
    f"/settings/accounts/{PARTNER}/server",
    f"/settings/accounts/{PARTNER}/signature",
    f"/settings/accounts/{PARTNER}/delete",
    "/settings/accounts/alice@pending.example/confirm",
)
CONSOLE_PAGES: Final = (
    "/admin?look=1",
    "/admin/search?find=gmail",
    "/admin/directory/users",
    "/admin/directory/users/add",
    f"/admin/directory/users/{ALICE}",
    "/admin/directory/units?unit=/Sales",
    "/admin/directory/roles",
    "/admin/apps/mail/routing",
    f"/admin/account/proven-domains?domain={PROVEN}",
    "/admin/apps/mail/granted-addresses",
    f"/admin/apps/mail/granted-addresses/gateway?address=sales@{PROVEN}&unit=/Sales",
    "/admin/apps/mail/authenticate-email?look=1",
    "/admin/reporting/gateways?kind=all",
    "/admin/reporting/admin-log-events",
    "/admin/reporting/dashboard",
    "/admin/reporting/dashboard?span=week",
    "/admin/apps/mail/compliance",
    "/admin/apps/mail/compliance?unit=/Sales&setting=gatewayFooter",
    "/admin/apps/mail/compliance?setting=unknownFrom",
    "/admin/apps/mail/end-user-access",
    "/admin/apps/mail/end-user-access?unit=/Sales",
    "/admin/apps/mail/end-user-access?unit=/nowhere",
    "/admin/reporting/email-log-search",
    "/admin/reporting/email-log-search?recipient=nobody.example&since=2026-01-31T12:00",
    "/admin/reporting/email-log-search?since=never",
    f"/admin/reporting/email-log-search/{to_text(WAITING)}",
    "/admin/reporting/tls-reports",
    "/admin/reporting/tls-reports/recipient.example",
    "/admin/reporting/queue",
    "/admin/reporting/queue?queue=mx:recipient.example&done=hold",
    "/admin/reporting/webhooks",
    "/admin/reporting/webhooks/tickets",
    "/admin/reporting/retry-schedules",
    "/admin/reporting/reply-rules?reply=450+server+busy",
)
PAGES_OF: Final = {ALICE: USER_PAGES, ANNA: CONSOLE_PAGES}


async def furnish(site: Site) -> None:
    """Alice has an address with a server, one that waits for its code, and letters; a message of hers is on record."""
    await site.switch(True)
    await site.add_external(ALICE, PARTNER, 587, host=PARTNERS_SERVER)
    await site.add_external(ALICE, "alice@pending.example", verified=False)
    await asyncio.to_thread(_record, site)
    prices = letters.html("<p>Prices <b>below</b></p><img src='https://x.example/a.png'>", to=PARTNER)
    await asyncio.to_thread(letters.put, site, ALICE, "1.html", prices)
    await asyncio.to_thread(letters.put, site, ALICE, "2.text", letters.text("Only text", subject="Re: Prices"))


def _record(site: Site) -> None:
    with opened(site) as place, write(place.engine) as connection:
        link = {"digest": hashlib.sha256(LINK.encode()).digest(), "ends_at": clock.now() + 3600}
        connection.execute(insert(tables.log_in_link).values(account_id=users.find(connection, ALICE).id, **link))
        program = {
            "name": "mail-tool",
            "client_id": PROGRAM,
            "redirect_uris": RETURN,
            "created_at": clock.now(),
        }
        connection.execute(insert(tables.program).values(program))
        to, scopes = programs.by_client_id(connection, PROGRAM), frozenset({"https://mail.google.com/"})
        alice = users.find(connection, ALICE).id
        code = program_consents.give(connection, alice, to, scopes, RETURN, CHALLENGE, clock.now())
        program_consents.redeem_code(connection, PROGRAM, code, RETURN, VERIFIER, clock.now())
        message_log.add(connection, list(partly_delivered(WAITING, PARTNER, clock.now(), "450 4.2.2 mailbox is full")))
        _grant(connection, place.vault, clock.now())
        tickets = WebhookSettings("tickets", "https://hooks.example.net/outgate")
        made, _ = endpoints.create(connection, place.vault, tickets, ANNA, clock.now())
        sent, answer = event_body.trial("test-1", "tickets", clock.now()), PostResult(503, "HTTP 503", 0.2)
        tries.log_trial(connection, made.id, sent, answer, clock.now())
        rule = ReplyRule(name="busy", pattern="busy", action=RuleAction.WAIT, seconds=600, meaning="agreed with them")
        own_rules.put(connection, OwnRule(rule, "busy", ANNA, clock.now(), None))
        change = ScheduleChange(600.0, 2.0, 6 * 3600.0, 0.0, 10 * 86400.0)
        own_schedules.put(connection, OwnSchedule("slow.example", change, "they are moving", ANNA, clock.now()))
        queue, why = QueueKey(QueueKind.MX, "recipient.example"), "limit of this destination"
        ceiling = Restriction(Cause.LIMIT, why, ANNA, clock.now(), None, connections=2, rates=("300/1hour",))
        restrictions.put(connection, queue, ceiling)
        _tell_of_tls(connection)
        hour = int(clock.now() // tallies.HOUR)
        counted = {"routed": "direct", "deferred": "direct", "took": "1.0"}
        rows = [{"hour": hour, "measure": one, "label": label, "count": 1234} for one, label in counted.items()]
        connection.execute(insert(tables.tally), rows)


def _grant(connection: Connection, vault: Vault, now: float) -> None:
    """A domain that is proven, until lately; all of a unit may send as an address in it, by a server in common."""
    proven_domains.begin(connection, PROVEN, now)
    proven_domains.settle_check(connection, PROVEN, True, now)
    grant = proven_domains.grant(connection, AddressGrant(f"sales@{PROVEN}", None, "/Sales"), now)
    server = GatewaySettings(f"smtp.{PROVEN}", 587, Security.STARTTLS, "sales", "a secret")
    common_gateways.set_gateway(connection, vault, grant, server, now)
    proven_domains.settle_check(connection, PROVEN, False, now)


def _tell_of_tls(connection: Connection) -> None:
    """Yesterday's sessions with a domain that has broken its certificate, and its report."""
    day, domain = last_whole(clock.now()), "recipient.example"
    lines = ("version: STSv1", "mode: testing", f"mx: mx.{domain}", "max_age: 604800")
    policy = AppliedPolicy(PolicyType.STS, domain, lines, (f"mx.{domain}",))
    fault = TlsFault(ResultType.EXPIRED, "certificate has expired")
    bad = TlsSession(domain, policy, fault, f"mx.{domain}", "203.0.113.5", "198.51.100.62")
    session_rows.add(connection, day, domain, {TlsSession(domain, policy): 1234, bad: 17})
    report_rows.plan(connection, day, domain, "1@mail.example.com", 4e9, clock.now())
