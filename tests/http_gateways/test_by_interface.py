"""A message from a mail program leaves by a provider's interface over HTTPS, and is there as it was submitted."""

import pytest

from http_gateways.conftest import ALICE, PARTNER, Provided
from outgate.model import GatewayKind
from way.place import eventually, running
from way.submit import message, submit

pytestmark = pytest.mark.parametrize("kind", [GatewayKind.GMAIL, GatewayKind.GRAPH])


async def test_a_message_is_there_byte_for_byte(provided: Provided, kind: GatewayKind) -> None:
    site, provider = provided.site, provided.mail
    await site.switch(on=True)
    await site.add_external(ALICE, PARTNER)
    await provided.sign_in(kind)
    content = message(PARTNER, body="Grüße\r\n.\r\n..two dots and trailing blanks  \r\n" + "x" * 900)
    server = await running(site)
    try:
        await submit(site, PARTNER, ["carol@recipient.example", "blind@recipient.example"], content)
        await eventually(lambda: provider.sent, "the provider has it")
    finally:
        await server.stop()
    (sent,) = provider.sent
    received, _, rest = sent.content.partition(b"\r\nFrom: ")
    assert received.startswith(b"Received: ")
    assert b"From: " + rest == content
    assert b"blind" not in sent.content
    assert sorted(sent.to) == ["blind@recipient.example", "carol@recipient.example"]
    assert sent.user == PARTNER
