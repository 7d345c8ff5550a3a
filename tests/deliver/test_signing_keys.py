"""DKIM keys: read off the loop, kept for a version of the directory; a fault of ours costs no connection."""

import asyncio
import threading

import pytest
from sqlalchemy import Engine

from deliver.scripted import Given, carried, delivery, peer, transport
from deliver.test_wire import takes_all
from outgate.deliver.signing import SigningKeys
from outgate.directory import accounts, organisation
from outgate.mail import dkim
from outgate.store.engine import StoreUnavailable, write
from outgate.store.vault import SealBroken, Vault


def _set_key(engine: Engine, vault: Vault, selector: str) -> int:
    pem = dkim.generate("ed25519")
    with write(engine) as connection:
        organisation.set_signing_key(connection, vault, "example.com", selector, pem, dkim.dns_record(pem))
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
    found = await asyncio.gather(*(keys.key_for("example.com", version) for _ in range(10)))
    assert {key.selector for key in found if key} == {"s1"}
    assert await keys.key_for("elsewhere.example", version) is None
    version = _set_key(example, vault, "s2")
    key = await keys.key_for("example.com", version)
    assert key
    assert key.selector == "s2"
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
        await keys.key_for("example.com", version)
    assert await keys.key_for("example.com", version)


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
