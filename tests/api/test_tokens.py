"""Tokens: whom they are given to, what for, and how they end."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from google.auth.exceptions import RefreshError
from joserfc.jwk import RSAKey
from joserfc.jws import serialize_compact

from api.api_site import ALICE, BASIC, READONLY, SEND, SHARING, ApiSite, ask, refused
from outgate.operations import service_account_operations, user_operations
from outgate.record.activity import activity
from outgate.record.audit_trail import AuditFilter, search

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_only_what_was_granted_is_given(api: ApiSite) -> None:
    await api.service_account("reader", [READONLY])
    assert await ask(api.send_as(scopes=[READONLY], name="reader").list(userId="me"))
    with pytest.raises(RefreshError, match="unauthorized_client: Client is unauthorized"):
        await ask(api.send_as(scopes=[READONLY, SEND], name="reader").list(userId="me"))
    denied = await api.look(lambda op: list(search(op.connection, AuditFilter(operation="token.issue"))))
    assert [(one.entry.outcome, one.entry.target) for one in denied] == [("denied", ALICE)]


@pytest.mark.parametrize("user", ["nobody@example.com", "not an address"])
async def test_nobody_is_acted_for_who_is_not_there(api: ApiSite, user: str) -> None:
    with pytest.raises(RefreshError, match="Invalid email or User ID"):
        await ask(api.send_as(user).list(userId="me"))


async def test_tokens_end_with_their_user_s_suspension_their_key_and_their_grant(api: ApiSite) -> None:
    for name in ("a", "b", "c"):
        await api.service_account(name, [READONLY])
    asked = {name: api.send_as(scopes=[READONLY], name=name) for name in ("a", "b", "c", "tool")}
    for send_as in asked.values():
        await ask(send_as.list(userId="me"))
    key = api.keys["a"]["private_key_id"]
    await api.operate(lambda op: service_account_operations.revoke_key(op, "a", key))
    await api.operate(lambda op: service_account_operations.grant(op, "b", [SEND]))
    await api.operate(lambda op: service_account_operations.remove(op, "c"))
    for name in ("a", "b", "c"):
        with pytest.raises(RefreshError):  # the token is no good, and there is no new one
            await ask(asked[name].list(userId="me"))
    await ask(asked["tool"].list(userId="me"))
    await api.operate(lambda op: user_operations.suspend(op, ALICE))
    with pytest.raises(RefreshError):
        await ask(asked["tool"].list(userId="me"))


def claims(api: ApiSite, **others: object) -> dict[str, Any]:
    now = int(time.time())
    account = api.keys["tool"]["client_email"]
    told = {"iss": account, "sub": ALICE, "scope": BASIC, "aud": f"{api.url}/token", "iat": now, "exp": now + 3600}
    return {name: value for name, value in (told | others).items() if value is not None}


async def ask_token(api: ApiSite, told: Mapping[str, Any], key: Any = None, **header: str) -> httpx2.Response:
    keys = api.keys["tool"]
    head = {"alg": "RS256", "kid": keys["private_key_id"], **header}
    own = RSAKey.import_key(keys["private_key"])
    signed = serialize_compact(head, json.dumps(told).encode(), key or own, algorithms=[head["alg"]])
    return await api.client.post("/token", data={"grant_type": GRANT, "assertion": signed})


def segment(value: Mapping[str, Any]) -> str:
    """A part of a JWT (RFC 7515 3)."""
    return encoded(json.dumps(value).encode())


def encoded(content: bytes) -> str:
    """In base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


async def test_an_assertion_is_short_lived_meant_for_us_and_names_a_user(api: ApiSite) -> None:
    now = int(time.time())
    assert (await ask_token(api, claims(api))).status_code == 200
    for others, text in (
        ({"exp": now - 100}, "short-lived"),
        ({"iat": now + 1000, "exp": now + 2000}, "short-lived"),
        ({"exp": now + 7200}, "short-lived"),
        ({"exp": True}, "iat and exp"),
        ({"exp": float("inf")}, "iat and exp"),
        ({"aud": "https://elsewhere.example/token"}, "aud must be"),
        ({"sub": None}, "sub is missing"),
        ({"scope": " "}, "scope is missing"),
        ({"iss": "another@service.example.com"}, "Invalid JWT Signature"),
        ({"iss": 7}, "iss"),
        ({"iss": "\x00"}, "iss must be at most 320 characters, all of them printable"),
        ({"iss": "\ud800"}, "iss must be at most 320 characters, all of them printable"),
        ({"sub": "\ud800"}, "sub must be at most 320 characters, all of them printable"),
        ({"sub": "a" * 310 + "@example.com"}, "sub must be at most 320 characters"),
        ({"scope": f"{BASIC} " * 100}, "scope must be at most 4000 characters"),
    ):
        answer = await ask_token(api, claims(api, **others))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), others
        assert text in answer.json()["error_description"]


async def test_an_assertion_of_another_key_or_algorithm_is_worth_nothing(api: ApiSite) -> None:
    stranger = RSAKey.generate_key(2048)
    for key, header in ((stranger, {}), (None, {"kid": "another"})):
        answer = await ask_token(api, claims(api), key, **header)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert answer.json()["error_description"] == "Invalid JWT Signature."
    unsigned = f"{segment({'alg': 'none'})}.{segment(claims(api))}."
    signed_by_nothing = f"{segment({'alg': 'RS256'})}.{segment(claims(api))}."
    # The public half of the key, which anybody may know, as the secret of another algorithm.
    pem = RSAKey.import_key(api.keys["tool"]["private_key"]).as_pem(private=False)
    confused = f"{segment({'alg': 'HS256'})}.{segment(claims(api))}"
    confused += "." + encoded(hmac.digest(pem, confused.encode(), "sha256"))
    unreadable = ("", "a.b.c", "e30.e30.", "x" * 1000, unsigned, confused)
    for text, said in (
        *((text, "RS256") for text in unreadable),
        (signed_by_nothing, "Invalid JWT Signature."),
    ):
        answer = await api.client.post("/token", data={"grant_type": GRANT, "assertion": text})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert said in answer.json()["error_description"]
    answer = await api.client.post("/token", data={"grant_type": "password"})
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_a_token_tells_what_it_is_good_for_until_it_is_revoked(api: ApiSite) -> None:
    token = (await ask_token(api, claims(api))).json()["access_token"]
    client = api.client
    path, head = "/gmail/v1/users/me/settings/sendAs", {"Authorization": f"Bearer {token}"}
    told = (await client.get("/tokeninfo", params={"access_token": token})).json()
    assert (told["scope"], told["email"]) == (BASIC, ALICE)
    assert 3500 < int(told["expires_in"]) <= 3600
    assert (await client.get(path, headers=head)).status_code == 200
    assert (await client.post("/revoke", data={"token": token})).status_code == 200
    assert (await client.get(path, headers=head)).status_code == 401
    assert (await client.get("/tokeninfo", params={"access_token": token})).status_code == 400
    for none in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        answer = await client.get(path, headers=none)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_what_there_is_not_is_told_in_the_same_form(api: ApiSite) -> None:
    client = api.client
    for method, path, code, status in (
        ("GET", "/gmail/v1/users/me/settings/vacation", 404, "NOT_FOUND"),
        ("PUT", "/gmail/v1/users/me/settings/sendAs", 405, "UNIMPLEMENTED"),
        ("POST", "/gmail", 404, "NOT_FOUND"),
    ):
        answer = await client.request(method, path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["status"]) == (code, code, status)
        assert error["errors"][0].keys() == {"message", "domain", "reason"}


async def test_the_trail_names_user_and_program(api: ApiSite) -> None:
    await ask(api.send_as(scopes=[SHARING]).create(userId="me", body={"sendAsEmail": "a@b.example"}))
    [one] = await api.look(lambda op: list(search(op.connection, AuditFilter(operation="send-as.add"))))
    assert one.entry.actor == ALICE
    assert one.entry.detail["client"] == api.keys["tool"]["client_email"]
    told = activity(one, "example.com")["events"][0]["parameters"]
    assert {"name": "CLIENT", "value": api.keys["tool"]["client_email"]} in told


async def test_two_programs_do_not_wait_for_one_another_s_log_in(api: ApiSite) -> None:
    answers = await asyncio.gather(*(ask_token(api, claims(api)) for _ in range(20)))
    assert {one.status_code for one in answers} == {200}
    assert len({one.json()["access_token"] for one in answers}) == 20


async def test_a_refusal_tells_nothing_of_a_password(api: ApiSite) -> None:
    body = {"sendAsEmail": "a@b.example", "smtpMsa": {"host": "h", "port": {"very secret": 1}, "password": ["hidden"]}}
    _, _, text = await refused(api.send_as(scopes=[SHARING]).create(userId="me", body=body))
    assert "hidden" not in text
    assert "very secret" not in text
