"""Who is warned, by name, before mail leaves without its domain's own server."""

from dataclasses import replace

import pytest

from advisor.asking import ALICE, ALLOWED, GATEWAY, PARTNER
from advisor.zone import Zone, serving
from outgate.advisor.ask import Names
from outgate.advisor.strict_policy import StrictPolicy, strict_policy
from outgate.model import Account, Gateway, Organisation, Policy, Security, SendAs

ZONE = """
_dmarc.dominiopartner.example. 60 IN TXT "v=DMARC1; p=reject"
_dmarc.junk.example. 60 IN TXT "v=DMARC1; p=quarantine"
_dmarc.tested.example. 60 IN TXT "v=DMARC1; p=quarantine; t=y"
_dmarc.relaxed.example. 60 IN TXT "v=DMARC1; p=none"
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject"
_dmarc.strict.example.com. 60 IN TXT "v=DMARC1; p=reject; aspf=s; adkim=s"
"""
DOMAIN = "dominiopartner.example"
SERVER = Gateway("gateway:1", GATEWAY, 587, Security.STARTTLS)


async def asked(zone: Zone, entry: SendAs, policy: Policy = ALLOWED, language: str = "en") -> StrictPolicy | None:
    organisation = Organisation(frozenset({"example.com"}))
    account = Account(1, ALICE, "Alice", "/", False, policy, {entry.address: entry})
    return await strict_policy(Names([zone.nameserver], 2.0), organisation, account, entry, language)


@pytest.mark.asyncio
async def test_the_warning_names_the_domain_and_what_becomes_of_the_mail() -> None:
    with serving(ZONE, servfail=frozenset({"_dmarc.broken.example"})) as zone:
        partner = SendAs(PARTNER)
        found = await asked(zone, partner)
        assert found
        assert found.sentence == f"{DOMAIN} publishes p=reject: without its own server this mail will be refused"
        italian = await asked(zone, SendAs("a@junk.example"), language="it")
        assert italian
        assert "junk.example pubblica p=quarantine" in italian.sentence
        assert await asked(zone, SendAs("a@strict.example.com"))
        with_server = replace(partner, gateway=SERVER)
        assert await asked(zone, with_server) is None
        assert await asked(zone, with_server, Policy())  # which may not be used
        not_sent = Policy(external_from=False)
        assert await asked(zone, partner, not_sent) is None
        quiet = ("a@tested.example", "a@relaxed.example", "a@nothing.example", "a@broken.example", "a@sub.example.com")
        for address in quiet:
            assert await asked(zone, SendAs(address)) is None, address
        assert await asked(zone, SendAs(ALICE, own_domain=True)) is None
