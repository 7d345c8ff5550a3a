"""Answers that are remembered are never older than the directory, and never somebody else's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from api.api_site import ALICE, BASIC, BOB, COMPOSE, PARTNER, ApiSite
from outgate import clock
from outgate.api.answering import Answering
from outgate.api.request_quota import RequestQuota
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Security
from outgate.operations import (
    gateway_operations,
    send_as_operations,
    service_account_operations,
    token_operations,
    user_operations,
)
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import OperationContext
from outgate.operations.send_as_operations import WrittenSignature
from outgate.store.tables import access_token
from way.place import Site
from web.links import opened

LIST = "/gmail/v1/users/me/settings/sendAs"


async def _token(api: ApiSite, user: str = ALICE, scope: str = BASIC) -> str:
    credentials = api.credentials(user, (scope,))
    await asyncio.to_thread(credentials.refresh, api.token_request())
    return str(credentials.token)


async def _get(api: ApiSite, token: str, path: str = LIST) -> tuple[int, Any]:
    answer = await api.client.get(path, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


async def test_what_was_asked_before_is_answered_alike_and_not_made_again(
    api: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await _token(api)
    first = await _get(api, token)
    assert first[0] == 200
    monkeypatch.setattr(Answering, "call", pytest.fail)
    assert await _get(api, token) == first
    masked = await api.client.get(f"{LIST}?fields=sendAs/sendAsEmail", headers={"Authorization": f"Bearer {token}"})
    assert masked.status_code == 500  # another question: it would be made


async def test_every_change_shows_in_the_next_answer(api: ApiSite) -> None:
    token = await _token(api)
    one = f"{LIST}/{PARTNER}"
    server = GatewaySettings("smtp.partner.example", 587, Security.STARTTLS, PARTNER, "secret")
    changes: list[Callable[[OperationContext], object]] = [
        lambda op: send_as_operations.add(op, ALICE, PARTNER, Confirmation("mail.example.com", "")),
        lambda op: send_as_operations.edit(op, ALICE, PARTNER, display_name="Alice"),
        lambda op: send_as_operations.set_signature(op, ALICE, PARTNER, WrittenSignature.of("<b>Alice</b>")),
        lambda op: gateway_operations.set_gateway(op, ALICE, PARTNER, server),
        lambda op: send_as_operations.remove(op, ALICE, PARTNER),
    ]
    before = [await _get(api, token), await _get(api, token, one)]
    for change in changes:
        assert [await _get(api, token), await _get(api, token, one)] == before
        await api.operate(change)
        after = [await _get(api, token), await _get(api, token, one)]
        assert after[0] != before[0]
        assert after[1] != before[1]
        before = after
    assert before[1][0] == 404


async def test_no_answer_is_for_anybody_else(api: ApiSite) -> None:
    alices, bobs, sending = await _token(api), await _token(api, BOB), await _token(api, ALICE, COMPOSE)
    assert (await _get(api, alices))[1]["sendAs"][0]["sendAsEmail"] == ALICE
    assert (await _get(api, bobs))[1]["sendAs"][0]["sendAsEmail"] == BOB
    assert (await _get(api, sending))[0] == 403
    for path in (LIST, LIST.replace("me", ALICE)):
        assert (await _get(api, alices, path))[0] == 200
    assert (await _get(api, bobs, LIST.replace("me", ALICE)))[0] == 403
    assert (await _get(api, alices + "x"))[0] == 401


def revoke(site: Site, token: str) -> bool:
    """Beside the running server."""
    with opened(site) as place:
        return token_operations.revoke_token(place.engine, token, clock.now())


@pytest.mark.parametrize("end", ["revoked", "suspended", "key removed", "time over"])
async def test_a_token_that_has_ended_gets_nothing_that_was_remembered(api: ApiSite, end: str) -> None:
    token = await _token(api)
    assert [(await _get(api, token))[0] for _ in range(2)] == [200, 200]
    if end == "revoked":
        assert await asyncio.to_thread(revoke, api.site, token)
    elif end == "suspended":
        await api.operate(lambda op: user_operations.suspend(op, ALICE))
    elif end == "key removed":
        key = api.keys["tool"]["private_key_id"]
        await api.operate(lambda op: service_account_operations.revoke_key(op, "tool", key))
    else:
        await api.operate(lambda op: op.connection.execute(update(access_token).values(expires_at=clock.now())))
    assert (await _get(api, token))[0] == 401


async def test_a_remembered_answer_counts_as_a_request(api: ApiSite, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await _token(api)
    await _get(api, token)
    taken: list[str] = []
    monkeypatch.setattr(RequestQuota, "take", lambda _self, client, _account, _now: taken.append(client))
    await _get(api, token)
    assert taken == [api.keys["tool"]["client_email"]]
