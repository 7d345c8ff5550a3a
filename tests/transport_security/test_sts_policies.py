"""MTA-STS policies of recipients' domains, from real DNS and real HTTPS: fetched, kept, refreshed, never forgotten."""

import pytest

from discovery.internet import INSIDE, Answer, status
from outgate.transport_security.sts_policies import FETCH_AGAIN, REFRESH, UNUSED, StsFault
from outgate.transport_security.sts_policy import StsMode
from transport_security.peers import Peers, text

DOMAIN, MX = "peer.example", "mx.peer.example"
WEEK = 604800


def asked(peers: Peers) -> int:
    return len(peers.internet.web.asked)


async def mode(peers: Peers, domain: str = DOMAIN) -> StsMode | None:
    policy = (await peers.policies.policy_for(domain)).policy
    return policy.mode if policy else None


async def test_a_policy_that_is_announced_is_fetched_once(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    assert await mode(peers) is StsMode.ENFORCE
    assert asked(peers) == 1


async def test_a_domain_that_announces_none_is_asked_for_none(peers: Peers) -> None:
    peers.internet.site(f"mta-sts.{DOMAIN}")
    assert await mode(peers) is None
    assert asked(peers) == 0


async def test_another_node_and_a_restart_have_what_was_fetched(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    peers.policies = peers.node()
    assert await mode(peers) is StsMode.ENFORCE
    assert asked(peers) == 1


async def test_a_new_id_brings_the_new_policy(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.publish(DOMAIN, MX, mode="testing")
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.announce(DOMAIN, "2")
    assert await mode(peers) is StsMode.TESTING


async def test_a_policy_outlives_its_announcement_until_its_time_is_over(peers: Peers) -> None:
    """Who can forge the DNS must not thereby have taken the policy away."""
    peers.publish(DOMAIN, MX, max_age=WEEK)
    assert await mode(peers) is StsMode.ENFORCE
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.clock.at += WEEK - 1
    assert await mode(peers) is StsMode.ENFORCE
    peers.policies = peers.node()
    assert await mode(peers) is StsMode.ENFORCE
    peers.clock.at += 1
    assert await mode(peers) is None


async def test_a_policy_outlives_a_document_that_can_not_be_had(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.announce(DOMAIN, "2")
    peers.serve(DOMAIN, status(503))
    finding = await peers.policies.policy_for(DOMAIN)
    assert finding.policy is not None
    assert finding.fault is StsFault.FETCH_ERROR


async def test_mode_none_ends_a_policy(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.publish(DOMAIN, mode="none")
    peers.internet.zones.withdraw(f"_mta-sts.{DOMAIN}")
    peers.announce(DOMAIN, "2")
    assert await mode(peers) is None


GOOD = f"version: STSv1\nmode: enforce\nmx: {MX}\nmax_age: 86400\n"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (status(404), StsFault.FETCH_ERROR),
        (status(301, location=f"https://mta-sts.{DOMAIN}/policy"), StsFault.FETCH_ERROR),  # never followed
        (text(GOOD, "text/html"), StsFault.INVALID),
        (text("version: STSv1\nmode: enforce\n"), StsFault.INVALID),
        (text(GOOD + "x" * 65536), StsFault.FETCH_ERROR),
    ],
)
async def test_what_is_no_policy_is_said_and_not_asked_for_at_once_again(
    peers: Peers, answer: Answer, fault: StsFault
) -> None:
    peers.announce(DOMAIN)
    peers.serve(DOMAIN, answer)
    peers.internet.web.answers[f"https://mta-sts.{DOMAIN}/policy"] = text(GOOD)
    finding = await peers.policies.policy_for(DOMAIN)
    assert (finding.policy, finding.fault) == (None, fault)
    assert (await peers.policies.policy_for(DOMAIN)).fault is fault
    assert asked(peers) == 1
    peers.serve(DOMAIN, text(GOOD))
    peers.clock.at += FETCH_AGAIN
    assert await mode(peers) is StsMode.ENFORCE


async def test_a_policy_host_with_a_wrong_certificate_has_no_policy(peers: Peers) -> None:
    peers.announce(DOMAIN)
    peers.internet.zones.publish(f"mta-sts.{DOMAIN}. 0 IN A 127.0.0.2\n")  # a name that no certificate has
    finding = await peers.policies.policy_for(DOMAIN)
    assert (finding.policy, finding.fault) == (None, StsFault.WEB_PKI)


async def test_a_policy_host_inside_is_not_connected_to(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    peers.internet.zones.withdraw(f"mta-sts.{DOMAIN}")
    peers.internet.site(f"mta-sts.{DOMAIN}", INSIDE)
    finding = await peers.policies.policy_for(DOMAIN)
    assert (finding.policy, finding.fault) == (None, StsFault.FETCH_ERROR)
    assert not peers.internet.inside.greeted


async def test_what_is_in_use_is_fetched_anew_each_day_whatever_its_id(peers: Peers) -> None:
    peers.publish(DOMAIN, MX, max_age=WEEK)
    assert await mode(peers) is StsMode.ENFORCE
    peers.clock.at += REFRESH
    await peers.policies.refresh()
    assert asked(peers) == 2
    await peers.policies.refresh()
    assert asked(peers) == 2
    peers.clock.at += WEEK - 1  # of the second
    assert await mode(peers) is StsMode.ENFORCE


async def test_what_is_not_in_use_is_not_kept_fresh(peers: Peers) -> None:
    """To be kept fresh is no use."""
    peers.publish(DOMAIN, MX, max_age=2 * int(UNUSED))
    assert await mode(peers) is StsMode.ENFORCE
    days = int(UNUSED // REFRESH)
    for _ in range(days + 3):
        peers.clock.at += REFRESH
        await peers.policies.refresh()
    assert asked(peers) == days
    assert await mode(peers) is StsMode.ENFORCE  # that is use
    await peers.policies.refresh()
    assert asked(peers) == days + 1


async def test_a_domain_s_policy_is_no_other_domain_s(peers: Peers) -> None:
    peers.publish(DOMAIN, MX)
    assert await mode(peers) is StsMode.ENFORCE
    assert await mode(peers, "other.example") is None
    assert await mode(peers, f"sub.{DOMAIN}") is None
