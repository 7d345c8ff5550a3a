"""SCIM over HTTP: the token, the quota and who is in the way of whom."""

import json
import threading

import pytest

from api.api_site import ALICE, ApiSite
from outgate.api.request_quota import Quota
from outgate.operations import audit_operations, scim_token_operations
from outgate.record.audit_trail import AuditFilter
from outgate.scim import scim_endpoint


async def token(api: ApiSite, role: str = "user-admin") -> str:
    return (await api.operate(lambda op: scim_token_operations.create(op, "entra", role, "/")))[1]


async def test_a_token_opens_until_it_is_revoked_and_is_kept_nowhere(api: ApiSite) -> None:
    secret = await token(api)
    bearer = {"Authorization": f"Bearer {secret}"}
    told = await api.client.get("/scim/v2/Users?aadOptscim062020", headers=bearer)
    assert (told.status_code, told.headers["content-type"]) == (200, "application/scim+json")
    [alice, _] = told.json()["Resources"]
    assert (alice["userName"], alice["meta"]["location"]) == (ALICE, f"{api.url}/scim/v2/Users/{alice['id']}")
    assert (await api.client.get("/scim/v2/ServiceProviderConfig")).json()["patch"] == {"supported": True}
    for wrong in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {secret}"}):
        refused = await api.client.get("/scim/v2/Users", headers=wrong)
        assert (refused.status_code, refused.json()["status"]) == (401, "401")
        assert refused.headers["www-authenticate"].startswith("Bearer")
    too_much = await api.client.post("/scim/v2/Users", headers=bearer, content=b"x" * (scim_endpoint.MAX_BODY + 1))
    assert (too_much.status_code, too_much.json()["schemas"]) == (
        413,
        ["urn:ietf:params:scim:api:messages:2.0:Error"],
    )
    await api.operate(lambda op: scim_token_operations.revoke(op, "entra"))
    assert (await api.client.get("/scim/v2/Users", headers=bearer)).status_code == 401
    page = await api.look(lambda op: audit_operations.search(op, AuditFilter()))
    trail = [one.entry for one in page.entries]
    assert {"scim-token.create", "scim-token.revoke"} <= {one.operation for one in trail}
    assert secret not in json.dumps([one.detail for one in trail])
    assert secret.encode() not in b"".join(one.read_bytes() for one in api.site.data.glob("outgate.db*"))


async def test_the_quota_is_asked_on_the_event_loop_alone(api: ApiSite, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, loop = [], threading.current_thread()
    count = Quota.count

    def counted(quota: Quota, key: object, now: float) -> None:
        asked.append(threading.current_thread())
        count(quota, key, now)

    monkeypatch.setattr(Quota, "count", counted)
    bearer = {"Authorization": f"Bearer {await token(api)}"}
    assert (await api.client.get("/scim/v2/Users", headers=bearer)).status_code == 200
    assert asked == [loop]
    monkeypatch.setattr(Quota, "wait", lambda *_: 1.5)
    refused = await api.client.get("/scim/v2/Users", headers=bearer)
    assert (refused.status_code, refused.headers["retry-after"], len(asked)) == (429, "2", 1)
