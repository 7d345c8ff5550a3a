"""What recipients' domains are told of sessions (RFC 8460), as deliveries to real exchangers say it."""

from pathlib import Path

import pytest

from discovery.internet import PUBLIC, status
from outgate import clock
from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.model import TlsDemand
from outgate.transport_security.tls_session import PolicyType, ResultType, TlsSession
from transport_security.peers import Peers, delivered

DOMAIN, MX = "peer.example", "mx.peer.example"
Told = tuple[PolicyType, ResultType | None]


def told(peers: Peers) -> list[Told]:
    """What was told since the last time."""
    found = [(one.policy.type, one.fault.result if one.fault else None) for one in peers.told]
    peers.told.clear()
    return found


async def test_sessions_are_told_with_policy_host_addresses_and_what_is_wrong_with_the_certificate(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers.publish(DOMAIN, MX)
    peers.exchanger(DOMAIN, MX)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: 1_000_000_000.0)
        expired = peers.internet.certificate(MX)
    (tmp_path / "unknown").mkdir()
    unknown = Authority(tmp_path / "unknown").server_context(VirtualHost(MX, PUBLIC))
    another = peers.internet.certificate("else.example")
    for tls in (peers.internet.certificate(MX), another, expired, unknown):
        async with peers.server(tls) as port:
            await delivered(peers, DOMAIN, port)
    good, bad, *_ = peers.told
    assert good == TlsSession(DOMAIN, good.policy)
    assert good.policy.lines == ("version: STSv1", "mode: enforce", f"mx: {MX}", "max_age: 604800")
    assert (good.policy.type, good.policy.domain, good.policy.mx) == (PolicyType.STS, DOMAIN, (MX,))
    assert bad.policy == good.policy
    assert bad.fault is not None
    assert "Hostname mismatch" in bad.fault.reason
    assert (bad.exchanger, bad.receiving_address) == (MX, PUBLIC)
    assert bad.sending_address.startswith("127.")
    wrong = ResultType.HOST_MISMATCH, ResultType.EXPIRED, ResultType.NOT_TRUSTED
    assert told(peers) == [(PolicyType.STS, one) for one in (None, *wrong)]


async def test_each_fault_has_its_result_and_its_policy(peers: Peers) -> None:
    """A session that is made without TLS after one that failed is not a second one."""
    sts, none = PolicyType.STS, PolicyType.NONE
    good, plain = peers.internet.certificate(MX), None
    for domain in (DOMAIN, "plain.example", "tested.example", "unnamed.example", "barred.example", "away.example"):
        peers.exchanger(domain, MX)
    peers.publish(DOMAIN, MX)
    peers.publish("tested.example", MX, mode="testing")
    peers.publish("unnamed.example", "mx.elsewhere.example", mode="testing")
    peers.publish("barred.example", "mx.elsewhere.example")
    peers.announce("away.example")
    peers.serve("away.example", status(500))
    async with peers.server(plain) as port:
        for domain in (DOMAIN, "plain.example", "tested.example", "barred.example"):
            await delivered(peers, domain, port)
        assert told(peers) == [
            (sts, ResultType.STARTTLS_NOT_SUPPORTED),
            (none, ResultType.STARTTLS_NOT_SUPPORTED),
            (sts, ResultType.STARTTLS_NOT_SUPPORTED),
            (sts, ResultType.VALIDATION_FAILURE),
        ]
    async with peers.server(good) as port:
        for domain in (DOMAIN, "plain.example", "tested.example", "unnamed.example", "away.example"):
            await delivered(peers, domain, port)
        assert told(peers) == [
            (sts, None),
            (none, None),
            (sts, None),
            (sts, ResultType.VALIDATION_FAILURE),
            (none, None),
            (sts, ResultType.STS_FETCH_ERROR),
        ]
        await delivered(peers, "unnamed.example", port, TlsDemand.WAIVED)
    await delivered(peers, DOMAIN, port)  # nobody listens there any more
    assert told(peers) == []
