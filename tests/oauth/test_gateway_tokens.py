"""Tokens are kept fresh by one process at a time; a refusal is noted once, told once, and repaired by a new sign-in."""

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, select, update

from corpus.https_peer import Answer
from oauth.scripted_provider import ScriptedProvider
from outgate.config import ConfigError, EgressSettings
from outgate.deliver.common_gateway_notices import CommonGatewayNotices
from outgate.deliver.credentials import GatewayTokens
from outgate.deliver.outcome import Outcome, Verdict
from outgate.demo.certificates import Authority
from outgate.directory import policies, restrictions, roles
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.egress.guard import Guard
from outgate.egress.https_client import HttpsClient
from outgate.egress.resolver import Resolver
from outgate.model import Cause, Gateway, GatewayKind, Security
from outgate.oauth import providers
from outgate.oauth.gateway_tokens import IDLE, MARGIN, AccessTokens, NoToken
from outgate.oauth.repair_notice import RepairNotice
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.explanation_operations import explain
from outgate.operations.gateway_fault import GatewayFault
from outgate.operations.send_as_overview import overview
from outgate.queue.queue_id import QueueIds
from outgate.route import gateway_queue
from outgate.sendas import common_gateways, gateways, oauth_grants, proven_domains, send_as_addresses
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.lease_clock import LeaseNow
from outgate.store.rotation import rotate
from outgate.store.vault import SealBroken, Vault
from way.place import LOCALHOST

PARTNER = "alice@dominiopartner.example"
SALES, CARLA = "sales@dominiopartner.example", "carla@dominiopartner.example"
TO_ALL = AddressGrant(SALES, None, "/")
ALICE, BOB = "alice@example.com", "bob@example.com"
DAY = 86400.0


@dataclass
class Clock:
    """Simulated."""

    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class House:
    """A database that several nodes share, a provider, and alice's gateway there."""

    engine: Engine
    vault: Vault
    clock: Clock
    provider: ScriptedProvider
    folder: Path
    authority: Authority
    alice: int

    def node(self, name: str = "node") -> AccessTokens:
        """One process."""
        guard = Guard(EgressSettings(allowed_networks={"loopback": "127.0.0.0/8", "v6": "::1/128"}))
        https = HttpsClient(Resolver((), guard), self.authority.client_context(), any_port=True)
        to_administrators = CommonGatewayNotices(QueueIds(), "mail.example.com", "https://mail.example.com/common")
        told = RepairNotice("mail.example.com", "https://mail.example.com", QueueIds(), self.clock, to_administrators)
        known = providers.load(self.folder / "providers.toml")
        return AccessTokens(self.engine, self.vault, known, https, name, self.clock, told)

    def sign_in(self) -> Gateway:
        """Alice's gateway, allowed just now."""
        consent = self.provider.sign_in(PARTNER)
        wanted = GatewaySettings("localhost", 587, Security.STARTTLS, PARTNER, consent=consent)
        with write(self.engine) as connection:
            return gateways.set_gateway(connection, self.vault, self.alice, PARTNER, wanted, self.clock())

    def sign_in_for_all(self) -> Gateway:
        """The gateway that all have in common who were granted SALES, allowed just now by whoever it is there."""
        consent = self.provider.sign_in(CARLA)
        wanted = GatewaySettings("localhost", 587, Security.STARTTLS, CARLA, consent=consent)
        with write(self.engine) as connection:
            made = common_gateways.set_gateway(connection, self.vault, TO_ALL, wanted, self.clock())
        return common_gateways.gateway_of(made)

    def told(self) -> list[tuple[str, str]]:
        """Subject and text of what waits in the queue for alice."""
        with read(self.engine) as connection:
            rows = connection.execute(select(tables.chunk.c.data).order_by(tables.chunk.c.message_id)).scalars().all()
        read_ = [message_from_bytes(data, policy=default) for data in rows]
        return [(one["Subject"], one.get_content()) for one in read_]


@pytest.fixture
def house(example: Engine, vault: Vault, alice: int, tmp_path: Path) -> Iterator[House]:
    authority, clock = Authority(tmp_path), Clock()
    with write(example) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        send_as_addresses.add(connection, alice, PARTNER, 0.0)
    with ScriptedProvider(authority.server_context(LOCALHOST), clock) as provider:
        (tmp_path / "providers.toml").write_text(provider.settings("trial_days = 7"))
        yield House(example, vault, clock, provider, tmp_path, authority, alice)


@pytest.fixture
def granted(house: House) -> House:
    """All may send as SALES; bob administers, and alice does not."""
    with write(house.engine) as connection:
        proven_domains.begin(connection, "dominiopartner.example", 0.0)
        proven_domains.settle_check(connection, "dominiopartner.example", True, 0.0)
        proven_domains.grant(connection, TO_ALL, 0.0)
        roles.assign(connection, BOB, "super-admin", "/", 0.0)
    return house


async def test_a_token_is_used_until_ten_minutes_before_its_end(house: House) -> None:
    gateway, node = house.sign_in(), house.node()
    first = await node.current(gateway)
    house.clock.time += 3600 - MARGIN - 1
    assert await node.current(gateway) == first
    assert house.provider.refreshes == []
    house.clock.time += 1
    second = await node.current(gateway)
    assert second != first
    assert isinstance(second, str)
    assert house.provider.whose(second) == PARTNER
    assert len(house.provider.refreshes) == 1


async def test_many_that_ask_at_once_on_several_nodes_make_one_refresh(house: House) -> None:
    gateway = house.sign_in()
    house.clock.time += 3600
    nodes = [house.node(f"node {number}") for number in range(4)]
    found = await asyncio.gather(*(node.current(gateway) for node in nodes for _ in range(4)))
    assert len(set(found)) == 1
    assert len(house.provider.refreshes) == 1
    assert house.provider.collisions == 0


# Or as after a restart of the machine, whose clock began anew: no lease can end that late.
@pytest.mark.parametrize("left", [-1.0, 1e12])
async def test_a_lease_of_a_node_that_died_ends(house: House, left: float) -> None:
    gateway = house.sign_in()
    house.clock.time += 3600
    with write(house.engine) as connection:
        grant = oauth_grants.find(connection, house.vault, gateway)
        assert grant
        assert oauth_grants.claim(connection, grant, "a node that dies")
        assert not oauth_grants.claim(connection, grant, "another")
        connection.execute(update(tables.oauth_grant).values(leased_until=LeaseNow() + 60.0))
        assert not oauth_grants.claim(connection, grant, "another")
        connection.execute(update(tables.oauth_grant).values(leased_until=LeaseNow() + left))
    assert isinstance(await house.node().current(gateway), str)


async def test_a_stop_while_the_provider_is_asked_loses_nothing(house: House) -> None:
    """The provider has made the former refresh token worthless by then: who used it again would end the consent."""
    gateway, node = house.sign_in(), house.node()
    house.clock.time += 3600
    asked, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(_user: str) -> None:
        loop.call_soon_threadsafe(asked.set)
        go_on.wait(10)

    house.provider.whim = slow
    waiting = asyncio.create_task(node.current(gateway))
    await asked.wait()
    waiting.cancel()
    loop.call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert isinstance(await house.node("after a restart").current(gateway), str)
    assert len(house.provider.refreshes) == 1


async def test_what_nobody_uses_is_refreshed_each_week(house: House) -> None:
    gateway, node = house.sign_in(), house.node()
    house.clock.time += IDLE - 1
    assert await node.refresh_idle() == 0
    house.clock.time += 1
    assert await node.refresh_idle() == 1
    assert await node.refresh_idle() == 0
    assert [at for _, at in house.provider.refreshes] == [house.clock.time]
    for _ in range(20):
        house.clock.time += IDLE
        await node.refresh_idle()
    assert isinstance(await node.current(gateway), str)


async def test_a_revoked_consent_is_told_once_and_repaired_by_a_new_sign_in(house: House) -> None:
    gateway, nodes = house.sign_in(), [house.node("1"), house.node("2")]
    house.clock.time += 3 * DAY
    house.provider.revoke(PARTNER)
    for node in [*nodes, *nodes]:
        refused = await node.current(gateway)
        assert isinstance(refused, NoToken)
        assert refused.must_sign_in
        assert refused.reason.startswith("Example does not accept the sign-in any more: the consent was revoked")
    ((subject, text),) = house.told()
    assert subject == "Sign in again to send mail as alice@dominiopartner.example"
    assert "https://mail.example.com/settings/accounts/alice@dominiopartner.example/server" in text
    gateway = house.sign_in()
    assert isinstance(await nodes[0].current(gateway), str)
    assert len(house.told()) == 1


async def test_a_client_on_trial_is_named_as_the_reason_after_its_days(house: House) -> None:
    gateway, node = house.sign_in(), house.node()
    house.clock.time += 7 * DAY + 60
    house.provider.revoke(PARTNER)
    refused = await node.current(gateway)
    assert isinstance(refused, NoToken)
    assert 'in "Testing"' in refused.reason
    assert "7 days" in refused.reason


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        ((500, {}, {}), 60.0),
        ((429, {"Retry-After": "300"}, {"error": "rate_limited"}), 300.0),
        ((429, {"Retry-After": "99999999"}, {"error": "rate_limited"}), 86400.0),
        ((400, {}, {"error": "temporarily_unavailable"}), 60.0),
        ((200, {}, {"token_type": "Bearer"}), 60.0),
        ((401, {}, {"error": "invalid_client"}), 600.0),
    ],
)
async def test_a_provider_in_trouble_is_asked_later_and_nothing_is_lost(
    house: House, answer: Answer, pause: float
) -> None:
    gateway, node = house.sign_in(), house.node()
    asked = []

    def whim(user: str) -> Answer:
        asked.append(user)
        return answer

    house.provider.whim = whim
    house.clock.time += 3600 - 300
    assert isinstance(await node.current(gateway), str)  # it is still good
    house.clock.time += 301
    house.provider.whim = whim
    if pause > 301:
        assert isinstance(await node.current(gateway), NoToken)
        assert len(asked) == 1
        house.clock.time += pause
    waits = await node.current(gateway)
    assert isinstance(waits, NoToken)
    assert not waits.must_sign_in
    assert len(asked) == 2
    house.provider.whim = lambda _user: None
    house.clock.time += pause
    assert isinstance(await node.current(gateway), str)
    assert house.told() == []


async def test_a_token_that_the_server_refuses_is_replaced_once(house: House) -> None:
    gateway, node = house.sign_in(), house.node()
    first = await node.current(gateway)
    assert isinstance(first, str)
    assert isinstance(await node.current(gateway, instead_of=first), NoToken)  # it was just got
    house.clock.time += 301
    second = await node.current(gateway, instead_of=first)
    assert isinstance(second, str)
    assert second != first
    assert await house.node("2").current(gateway, instead_of=first) == second
    assert isinstance(await node.current(gateway, instead_of=second), NoToken)
    assert len(house.provider.refreshes) == 1


async def test_a_former_token_that_is_put_back_does_not_open(house: House) -> None:
    gateway, node = house.sign_in(), house.node()
    with read(house.engine) as connection:
        before = connection.execute(select(tables.oauth_grant.c.sealed_refresh_token)).scalar_one()
    house.clock.time += 3600
    await node.current(gateway)
    with write(house.engine) as connection:
        connection.execute(update(tables.oauth_grant).values(sealed_refresh_token=before))
    with pytest.raises(SealBroken):
        await node.current(gateway)


async def test_a_gateway_that_was_pointed_elsewhere_gets_no_token(house: House) -> None:
    house.sign_in()
    with write(house.engine) as connection:
        connection.execute(update(tables.gateway).values(host="evil.example"))
        moved = send_as_addresses.addresses(connection, house.alice)[1].gateway
    assert moved
    with pytest.raises(SealBroken):
        await house.node().current(moved)


async def test_erased_consents_must_be_given_again(house: House) -> None:
    gateway = house.sign_in()
    with write(house.engine) as connection:
        assert gateways.erase(connection, house.alice) == 1
    refused = await house.node().current(gateway)
    assert isinstance(refused, NoToken)
    assert refused.must_sign_in


def test_a_provider_that_is_like_another_has_its_client_and_endpoints(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text('[google]\nclient_id = "ours"\n[google-api]\nhost = "gmail.partner.example"\n')
    google, by_api = (providers.load(path).find(name) for name in ("google", "google-api"))
    assert (by_api.client_id, by_api.token_endpoint) == (google.client_id, google.token_endpoint)
    assert (by_api.kind, by_api.host, by_api.port) == (GatewayKind.GMAIL, "gmail.partner.example", 443)
    assert by_api.scopes == ("https://www.googleapis.com/auth/gmail.send",)
    assert google.kind is GatewayKind.SMTP


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('[other]\nlike = "nobody"', "like must be the name of a provider"),
        ('[other]\nlike = "google-api"', "like must be the name of a provider"),
        ("[other]\nlike = []", "like must be the name of a provider"),
        ('[google-api]\nsecurity = "starttls"', "needs `host`, and security = 'ssl'"),
    ],
)
def test_a_provider_like_none_is_refused(tmp_path: Path, lines: str, reason: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(lines + "\n")
    with pytest.raises(ConfigError, match=re.escape(reason)):
        providers.load(path)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("[google]\nport = 'many'", "[google] port must be a whole number"),
        ("[google]\nport = 0", "[google] port must be at least 1"),
        ("[google]\nsecurity = 'tls'", "[google] security must be 'none', 'ssl' or 'starttls'"),
        ("[google]\nclient_id = 5", "[google] client_id must be text"),
        ("[google]\nscopes = 'mail'", "[google] scopes must be a list"),
        ("[google]\nauthorization_parameters = 3", "[google] authorization_parameters must be a table"),
        ("[google]\nissuer = 'http://x.example'", "[google] issuer is not of the right form"),
        ("[google]\nclient = 'ours'", "[google] client is no key of a provider"),
        ("[other]\nclient_id = 'ours'", "[other] it needs issuer, or "),
    ],
)
def test_a_fault_of_a_provider_is_told_in_words(tmp_path: Path, lines: str, reason: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(lines + "\n")
    with pytest.raises(ConfigError, match=re.escape(reason)) as told:
        providers.load(path)
    assert not any(theirs in str(told.value) for theirs in ("Value error", "Input should", "unable to"))


async def test_a_token_that_a_server_refuses_is_renewed(house: House) -> None:
    log_in = GatewayTokens(house.sign_in(), house.node(), lambda *_: None)
    peer = "smtp.example[192.0.2.1]:587"
    for reason, is_of_token in (
        (f"4.7.8 {peer}: log-in refused: 535 5.7.3 Authentication unsuccessful", True),
        (f"4.7.4 {peer}: log-in failed: 501 5.5.127 Token is about to expire", True),
        (f"4.7.8 {peer}: log-in refused: 401 authError: Invalid Credentials", True),
        (f"4.7.0 {peer}: log-in put off: 454 4.7.0 Try again later", False),
        (f"4.7.4 {peer}: log-in failed: 501 5.5.4 Syntax error", False),
    ):
        house.clock.time += 400
        before = len(house.provider.refreshes)
        await log_in()
        assert await log_in.renew(Outcome(Verdict.RETRY, reason)) is is_of_token, reason
        assert len(house.provider.refreshes) - before == is_of_token


# --- a gateway that several have in common ---------------------------------------------------------------------------


async def test_a_common_consent_is_kept_fresh_like_a_users_whose_gateway_has_the_same_number(granted: House) -> None:
    hers, common = granted.sign_in(), granted.sign_in_for_all()
    assert hers.row == common.row
    nodes = [granted.node(f"node {number}") for number in range(2)]
    granted.clock.time += IDLE
    assert await nodes[0].refresh_idle() == 2
    assert sorted(user for user, _ in granted.provider.refreshes) == [PARTNER, CARLA]
    granted.clock.time += 3600
    found = await asyncio.gather(*(node.current(common) for node in nodes for _ in range(2)))
    assert [granted.provider.whose(str(one)) for one in found] == [CARLA] * 4
    assert (len(granted.provider.refreshes), granted.provider.collisions) == (3, 0)
    with write(granted.engine) as connection:
        gateways.clear(connection, granted.alice, PARTNER)
        assert oauth_grants.find(connection, granted.vault, common)
        proven_domains.revoke(connection, TO_ALL, 1.0)
        assert connection.execute(select(tables.oauth_grant)).all() == []


async def test_administrators_are_told_once_of_a_common_consent_that_ended_and_its_users_see_no_word_of_it(
    granted: House,
) -> None:
    common, node = granted.sign_in_for_all(), granted.node()
    granted.clock.time += DAY
    granted.provider.revoke(CARLA)
    outcomes = [await GatewayTokens(common, node, lambda *_: None).fault() for _ in range(2)]
    assert [one and (one.status, one.told, one.tells_of_log_in) for one in outcomes] == [("4.7.8", False, True)] * 2
    with read(granted.engine) as connection:
        (held,) = restrictions.of(connection, gateway_queue(common))
        told = connection.execute(select(tables.recipient.c.address)).scalars().all()
    assert (held.cause, held.until, told) == (Cause.LOG_IN, None, [BOB])
    ((subject, text),) = granted.told()
    assert subject == f"Mail from {SALES} waits: localhost refuses the common sign-in"
    in_a_line = " ".join(text.split())
    assert f"{CARLA}. The sign-in there does not hold any more: Example does not accept" in in_a_line
    assert "Sign in again: https://mail.example.com/common?address=sales%40" in in_a_line
    with read(granted.engine) as connection:
        console = OperationContext(connection, granted.vault, Actor.console("root"), granted.clock())
        hers = replace(console, actor=Actor(ALICE, "192.0.2.1", granted.alice))
        seen, hidden = (explain(op, ALICE, SALES, "carol@recipient.example").cautions for op in (console, hers))
        health = overview(hers, ALICE).health[SALES]
    assert "the consent was revoked" in seen[0]
    assert hidden == ("mail waits: the log-in at the server that your administrator has set does not work now",)
    assert (health.fault, health.said) == (GatewayFault.COMMON, "")
    assert isinstance(await node.current(granted.sign_in_for_all()), str)
    with read(granted.engine) as connection:
        assert restrictions.of(connection, gateway_queue(common)) == ()


@pytest.mark.parametrize("is_common", [False, True])
async def test_who_still_has_a_gateway_as_it_was_before_another_sign_in_gets_no_token_and_raises_no_alarm(
    granted: House, *, is_common: bool
) -> None:
    sign_in = granted.sign_in_for_all if is_common else granted.sign_in
    former, current = sign_in(), sign_in()
    alarms: list[str] = []
    log_in = GatewayTokens(former, granted.node(), lambda kind, _target, _peer: alarms.append(kind))
    assert await log_in.fault()
    assert alarms == []
    assert granted.told() == []
    assert isinstance(await granted.node().current(current), str)


@pytest.mark.parametrize("kind", [GatewayKind.SMTP, GatewayKind.GRAPH])
def test_keys_are_rotated_beside_consents_of_each_kind_that_open_for_their_own_gateway_alone(
    granted: House, kind: GatewayKind
) -> None:
    path = granted.folder / "keys"
    old = Vault.create(path)
    consents = {name: granted.provider.sign_in(name) for name in (PARTNER, CARLA)}
    made = {
        name: GatewaySettings("localhost", 443, Security.SSL, name, consent=consent, kind=kind)
        for name, consent in consents.items()
    }
    with write(granted.engine) as connection:
        connection.execute(update(tables.organisation).values(audit_head=None, audit_key=None, audit_anchor=None))
        hers = gateways.set_gateway(connection, old, granted.alice, PARTNER, made[PARTNER], 1.0)
        grant = common_gateways.set_gateway(connection, old, TO_ALL, made[CARLA], 1.0)
    common = common_gateways.gateway_of(grant)
    assert (common.kind, common.provider) == (kind, "example")
    assert rotate(granted.engine, path, {}).resealed == 4
    vault = Vault.load(path, {})
    with write(granted.engine) as connection:
        for gateway, name in ((hers, PARTNER), (common, CARLA)):
            found = oauth_grants.find(connection, vault, gateway)
            assert found
            assert found.tokens == consents[name].tokens
            with pytest.raises(SealBroken):
                oauth_grants.find(connection, vault, replace(gateway, host="mx.attacker.example"))
        connection.execute(delete(tables.oauth_grant).where(tables.oauth_grant.c.gateway_id.is_not(None)))
        connection.execute(update(tables.oauth_grant).values(gateway_id=hers.row, common_grant_id=None))
        with pytest.raises(SealBroken):
            oauth_grants.find(connection, vault, hers)
