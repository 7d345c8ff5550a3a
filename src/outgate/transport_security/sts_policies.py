"""MTA-STS policies (RFC 8461) of recipients' domains: announced by DNS, fetched by HTTPS, kept in the database.

What is kept counts until its max_age is over, whatever the network says by then: who can take the record or the
document away must not thereby take the policy away (section 10.2). A policy is kept by its domain and asked for by it;
that another domain has the same exchangers plays no part. Knows no SMTP.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final
from weakref import WeakValueDictionary

import structlog
from dns.rdtypes.ANY.TXT import TXT
from sqlalchemy import Connection, Engine, delete, select, text, update

from outgate.egress.https_client import HttpsClient, NotFetched
from outgate.egress.resolver import Resolver, Unresolved
from outgate.frozen import frozen
from outgate.remembered import Remembered
from outgate.store.engine import StoreUnavailable, read, write
from outgate.store.tables import sts_policy
from outgate.transport_security.sts_policy import StsMode, StsPolicy, StsPolicyError, announced

PATIENCE: Final = 20.0  # seconds for the document; a message waits for it
FETCH_AGAIN: Final = 300.0  # seconds after a document could not be had (section 3.3)
REFRESH: Final = 86400.0  # seconds after which a policy is fetched anew while it is in force, whatever its id
UNUSED: Final = 30 * 86400.0  # seconds without mail to a domain after which its policy is not kept fresh any more
EVERY: Final = 3600.0  # seconds between looks at what must be fetched anew
_REMEMBERED: Final = 10_000  # domains

_log = structlog.get_logger("deliver")


class StsFault(StrEnum):
    """Why there is no policy although one is announced, in the words of RFC 8460 section 4.3."""

    FETCH_ERROR = "sts-policy-fetch-error"
    INVALID = "sts-policy-invalid"
    WEB_PKI = "sts-webpki-invalid"


@frozen
class StsFinding:
    """The policy in force for a domain, if there is one, as the document has it in `text`.

    `fault`: the one that is announced could not be had, with the reason; then `policy` is the former one.
    """

    policy: StsPolicy | None = None
    text: str = ""
    fault: StsFault | None = None
    reason: str = ""


@frozen
class KeptPolicy:
    """A policy as it is kept: under which id it was announced, times in seconds since the epoch."""

    id: str
    text: str
    fetched_at: float
    expires_at: float
    used_at: float

    @property
    def policy(self) -> StsPolicy:
        """It was read before it was kept."""
        return StsPolicy.parse(self.text)


@frozen
class _Failure:
    id: str
    until: float
    fault: StsFault
    reason: str


class StsPolicies:
    """Finds policies for one event loop; all processes and nodes keep them together."""

    def __init__(self, engine: Engine, resolver: Resolver, https: HttpsClient, now: Callable[[], float]) -> None:
        self._engine, self._resolver, self._https, self._now = engine, resolver, https, now
        self._remembered = Remembered[str, KeptPolicy](_REMEMBERED)
        self._failures = Remembered[str, _Failure](_REMEMBERED)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def policy_for(self, domain: str) -> StsFinding:
        """What is in force for a domain (A-labels). Raises StoreUnavailable: without what is kept nobody knows."""
        lock = self._locks.setdefault(domain, asyncio.Lock())
        async with lock:
            finding = await self._found(domain)
        return StsFinding() if finding.policy and finding.policy.mode is StsMode.NONE else finding

    async def run(self) -> None:
        """Keep fresh what is in use, every hour, until it is cancelled."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _log.error("MTA-STS policies not looked at", error=str(error))
            await asyncio.sleep(EVERY)

    async def refresh(self) -> None:
        """Fetch anew what is a day old and in use, and forget what is over. Raises StoreUnavailable."""
        for domain, kept in await asyncio.to_thread(self._due):
            fetched = await self._fetch(domain, kept.id)
            if isinstance(fetched, _Failure):
                _log.warning("MTA-STS policy not refreshed", domain=domain, fault=fetched.fault, reason=fetched.reason)
            else:
                await self._keep(domain, replace(fetched, used_at=kept.used_at))

    async def _found(self, domain: str) -> StsFinding:
        ident, kept = await self._announced(domain), await self._kept(domain, None)
        if kept and ident not in (None, kept.id):
            kept = await self._kept(domain, kept)  # another node may have it
        if ident is None or (kept and kept.id == ident):
            return _finding(kept)
        failure = self._failures.get(domain)
        if failure is None or failure.id != ident or failure.until <= self._now():
            fetched = await self._fetch(domain, ident)
            if not isinstance(fetched, _Failure):
                await self._keep(domain, fetched)
                return _finding(fetched)
            failure = fetched
            self._failures.put(domain, failure)
            _log.warning("MTA-STS policy not fetched", domain=domain, fault=failure.fault, reason=failure.reason)
        return _finding(kept, failure)

    async def _announced(self, domain: str) -> str | None:
        answer = await self._resolver.records(f"_mta-sts.{domain}", "TXT")
        if isinstance(answer, Unresolved):
            return None
        texts = [b"".join(one.strings).decode("latin-1") for one in answer if isinstance(one, TXT)]
        return announced(texts)

    # --- fetching ------------------------------------------------------------------------------------------------

    async def _fetch(self, domain: str, ident: str) -> KeptPolicy | _Failure:
        """Redirects are not followed (section 3.3): where they lead is not what was announced."""
        answer = await self._https.get(
            f"https://mta-sts.{domain}/.well-known/mta-sts.txt", redirects=0, patience=PATIENCE
        )
        now = self._now()

        def failed(fault: StsFault, reason: str) -> _Failure:
            return _Failure(ident, now + FETCH_AGAIN, fault, reason)

        if isinstance(answer, NotFetched):
            return failed(StsFault.WEB_PKI if answer.untrusted else StsFault.FETCH_ERROR, answer.reason)
        if answer.status != 200:
            return failed(StsFault.FETCH_ERROR, f"status {answer.status}")
        if answer.media_type != "text/plain":
            return failed(StsFault.INVALID, "it is not text/plain")
        try:
            document = answer.content.decode()
            policy = StsPolicy.parse(document)
        except UnicodeDecodeError:
            return failed(StsFault.INVALID, "it is not in UTF-8")
        except StsPolicyError as error:
            return failed(StsFault.INVALID, str(error))
        return KeptPolicy(ident, document, now, now + policy.max_age, now)

    # --- keeping -------------------------------------------------------------------------------------------------

    async def _kept(self, domain: str, outdated: KeptPolicy | None) -> KeptPolicy | None:
        """What is kept and not over; from the database where memory has nothing, or only what is `outdated`."""
        kept = None if outdated else self._remembered.get(domain)
        if kept is None or kept.used_at < self._now() - REFRESH:
            kept = await asyncio.to_thread(self._take, domain)
            if kept:
                self._remembered.put(domain, kept)
        return kept if kept and kept.expires_at > self._now() else None

    async def _keep(self, domain: str, policy: KeptPolicy) -> None:
        await asyncio.to_thread(self._put, domain, policy)
        self._remembered.put(domain, policy)

    def _take(self, domain: str) -> KeptPolicy | None:
        """As the database has it; that it is used is noted once a day."""
        with read(self._engine) as connection:
            kept = _row(connection, domain)
        if kept is None or kept.used_at >= self._now() - REFRESH:
            return kept
        with write(self._engine) as connection:
            connection.execute(update(sts_policy).where(sts_policy.c.domain == domain).values(used_at=self._now()))
            return _row(connection, domain)

    def _put(self, domain: str, policy: KeptPolicy) -> None:
        with write(self._engine) as connection:
            connection.execute(_PUT, {"domain": domain, **{name: getattr(policy, name) for name in _FIELDS}})

    def _due(self) -> list[tuple[str, KeptPolicy]]:
        now, columns = self._now(), sts_policy.c
        with write(self._engine) as connection:
            connection.execute(delete(sts_policy).where(columns.expires_at <= now))
            in_use = (columns.fetched_at <= now - REFRESH, columns.used_at > now - UNUSED)
            rows = connection.execute(select(sts_policy).where(*in_use).order_by(columns.expires_at))
            return [(row.domain, KeptPolicy(*(getattr(row, name) for name in _FIELDS))) for row in rows]


_FIELDS: Final = ("id", "text", "fetched_at", "expires_at", "used_at")
# Both databases have it, SQLAlchemy only by dialect.
_PUT: Final = text(
    f"INSERT INTO sts_policy (domain, {', '.join(_FIELDS)}) VALUES (:domain, {', '.join(f':{one}' for one in _FIELDS)})"  # noqa: S608 -- names of columns
    f" ON CONFLICT (domain) DO UPDATE SET {', '.join(f'{one} = excluded.{one}' for one in _FIELDS)}"
)


def _row(connection: Connection, domain: str) -> KeptPolicy | None:
    columns = [sts_policy.c[name] for name in _FIELDS]
    row = connection.execute(select(*columns).where(sts_policy.c.domain == domain)).first()
    return KeptPolicy(*row) if row else None


def _finding(kept: KeptPolicy | None, failure: _Failure | None = None) -> StsFinding:
    finding = StsFinding(kept.policy, kept.text) if kept else StsFinding()
    return replace(finding, fault=failure.fault, reason=failure.reason) if failure else finding
