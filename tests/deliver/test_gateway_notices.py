"""The commands in a notice are pasted into an administrator's shell: what a user has written is one word of them."""

import asyncio
import shlex
from typing import cast

import pytest

from outgate.deliver.gateway_notices import GatewayNotices
from outgate.deliver.notices import Notices
from outgate.model import Gateway, GatewayKind, Security, UsersGateway
from outgate.record import events
from outgate.record.events import Passage

ALICE = "alice@example.com"
PASSAGE = Passage(1, "alice@dominiopartner.example", "gateway:1", "user-gateway")


# SMTP servers of a provider may be several; of an interface the provider's settings have the one there is.
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (GatewayKind.SMTP, ["--host=smtp2.partner.example", "--port=465", "--security=ssl"]),
        (GatewayKind.GRAPH, []),
    ],
)
def test_the_command_to_sign_in_again_is_for_the_server_that_there_is(kind: GatewayKind, named: list[str]) -> None:
    of = Gateway("common-gateway:1", "smtp2.partner.example", 465, Security.SSL, "carla", provider="partner", kind=kind)
    to_group = UsersGateway(of, "", "sales@partner.example", group="Press").repair
    command = ["outgate", "address-grant", "gateway", "sign-in", "sales@partner.example", "--group", "Press"]
    assert to_group == [*command, "--provider=partner", *named, "--username=carla"]


class Written:
    """In the place of notices: the texts."""

    def __init__(self) -> None:
        self.texts: asyncio.Queue[str] = asyncio.Queue()

    async def write(self, _about: str, _subject: str, text: str, _at: float) -> None:
        self.texts.put_nowait(text)


@pytest.mark.parametrize(
    "username", ["alice", "alice; id", "$(id)", "`id`", "o'brien & co", "a\nb", "--no-log-in", '"']
)
@pytest.mark.parametrize("address", ["alice@dominiopartner.example", "o'brien$(id)@dominiopartner.example"])
async def test_what_a_user_has_written_is_one_word_of_the_command(username: str, address: str) -> None:
    gateway = Gateway("gateway:1", "smtp.dominiopartner.example", 587, Security.STARTTLS, username)
    written = Written()
    tell = GatewayNotices(cast(Notices, written), lambda _: UsersGateway(gateway, ALICE, address))
    tell([events.deferred(PASSAGE, 0.0, recipient="b@x.example", reason="535 no", next_attempt=60.0, late=True)])
    text = await written.texts.get()
    (command,) = [line for line in text.splitlines() if "gateway set" in line]
    words = shlex.split(command)
    assert words[:5] == ["outgate", "sendas", "gateway", "set", ALICE]
    assert words[5] == address
    assert words[6:] == [f"--username={username.replace(chr(10), chr(92) + 'n')}"]
    assert "535 no" in text
