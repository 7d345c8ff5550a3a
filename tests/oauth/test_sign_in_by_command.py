"""A user signs in at a real provider by the command line, and mail leaves by a gateway that takes its tokens alone."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence

import httpx2
import pytest
from sqlalchemy import select

from corpus.peer import RawPeer
from oauth.real_provider import RealProvider
from outgate.sendas import proven_domains
from outgate.sendas.proven_domains import AddressGrant
from outgate.store import tables
from outgate.store.engine import read, write
from way.place import Site, running
from way.submit import submit

ALICE = "alice@example.com"
PARTNER = "alice@dominiopartner.example"
SHARED = "sales@dominiopartner.example"


async def sign_in(
    site: Site, provider: RealProvider, port: int, *options: str, user: str = PARTNER, of: Sequence[str] = ()
) -> dict[str, str]:
    """`outgate sendas gateway sign-in` with a browser at hand; what it prints, or what failed. `of` is another command
    and whose gateway it is.
    """
    process = await _begun(site, port, *options, of=of)
    assert process.stderr
    said = ""
    while not (found := re.search(r"(?:open|Open): ?(https://\S+)|(https://\S+/auth\?\S+)", said)):
        line = await process.stderr.readline()
        assert line, said
        said += line.decode()
    if "--device" in options:
        await asyncio.to_thread(provider.enter_code, found[1], user)
    else:
        returned = await asyncio.to_thread(provider.sign_in, found[2], user, "http://127.0.0.1")
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as browser:
            elsewhere = returned.partition("?")[0] + "favicon.ico"
            assert (await browser.get(elsewhere)).status_code == 404
            assert "signed in" in (await browser.get(returned)).text
    out, error = await process.communicate()
    return dict(json.loads(out or error))


async def _begun(site: Site, port: int, *options: str, of: Sequence[str] = ()) -> asyncio.subprocess.Process:
    address = SHARED if "--username" in options else PARTNER
    whose = of or ("sendas", "gateway", "sign-in", ALICE, address)
    words = [*options, *(() if "--provider" in options else ("--provider", "example"))]
    command = ["-m", "outgate", "--json", "--data", str(site.data), *whose]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTGATE_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "--host", "localhost", "--port", str(port), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )


def _grants(site: Site) -> int:
    place = site.place()
    with read(place.engine) as connection:
        found = len(connection.execute(select(tables.oauth_grant.c.id)).all())
    place.engine.dispose()
    return found


@pytest.mark.parametrize(
    "options", [(), ("--provider", "registering")], ids=["in a browser here", "with no client set up"]
)
async def test_mail_leaves_by_a_gateway_that_its_user_has_signed_in_to(
    site: Site, provider: RealProvider, gateway: RawPeer, options: tuple[str, ...]
) -> None:
    await site.switch(on=True)
    await site.add_external(ALICE, PARTNER)
    server = await running(site)
    try:
        made = await sign_in(site, provider, gateway.port, *options)
        assert "error" not in made, made
        await submit(site, PARTNER)
        (received,) = await gateway.wait_for(1)
    finally:
        await server.stop()
    assert (received.username, received.reverse_path) == (PARTNER, PARTNER)
    assert any(line.startswith("AUTH OAUTHBEARER ") for line in gateway.commands)
    assert _grants(site) == 1


async def test_all_who_were_granted_an_address_send_by_the_gateway_that_was_signed_in_to_once_on_another_device(
    site: Site, provider: RealProvider, gateway: RawPeer
) -> None:
    place = site.place()
    with write(place.engine) as connection:
        proven_domains.begin(connection, SHARED.partition("@")[2], 0.0)
        proven_domains.settle_check(connection, SHARED.partition("@")[2], True, 0.0)
        proven_domains.grant(connection, AddressGrant(SHARED, None, "/"), 0.0)
    place.engine.dispose()
    server = await running(site)
    try:
        to = ("address-grant", "gateway", "sign-in", SHARED, "--ou", "/")
        made = await sign_in(site, provider, gateway.port, "--device", "--username", PARTNER, of=to)
        assert "error" not in made, made
        await submit(site, SHARED)
        (received,) = await gateway.wait_for(1)
    finally:
        await server.stop()
    assert (received.username, received.reverse_path) == (PARTNER, SHARED)
    assert _grants(site) == 1
