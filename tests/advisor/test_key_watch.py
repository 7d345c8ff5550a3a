"""New DKIM keys sign when the DNS has all their records, by themselves; the former ones' records may go after days."""

from collections.abc import Mapping

import pytest
from sqlalchemy import Engine, select

from advisor.zone import serving
from outgate.advisor.ask import Names
from outgate.advisor.findings import Dkim
from outgate.deliver.signing import SigningKeys
from outgate.directory import accounts, domain_keys, organisation
from outgate.directory.dns_records import key_record, zone_line
from outgate.directory.domain_keys import RECORD_STAYS, KeyPlace, KeyRecord, KeysSettled
from outgate.directory.errors import AlreadyExists
from outgate.directory.organisation import Domain
from outgate.key_look import look_for_keys
from outgate.key_watch import KeyWatch
from outgate.operations import domain_operations
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from outgate.store import tables
from outgate.store.engine import read, write
from outgate.store.vault import Vault

ADMINISTRATOR = Actor.console("root")
BEGUN, SWITCHED = 1e9, 1e9 + 900


def domain_of(engine: Engine) -> Domain:
    with read(engine) as connection:
        return organisation.domains(connection)[0]


def zone_of(*keys: KeyRecord) -> str:
    """Their records; something else is there in any case."""
    lines = [zone_line(key_record("example.com", one)).replace(". TXT", ". 60 IN TXT") for one in keys]
    return "\n".join(['example.com. 60 IN TXT "other"', *lines, ""])


class Watched:
    """What the watch does with a zone, and tells."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self.engine, self.vault = engine, vault
        self.told: list[tuple[str, str]] = []

    async def look(self, zone: str, at: float, servfail: frozenset[str] = frozenset()) -> Mapping[str, str]:
        """The stages of all keys afterwards."""

        async def tell(_domain: str, subject: str, text: str) -> None:
            self.told.append((subject, text))

        with serving(zone, servfail=servfail) as served:
            await KeyWatch(self.engine, self.vault, Names([served.nameserver], 2.0), lambda: at, tell).look()
        return {one.selector: one.stage.value for one in domain_of(self.engine).keys}

    async def signing(self) -> list[str]:
        """The selectors that a delivery would sign with now, as the cache of a node reads them."""
        with read(self.engine) as connection:
            version = accounts.directory_version(connection)
        return [one.selector for one in await SigningKeys(self.engine, self.vault).of("example.com", version)]


@pytest.mark.asyncio
async def test_new_keys_take_over_together_when_all_their_records_are_seen_and_the_former_ones_go_later(
    example: Engine, vault: Vault
) -> None:
    watched, former = Watched(example, vault), domain_operations.new_key("s1", "ed25519")
    with writing(example, vault, ADMINISTRATOR, BEGUN) as op:
        domain_operations.set_signing_key(op, "example.com", former)
        made = domain_operations.new_keys(BEGUN)
        domain_operations.begin_rotation(op, "example.com", made)
    before = accounts_version(example)
    (old,), (rsa, ed) = domain_of(example).signing, domain_of(example).waiting
    assert rsa.selector.startswith("outgate200109-")
    assert ed.selector == f"{rsa.selector}-ed"
    waits = {"s1": "signing", rsa.selector: "waiting", ed.selector: "waiting"}

    assert await watched.look(zone_of(old), BEGUN) == waits
    assert await watched.look(zone_of(old, rsa), BEGUN) == waits
    no_answer = frozenset({f"{ed.selector}._domainkey.example.com"})
    assert await watched.look(zone_of(old, rsa, ed), BEGUN, no_answer) == waits
    assert await watched.signing() == ["s1"]
    assert (watched.told, accounts_version(example)) == ([], before)

    signs = {"s1": "retired", rsa.selector: "signing", ed.selector: "signing"}
    assert await watched.look(zone_of(old, rsa, ed), SWITCHED) == signs
    assert await watched.signing() == [rsa.selector, ed.selector]
    ((subject, text),) = watched.told
    assert subject == "example.com is signed with new DKIM keys"
    assert f"{ed.selector}._domainkey.example.com. TXT" in text
    assert "must stay for 7 days more" in text
    with read(example) as connection:
        assert connection.scalars(
            select(tables.domain_key.c.sealed_key.is_(None)).order_by(tables.domain_key.c.id)
        ).all() == [True, False, False]
        by_itself = connection.execute(select(tables.audit.c.actor, tables.audit.c.operation)).all()[-1]
    assert tuple(by_itself) == ("the server", "domain.check-keys")

    gone = SWITCHED + RECORD_STAYS
    assert await watched.look(zone_of(rsa, ed), gone - 1) == signs  # too early: it may come back
    assert await watched.look(zone_of(old, rsa, ed), gone) == signs
    assert await watched.look(zone_of(old, rsa, ed), gone + 86400) == signs
    assert [subject for subject, _ in watched.told[1:]] == [
        "Records of former DKIM keys of example.com may be removed",
    ]
    assert await watched.look(zone_of(rsa, ed), gone + 2 * 86400) == {rsa.selector: "signing", ed.selector: "signing"}


def accounts_version(engine: Engine) -> int:
    """That every node's copies are compared with."""
    with read(engine) as connection:
        return accounts.directory_version(connection)


def test_a_second_rotation_waits_for_the_first_and_a_key_that_is_set_at_once_leaves_it_waiting(
    example: Engine, vault: Vault
) -> None:
    one, other, lost = (domain_operations.new_key(name, "ed25519") for name in ("s1", "s2", "s3"))
    with write(example) as connection:
        domain_keys.begin_rotation(connection, vault, "example.com", [one], 1.0)
        with pytest.raises(AlreadyExists, match=r"outgate domain dkim cancel example\.com"):
            domain_keys.begin_rotation(connection, vault, "example.com", [other], 2.0)
        domain_keys.sign_with(connection, vault, "example.com", lost, 3.0)
        assert [(key.selector, key.stage) for key in organisation.domains(connection)[0].keys] == [
            ("s1", "waiting"),
            ("s3", "signing"),
        ]
        domain_keys.cancel_rotation(connection, "example.com")
        with pytest.raises(AlreadyExists, match="has a key at the selector s3"):
            domain_keys.begin_rotation(connection, vault, "example.com", [lost], 4.0)


def test_a_selector_that_was_made_is_never_made_again() -> None:
    assert len({domain_operations.new_selector(0.0) for _ in range(20)}) == 20


@pytest.mark.asyncio
@pytest.mark.parametrize("stage", ["waiting", "retired"])
async def test_what_was_found_of_a_key_says_nothing_of_another_that_took_its_selector_meanwhile(
    example: Engine, vault: Vault, stage: str
) -> None:
    late = 1.0 + RECORD_STAYS
    seen, other, signs = (domain_operations.new_key(name, "ed25519") for name in ("s1", "s1", "s2"))
    place = frozenset({(seen.selector, seen.record)})
    with write(example) as connection:
        if stage == "waiting":
            domain_keys.begin_rotation(connection, vault, "example.com", [other], 1.0)
        else:
            for key in (other, signs):
                domain_keys.sign_with(connection, vault, "example.com", key, 1.0)
            domain_keys.settle(connection, "example.com", frozenset(), frozenset(), late)
        before = accounts.directory_version(connection)
        assert not domain_keys.settle(connection, "example.com", place, place, late)
        assert accounts.directory_version(connection) == before, "no node reads anything anew"
        own = frozenset({(other.selector, other.record)})
        assert domain_keys.settle(connection, "example.com", own, own, late)


@pytest.mark.asyncio
async def test_a_look_that_finds_nothing_changes_and_records_nothing(example: Engine, vault: Vault) -> None:
    with writing(example, vault, ADMINISTRATOR, BEGUN) as op:
        domain_operations.begin_rotation(op, "example.com", [domain_operations.new_key("s1", "ed25519")])

    async def settle(_published: frozenset[KeyPlace], _gone: frozenset[KeyPlace]) -> KeysSettled:
        raise AssertionError("there is nothing to settle")

    with serving(zone_of()) as served:
        look = await look_for_keys(Names([served.nameserver], 2.0), domain_of(example), BEGUN, settle)
    assert (look.found, look.is_answered, bool(look.done)) == ({"s1": Dkim.KEY_MISSING}, True, False)
