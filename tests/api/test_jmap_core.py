"""JMAP's core (RFC 8620): whose requests are answered, errors in its words, references, limits, uploads."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from api.api_site import ALICE, BASIC, BOB, PARTNER, READONLY, SEND, ApiSite
from api.jmap_site import USING, JmapClient, message
from outgate.http.body_limit import read_body
from outgate.jmap import jmap_endpoint
from outgate.jmap.jmap_endpoint import METHODS
from outgate.jmap.jmap_limits import MAX_AT_ONCE, MAX_CALLS, MAX_REQUEST
from way.place import eventually

CORE = USING[:1]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_who_has_no_token_or_no_scope_is_refused(shared: ApiSite) -> None:
    for path in ("/.well-known/jmap", "/jmap/events", "/jmap/download/A1/B1/x"):
        answer = await shared.client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer"), path
    reader, sender = await JmapClient.of(shared, scopes=[READONLY]), await JmapClient.of(shared, scopes=[SEND])
    assert await reader.error("EmailSubmission/set", create={}) == "forbidden"
    assert await reader.error("Email/import", emails={}) == "forbidden"
    assert await sender.error("Identity/set", create={}) == "forbidden"
    url = reader.session["uploadUrl"].replace("{accountId}", reader.account)
    assert (await shared.client.post(url, content=b"x", headers=reader.headers)).status_code == 403
    basic = await JmapClient.of(shared, scopes=[BASIC])
    identity = (await basic.identities())[PARTNER]["id"]
    told = await basic.call("Identity/set", update={identity: {"name": "X"}})
    assert told["notUpdated"][identity]["type"] == "forbidden"


async def test_what_is_another_user_s_is_not_there(shared: ApiSite) -> None:
    alice, bob = await JmapClient.of(shared), await JmapClient.of(shared, BOB)
    blob, email = (await alice.upload(b"Alice's"))["blobId"], await alice.imported(message(ALICE))
    held = {"mailFrom": {"email": ALICE, "parameters": {"HOLDFOR": "3600"}}, "rcptTo": [{"email": BOB}]}
    sent = await alice.submit(message(ALICE), (await alice.identities())[ALICE]["id"], envelope=held)
    assert (await bob.download(blob)).status_code == 404
    imported = await bob.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": {"sent": True}}})
    assert imported["notCreated"]["e"]["properties"] == ["blobId"]
    assert (await bob.call("Email/get", ids=[email]))["notFound"] == [email]
    assert (await bob.call("EmailSubmission/get", ids=[sent["id"]]))["notFound"] == [sent["id"]]
    for name, identity in (("Email", email), ("EmailSubmission", sent["id"])):
        told = await bob.call(f"{name}/set", destroy=[identity])
        assert told["notDestroyed"][identity]["type"] == "notFound"
    canceled = await bob.call("EmailSubmission/set", update={sent["id"]: {"undoStatus": "canceled"}})
    assert canceled["notUpdated"][sent["id"]]["type"] == "notFound"
    answer = await bob.post([["Email/get", {"accountId": alice.account}, "0"]])
    assert answer.json()["methodResponses"] == [["error", {"type": "accountNotFound"}, "0"]]
    bob.account = alice.account
    assert (await bob.download(blob)).status_code == 404


async def test_requests_are_refused_in_the_words_of_the_rfc(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)

    async def refused(body: Any, using: Any = USING) -> str:
        answer = await client.post(body, using)
        assert answer.status_code == 400
        return str(answer.json()["type"]).removeprefix("urn:ietf:params:jmap:error:")

    url, headers = client.session["apiUrl"], client.headers | {"Content-Type": "application/json"}
    for content in (b"{", b"\xff", b"[" * 50_000, b'"\\ud800"'):
        answer = await shared.client.post(url, content=content, headers=headers)
        assert answer.json()["type"].endswith(":notJSON"), content[:10]
    assert await refused({"methodCalls": []}) == "notRequest"
    assert await refused({"using": [], "methodCalls": [["Core/echo", {}]]}) == "notRequest"
    assert await refused([], [*CORE, "urn:x"]) == "unknownCapability"
    for body, limit in (
        ([["Core/echo", {}, str(n)] for n in range(MAX_CALLS + 1)], "maxCallsInRequest"),
        ([["Core/echo", {"x": "x" * MAX_REQUEST}, "0"]], "maxSizeRequest"),
    ):
        answer = await client.post(body)
        assert (answer.status_code, answer.json()["limit"]) == (400, limit)
    answer = await client.post([["Core/echo", {}, "0"]], **{"Content-Type": "text/plain"})
    assert answer.status_code == 400
    answer = await client.post([["Identity/get", {}, "0"]], CORE)
    assert answer.json()["methodResponses"] == [["error", {"type": "unknownMethod"}, "0"]]
    assert await client.error("Identity/get", ids="x") == "invalidArguments"
    assert await client.error("Identity/get", ids=None, properties=["x"]) == "invalidArguments"
    assert await client.error("Identity/get", ids=[str(n) for n in range(1001)]) == "requestTooLarge"
    assert await client.error("Email/set", destroy=[str(n) for n in range(101)]) == "requestTooLarge"
    assert await client.error("Email/set", ifInState="x", update={}) == "stateMismatch"
    assert await client.error("EmailSubmission/query", filter={"x": 1}) == "unsupportedFilter"
    many = {"operator": "OR", "conditions": [{"operator": "AND", "conditions": [{}] * 50}] * 2}
    assert await client.error("EmailSubmission/query", filter=many) == "unsupportedFilter"
    assert await client.error("EmailSubmission/query", sort=[{"property": "x"}]) == "unsupportedSort"
    assert await client.error("EmailSubmission/query", sort=[{"property": "sendAt"}] * 5) == "unsupportedSort"
    assert await client.error("EmailSubmission/query", anchor="x") == "anchorNotFound"
    assert (await client.post([], **{"Idempotency-Key": "x" * 256})).status_code == 400


async def test_arguments_are_taken_from_answers_before(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)

    async def taken(path: str, name: str = "Identity/get", of: str = "0") -> Any:
        reference = {"#ids": {"resultOf": of, "name": name, "path": path}}
        told = await client.calls(("Identity/get", {"ids": None}), ("Identity/get", reference))
        return told[1][1].get("type") or [one["email"] for one in told[1][1]["list"]]

    assert await taken("/list/*/id") == list(await client.identities())
    for wrong in (
        ("/list/9/id",),
        ("/list/000000000999",),
        ("list",),
        ("/x",),
        ("/list/*/id", "Email/get"),
        ("/list/*/id", "Identity/get", "7"),
    ):
        assert await taken(*wrong) == "invalidResultReference"
    everything = {"resultOf": "0", "name": "Core/echo", "path": ""}
    doubling = [["Core/echo", {"x": "x" * 100}, "0"]]
    for at in range(1, MAX_CALLS):
        doubling.append(["Core/echo", {f"#{n}": everything | {"resultOf": str(at - 1)} for n in range(20)}, str(at)])
    answer = await client.post(doubling)
    kinds = [told.get("type") for _, told, _ in answer.json()["methodResponses"]]
    assert kinds[:3] == [None] * 3
    assert "invalidResultReference" in kinds
    assert len(answer.content) < 2 * MAX_REQUEST
    both = {"ids": [], "#ids": {"resultOf": "0", "name": "x", "path": "/"}}
    assert await client.error("Identity/get", **both) == "invalidArguments"
    answer = await client.post(
        {"using": USING, "methodCalls": [["Email/get", {"accountId": client.account, "ids": ["#e"]}, "0"]]}
        | {"createdIds": {"e": await client.imported(message(ALICE))}}
    )
    assert len(answer.json()["methodResponses"][0][1]["list"]) == 1
    assert answer.json()["createdIds"].keys() == {"e"}
    assert answer.json()["sessionState"] == client.session["state"]


async def test_what_is_uploaded_comes_back_as_the_type_that_is_asked_for(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    told = await client.upload(b"\0\xff", "text/html")
    assert (told["accountId"], told["type"], told["size"]) == (client.account, "text/html", 2)
    answer = await client.download(told["blobId"], "application/pdf", "a%0d%0ab.pdf")
    assert (answer.content, answer.headers["content-type"]) == (b"\0\xff", "application/pdf")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%0D%0Ab.pdf"
    assert (await client.download(told["blobId"], "x")).headers["content-type"] == "application/octet-stream"
    assert (await client.download("B99")).status_code == 404
    email = {"blobId": told["blobId"], "mailboxIds": {"drafts": True}}
    for wrong, expected in (
        ({}, "invalidEmail"),
        ({"blobId": "B99"}, "invalidProperties"),
        ({"mailboxIds": {"inbox": True}}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
        ({"keywords": {"a b": True}}, "invalidProperties"),
        ({"receivedAt": "yesterday"}, "invalidProperties"),
    ):
        made = await client.call("Email/import", emails={"e": email | wrong})
        assert made["notCreated"]["e"]["type"] == expected, wrong


async def test_a_user_asks_and_uploads_only_a_few_things_at_once(
    shared: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, bob = await JmapClient.of(shared), await JmapClient.of(shared, BOB)
    upload = client.session["uploadUrl"].replace("{accountId}", client.account)
    echo = json.dumps({"using": CORE, "methodCalls": []}).encode()
    let_in: list[str] = []

    async def counted(request: Request) -> None:
        let_in.append(request.url.path)
        await read_body(request)

    async def post(url: str, kind: str, content: Any) -> httpx2.Response:
        return await shared.client.post(url, content=content, headers=client.headers | {"Content-Type": kind})

    async def slow(body: bytes, rest: asyncio.Event) -> AsyncIterator[bytes]:
        yield body[:1]
        await rest.wait()
        yield body[1:]

    monkeypatch.setattr(jmap_endpoint, "read_body", counted)
    for url, kind, body, good in (
        (client.session["apiUrl"], "application/json", echo, 200),
        (upload, "text/plain", b"xx", 201),
    ):
        let_in.clear()
        rest = asyncio.Event()
        held = [asyncio.create_task(post(url, kind, slow(body, rest))) for _ in range(MAX_AT_ONCE)]
        await eventually(lambda: len(let_in) == MAX_AT_ONCE, "all of them are being answered")
        refused = await post(url, kind, body)
        assert refused.status_code == 400
        assert refused.json()["limit"] == ("maxConcurrentUpload" if good == 201 else "maxConcurrentRequests")
        assert (await bob.post([["Core/echo", {}, "0"]])).status_code == 200
        rest.set()
        assert [one.status_code for one in await asyncio.gather(*held)] == [good] * MAX_AT_ONCE
        assert (await post(url, kind, body)).status_code == good


async def test_no_method_fails_at_odd_arguments(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity, email = (await client.identities())[ALICE]["id"], await client.imported(message(ALICE))
    values: list[Any] = [None, 2**70, "", "\0", [], [None], {"": {}}]
    objects = [
        *(
            {"identityId": identity, "emailId": email, "envelope": {"mailFrom": {"email": one}, "rcptTo": []}}
            for one in values
        ),
        *({"identityId": one, "emailId": one} for one in values),
        *({"mailboxIds": {"drafts": True}, "from": one, "bodyStructure": one} for one in values),
        *({"blobId": one, "mailboxIds": one} for one in values),
    ]
    patches = [
        *({name: one} for name in ("name", "replyTo") for one in values),
        *({f"mailboxIds/{one}": True, "keywords": one} for one in values),
    ]
    named = {str(at): one for at, one in enumerate(objects)}
    odd_ids = ["", "#", "M0", "S", "SZ", "S7zzzzzzzzzzzz", "I"]
    asked: dict[str, list[dict[str, Any]]] = {
        "get": [{name: one} for name in ("ids", "properties") for one in values] + [{"ids": odd_ids}],
        "changes": [{"sinceState": one} for one in values],
        "query": [{name: one} for name in ("filter", "sort", "anchor") for one in values],
        "set": [{"create": named}, {"destroy": odd_ids}, *({"update": {identity: one, email: one}} for one in patches)],
        "import": [{"emails": named}],
    }
    calls = [(name, one) for name in METHODS for one in asked.get(name.partition("/")[2], [])]
    failed = []
    for start in range(0, len(calls), MAX_CALLS):
        told = await client.calls(*calls[start : start + MAX_CALLS])
        failed += [one for one in told if one[1].get("type", "")[:6] == "server"]
    assert failed == []
