"""Extensions that the administrator has switched off for a destination are not used, although it offers them."""

from pathlib import Path

import pytest

from corpus.peer import OFFERS, RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, install, running
from way.submit import message, submit


@pytest.mark.parametrize(
    ("discarded", "verbs"),
    [
        ({}, {"BDAT"}),
        ({"localhost": ["CHUNKING"]}, {"DATA"}),
        ({"LocalHost": ["chunking"]}, {"DATA"}),
        ({"*": ["CHUNKING", "DSN"]}, {"DATA"}),
        ({"elsewhere.example": ["CHUNKING"]}, {"BDAT"}),
        ({"localhost": ["SIZE", "8BITMIME"]}, {"BDAT"}),
    ],
    ids=str,
)
async def test_a_destination_is_not_asked_for_what_was_switched_off(
    tmp_path: Path, discarded: dict[str, list[str]], verbs: set[str]
) -> None:
    assert "CHUNKING" in OFFERS
    site = install(tmp_path / "outgate", delivery={"discard_ehlo_keywords": discarded})
    context = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER, content=message(PARTNER))
            (received,) = await gateway.wait_for(1)
        finally:
            await server.stop()
    assert received.content.endswith(message(PARTNER).partition(b"\r\n\r\n")[2])
    assert {line.partition(" ")[0] for line in gateway.commands} & {"BDAT", "DATA"} == verbs
    (mail,) = [line for line in gateway.commands if line.startswith("MAIL")]
    assert ("SIZE=" in mail) is ("SIZE" not in discarded.get("localhost", []))
