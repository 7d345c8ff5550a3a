"""Direct delivery to domains with an MTA-STS policy: enforced, tested, and never another domain's."""

import pytest

from outgate.model import TlsDemand
from transport_security.peers import Peers, delivered

DOMAIN, MX, OTHER = "peer.example", "mx.peer.example", "other.example"


async def test_enforce_delivers_to_an_exchanger_with_the_right_certificate(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    peers.exchanger(DOMAIN, MX)
    async with peers.server(peers.internet.certificate(MX)) as port:
        assert await delivered(peers, DOMAIN, port) == "delivered 250"
    assert peers.taken == [MX]


@pytest.mark.parametrize("mode", ["enforce", "testing"])
@pytest.mark.parametrize("fault", ["another name", "no STARTTLS"])
async def test_what_fails_the_policy_waits_if_it_is_enforced_and_leaves_if_it_is_tested(
    peers: Peers, mode: str, fault: str
) -> None:
    peers.publish(DOMAIN, MX, mode=mode)
    peers.exchanger(DOMAIN, MX)
    tls = peers.internet.certificate("else.example") if fault == "another name" else None
    async with peers.server(tls) as port:
        found = await delivered(peers, DOMAIN, port)
    if mode == "testing":
        assert found == "delivered 250"
        assert len(peers.taken) == 1
    else:
        assert found.startswith("retry 4.7.")
        assert found.endswith("(the domain's MTA-STS policy demands it)")
        assert not peers.taken


@pytest.mark.parametrize(("mode", "taken"), [("enforce", False), ("testing", True)])
async def test_an_exchanger_that_the_policy_does_not_name(peers: Peers, mode: str, taken: bool) -> None:
    peers.publish(DOMAIN, "mx.elsewhere.example", mode=mode)
    peers.exchanger(DOMAIN, MX)
    async with peers.server(peers.internet.certificate(MX)) as port:
        found = await delivered(peers, DOMAIN, port)
    assert bool(peers.taken) is taken
    assert taken or f"no mail exchanger of {DOMAIN} is one that its MTA-STS policy names: {MX}" in found


async def test_of_several_exchangers_one_that_the_policy_names_is_taken(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    for number in range(12):
        peers.exchanger(DOMAIN, f"mx{number}.elsewhere.example", 5)
    peers.exchanger(DOMAIN, MX, 10)
    async with peers.server(peers.internet.certificate(MX)) as port:
        assert await delivered(peers, DOMAIN, port) == "delivered 250"
    assert peers.taken == [MX]


async def test_a_policy_holds_for_no_other_domain_on_the_same_exchanger(peers: Peers) -> None:
    """The other domain is held to nothing, and its connections do not serve the strict one."""
    peers.publish(DOMAIN, MX)
    peers.exchanger(DOMAIN, MX)
    peers.internet.zones.publish(f"{OTHER}. 0 IN MX 10 {MX}.\n")
    async with peers.server(peers.internet.certificate("else.example")) as port:
        assert await delivered(peers, OTHER, port) == "delivered 250"
        assert (await delivered(peers, DOMAIN, port)).startswith("retry 4.7.5")
        assert await delivered(peers, OTHER, port) == "delivered 250"


async def test_an_internationalised_domain_with_its_exchangers_in_unicode(peers: Peers) -> None:
    domain, exchanger = "xn--bcher-kva.example", "mx.xn--bcher-kva.example"
    peers.publish(domain, "mx.bücher.example")
    peers.exchanger(domain, exchanger)
    async with peers.server(peers.internet.certificate(exchanger)) as port:
        assert await delivered(peers, domain, port) == "delivered 250"
    assert peers.taken == [exchanger]


# --- what the sender demands (RFC 8689) ------------------------------------------------------------------------------


async def test_requiretls_goes_to_no_exchanger_that_nothing_vouches_for(peers: Peers) -> None:
    """Neither without a policy nor with one that is tested only."""
    peers.exchanger(DOMAIN, MX)
    async with peers.server(peers.internet.certificate(MX)) as port:
        assert (await delivered(peers, DOMAIN, port, TlsDemand.REQUIRED)).startswith("failed 5.7.30")
        peers.publish(DOMAIN, MX, mode="testing")
        peers.policies = peers.node()
        assert (await delivered(peers, DOMAIN, port, TlsDemand.REQUIRED)).startswith("failed 5.7.30")
    assert not peers.taken


async def test_requiretls_goes_to_an_exchanger_that_a_policy_names(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    peers.exchanger(DOMAIN, MX)
    async with peers.server(peers.internet.certificate(MX)) as port:
        assert await delivered(peers, DOMAIN, port, TlsDemand.REQUIRED) == "delivered 250"
    assert peers.taken == [MX]


@pytest.mark.parametrize("fault", ["another name", "no STARTTLS"])
async def test_a_sender_may_waive_what_the_domain_demands(peers: Peers, fault: str) -> None:
    peers.publish(DOMAIN, MX)
    peers.exchanger(DOMAIN, MX)
    tls = peers.internet.certificate("else.example") if fault == "another name" else None
    async with peers.server(tls) as port:
        assert await delivered(peers, DOMAIN, port, TlsDemand.WAIVED) == "delivered 250"
        assert (await delivered(peers, DOMAIN, port)).startswith("retry")
