"""How many requests are answered: of a program as a user, of a program in all, and what the others are told."""

import asyncio
import json

import pytest
from googleapiclient.errors import HttpError

from api.api_site import ALICE, BOB, ApiSite, ask
from outgate.api import request_quota
from outgate.api.google_error import ApiError
from outgate.api.request_quota import Quota, RequestQuota
from outgate.config import ApiSettings
from way.place import running


def refused(quota: RequestQuota, client: str, account_id: int, now: float) -> ApiError:
    with pytest.raises(ApiError) as caught:
        quota.take(client, account_id, now)
    return caught.value


def test_a_user_has_so_many_and_gets_them_back_one_by_one() -> None:
    quota = RequestQuota(ApiSettings(user_rate="30/1minute", client_rate="1000/1minute"))
    for _ in range(30):
        quota.take("tool", 1, 1000.0)
    error = refused(quota, "tool", 1, 1000.0)
    assert (error.code, error.status, error.reason) == (429, "RESOURCE_EXHAUSTED", "userRateLimitExceeded")
    assert error.headers == {"Retry-After": "2"}
    assert str(error) == "User-rate limit exceeded. Retry after 1970-01-01T00:16:42.000Z"
    quota.take("tool", 2, 1000.0)
    quota.take("another", 1, 1000.0)
    quota.take("tool", 1, 1002.0)
    refused(quota, "tool", 1, 1002.0)
    for _ in range(30):
        quota.take("tool", 1, 1100.0)
    refused(quota, "tool", 1, 1100.0)


def test_a_program_has_so_many_for_all_its_users_and_what_is_refused_costs_nothing() -> None:
    quota = RequestQuota(ApiSettings(user_rate="2/1second", client_rate="3/1hour"))
    for account_id in (1, 1, 2):
        quota.take("tool", account_id, 1000.0)
    assert refused(quota, "tool", 1, 1000.0).reason == "userRateLimitExceeded"
    for _ in range(5):
        error = refused(quota, "tool", 2, 1000.0)
        assert (error.reason, error.headers) == ("rateLimitExceeded", {"Retry-After": "1200"})
    quota.take("tool", 2, 2200.0)


def test_no_more_keys_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_quota, "MOST", 3)
    quota = Quota("1/1hour")
    for key in "abac":
        quota.count(key, 0.0)
    quota.count("d", 0.0)
    assert len(quota) == 3
    assert [bool(quota.wait(key, 0.0)) for key in "abcd"] == [True, False, True, True]


async def test_google_s_client_is_told_when_to_come_again(api: ApiSite) -> None:
    await api.server.stop()
    with (api.site.data / "outgate.toml").open("a") as file:
        file.write('\n[api]\nuser_rate = "2/1hour"\n')
    api.server = await running(api.site)
    request = api.send_as().list(userId="me")
    assert await ask(request) == await ask(request)
    with pytest.raises(HttpError) as caught:
        await ask(request)
    error = caught.value
    assert error.status_code == 429
    assert 1700 < int(error.resp["retry-after"]) <= 1800
    told = json.loads(error.content)["error"]
    assert (told["status"], told["errors"][0]["reason"]) == ("RESOURCE_EXHAUSTED", "userRateLimitExceeded")
    await ask(api.send_as(BOB).list(userId="me"))
    token = await asyncio.to_thread(_token, api)
    answer = await api.client.get("/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 429
    assert 1700 < int(answer.headers["Retry-After"]) <= 1800


def _token(api: ApiSite) -> str:
    credentials = api.credentials(ALICE)
    credentials.refresh(api.token_request())  # type: ignore[no-untyped-call]
    return str(credentials.token)
