"""Gathers the facts about mail with a From address: the way it would take, and what the DNS says of it.

Only DNS questions are asked; no server is connected to. What follows from the facts is in advice.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import chain

from outgate.advisor import dkim_check, dmarc_check
from outgate.advisor.ask import Names, NoAnswerNow
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Dkim, DmarcRecord, Findings, Sending, SpfCheck, Unanswered
from outgate.advisor.tree_walk import of_one_organisation
from outgate.config import Config
from outgate.egress.guard import is_address
from outgate.frozen import frozen
from outgate.model import Account, Gateway, Organisation, Refused, Security, SendAs
from outgate.route import Route, gateway_of, route

# Stands for any recipient outside the organisation: which one it is plays no part in what is asked here.
_RECIPIENT = "anybody@recipient.invalid"

_MAX_ADDRESSES = 8  # of one host: more say nothing new, and each is a whole evaluation of SPF


@frozen
class Question:
    """Whom the advice is for. `address` is in compared form, and may be one that the account does not have yet.

    `signing` has the organisation's DKIM keys by domain. `addresses` are those that the organisation's mail leaves
    from, where the configuration does not know (address translation). `gateway_host` is a gateway that is thought of.
    """

    organisation: Organisation
    account: Account
    address: str
    signing: Mapping[str, Signing]
    addresses: tuple[str, ...] = ()
    gateway_host: str = ""

    @property
    def entry(self) -> SendAs:
        """The From address with the gateway that is asked about."""
        own = self.address.rpartition("@")[2] in self.organisation.domains
        entry = self.account.send_as.get(self.address) or SendAs(self.address, own_domain=own)
        if not self.gateway_host:
            return entry
        return replace(entry, gateway=Gateway("thought-of", self.gateway_host, 587, Security.STARTTLS))


class Advisor:
    """Asks the nameservers of the configuration."""

    def __init__(self, config: Config) -> None:
        self._hostname = config.hostname
        self._source = config.delivery.source_address
        self._names = Names(config.delivery.nameservers)
        # Its library comes with an extra, and commands beside it do without.
        from outgate.advisor import spf_check  # noqa: PLC0415

        self._evaluate_spf = spf_check.evaluate

    async def findings(self, question: Question) -> Findings:
        """All that is known; what the DNS did not answer is said in its place."""
        entry = question.entry
        domain = entry.address.rpartition("@")[2]
        record = await self._policy(domain)
        known = record if isinstance(record, DmarcRecord) else None
        organisation = self._by_organisation(question, entry, domain, known)
        gateway = gateway_of(question.account, entry) or entry.gateway or entry.common_gateway
        if gateway is None or entry.own_domain:
            return Findings(entry.address, entry.own_domain, record, await organisation)
        both = await asyncio.gather(organisation, self._by_gateway(question.account, entry, gateway, domain))
        return Findings(entry.address, entry.own_domain, record, *both)

    async def _policy(self, domain: str) -> DmarcRecord | Unanswered | None:
        try:
            return await dmarc_check.discover(domain, self._names.texts, self._names.exists)
        except NoAnswerNow as error:
            return error.unanswered

    async def _by_organisation(
        self, question: Question, entry: SendAs, domain: str, record: DmarcRecord | None
    ) -> Sending:
        way = _organisations_route(question, entry)
        # As deliver/ signs: with the key of the address that MAIL FROM bears.
        mail_from = way.reverse_path if isinstance(way, Route) else question.account.primary
        signer = mail_from.rpartition("@")[2]
        gateway = way.gateway if isinstance(way, Route) else _organisations_gateway(question, entry)
        hosts = gateway.hosts if gateway else (self._hostname,)
        given = question.addresses or (() if gateway or not self._source else (self._source,))
        (checks, silent), (found, name, unanswered), related = await asyncio.gather(
            self._spf_of_each(hosts, given, mail_from),
            self._signature(signer, question.signing.get(signer)),
            self._of_one_organisation(signer, domain),
        )
        if isinstance(related, Unanswered):
            silent = (*silent, related)
        relaxed = related is True
        return Sending(
            host=hosts[0],
            mail_from=mail_from,
            checks=checks,
            spf_aligned=signer == domain or (relaxed and not (record and record.strict_spf)),
            dkim=found,
            dkim_domain=signer,
            dkim_aligned=signer == domain or (relaxed and not (record and record.strict_dkim)),
            dkim_name=name,
            estimate=not question.addresses and (gateway is not None or _private(checks)),
            on_behalf_of=way.on_behalf_of if isinstance(way, Route) else None,
            refused=way.reason if isinstance(way, Refused) else None,
            unanswered=(*silent, *unanswered),
        )

    async def _of_one_organisation(self, domain: str, other: str) -> bool | Unanswered:
        try:
            return await of_one_organisation(domain, other, self._names.texts)
        except NoAnswerNow as error:
            return error.unanswered

    async def _by_gateway(self, account: Account, entry: SendAs, gateway: Gateway, domain: str) -> Sending:
        """As the address's own server sends: it proves the From domain by MAIL FROM, and by DKIM if it signs."""
        checks, silent = await self._spf(gateway.host, (), entry.address, gateway.host)
        refuses = account.policy.refuses_server if gateway.is_common else account.policy.refuses_gateway
        refused = refuses(gateway.host, gateway.port, gateway.security)
        return Sending(
            host=gateway.host,
            mail_from=entry.address,
            checks=checks,
            spf_aligned=True,
            dkim=Dkim.EXPECTED,
            dkim_domain=domain,
            dkim_aligned=True,
            estimate=True,
            refused=refused.reason if refused else None,
            unanswered=silent,
        )

    async def _spf_of_each(
        self, hosts: Sequence[str], given: Sequence[str], mail_from: str
    ) -> tuple[tuple[SpfCheck, ...], tuple[Unanswered, ...]]:
        """SPF of the addresses given, else of those of all hosts that mail may leave by."""
        asked = hosts[:1] if given else hosts
        found = await asyncio.gather(*(self._spf(host, given, mail_from, host) for host in asked))
        checks, silent = zip(*found, strict=True)
        return tuple(chain.from_iterable(checks)), tuple(chain.from_iterable(silent))

    async def _spf(
        self, host: str, given: Sequence[str], mail_from: str, helo: str
    ) -> tuple[tuple[SpfCheck, ...], tuple[Unanswered, ...]]:
        """SPF of the addresses given, else of those that the host's name has."""
        try:
            addresses = given or ((host,) if is_address(host) else await self._names.addresses(host))
        except NoAnswerNow as error:
            return (), (error.unanswered,)
        if not addresses:
            return (), (Unanswered(host, "no-address"),)
        ask = self._names.from_thread()
        one_by_one = (
            asyncio.to_thread(self._evaluate_spf, address, mail_from, helo, ask)
            for address in addresses[:_MAX_ADDRESSES]
        )
        return tuple(await asyncio.gather(*one_by_one)), ()

    async def _signature(self, domain: str, signing: Signing | None) -> tuple[Dkim, str, tuple[Unanswered, ...]]:
        if signing is None:
            return Dkim.NOT_SIGNED, "", ()
        name = f"{signing.selector}._domainkey.{domain}"
        try:
            return dkim_check.published(signing, await self._names.texts(name)), name, ()
        except NoAnswerNow as error:
            return Dkim.UNKNOWN, name, (error.unanswered,)


def _organisations_route(question: Question, entry: SendAs) -> Route | Refused:
    """The route by the organisation's servers, with the gateway left out unless policy forbids it anyway."""
    if gateway_of(question.account, entry):
        entry = replace(entry, gateway=None, common_gateway=None)
    return route(question.organisation, question.account, entry, _RECIPIENT, reverse_path=entry.address)


def _organisations_gateway(question: Question, entry: SendAs) -> Gateway | None:
    """The one by which it would leave if it were not refused: of the domain that answers for it."""
    sender = entry.address if entry.own_domain else question.account.primary
    way = question.organisation.way_out(sender.rpartition("@")[2])
    return way[1] if way else None


def _private(checks: Sequence[SpfCheck]) -> bool:
    """Recipients on the Internet meet another address than a private one."""
    return any(not ip_address(check.address).is_global for check in checks)
