"""Every specimen through the running product, by every route, submitted and handed on by DATA and by BDAT.

What arrives is what was submitted but for the documented header lines, and its signatures verify.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from bench.scratch import free_port

from corpus.aiosmtpd_peer import AiosmtpdPeer
from corpus.client import BdatClient, Door, send_by_data
from corpus.compare import OUTGATE, Allowed, differences, divide, fields, name_of
from corpus.inbox import Inbox
from corpus.messages import NAMES, Specimen, build, faults
from corpus.peer import OFFERS, LmtpPeer, RawPeer
from outgate.demo import nameserver
from outgate.mail.addresses import canonical
from way.place import GATEWAY_PASSWORD, LOCALHOST, PASSWORD, Site, eventually, install, running

PRIMARY = "alice@example.com"
PARTNER = "alice@dominiopartner.example"
WITHOUT_CHUNKING = tuple(offer for offer in OFFERS if offer != "CHUNKING")
SUBMITTED_BY = ["DATA", "BDAT"]

Peer = RawPeer | AiosmtpdPeer
Check = Callable[[bytes], list[str]]


# --- the routes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", SUBMITTED_BY)
@pytest.mark.parametrize("kind", ["CHUNKING", "no CHUNKING", "aiosmtpd"])
async def test_by_the_address_own_gateway(by: str, kind: str, tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    async with _gateway(site, kind, PARTNER) as peer:
        await site.switch(on=True)
        await site.add_external(PRIMARY, PARTNER, peer.port)
        found = await _through(site, peer, PARTNER, by, _external)
    assert found == {}
    assert {message.reverse_path for message in peer.messages} == {PARTNER}
    for message in peer.messages:
        header, _ = divide(message.content)
        assert PRIMARY.encode() not in header.lower()
        assert all(name_of(field) != "sender" for field in fields(header))


@pytest.mark.parametrize("by", SUBMITTED_BY)
@pytest.mark.parametrize(("kind", "from_address"), [("CHUNKING", PARTNER), ("no CHUNKING", PRIMARY)])
async def test_by_the_domain_gateway(by: str, kind: str, from_address: str, tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    async with _gateway(site, kind, "relay") as peer:
        await site.add_external(PRIMARY, PARTNER)
        await site.set_domain_gateway(peer.port)
        found = await _through(site, peer, from_address, by, _external)
    assert found == {}
    assert {message.reverse_path for message in peer.messages} == {PRIMARY}


@pytest.mark.parametrize("by", SUBMITTED_BY)
async def test_to_the_mail_exchanger_of_each_domain(by: str, tmp_path: Path) -> None:
    async with RawPeer() as peer:
        port = free_port()
        delivery = {"nameservers": [f"127.0.0.1:{port}"], "smtp_port": peer.port}
        site = install(tmp_path / "outgate", delivery=delivery)
        with nameserver.serve(nameserver.Records(_zones()), LOCALHOST, port):
            found = await _through(site, peer, PRIMARY, by, _external)
    assert found == {}


@pytest.mark.parametrize(("by", "unix"), [("DATA", False), ("BDAT", True)])
async def test_to_a_mailbox_server_by_lmtp(by: str, unix: bool, tmp_path: Path) -> None:
    async with LmtpPeer(unix_path=str(tmp_path / "lmtp") if unix else "") as peer:
        mailbox = f"lmtp:{peer.unix_path}" if unix else f"lmtp://127.0.0.1:{peer.port}"
        site = install(tmp_path / "outgate", local={"mailbox": mailbox})
        found = await _through(site, peer, PRIMARY, by, _at_example_com)
    assert found == {}


@pytest.mark.parametrize("by", SUBMITTED_BY)
async def test_to_a_maildir(by: str, tmp_path: Path) -> None:
    site = install(tmp_path / "outgate")
    new = site.data / "mail" / "bob@example.com" / "new"
    found: dict[str, list[str]] = {}
    async with _running(site), _submitting(site, by) as submit:
        for name in NAMES:
            specimen = replace(build(name, PRIMARY), recipients=["bob@example.com"])
            await submit(PRIMARY, specimen)
            await eventually(lambda: new.exists() and any(new.iterdir()), f"{name} to be in {new}")
            [file] = new.iterdir()
            wrong = _wrong(specimen, [file.read_bytes()], _allowed(by, "BDAT").through_hops())
            found |= {name: wrong} if wrong else {}
            file.unlink()
    assert found == {}


# --- the way of one specimen after the other -------------------------------------------------------------------------


async def _through(
    site: Site, peer: Peer, from_address: str, by: str, addressed: Callable[[Specimen], Specimen]
) -> Mapping[str, list[str]]:
    """Send all; what was wrong with those that did not arrive as they should, by name."""
    found: dict[str, list[str]] = {}
    async with _running(site), _submitting(site, by) as submit:
        for name in NAMES:
            specimen = addressed(build(name, from_address))
            before = len(peer.messages)
            await submit(from_address, specimen)
            await _arrival(peer, before, len(specimen.recipients))
            arrived = peer.messages[before:]
            wrong = _wrong(specimen, [one.content for one in arrived], _allowed(by, arrived[0].by))
            wrong += _misaddressed(specimen, [address for one in arrived for address in one.recipients])
            found |= {name: wrong} if wrong else {}
            # What was looked at need not be kept: one of them has 25 MiB.
            peer.messages[before:] = [replace(one, content=divide(one.content)[0] + b"\r\n") for one in arrived]
    return found


async def _arrival(inbox: Inbox, before: int, recipients: int) -> None:
    """Until that many recipients were served by the messages after the first `before`."""
    count = before + 1
    while sum(len(message.recipients) for message in (await inbox.wait_for(count, 30))[before:]) < recipients:
        count = len(inbox.messages) + 1


def _wrong(specimen: Specimen, contents: Iterable[bytes], allowed: Allowed) -> list[str]:
    return [
        fault
        for content in contents
        for fault in differences(specimen.raw, content, allowed) + faults(specimen, content)
    ]


def _misaddressed(specimen: Specimen, recipients: list[str]) -> list[str]:
    wanted, got = sorted(map(canonical, specimen.recipients)), sorted(map(canonical, recipients))
    return [] if wanted == got else [f"for {wanted}, went to {got}"]


def _allowed(*ways: str) -> Allowed:
    return OUTGATE.by_data() if "DATA" in ways else OUTGATE


def _external(specimen: Specimen) -> Specimen:
    return specimen


def _at_example_com(specimen: Specimen) -> Specimen:
    return replace(
        specimen, recipients=[f"{address.rpartition('@')[0]}@example.com" for address in specimen.recipients]
    )


# --- the parties -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _gateway(site: Site, kind: str, username: str) -> AsyncIterator[Peer]:
    context, credentials = site.authority.server_context(LOCALHOST), {username: GATEWAY_PASSWORD}
    peer: Peer
    if kind == "aiosmtpd":
        peer = AiosmtpdPeer(tls=context, credentials=credentials)
    else:
        offers = OFFERS if kind == "CHUNKING" else WITHOUT_CHUNKING
        peer = RawPeer(tls=context, credentials=credentials, offers=offers)
    async with peer:
        yield peer


@asynccontextmanager
async def _running(site: Site) -> AsyncIterator[None]:
    server = await running(site)
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def _submitting(site: Site, by: str) -> AsyncIterator[Callable[[str, Specimen], asyncio.Future[None]]]:
    """Gives what submits one specimen."""
    door = Door(site.tls, tls=site.client_context(), log_in=(PRIMARY, PASSWORD))
    if by == "DATA":
        yield lambda sender, specimen: asyncio.ensure_future(send_by_data(door, sender, specimen))
    else:
        async with BdatClient(door) as client:
            yield lambda sender, specimen: asyncio.ensure_future(client.send(sender, specimen, chunk=70_001))


def _zones() -> str:
    """Every recipient's domain has its exchanger on loopback."""
    domains = {canonical(address).rpartition("@")[2] for name in NAMES for address in build(name, PRIMARY).recipients}
    records = [f"{domain}. 60 IN MX 10 mx.{domain}.\nmx.{domain}. 60 IN A 127.0.0.1" for domain in sorted(domains)]
    return "\n".join(records)
