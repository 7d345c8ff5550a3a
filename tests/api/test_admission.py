"""Whose request it is comes before what was sent: of strangers no body is awaited, and nothing else costs much."""

import asyncio

import pytest

from api.api_site import ALICE, SEND, ApiSite
from outgate import clock
from outgate.operations import token_operations
from outgate.store.engine import read
from outgate.store.tables import organisation
from web.links import opened

LARGE = 20_000_000  # bytes that are announced, and never come


async def told_before_the_body(api: ApiSite, target: str, *headers: str) -> bytes:
    """The first line that a request is answered whose body does not come."""
    reader, writer = await asyncio.open_connection("localhost", api.port, ssl=api.site.client_context())
    lines = (f"POST {target} HTTP/1.1", "Host: localhost", f"Content-Length: {LARGE}", *headers, "", "")
    writer.write("\r\n".join(lines).encode())
    try:
        async with asyncio.timeout(15):  # a body is awaited for longer
            return await reader.readline()
    finally:
        writer.close()


@pytest.mark.parametrize("token", ["", "Authorization: Bearer outgate-guessed"])
@pytest.mark.parametrize(
    "target", ["/gmail/v1/users/me/messages/send", "/upload/gmail/v1/users/me/messages/send?uploadType=media"]
)
async def test_a_stranger_s_message_is_refused_before_it_comes(api: ApiSite, target: str, token: str) -> None:
    headers = (token,) if token else ()
    assert b" 401 " in await told_before_the_body(api, target, *headers)


async def test_a_stranger_s_form_leads_to_the_log_in_before_it_comes(api: ApiSite) -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    assert b" 303 " in await told_before_the_body(api, "/", form)


async def test_a_token_that_there_is_not_makes_no_copy_of_the_directory_out_of_date(api: ApiSite) -> None:
    def version() -> int:
        with opened(api.site) as place, read(place.engine) as connection:
            return int(connection.execute(organisation.select()).one().directory_version)

    def is_revoked() -> bool:
        with opened(api.site) as place:
            return token_operations.revoke_token(place.engine, "outgate-guessed", clock.now())

    before = await asyncio.to_thread(version)
    assert (await api.client.post("/revoke", data={"token": "outgate-guessed"})).status_code == 200
    assert not await asyncio.to_thread(is_revoked)
    assert await asyncio.to_thread(version) == before


async def test_a_grant_comes_before_the_user_s_name(api: ApiSite) -> None:
    """Who was granted nothing finds out nobody's name."""
    await api.service_account("curious", [])
    told = set()
    for user in (ALICE, "nobody@example.com"):
        with pytest.raises(Exception, match="unauthorized_client") as caught:
            await asyncio.to_thread(api.credentials(user, [SEND], "curious").refresh, api.token_request())
        told.add(str(caught.value))
    assert len(told) == 1
