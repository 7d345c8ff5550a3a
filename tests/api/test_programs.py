"""Programs that users let act for them: the page that asks, the code, the tokens that follow, and how it all ends."""

import base64
import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from google.oauth2.credentials import Credentials

from api.api_site import ALICE, PARTNER, SCOPE, SHARING, ApiSite, ask
from outgate.directory.programs import RegisteredProgram
from outgate.directory.users import Credentials as UserCredentials
from outgate.operations import program_operations, user_operations
from way.place import PASSWORD
from web.people import log_in

BASIC = f"{SCOPE}gmail.settings.basic"
VERIFIER = "a-verifier-of-forty-three-characters-or-more-0"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:8910/done"


async def logged_in(api: ApiSite) -> httpx2.AsyncClient:
    client = api.client
    client.headers["Sec-Fetch-Site"] = "same-origin"
    assert (await log_in(client)).status_code == 303
    return client


async def led_back(api: ApiSite, asked: dict[str, str], answer: str = "allow") -> dict[str, list[str]]:
    """What the program is told at its own address."""
    page = await api.client.post("/authorize", params=asked, data={"answer": answer})
    assert page.status_code == 200, page.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', page.text)
    assert found
    url = urlsplit(unescape(found[1]))
    assert f"{url.scheme}://{url.netloc}{url.path}" == asked["redirect_uri"]
    return parse_qs(url.query)


def code_form(program: RegisteredProgram, code: str, **other: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "client_id": program.client_id, "code": code}
    return form | {"redirect_uri": REDIRECT, "code_verifier": VERIFIER} | other


async def token(api: ApiSite, form: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = (await api.client.post("/token", data=form)).json()
    return told


async def test_a_user_lets_a_program_act_and_takes_it_back(api: ApiSite) -> None:
    program = await api.operate(
        lambda op: program_operations.register(op, "mail-tool", ["http://127.0.0.1/done", "https://tool.example/x"])
    )
    asked = {
        "response_type": "code",
        "client_id": program.client_id,
        "redirect_uri": REDIRECT,
        "scope": BASIC,
        "state": "s&1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    stranger = await api.client.get("/authorize", params=asked)
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/log-in?to=%2Fauthorize%3F")
    client = await logged_in(api)
    page = await client.get("/authorize", params=asked)
    assert "May mail-tool act for you?" in page.text
    assert "See the From addresses, and change the primary one" in page.text
    assert "127.0.0.1:8910" in page.text
    assert await led_back(api, asked, "refuse") == {"error": ["access_denied"], "iss": [api.url], "state": ["s&1"]}
    for wrong, error in (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid"}, "invalid_scope"),
    ):
        assert (await led_back(api, asked | wrong))["error"] == [error]
    for wrong in (
        {"client_id": "none"},
        {"redirect_uri": "http://127.0.0.1:8910/done/"},
        {"redirect_uri": "http://a@127.0.0.1/done"},
        {"redirect_uri": "http://127.0.0.1.evil.example/done"},
        {"redirect_uri": "https://tool.example:444/x"},
        {"redirect_uri": "javascript:alert(1)"},
    ):
        page = await client.post("/authorize", params=asked | wrong, data={"answer": "allow"})
        assert page.status_code in (400, 404)
        assert "http-equiv" not in page.text

    # A code is good once, for its program, its address and its verifier.
    for wrong in ({"code_verifier": "b" * 43}, {"redirect_uri": "http://127.0.0.1:1/done"}, {"client_id": "none"}):
        code = (await led_back(api, asked))["code"][0]
        assert (await token(api, code_form(program, code, **wrong)))["error"] == "invalid_grant"
        assert (await token(api, code_form(program, code)))["error"] == "invalid_grant"
    code = (await led_back(api, asked))["code"][0]
    told = await token(api, code_form(program, code))
    assert told["scope"] == BASIC
    held = {"Authorization": f"Bearer {told['access_token']}"}
    path = "/gmail/v1/users/me/settings/sendAs"
    assert (await client.get(path, headers=held)).status_code == 200
    body = {"sendAsEmail": PARTNER}
    assert (await client.post(path, headers=held, json=body)).status_code == 403  # not by this scope

    # Google's library gets the next token by itself.
    credentials = Credentials(  # type: ignore[no-untyped-call]
        None, told["refresh_token"], token_uri=f"{api.url}/token", client_id=program.client_id, client_secret=""
    )
    gmail = api.service("gmail", "v1", credentials, static_discovery=True)
    assert (await ask(gmail.users().settings().sendAs().list(userId="me")))["sendAs"][0]["sendAsEmail"] == ALICE
    assert credentials.refresh_token != told["refresh_token"]

    # A former refresh token is somebody's who has stolen it, or was stolen from: all ends.
    [one] = await api.look(lambda op: program_operations.list_consents(op, ALICE))
    assert (one.program, one.scopes) == ("mail-tool", (BASIC,))
    again = {"grant_type": "refresh_token", "client_id": program.client_id}
    assert (await token(api, again | {"refresh_token": told["refresh_token"]}))["error"] == "invalid_grant"
    assert (await token(api, again | {"refresh_token": str(credentials.refresh_token)}))["error"] == "invalid_grant"
    assert (await client.get(path, headers=held)).status_code == 401
    assert not await api.look(lambda op: program_operations.list_consents(op, ALICE))

    # The user ends it on the page, the program by /revoke, an administrator by taking the program away or suspending.
    async def given() -> dict[str, Any]:
        return await token(api, code_form(program, (await led_back(api, asked | {"scope": SHARING}))["code"][0]))

    async def works(told: dict[str, Any]) -> bool:
        answer = await client.get("/tokeninfo", params={"access_token": told["access_token"]})
        return answer.status_code == 200

    told = await given()
    page = await client.get("/settings/security")
    assert "Add, change and delete From addresses" in page.text
    button = re.search(r"/settings/security/consents/\d+/end", page.text)
    assert button
    assert await works(told)
    await client.post(button[0])
    assert not await works(told)
    told = await given()
    assert (await client.post("/revoke", data={"token": told["refresh_token"]})).status_code == 200
    assert not await works(told)
    for change in (
        lambda op: user_operations.set_password(op, ALICE, UserCredentials.derive(PASSWORD, 4096)),
        lambda op: user_operations.suspend(op, ALICE),
    ):
        told = await given()
        await api.operate(change)
        await api.operate(lambda op: user_operations.resume(op, ALICE))
        assert not await works(told)
        assert (await token(api, again | {"refresh_token": told["refresh_token"]}))["error"] == "invalid_grant"
        await log_in(client)
    told = await given()
    await api.operate(lambda op: program_operations.remove(op, "mail-tool"))
    assert not await works(told)
    assert (await client.get("/.well-known/oauth-authorization-server")).json()["issuer"] == api.url
