"""Which of a host's or a domain's addresses are tried, and how many."""

from collections import Counter
from collections.abc import Mapping, Sequence

import dns.rdata
import dns.resolver
import pytest
from dns.rdtypes.ANY.MX import MX

from outgate.config import EgressSettings
from outgate.egress.guard import Guard
from outgate.egress.resolver import (
    ADDRESSES,
    EXCHANGERS,
    Host,
    MailExchangers,
    NamedAddresses,
    Resolver,
    Unresolved,
    _by_preference,
)

GOOD, GOOD6 = "9.9.9.9", "2620:fe::fe"


class Dns(Resolver):
    """A resolver that knows these names only."""

    def __init__(self, names: Mapping[str, Sequence[str]], exchangers: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(["127.0.0.1"], Guard(EgressSettings()))
        self.names, self.asked = names, Counter[str]()
        texts = [f"{preference} {name}." for preference, name in exchangers]
        self._mx = [one for one in (dns.rdata.from_text("IN", "MX", text) for text in texts) if isinstance(one, MX)]

    async def exchangers(self, domain: str) -> MailExchangers | Unresolved:
        return MailExchangers(tuple(_by_preference(self._mx)) or (domain,))

    async def _by_dns(self, name: str) -> NamedAddresses:
        self.asked[name] += 1
        if name not in self.names:
            raise dns.resolver.NXDOMAIN
        return NamedAddresses(tuple(self.names[name]))


async def exchangers(resolver: Resolver) -> list[Host] | Unresolved:
    names = await resolver.exchangers("peer.example")
    assert not isinstance(names, Unresolved)
    return await resolver.reach("peer.example", names.names)


def addresses(found: list[Host] | Unresolved) -> list[str]:
    assert not isinstance(found, Unresolved), found
    return [host.address for host in found]


@pytest.mark.parametrize(
    "bad", ["fe80::d250:99ff:feda:9100", "127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"]
)
async def test_a_bad_address_among_good_ones_is_left_out(bad: str) -> None:
    resolver = Dns({"mx.peer.example": [bad, GOOD, GOOD6, bad]}, [(10, "mx.peer.example")])
    assert addresses(await resolver.guarded("mx.peer.example", 587)) == [GOOD, GOOD6]
    assert addresses(await exchangers(resolver)) == [GOOD, GOOD6]


async def test_a_host_with_bad_addresses_alone_is_forbidden() -> None:
    resolver = Dns({"mx.peer.example": ["10.0.0.1", "fe80::1"]}, [(10, "mx.peer.example")])
    assert await resolver.guarded("mx.peer.example") == Unresolved(
        "4.4.4",
        "the host 'mx.peer.example' may not be connected to: 10.0.0.1 is private (RFC 1918)",
        forbidden=True,
    )
    found = await exchangers(resolver)
    assert isinstance(found, Unresolved)
    assert found.status == "5.4.4"


async def test_of_many_exchangers_with_many_addresses_few_are_looked_up_and_tried() -> None:
    names = {f"mx{number}.peer.example": [f"9.9.{number}.{last}" for last in range(1, 11)] for number in range(200)}
    resolver = Dns(names, [(10, name) for name in names])
    found = addresses(await exchangers(resolver))
    assert len(found) == ADDRESSES
    assert len({address.rsplit(".", 1)[0] for address in found}) >= 3
    assert sum(resolver.asked.values()) == EXCHANGERS


async def test_of_one_host_both_families_are_tried_by_turns() -> None:
    many = [f"2620:fe::{number}" for number in range(1, 10)] + [f"9.9.9.{number}" for number in range(1, 10)]
    found = addresses(await Dns({"smtp.peer.example": many}).guarded("smtp.peer.example"))
    assert len(found) == ADDRESSES
    assert [":" in address for address in found] == [True, False, True, False, True]


async def test_the_best_exchanger_comes_first() -> None:
    names = {"a.peer.example": ["9.9.9.1", "9.9.9.2", "9.9.9.3"], "b.peer.example": ["9.9.9.4"]}
    resolver = Dns(names, [(20, "b.peer.example"), (10, "a.peer.example")])
    assert addresses(await exchangers(resolver)) == ["9.9.9.1", "9.9.9.2", "9.9.9.4"]
