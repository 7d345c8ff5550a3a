"""DKIM keys: read off the loop, kept for a version of the directory; a fault of ours costs no connection."""

import asyncio
import threading
from dataclasses import replace

import dkim
import pytest
from sqlalchemy import Engine

from deliver.scripted import Given, carried, delivery, peer, transport
from deliver.test_decided_again import PRIMARY, OneContent, reading, waiting
from deliver.test_wire import takes_all
from outgate.deliver.routing import decide
from outgate.deliver.signing import SigningKeys
from outgate.deliver.transmission import prepare
from outgate.directory import accounts, domain_keys
from outgate.mail.dkim import BodyDigest, DkimKey, load
from outgate.operations import domain_operations
from outgate.store.engine import StoreUnavailable, write
from outgate.store.vault import SealBroken, Vault


def _set_key(engine: Engine, vault: Vault, selector: str) -> int:
    key = domain_operations.new_key(selector, "ed25519")
    with write(engine) as connection:
        domain_keys.sign_with(connection, vault, "example.com", key, 1.0)
        return accounts.directory_version(connection)


async def test_keys_are_read_once_for_a_version_off_the_loop(
    example: Engine, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, threads = SigningKeys(example, vault), list[int]()
    load = keys._load

    def counted() -> object:
        threads.append(threading.get_ident())
        return load()

    monkeypatch.setattr(keys, "_load", counted)
    version = _set_key(example, vault, "s1")
    found = await asyncio.gather(*(keys.of("example.com", version) for _ in range(10)))
    assert {key.selector for each in found for key in each} == {"s1"}
    assert await keys.of("elsewhere.example", version) == ()
    version = _set_key(example, vault, "s2")
    assert [key.selector for key in await keys.of("example.com", version)] == ["s2"]
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_while_the_store_is_away_nothing_is_signed_wrongly_and_afterwards_it_is_read(
    example: Engine, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = SigningKeys(example, vault)
    version = _set_key(example, vault, "s1")
    load, faults = keys._load, [StoreUnavailable("away")]

    def sometimes() -> object:
        if faults:
            raise faults.pop()
        return load()

    monkeypatch.setattr(keys, "_load", sometimes)
    with pytest.raises(StoreUnavailable):
        await keys.of("example.com", version)
    assert await keys.of("example.com", version)


@pytest.mark.parametrize(("fault", "status"), [(StoreUnavailable("away"), "4.3.0"), (SealBroken("changed"), "4.7.5")])
async def test_a_fault_of_ours_in_preparing_costs_no_connection(fault: Exception, status: str) -> None:
    faults = [fault]

    class Faulty(Given):
        async def prepare(self, *given: object) -> object:  # type: ignore[override]  # passed on
            if faults:
                raise faults.pop()
            return await super().prepare(*given)  # type: ignore[arg-type]

    async with peer([takes_all]) as host:
        line = transport(host, Faulty(b"Subject: x\r\n\r\nHi\r\n"))
        assert await carried(line) == [f"retry {status}"]
        assert await carried(line, delivery()) == ["delivered 250"]
        assert host.connections == [1]


async def test_a_message_is_signed_with_each_key_so_that_recipients_who_know_one_kind_can_check_it() -> None:
    made = [domain_operations.new_key("s1", "rsa"), domain_operations.new_key("s2", "ed25519")]
    records = {f"{one.selector}._domainkey.example.com.".encode(): one.record.encode() for one in made}

    async def keys_of(domain: str, _version: int) -> tuple[DkimKey, ...]:
        return tuple(DkimKey(domain, one.selector, load(one.pem)) for one in made)

    item = waiting("alice@example.com")
    item = replace(item, message=replace(item.message, body_digest=BodyDigest().digest()))
    (sent,) = decide(item, item.recipients, reading(PRIMARY))
    header = (await prepare(OneContent(), sent, "mail.example.com", keys_of)).header
    checked = dkim.DKIM(header)
    assert [checked.verify(number, dnsfunc=lambda name, **_: records[name]) for number in (0, 1)] == [True, True]
