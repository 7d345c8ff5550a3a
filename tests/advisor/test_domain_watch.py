"""The DNS is asked again whether a proven domain still has its record; without an answer nothing follows."""

import pytest
from sqlalchemy import Engine

from advisor.zone import serving
from outgate.advisor.ask import Names
from outgate.domain_watch import DomainWatch
from outgate.sendas import proven_domains
from outgate.sendas.proven_domains import CHECK_EVERY, SUSPENDED_AFTER, ProvenDomain
from outgate.store.engine import read, write

DOMAIN = "dominiopartner.example"


@pytest.mark.asyncio
async def test_a_record_that_is_gone_is_told_and_one_without_an_answer_is_not(example: Engine) -> None:
    with write(example) as connection:
        token = proven_domains.begin(connection, DOMAIN, 0.0).token
        proven_domains.settle_check(connection, DOMAIN, True, 0.0)
    told: list[tuple[str, str]] = []

    async def tell(_domain: str, subject: str, text: str) -> None:
        told.append((subject, text))

    async def look(zone: str, at: float, servfail: frozenset[str] = frozenset()) -> ProvenDomain:
        with serving(zone, servfail=servfail) as served:
            await DomainWatch(example, Names([served.nameserver], 2.0), lambda: at, tell).look()
            assert bool(served.asked) == (at >= CHECK_EVERY)
        with read(example) as connection:
            return proven_domains.find(connection, DOMAIN)

    there = f'_outgate.{DOMAIN}. 60 IN TXT "other"\n_outgate.{DOMAIN}. 60 IN TXT "outgate-domain-proof={token}"\n'
    gone = f'{DOMAIN}. 60 IN TXT "other"\n'
    assert (await look(gone, CHECK_EVERY - 1)).checked_at == 0.0
    assert (await look(there, CHECK_EVERY)).checked_at == CHECK_EVERY
    assert (await look(there, 9e8, frozenset({f"_outgate.{DOMAIN}"}))).missing_since is None
    assert told == []
    assert (await look(gone, 1e9)).missing_since == 1e9
    assert (await look(gone, 1e9 + SUSPENDED_AFTER)).missing_since == 1e9
    first, last = (text for _, text in told)
    assert "In 7 days" in first
    assert f'_outgate.{DOMAIN}. TXT "outgate-domain-proof={token}"' in first
    assert "can't be sent as until" in last
    assert (await look(there, 1e9 + 2 * SUSPENDED_AFTER)).is_usable(1e9 + 2 * SUSPENDED_AFTER)
