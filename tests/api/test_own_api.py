"""What else Outgate's own API does, at a running server: each thing once, from one end to the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from api.own_site import ALICE, BOB, PARTNER, OwnApi, own_api
from outgate.node_id import node_id
from way.place import GATEWAY_PASSWORD

CAROL = "carol@recipient.example"


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnApi]:
    async with own_api(tmp_path, mail=1) as place:
        yield place


async def test_gateways_are_seen_tried_suspended_and_limited(own: OwnApi) -> None:
    [failing] = (await own.told("GET", "gateways"))["items"]
    assert (failing["address"], failing["state"], failing["recipients"]) == (PARTNER, "failing", 2)
    assert await own.told("GET", "gateway-totals") == {"known": 1, "failing": 1, "withoutPassword": 0}
    trial = f"users/me/gateways/{PARTNER}/test"
    assert (await own.told("POST", trial))["failed"] == "connecting failed"
    await own.site.add_external(ALICE, "alice@second.example", own.api.partner.port)
    assert await own.told("POST", "users/me/gateways/alice@second.example/test") == {"works": True}
    assert (await own.refused("POST", f"users/{ALICE}/gateways/{PARTNER}/test", user=BOB))[0] == 403

    queue = failing["queue"]
    [suspension] = (await own.told("PUT", f"queues/{queue}/suspension", {"reason": "theirs", "seconds": 60}))["items"]
    assert (suspension["suspends"], suspension["author"], suspension["reason"]) == (True, ALICE, "theirs")
    assert (await own.told("GET", f"gateways/{queue}"))["state"] == "suspended"
    assert (await own.told("GET", "restrictions"))["items"] == [suspension]
    assert (await own.told("DELETE", f"queues/{queue}/suspension"))["items"] == [suspension]
    ceiling = {"connections": 2, "rates": ["300/hour"], "reason": "they said so"}
    [limit] = (await own.told("PUT", "queues/recipient.example/limit", ceiling))["items"]
    assert (limit["queue"], limit["rates"]) == ("mx:recipient.example", ["300/1hour"])
    assert (await own.ask("DELETE", "queues/mx:recipient.example/limit")).status_code == 204
    assert (await own.told("GET", "restrictions"))["items"] == []
    assert "'no queue' is neither a queue" in (await own.refused("DELETE", "queues/no%20queue/limit"))[1]


async def test_it_is_told_why_a_message_goes_which_way_and_where_it_went(own: OwnApi) -> None:
    told = await own.told("GET", f"explanation?sender={PARTNER}&recipient={CAROL}")
    assert (told["allowed"], told["way"]) == (True, "user-gateway")
    assert "mail waits there after" in told["cautions"][0]
    refused = await own.told("GET", f"explanation?user={BOB}&sender={PARTNER}&recipient={CAROL}")
    assert not refused["allowed"]
    assert (await own.refused("GET", f"explanation?sender={PARTNER}"))[1].startswith("Missing parameter 'recipient'")
    advice = await own.told("GET", f"advice?sender={PARTNER}")
    assert advice["gateway"]["host"] == "localhost"
    assert advice["organisation"]["spf"] in ("temperror", "unknown")  # nobody answers for the DNS

    [entry] = (await own.told("GET", f"log/messages?recipient={CAROL}&outcome=waiting"))["items"]
    assert entry["senders"] == [PARTNER]
    story = await own.told("GET", f"log/messages/{entry['id']}")
    assert [event["kind"] for event in story["events"]][:2] == ["accepted", "routed"]
    place = (await own.told("GET", "log/events"))["nextCursor"]
    await own.told("POST", f"queue/messages/{entry['id']}/hold")
    followed = await own.told("GET", f"log/events?cursor={int(place) - 1}")
    assert [event["detail"].get("what") for event in followed["items"]][-2:] == ["held", "held"]
    assert (await own.told("GET", "log/traffic?hours=2"))["items"] == []  # what is counted is written by the minute
    assert (await own.told("GET", "status"))["troubles"][0]["queue"].startswith("gateway:")


async def test_the_organisation_s_gateway_and_domains_are_changed_as_they_were_seen(own: OwnApi) -> None:
    assert (await own.refused("GET", "domain-gateway"))[0] == 404
    wanted = {"host": "localhost", "port": own.api.partner.port, "username": PARTNER, "password": "wrong"}
    status, words = await own.refused("PUT", "domain-gateway", wanted)
    assert (status, "logging in failed" in words) == (422, True), words
    right = wanted | {"password": GATEWAY_PASSWORD}
    made = await own.ask("PUT", "domain-gateway", right)
    assert (made.json()["username"], GATEWAY_PASSWORD in made.text) == (PARTNER, False)
    assert (await own.told("PUT", "domain-gateway", {**wanted, "password": ""}))["port"] == own.api.partner.port
    seen = (await own.ask("GET", "domain-gateway")).headers["etag"]
    assert (await own.refused("DELETE", "domain-gateway", headers={"If-Match": '"another"'}))[0] == 412
    assert (await own.ask("DELETE", "domain-gateway", headers={"If-Match": seen})).status_code == 204
    assert (await own.refused("DELETE", "domain-gateway", headers={"If-Match": seen}))[0] == 412

    assert (await own.told("POST", "domains", {"name": "example.org"})) == {"name": "example.org", "isPrimary": False}
    assert (await own.refused("POST", "domains", {"name": "example.org"}))[0] == 409
    key = await own.told("POST", "domains/example.org/dkim-key", {"selector": "s2027"})
    assert (key["dkimSelector"], key["dkimRecord"][:10]) == ("s2027", "v=DKIM1; k")
    bad = await own.refused("POST", "domains/example.org/dkim-key", {"privateKey": GATEWAY_PASSWORD})
    assert (bad[0], GATEWAY_PASSWORD in bad[1]) == (400, False)
    assert (await own.ask("DELETE", "domains/example.org")).status_code == 204
    assert (await own.refused("DELETE", "domains/example.com"))[0] == 409
    assert [one["name"] for one in (await own.told("GET", "domains"))["items"]] == ["example.com"]


async def test_nodes_rules_and_grants_come_and_go(own: OwnApi) -> None:
    node = node_id(own.site.data)
    assert (await own.told("POST", f"nodes/{node}/drain"))["drainedBy"] == ALICE
    assert (await own.ask("POST", f"nodes/{node}/resume")).status_code == 204
    [standing] = (await own.told("GET", "nodes"))["items"]
    assert (standing["node"], standing["isDrained"]) == (node, False)
    assert (await own.refused("POST", "nodes/no-such-node/drain"))[0] == 404

    rule = {"name": "partner-quota", "words": "daily quota", "action": "wait", "seconds": 60, "reason": "theirs"}
    assert (await own.told("POST", "rules", rule))["author"] == ALICE
    assert (await own.told("GET", "rules"))["items"][0]["name"] == "partner-quota"
    read = await own.told("GET", "rules/reading?reply=451 daily quota exceeded&host=mx.recipient.example")
    assert read["rule"]["name"] == "partner-quota"
    assert (await own.refused("POST", "rules", rule | {"action": "slow-down"}))[0] == 400
    assert (await own.ask("DELETE", "rules/partner-quota")).status_code == 204

    proof = await own.told("POST", "domain-proofs", {"domain": "dominiopartner.example"})
    assert (await own.told("GET", "domain-proofs"))["items"] == [proof]
    granted = {"address": "sales@example.com", "unit": "/"}
    assert await own.told("POST", "address-grants", granted) == granted
    assert (await own.told("GET", "address-grants"))["items"] == [granted]
    assert await own.told("POST", "address-grants/revoke", granted) == granted
    assert (await own.ask("DELETE", "domain-proofs/dominiopartner.example")).status_code == 204
    assert await own.told("POST", f"users/{BOB}/unlock") == {"failures": 0}
