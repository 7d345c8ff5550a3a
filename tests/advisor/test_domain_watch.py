"""The DNS is asked again whether a proven domain still has its record; without an answer nothing follows."""

import pytest
from sqlalchemy import Engine

from advisor.zone import serving
from outgate.advisor.ask import Names
from outgate.domain_watch import DomainWatch
from outgate.sendas import proven_domains, send_as_addresses
from outgate.sendas.proven_domains import CHECK_EVERY, SUSPENDED_AFTER, AddressGrant, ProvenDomain
from outgate.store.engine import read, write

DOMAIN = "dominiopartner.example"
OTHER = "other.example"  # comes after it


@pytest.mark.asyncio
async def test_a_record_that_is_gone_is_told_and_one_without_an_answer_is_not(example: Engine) -> None:
    with write(example) as connection:
        token = proven_domains.begin(connection, DOMAIN, 0.0).token
        proven_domains.settle_check(connection, DOMAIN, True, 0.0)
    told: list[tuple[str, str]] = []
    reconsidered: list[str] = []

    async def tell(_domain: str, subject: str, text: str) -> None:
        told.append((subject, text))

    async def look(zone: str, at: float, servfail: frozenset[str] = frozenset()) -> ProvenDomain:
        with serving(zone, servfail=servfail) as served:
            await DomainWatch(example, Names([served.nameserver], 2.0), lambda: at, tell, reconsidered.append).look()
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
    assert reconsidered == []
    assert (await look(there, 1e9 + 2 * SUSPENDED_AFTER)).is_usable(1e9 + 2 * SUSPENDED_AFTER)
    assert reconsidered == [DOMAIN]


@pytest.mark.asyncio
async def test_a_domain_that_lapses_is_suspended_when_its_days_are_over_though_the_dns_does_not_answer(
    example: Engine, alice: int
) -> None:
    with write(example) as connection:
        for domain in (DOMAIN, OTHER):
            proven_domains.begin(connection, domain, 0.0)
            proven_domains.settle_check(connection, domain, True, 0.0)
            proven_domains.grant(connection, AddressGrant(f"*@{domain}", "alice@example.com", None), 0.0)
        proven_domains.settle_check(connection, DOMAIN, False, 10.0)
    told: list[str] = []

    async def tell(domain: str, _subject: str, text: str) -> None:
        told.append(domain)
        assert "can't be sent as until it is back" in text

    async def usable(at: float) -> list[str]:
        silent = frozenset({f"_outgate.{DOMAIN}", f"_outgate.{OTHER}"})
        with serving("", servfail=silent) as served:
            await DomainWatch(example, Names([served.nameserver], 2.0), lambda: at, tell, told.append).look()
        with read(example) as connection:
            return [one.address for one in send_as_addresses.addresses(connection, alice) if one.verified][1:]

    assert await usable(9.0 + SUSPENDED_AFTER) == [f"*@{DOMAIN}", f"*@{OTHER}"]
    assert told == []
    for later in (0.0, 2 * CHECK_EVERY):
        assert await usable(10.0 + SUSPENDED_AFTER + later) == [f"*@{OTHER}"]
        assert told == [DOMAIN]


@pytest.mark.asyncio
async def test_a_domain_that_is_removed_while_the_dns_is_asked_keeps_no_other_from_being_looked_at(
    example: Engine,
) -> None:
    with write(example) as connection:
        for domain in (DOMAIN, OTHER):
            proven_domains.begin(connection, domain, 0.0)
            proven_domains.settle_check(connection, domain, True, 0.0)

    class Removing(Names):
        async def texts(self, name: str) -> list[str]:
            if name.endswith(DOMAIN):
                with write(example) as connection:
                    proven_domains.remove(connection, DOMAIN, 1.0)
            return []

    async def tell(*_: str) -> None:
        """Somebody else's test."""

    await DomainWatch(example, Removing([], 1.0), lambda: 2 * CHECK_EVERY, tell, lambda _: None).look()
    with read(example) as connection:
        (left,) = proven_domains.domains(connection)
    assert (left.name, left.missing_since) == (OTHER, 2 * CHECK_EVERY)
