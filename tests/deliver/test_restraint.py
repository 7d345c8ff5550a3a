"""What replies say of a whole queue: which rule acts, who waits, who is told; on both databases."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
import pytest_asyncio
from sqlalchemy import Engine, select

from deliver import ledger
from deliver.test_deliverer import restricted
from outgate.deliver.delivery import Delivery, all_alike
from outgate.deliver.outcome import INTERNAL, NO_STORE, RECALLED, Outcome, Verdict, judge
from outgate.deliver.restraint import Restraint
from outgate.deliver.routing import refusal
from outgate.deliver.suspension import suspended
from outgate.deliver.suspension_notices import SuspensionNotices
from outgate.deliver.tls_policy import tls_of
from outgate.directory import accounts, organisation, own_rules, reply_rules, restrictions, roles
from outgate.directory.cache import DirectoryCache
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.own_rules import OwnRule
from outgate.directory.reader import DirectoryReader
from outgate.directory.reply_rules import ReplyRule, ReplyRules, RuleAction
from outgate.model import Cause, QueueKey, QueueKind, Restriction, Security, UsersGateway
from outgate.queue import Item
from outgate.queue.queue_id import QueueIds
from outgate.route import Route, RouteKind
from outgate.sendas import common_gateways, gateways, proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.smtp import Reply
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import Vault

NOW = 1_800_000_000.0
RELAY = QueueKey(QueueKind.DOMAIN_GATEWAY)
PEER = "relay.example[192.0.2.1]:587"
REFUSED = Outcome(Verdict.RETRY, f"4.7.8 {PEER}: log-in refused: 535 5.7.8 Wrong password", peer=PEER)
AUTH_OFF = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant"
OK = Outcome(Verdict.DELIVERED, "250 2.0.0 Ok")


def rule(name: str, pattern: str, action: RuleAction, rate: str = "") -> ReplyRule:
    seconds = 0 if action is RuleAction.GIVE_UP else 3600
    return ReplyRule(name=name, pattern=pattern, action=action, seconds=seconds, rate=rate, meaning="")


RULES = ReplyRules(
    [
        rule("slow", "slower please", RuleAction.SLOW_DOWN, "60/hour"),
        rule("slowest", "much slower", RuleAction.SLOW_DOWN, "6/hour"),
        rule("stop", "stop now", RuleAction.SUSPEND),
        rule("everything", "internal error|can't be read|no longer holds", RuleAction.GIVE_UP),
    ]
)


@pytest_asyncio.fixture
async def directory(example: Engine) -> AsyncIterator[DirectoryReader]:
    made = DirectoryReader(DirectoryCache(example))
    yield made
    made.close()


def restraint(engine: Engine, directory: DirectoryReader, rules: ReplyRules = RULES) -> Restraint:
    def owned(queue: str) -> UsersGateway | None:
        with read(engine) as connection:
            return gateways.of_queues(connection, [queue]).get(queue)

    return Restraint(
        engine, directory, rules, SuspensionNotices(engine, directory, QueueIds(), "mail.example.com", owned)
    )


def direct() -> Delivery:
    return ledger.delivery(ledger.item(1, "d.example"), [0], "d.example")


def by_relay(vault: Vault, engine: Engine, host: str = "relay.example", fallbacks: tuple[str, ...] = ()) -> Delivery:
    """By the organisation's gateway, with a password."""
    settings = GatewaySettings(host, 587, Security.STARTTLS, "organisation", "secret", fallbacks=fallbacks)
    with write(engine) as connection:
        organisation.set_domain_gateway(connection, vault, settings)
        gateway = organisation.domain_gateway(connection)
    assert gateway
    route = Route(RouteKind.DOMAIN_GATEWAY, RELAY, "alice@example.com", (), gateway=gateway)
    return replace(direct(), route=route, tls=tls_of(route))


def said(code: int, enhanced: str, words: str) -> Outcome:
    return judge(Reply(code, enhanced, (words,)))


async def judged(one: Restraint, delivery: Delivery, outcome: Outcome) -> Outcome:
    result = await one.judge(delivery, all_alike(delivery, outcome, "mx.d.example[192.0.2.1]:25"))
    (found,) = result.outcomes
    return found


async def test_what_is_final_stays_final_where_a_rule_slows_down(example: Engine, directory: DirectoryReader) -> None:
    one = restraint(example, directory)
    refused = await judged(one, direct(), said(550, "5.7.1", "slower please"))
    assert (refused.verdict, refused.again) == (Verdict.FAILED, None)
    (made,) = restricted(example)
    assert made.rates == ("60/1hour",)


def own(name: str, words: str, until: float | None = None) -> OwnRule:
    made = rule(name, own_rules.pattern_of(words), RuleAction.GIVE_UP)
    return OwnRule(made, words, "anna@example.com", 0.0, until)


async def test_a_rule_that_somebody_made_comes_first_from_the_moment_it_is_made_to_its_end(
    example: Engine, directory: DirectoryReader
) -> None:
    one, busy = restraint(example, directory), said(451, "4.7.1", "slower please, 8 of 8")
    found = []
    for change in (
        lambda connection: own_rules.put(connection, own("past", "slower", until=1.0)),
        lambda connection: own_rules.put(connection, own("mine", "451 * please, 8")),
        lambda connection: own_rules.remove(connection, "mine"),
    ):
        with write(example) as connection:
            change(connection)
        found.append((await judged(one, direct(), busy)).verdict)
    assert found == [Verdict.RETRY, Verdict.FAILED, Verdict.RETRY]


@pytest.mark.parametrize(
    ("peer", "verdict"),
    [
        ("relay.example[192.0.2.1]:587", Verdict.FAILED),
        ("backup.example[192.0.2.2]:587", Verdict.RETRY),
        ("192.0.2.3[192.0.2.3]:587", Verdict.RETRY),
        ("elsewhere.example[192.0.2.4]:587", Verdict.FAILED),  # what is no host of it counts as the first one
    ],
)
async def test_of_a_gateways_hosts_the_one_that_replied_is_whose_rules_read_it(
    example: Engine, directory: DirectoryReader, vault: Vault, peer: str, verdict: Verdict
) -> None:
    ends = rule("ends", "not now", RuleAction.GIVE_UP).model_copy(update={"hosts": ("relay.example",)})
    delivery = by_relay(vault, example, fallbacks=("backup.example", "192.0.2.3"))
    outcome = said(451, "4.7.1", "not now").told_by(peer, None)
    found = await judged(restraint(example, directory, ReplyRules([ends])), delivery, outcome)
    assert found.verdict is verdict


async def test_only_what_is_as_strong_stops_another_rule(example: Engine, directory: DirectoryReader) -> None:
    one = restraint(example, directory)
    found = []
    for words in ("slower please", "much slower", "slower please", "stop now", "much slower"):
        await judged(one, direct(), said(451, "4.7.1", words))
        (made,) = restricted(example)
        found.append("stopped" if made.suspends else made.rates[0])
    assert found == ["60/1hour", "6/1hour", "6/1hour", "stopped", "stopped"]


QUOTED = Outcome(Verdict.FAILED, "5.6.0 To can't be read: 'stop now'@x.example")


@pytest.mark.parametrize("outcome", [RECALLED, INTERNAL, NO_STORE, replace(INTERNAL, untried=True), QUOTED])
async def test_what_is_no_peers_word_is_read_by_no_rule(
    example: Engine, directory: DirectoryReader, outcome: Outcome
) -> None:
    assert await judged(restraint(example, directory), direct(), outcome) is outcome


async def test_a_long_reply_costs_no_time(example: Engine, directory: DirectoryReader) -> None:
    one = restraint(example, directory, reply_rules.shipped())
    started = time.process_time()
    await judged(one, direct(), said(451, "4.3.0", "421 " * 2000))
    assert time.process_time() - started < 0.3


async def test_where_the_organisations_gateway_refuses_the_log_in_senders_hear_of_the_delay(
    example: Engine, directory: DirectoryReader, vault: Vault
) -> None:
    delivery = by_relay(vault, example)
    found = await judged(restraint(example, directory), delivery, REFUSED)
    assert (found.verdict, found.told) == (Verdict.RETRY, False), "nobody else tells them"
    assert found.suspends, "the administrator is told at once"
    (made,) = restricted(example)
    held = refusal(replace(delivery, item=ours(delivery), restrictions=(made,)), made.since)
    assert held is not None
    assert (held.told, held.untried, held.again) == (False, True, made.until)


async def test_administrators_are_told_once_that_a_common_gateway_refuses_the_log_in_and_no_user_is(
    example: Engine, directory: DirectoryReader, vault: Vault
) -> None:
    grant = AddressGrant("sales@partner.example", None, "/")
    with write(example) as connection:
        for role, user, unit in (("super-admin", "bob", "/"), ("user-admin", "alice", "/Sales")):
            roles.assign(connection, f"{user}@example.com", role, unit, 0.0)
        proven_domains.begin(connection, "partner.example", 0.0)
        proven_domains.settle_check(connection, "partner.example", True, 0.0)
        proven_domains.grant(connection, grant, 0.0)
        settings = GatewaySettings("relay.example", 587, Security.STARTTLS, "sales", "secret")
        gateway = common_gateways.set_gateway(connection, vault, grant, settings, 0.0).gateway
        alice = accounts.find(connection, "alice@example.com")
    assert gateway
    queue = QueueKey(QueueKind.COMMON_GATEWAY, str(gateway.row))
    route = Route(RouteKind.USER_GATEWAY, queue, grant.address, (), gateway=gateway)
    delivery = replace(direct(), route=route, tls=tls_of(route), account=alice)
    one = restraint(example, directory)
    for _ in range(2):
        found = await judged(one, delivery, REFUSED)
        assert (found.verdict, found.told, found.suspends) == (Verdict.RETRY, False, True)
    (made,) = restricted(example)
    assert (made.cause, made.reason) == (Cause.LOG_IN, "535 5.7.8 Wrong password")
    with read(example) as connection:
        assert connection.scalars(select(tables.recipient.c.address)).all() == ["bob@example.com"]
        raw = b"".join(connection.scalars(select(tables.chunk.c.data)))
    content = message_from_bytes(raw, policy=policy.default).get_content()
    assert "outgate address-grant gateway set sales@partner.example --ou / --username=sales" in content
    assert "secret" not in content


def ours(delivery: Delivery) -> Item:
    return replace(delivery.item, message=replace(delivery.item.message, account_id=None))


def test_the_user_of_a_gateway_is_told_of_a_refused_log_in_and_of_nothing_else() -> None:
    log_in = Restriction(Cause.LOG_IN, "535 no", "outgate", NOW)
    by_rule = Restriction(Cause.RULE, "rule stop", "outgate", NOW)
    found = [suspended((one,), NOW, is_users=True) for one in (log_in, by_rule)]
    assert [one and one.told for one in found] == [True, False]


async def test_a_rule_says_how_long_a_refused_log_in_rests(
    example: Engine, directory: DirectoryReader, vault: Vault
) -> None:
    delivery = by_relay(vault, example, "smtp.office365.com")
    refused = replace(REFUSED, reason=f"4.7.8 smtp.office365.com[192.0.2.1]:587: log-in refused: {AUTH_OFF}")
    one = restraint(example, directory, reply_rules.shipped())
    found = await judged(one, delivery, refused)
    (made,) = restricted(example)
    assert (made.cause, made.reason) == (Cause.LOG_IN, AUTH_OFF)
    assert made.until == made.since + 21600
    assert found.again == made.until


async def test_a_version_of_the_directory_is_not_spent_on_what_is_known(
    example: Engine, directory: DirectoryReader, vault: Vault
) -> None:
    delivery = by_relay(vault, example)
    one = restraint(example, directory)
    await judged(one, delivery, REFUSED)
    version = await directory.version()
    await judged(one, delivery, REFUSED)
    assert await directory.version() == version


async def test_what_works_ends_what_is_over_and_not_what_was_made_meanwhile(
    example: Engine, directory: DirectoryReader
) -> None:
    one, delivery = restraint(example, directory), direct()
    over = Restriction(Cause.RULE, "rule stop", "outgate", NOW - 7200, 1.0)
    lasting = replace(over, until=None)
    for there, left in ((over, []), (lasting, [lasting])):
        with write(example) as connection:
            restrictions.put(connection, delivery.route.queue, there)
        await one.works(replace(delivery, restrictions=(over,)))
        assert restricted(example) == left
