"""What an administrator sees to in the first hour, each with a check: the address of the pages, the certificate, the
DNS, the first users. Each check ends within its time, whatever it waits for. Knows no page.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode, urlsplit

from outgate.accept.tls import SOON, CertificateError, facts_of
from outgate.advisor.ask import NoAnswerNow
from outgate.advisor.dkim_check import Signing
from outgate.advisor.domain_check import DomainCheck
from outgate.advisor.findings import Dkim, Spf
from outgate.directory.organisation import Domain
from outgate.extras import MissingExtra
from outgate.frozen import frozen
from outgate.operations.setup_operations import Setup
from outgate.web.visit import Visit
from outgate.web.words import N_

PATIENCE: Final = 8.0  # seconds for one check
AUTHENTICATE: Final = "/admin/apps/mail/authenticate-email"
_DAY: Final = 86400.0


class Standing(StrEnum):
    """How something stands: as it should be, it has to be done, or nobody knows now."""

    DONE = "done"
    LACKS = "lacks"
    UNSURE = "unsure"


@frozen
class Checked:
    """What a check found, in the words of its visitor; `code` is what was found as it stands there, or what to write;
    `path` leads to where it is put right.
    """

    standing: Standing
    said: str
    code: str = ""
    path: str = ""


Check = Callable[[Visit, Setup], Awaitable[Checked]]


async def checked(visit: Visit, setup: Setup, name: str) -> Checked:
    """The check of this name, which is one of `titles`. Never raises, never takes longer than PATIENCE."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _check(name, setup)(visit, setup)
    except (TimeoutError, NoAnswerNow):
        return Checked(Standing.UNSURE, visit.said("The DNS gives no answer now. Look again later."))
    except MissingExtra as error:
        return Checked(Standing.UNSURE, str(error))


def titles(visit: Visit, setup: Setup) -> Mapping[str, str]:
    """What is looked at, by name, in the order in which it is seen to."""
    said = visit.said
    first = {name: said(title) for name, (title, _) in _CHECKS.items()}
    return first | {f"{_DOMAIN}{one.name}": said("DNS records of %(domain)s", domain=one.name) for one in setup.domains}


def _check(name: str, setup: Setup) -> Check:
    if name in _CHECKS:
        return _CHECKS[name][1]
    domain = next(one for one in setup.domains if name == f"{_DOMAIN}{one.name}")
    return lambda visit, setup: _records(visit, setup, domain)


# --- the checks ------------------------------------------------------------------------------------------------------


async def _public_url(visit: Visit, _setup: Setup) -> Checked:
    url = visit.services.config.web.public_url
    if url.startswith("https:"):
        return Checked(Standing.DONE, visit.said("People find the pages here, and links in mail lead here."), url)
    text = visit.said(
        "Without TLS, passwords are read on the way. Begin web.public_url with https:// for all but a trial."
    )
    return Checked(Standing.LACKS, text, url)


async def _host(visit: Visit, _setup: Setup) -> Checked:
    host = visit.services.config.hostname
    addresses = await DomainCheck(visit.services.config, PATIENCE).addresses(host)
    if addresses:
        return Checked(Standing.DONE, visit.said("%(host)s is in the DNS.", host=host), ", ".join(addresses))
    text = visit.said(
        "%(host)s has no address in the DNS. Recipients' servers refuse mail from such a name.", host=host
    )
    return Checked(Standing.LACKS, text, f"{host}. A …")


async def _certificate(visit: Visit, _setup: Setup) -> Checked:
    config = visit.services.config
    try:
        facts = await asyncio.to_thread(facts_of, config.path(config.submission.certificate))
    except CertificateError as error:
        return Checked(Standing.LACKS, visit.said("Mail programs can't connect:"), str(error))
    host = config.hostname.lower()
    left = facts.ends - visit.services.now()
    if left < SOON:
        ends = visit.said.day(facts.ends, visit.zone)
        return Checked(Standing.LACKS, visit.said("The certificate ends on %(day)s. Renew it.", day=ends))
    if not facts.covers(host):
        text = visit.said("The certificate is not for %(host)s, so mail programs refuse it. It is for:", host=host)
        return Checked(Standing.LACKS, text, ", ".join(facts.names) or "-")
    if facts.is_own_issuer:
        text = visit.said(
            "The certificate is its own issuer's: mail programs warn of it. Get one of a known authority."
        )
        return Checked(Standing.LACKS, text, ", ".join(facts.names))
    days = int(left // _DAY)
    return Checked(
        Standing.DONE, visit.said("The certificate is for %(host)s, for %(days)s days.", host=host, days=days)
    )


async def _users(visit: Visit, setup: Setup) -> Checked:
    if setup.users > 1:
        number = visit.said.number(setup.users)
        return Checked(Standing.DONE, visit.said("There are %(number)s users.", number=number), path=_USERS)
    return Checked(Standing.LACKS, visit.said("There is nobody but you. Add the first user."), path=f"{_USERS}/add")


async def _mailbox(visit: Visit, setup: Setup) -> Checked:
    mailbox = visit.services.config.local.mailbox
    if mailbox == "maildir":
        text = visit.said("Mail for %(domain)s is kept here, in Maildirs.", domain=setup.domains[0].name)
        return Checked(Standing.DONE, text)
    began = time.monotonic()
    try:
        await _connect(mailbox)
    except OSError:
        return Checked(Standing.LACKS, visit.said("The mailbox server (local.mailbox) does not answer:"), mailbox)
    taken = visit.said.milliseconds(time.monotonic() - began)
    return Checked(Standing.DONE, visit.said("The mailbox server answers, in %(time)s.", time=taken), mailbox)


async def _connect(mailbox: str) -> None:
    """To the server of local.mailbox, and away again. Raises OSError."""
    where = urlsplit(mailbox)
    if where.hostname and where.port:
        opening = asyncio.open_connection(where.hostname, where.port)
    else:
        opening = asyncio.open_unix_connection(where.path)
    _, writer = await opening
    writer.close()


async def _notices(visit: Visit, setup: Setup) -> Checked:
    to = visit.services.config.delivery.notices_to
    if to:
        return Checked(Standing.DONE, visit.said("Failing gateways and the certificate's end are told to:"), to)
    text = visit.said("Nobody is told of failing gateways and of the certificate's end. Write into outgate.toml:")
    return Checked(Standing.LACKS, text, f'[delivery] notices_to = "postmaster@{setup.domains[0].name}"')


async def _switch(visit: Visit, setup: Setup) -> Checked:
    """Either way is right; it is what people come for."""
    if setup.is_on:
        text = visit.said("On for some or all: users there may enter the SMTP server of an outside address.")
    else:
        text = visit.said("Off for everybody: the organisation's servers deliver all mail, as is the default.")
    return Checked(Standing.DONE, text, path="/admin/apps/mail/end-user-access")


async def _records(visit: Visit, setup: Setup, domain: Domain) -> Checked:
    path = f"{AUTHENTICATE}?{urlencode({'domain': domain.name})}"
    config = visit.services.config
    leaves_by = setup.gateway.host if setup.gateway else config.hostname
    found = await DomainCheck(config, PATIENCE).findings(domain.name, signing_of(domain), leaves_by)
    if found.passes:
        return _keys(visit, domain, path)
    if found.unanswered:
        text = visit.said("The DNS gives no answer now. Look again later.")
        return Checked(Standing.UNSURE, text, ", ".join(found.unanswered), path)
    lacking = (
        *(("SPF",) if found.spf is not Spf.PASS else ()),
        *(("DKIM",) if found.dkim is not Dkim.PASS else ()),
        *(("DMARC",) if found.dmarc is None else ()),
    )
    text = visit.said("Not right yet: %(records)s. Recipients may refuse this mail.", records=", ".join(lacking))
    return Checked(Standing.LACKS, text, path=path)


def _keys(visit: Visit, domain: Domain, path: str) -> Checked:
    """What is left to do with a domain's DKIM keys, where all is right otherwise."""
    if domain.waiting:
        names = ", ".join(one.selector for one in domain.waiting)
        text = visit.said("New DKIM keys do not sign yet: their records must be published.")
        return Checked(Standing.LACKS, text, names, path)
    if late := [one.selector for one in domain.retired if one.is_removable(visit.services.now())]:
        text = visit.said("All is right. The records of former DKIM keys may be removed.")
        return Checked(Standing.DONE, text, ", ".join(late), path)
    return Checked(Standing.DONE, visit.said("SPF, DKIM and DMARC are published, and right."), path=path)


def signing_of(domain: Domain) -> tuple[Signing, ...]:
    """The keys that a domain's mail is signed with; none if it is not signed."""
    return tuple(Signing(one.selector, one.record) for one in domain.signing)


_USERS: Final = "/admin/directory/users"
_DOMAIN: Final = "dns:"
_CHECKS: Final[Mapping[str, tuple[str, Check]]] = {
    "pages": (N_("Address of the pages"), _public_url),
    "host": (N_("Name of the server"), _host),
    "certificate": (N_("Certificate"), _certificate),
    "users": (N_("Users"), _users),
    "mailbox": (N_("Mailboxes"), _mailbox),
    "notices": (N_("Notices"), _notices),
    "switch": (N_("Allow per-user outbound gateways"), _switch),
}
