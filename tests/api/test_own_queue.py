"""Waiting mail by Outgate's own API, at a running server: what is listed and changed, and what is refused, and how."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from api.own_site import ALICE, BOB, PARTNER, OwnApi, own_api

QUEUE_READ, QUEUE_MANAGE = "outgate.queue-read", "outgate.queue-manage"


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnApi]:
    async with own_api(tmp_path, mail=2) as place:
        yield place


async def pages(own: OwnApi, path: str, limit: int) -> list[list[dict[str, object]]]:
    """All pages of a list."""
    found, cursor = [], ""
    while True:
        page = await own.told("GET", f"{path}?limit={limit}{cursor}")
        found.append(page["items"])
        if "nextCursor" not in page:
            return found
        cursor = f"&cursor={page['nextCursor']}"


async def test_waiting_mail_is_listed_held_moved_and_deleted_by_one_and_by_many(own: OwnApi) -> None:
    assert [len(page) for page in await pages(own, "queue/recipients", 3)] == [3, 1]
    [[count], *_] = await pages(own, "queue/counts", 1)
    assert (count["messages"], count["recipients"], count["held"]) == (2, 4, 0)
    [first, *_] = (await own.told("GET", f"queue/recipients?address={PARTNER}&state=deferred"))["items"]
    assert (first["sender"], first["recipient"]) == (PARTNER, "carol@recipient.example")
    one = f"queue/messages/{first['id']}"

    answer = await own.ask("GET", one)
    seen = answer.headers["etag"]
    assert {event["kind"] for event in answer.json()["events"]} >= {"accepted", "routed", "deferred"}
    unchanged = await own.ask("GET", one, headers={"If-None-Match": f'"else", {seen}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", seen)

    held = await own.ask("POST", f"{one}/hold", headers={"If-Match": seen})
    assert held.json() == {"recipients": 2, "isDone": True, "isDryRun": False}
    status, words = await own.refused("DELETE", one, headers={"If-Match": seen})
    assert (status, words) == (412, "It has changed since you have read it: read it again, and then decide.")
    after = await own.told("GET", one)
    assert {recipient["state"] for recipient in after["recipients"]} == {"held"}
    assert after["events"][-1]["detail"] == {"recipient": "dave@recipient.example", "what": "held", "by": ALICE}
    tally = await own.told("GET", "queue/tally?by=state")
    assert tally["items"] == [{"key": "deferred", "recipients": 2}, {"key": "held", "recipients": 2}]

    dry = await own.told("POST", "queue/release", {"state": "held", "dryRun": True})
    assert dry == {"recipients": 2, "isDone": False, "isDryRun": True}
    assert (await own.told("POST", f"{one}/move", {"way": "direct"}))["recipients"] == 2
    assert await own.told("POST", "queue/hold", {"everything": True}) == {"isDone": False, "isDryRun": False}
    assert (await own.told("DELETE", one))["recipients"] in (0, 2)  # none if it is being tried just now


async def test_what_is_refused_says_why_as_a_problem(own: OwnApi) -> None:
    [first, *_] = (await own.told("GET", "queue/recipients?limit=1"))["items"]
    one = f"queue/messages/{first['id']}"
    assert (await own.refused("GET", one, scopes=(QUEUE_READ,)))[0] == 403  # the history needs log-read as well
    assert (await own.refused("POST", f"{one}/hold", scopes=(QUEUE_READ,)))[0] == 403
    assert (await own.refused("POST", "queue/hold", {"everything": True}, user=BOB, scopes=(QUEUE_MANAGE,))) == (
        403,
        "You may not do this (queue.hold): it needs the privilege queue-manage in unit /.",
    )
    dry_run = {"everything": True, "dryRun": True}
    assert (await own.refused("POST", "queue/hold", dry_run, scopes=(QUEUE_MANAGE,)))[0] == 403
    told = {
        ("GET", "queue/messages/zzzzzzzzzzzzz"): "none begins with more than 7",
        ("GET", "queue/recipients?adress=bob"): "Unknown parameter 'adress': there are address, cursor, limit",
        ("GET", "queue/recipients?cursor=1"): "it must be the nextCursor of an answer",
        ("GET", "queue/recipients?state=lost"): "it must be one of in-transfer, held, new, deferred",
        ("POST", "queue/hold"): "Say which: id, address, queue",
        ("POST", "queue/move"): "Invalid value at 'way'",
    }
    for (verb, path), words in told.items():
        status, detail = await own.refused(verb, path, {} if verb == "POST" else None)
        assert (status, words in detail) == (400, True), detail
    nothing = await own.refused("GET", "queue/messages/0c8sm2v1r0003")
    assert nothing[0] == 404
    assert "nothing waits of the message" in nothing[1].lower()
    assert (await own.refused("GET", "queue/tally", headers={"If-Match": "*"}))[0] == 400
    assert (await own.refused("GET", "no-such-thing"))[0] == 404
    stranger = await own.api.client.get("/api/v1/queue/recipients")
    assert (stranger.status_code, stranger.headers["content-type"]) == (401, "application/problem+json")
    assert stranger.headers["www-authenticate"].startswith("Bearer ")
