"""The list of all gateways goes on where a page ended, whatever kinds of gateways meet there, and names no log-in that
whoever asks may not see.
"""

import pytest
from sqlalchemy import Engine

from outgate.directory import organisation, policies
from outgate.directory.errors import Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.privileges import Grant, Privilege
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.model import QueueKey, Security
from outgate.operations import gateway_overview
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.sendas import common_gateways, gateways, proven_domains, send_as_addresses
from outgate.sendas.proven_domains import AddressGrant
from outgate.store.engine import read, write
from outgate.store.vault import Vault

PARTNER = "dominiopartner.example"
SALES = AddressGrant(f"sales@{PARTNER}", None, "/Sales")
SERVER = GatewaySettings(f"smtp.{PARTNER}", 587, Security.STARTTLS, "sales", "a-secret")


@pytest.fixture
def with_all_kinds(example: Engine, vault: Vault, alice: int) -> Engine:
    """Three gateways of the organisation and its domains, two of alice, and a common one of the first one's number."""
    with write(example) as connection:
        for domain in ("branch.example", "other.example"):
            organisation.add_domain(connection, domain, 0.0)
        for domain in ("", "branch.example", "other.example"):
            organisation.set_domain_gateway(connection, vault, SERVER, domain)
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        for name in ("one", "two"):
            send_as_addresses.add(connection, alice, f"{name}@{PARTNER}", 1.0)
            gateways.set_gateway(connection, vault, alice, f"{name}@{PARTNER}", SERVER, 1.0)
        proven_domains.begin(connection, PARTNER, 1.0)
        proven_domains.settle_check(connection, PARTNER, True, 1.0)
        proven_domains.grant(connection, SALES, 2.0)
        common_gateways.set_gateway(connection, vault, SALES, SERVER, 2.0)
    return example


@pytest.mark.parametrize("limit", [1, 4])
def test_each_gateway_stands_on_one_page_and_can_be_named(with_all_kinds: Engine, vault: Vault, limit: int) -> None:
    with read(with_all_kinds) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), 5.0)
        everything = [one.queue for one in gateway_overview.states(op, "")]
        found: list[QueueKey] = []
        while page := gateway_overview.states(op, "", limit, found[-1] if found else None):
            found += [one.queue for one in page]
        assert found == everything
        assert [str(one) for one in found] == [
            "domain-gateway",
            "domain-gateway:branch.example",
            "domain-gateway:other.example",
            "gateway:1",
            "common-gateway:1",
            "gateway:2",
        ]
        for queue in found:
            assert gateway_overview.named_gateway(str(queue)) == queue  # as a page's cursor
            assert [one.queue for one in gateway_overview.states(op, str(queue))] == [queue]
            assert gateway_overview.destination_queues([str(queue)]) == [queue]  # as what is suspended


@pytest.mark.parametrize(
    "name", ["", "1", "gateway", "gateway:x", "common-gateway:0", "domain-gateway:no such", "domain-gateway:A.example"]
)
def test_what_names_no_gateway_is_none(name: str) -> None:
    assert gateway_overview.named_gateway(name) is None
    with pytest.raises(Invalid, match="neither a queue"):
        gateway_overview.destination_queues([name if ":" in name else f"{name} "])
    assert gateway_overview.named_gateway("mx:recipient.example") is None


def test_a_common_log_in_is_seen_by_whoever_may_set_it_alone(with_all_kinds: Engine, vault: Vault) -> None:
    seen: dict[bool, dict[str, str]] = {}
    with read(with_all_kinds) as connection:
        for may_set in (False, True):
            granted = frozenset({Privilege.QUEUE_READ, *([Privilege.SEND_AS_MANAGE] if may_set else [])})
            actor = Actor("tool", "192.0.2.1", granted=(Grant("/", granted),))
            op = OperationContext(connection, vault, actor, 5.0)
            seen[may_set] = {str(one.queue): one.gateway.username for one in gateway_overview.states(op, "")}
    assert (seen[False]["common-gateway:1"], seen[True]["common-gateway:1"]) == ("", "sales")
    assert seen[False]["gateway:1"] == "sales"
