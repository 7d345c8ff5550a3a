"""Outgate's own API at a running server: each thing once, from one end to the other; what is refused, and how."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.own_site import ALICE, BOB, EVERY_SCOPE, PARTNER, OwnApi, own_api
from outgate import clock
from outgate.accept.throttle import limits_of
from outgate.api.own_surface import OWN
from outgate.node_id import node_id
from outgate.operations import role_operations
from outgate.record import tallies
from outgate.sendas import proven_domains
from outgate.store import rates
from outgate.store.engine import write
from outgate.tls_reports import session_rows
from outgate.tls_reports.utc_days import last_whole
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, ResultType, TlsFault, TlsSession
from way.place import GATEWAY_PASSWORD, Site
from web.links import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAROL = "carol@recipient.example"
SECOND = "alice@second.example"
QUEUE_READ, QUEUE_MANAGE = "outgate.queue-read", "outgate.queue-manage"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnApi]:
    """One server for all that changes no mail. What is counted is not written meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "EVERY", 3600.0)
        async with own_api(tmp_path_factory.mktemp("own-api"), mail=2) as place:
            yield place


async def pages(own: OwnApi, path: str, limit: int) -> list[list[dict[str, object]]]:
    """All pages of a list."""
    found, cursor = [], ""
    while True:
        page = await own.told("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        found.append(page["items"])
        if "nextCursor" not in page:
            return found
        cursor = f"&cursor={page['nextCursor']}"


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
    schedule = {"retryFirst": 600, "reason": "as long as nobody else has set one"}
    assert await own.refused("PUT", "schedules/slow.example", schedule, headers={"If-None-Match": "*"}) == (
        400,
        "If-None-Match is looked at with GET alone: leave it out.",
    )
    rotation, seen = "domains/example.com/dkim-rotation", {"If-Match": "*"}
    other = await own.ask("POST", rotation, headers=seen, scopes=(QUEUE_READ,))
    assert other.headers["www-authenticate"].endswith('scope="outgate.domains-manage outgate.units-read"')
    assert (await own.refused("GET", "no-such-thing"))[0] == 404
    stranger = await own.api.client.get("/api/v1/queue/recipients")
    assert (stranger.status_code, stranger.headers["content-type"]) == (401, "application/problem+json")
    assert stranger.headers["www-authenticate"].startswith("Bearer ")


async def test_a_parameter_without_a_value_is_as_if_it_were_left_out(own: OwnApi) -> None:
    for path, empty in (
        ("queue/tally", "?by="),
        ("queue/recipients", "?limit=&state=&olderThan="),
        ("log/traffic", "?hours="),
        (f"explanation?sender={PARTNER}&recipient={CAROL}", "&user="),
    ):
        assert await own.told("GET", f"{path}{empty}") == await own.told("GET", path)
    [first, *_] = (await own.told("GET", "queue/recipients?limit=1"))["items"]
    token = {"Authorization": f"Bearer {await own.token(ALICE, EVERY_SCOPE)}"}
    message = f"/gmail/v1/users/me/messages/{first['id']}"
    left_out, empty_one = [await own.api.client.get(f"{message}{one}", headers=token) for one in ("", "?format=")]
    assert (empty_one.status_code, empty_one.json()) == (left_out.status_code, left_out.json())
    assert left_out.json()["error"]["status"] == "FAILED_PRECONDITION", "what is in it is not kept"


async def test_gateways_are_seen_tried_suspended_and_limited(own: OwnApi) -> None:
    [failing] = (await own.told("GET", "gateways"))["items"]
    assert (failing["address"], failing["state"], failing["recipients"]) == (PARTNER, "failing", 4)
    assert await own.told("GET", "gateway-totals") == {"known": 1, "failing": 1, "withoutPassword": 0}
    await own.site.add_external(ALICE, SECOND, own.api.partner.port)
    refused = await own.told("POST", f"users/me/gateways/{SECOND}/test")
    assert (refused["works"], refused["failed"]) == (False, "logging in failed")
    assert "5.7.8" in refused["reply"]
    own.api.partner.credentials = {PARTNER: GATEWAY_PASSWORD, SECOND: GATEWAY_PASSWORD}
    assert await own.told("POST", f"users/{ALICE}/gateways/{SECOND}/test") == {"works": True}
    assert (await own.refused("POST", f"users/{ALICE}/gateways/{SECOND}/test", user=BOB))[0] == 403

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
    assert (advice["gateway"]["dkim"], advice["address"]) == ("expected-if-it-signs", PARTNER)

    [*_, entry] = (await own.told("GET", f"log/messages?recipient={CAROL}&outcome=waiting"))["items"]
    assert entry["senders"] == [PARTNER]
    assert [len(page) for page in await pages(own, "log/messages?sender=dominiopartner.example", 1)] == [1, 1, 0]
    story = await own.told("GET", f"log/messages/{entry['id']}")
    assert [event["kind"] for event in story["events"]][:2] == ["accepted", "routed"]
    assert (await own.told("GET", "log/traffic?hours=2"))["items"] == []  # what is counted is written by the minute
    assert (await own.told("GET", "status"))["troubles"][0]["queue"].startswith("gateway:")


async def test_the_organisation_s_gateway_and_domains_are_changed_as_they_were_seen(own: OwnApi) -> None:
    assert (await own.refused("GET", "domain-gateway"))[0] == 404
    wanted = {"host": "localhost", "port": own.api.partner.port, "username": PARTNER, "password": "wrong"}
    status, words = await own.refused("PUT", "domain-gateway", wanted)
    failed = f"localhost:{own.api.partner.port} can't be used as a gateway: logging in failed: "
    assert (status, words[: len(failed)]) == (422, failed)
    right = wanted | {"password": GATEWAY_PASSWORD}
    made = await own.ask("PUT", "domain-gateway", right)
    assert (made.json()["username"], GATEWAY_PASSWORD in made.text) == (PARTNER, False)
    assert (await own.told("PUT", "domain-gateway", {**wanted, "password": ""}))["port"] == own.api.partner.port
    former = (await own.ask("GET", "domain-gateway")).headers["etag"]
    two = await own.told("PUT", "domain-gateway", right | {"fallbacks": ["127.0.0.1"]})
    assert two["fallbacks"] == ["127.0.0.1"]
    changed = await own.refused("DELETE", "domain-gateway", headers={"If-Match": former})  # its hosts are of its state
    assert changed[0] == 412
    kept = await own.told("PUT", "domain-gateway", {**wanted, "password": ""})  # names no others: they stay
    assert (kept["host"], kept["fallbacks"]) == ("localhost", ["127.0.0.1"])
    elsewhere = {**wanted, "password": "", "fallbacks": ["other.example"]}
    assert (await own.refused("PUT", "domain-gateway", elsewhere))[1].startswith("Another server or user name needs")
    assert (await own.told("PUT", "domain-gateway", right | {"fallbacks": []}))["fallbacks"] == []

    of_domain = "domain-gateway?domain=example.com"
    assert (await own.refused("GET", of_domain))[0] == 404
    assert (await own.refused("PUT", "domain-gateway?domain=not-ours.example", right))[0] == 404
    made_for_one = await own.told("PUT", of_domain, right)
    assert await own.told("PUT", "domain-gateway?domain=Example.COM", {**wanted, "password": ""}) == made_for_one
    listed = (await own.told("GET", "domain-gateways"))["items"]
    assert [one.get("domain") for one in listed] == [None, "example.com"]
    queues = [one["queue"] for page in await pages(own, "gateways", 1) for one in page]
    assert queues[:2] == ["domain-gateway", "domain-gateway:example.com"]
    assert str(queues[2]).startswith("gateway:")
    assert (await own.told("GET", f"gateways/{queues[1]}"))["queue"] == queues[1]
    assert (await own.refused("GET", "gateways?cursor=mx:example.com"))[0] == 400
    assert (await own.ask("DELETE", of_domain)).status_code == 204
    seen = (await own.ask("GET", "domain-gateway")).headers["etag"]
    assert (await own.refused("DELETE", "domain-gateway", headers={"If-Match": '"another"'}))[0] == 412
    assert (await own.ask("DELETE", "domain-gateway", headers={"If-Match": seen})).status_code == 204
    assert (await own.refused("DELETE", "domain-gateway", headers={"If-Match": seen}))[0] == 412

    added = {"name": "example.org", "isPrimary": False, "dkimKeys": []}
    assert await own.told("POST", "domains", {"name": "example.org"}) == added
    assert (await own.refused("POST", "domains", {"name": "example.org"}))[0] == 409
    [key] = (await own.told("POST", "domains/example.org/dkim-key", {"selector": "s2027"}))["dkimKeys"]
    assert (key["selector"], key["stage"], key["record"][:10]) == ("s2027", "signing", "v=DKIM1; k")
    rotated = await own.told("POST", "domains/example.org/dkim-rotation")
    assert [one["stage"] for one in rotated["dkimKeys"]] == ["signing", "waiting", "waiting"]
    assert (await own.told("DELETE", "domains/example.org/dkim-rotation"))["dkimKeys"] == [key]
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
    await own.api.operate(lambda op: proven_domains.settle_check(op.connection, proof["domain"], True, op.now))
    granted = {"address": f"sales@{proof['domain']}", "unit": "/"}
    assert await own.told("POST", "address-grants", granted) == granted
    assert (await own.told("GET", "address-grants"))["items"] == [granted]
    server = granted | {"host": "localhost", "port": own.api.partner.port, "username": "sales", "password": "wrong"}
    own.api.partner.credentials = {"sales": GATEWAY_PASSWORD}
    refused = await own.refused("PUT", "address-grants/gateway", server)
    failed = f"localhost:{own.api.partner.port} can't be used as a gateway: logging in failed: "
    assert (refused[0], refused[1][: len(failed)]) == (422, failed)
    assert (await own.refused("PUT", "address-grants/gateway", server, user=BOB))[0] == 403
    right = await own.ask("PUT", "address-grants/gateway", server | {"password": GATEWAY_PASSWORD})
    assert (right.json()["gateway"]["username"], GATEWAY_PASSWORD in right.text) == ("sales", False)
    kept = await own.told("PUT", "address-grants/gateway", server | {"password": ""})
    assert (await own.told("GET", "address-grants"))["items"] == [kept]
    assert (await own.refused("PUT", "address-grants/gateway", server | {"password": "", "host": "127.0.0.1"}))[
        0
    ] == 400
    assert await own.told("POST", "address-grants/gateway/test", granted) == {"works": True}
    own.api.partner.answer = lambda line: "553 5.7.1 not yours" if line.startswith("MAIL") else None
    right_one = server | {"password": GATEWAY_PASSWORD}
    assert "the sender was refused" in (await own.refused("PUT", "address-grants/gateway", right_one))[1]
    whole = {"address": f"*@{proof['domain']}", "user": BOB}
    assert await own.told("POST", "address-grants", whole) == whole
    of_whole = right_one | whole | {"unit": None}  # of which no address is a sender: none is asked for
    assert (await own.told("PUT", "address-grants/gateway", of_whole))["gateway"] == kept["gateway"]
    own.api.partner.answer = None
    own.api.partner.credentials = {}
    assert (await own.told("POST", "address-grants/gateway/test", granted))["failed"] == "logging in failed"
    assert (await own.refused("POST", "address-grants/gateway/test", granted, user=BOB))[0] == 403
    assert await own.told("POST", "address-grants/gateway/clear", granted) == granted
    assert (await own.refused("POST", "address-grants/gateway/test", granted))[0] == 404
    assert await own.told("POST", "address-grants/revoke", granted) == granted
    assert (await own.ask("DELETE", "domain-proofs/dominiopartner.example")).status_code == 204
    assert await own.told("POST", f"users/{BOB}/unlock") == {"failures": 0}


async def test_a_destination_s_schedule_is_set_seen_changed_as_it_was_seen_and_removed(own: OwnApi) -> None:
    wanted = {"retryFirst": 600, "giveUpAfter": 864000, "reason": "they are moving", "lasts": 3600}
    made = await own.told("PUT", "schedules/*.Slow.Example", wanted)
    assert (made["destination"], made["author"], made["retryFirst"]) == ("slow.example", ALICE, 600)
    listed = await own.told("GET", "schedules")
    assert listed["items"] == [made]
    assert [one["way"] for one in listed["ways"]] == ["user-gateway", "local", "domain-gateway", "direct"]
    one = "schedules/slow.example"
    answer = await own.ask("GET", one)
    seen = {"If-Match": answer.headers["etag"]}
    assert answer.json() == made

    [told, *_] = (one for one in OWN.methods if one.id == "schedule.set")
    assert (told.scopes, told.match_scopes) == ((QUEUE_MANAGE,), (QUEUE_READ,))
    assert (await own.refused("PUT", one, wanted, headers=seen, scopes=(QUEUE_MANAGE,)))[0] == 403
    assert (await own.ask("PUT", one, wanted | {"retryFirst": 900}, headers=seen)).json()["retryFirst"] == 900
    assert (await own.refused("DELETE", one, headers=seen))[0] == 412
    assert (await own.refused("PUT", "schedules/other.example", wanted, headers={"If-Match": "*"}))[0] == 412
    too_long = await own.refused("PUT", one, wanted | {"retryFirst": 80000})
    assert (too_long[0], "longer than the longest" in too_long[1]) == (400, True)
    assert (await own.refused("PUT", one, wanted, user=BOB))[0] == 403
    assert (await own.ask("DELETE", one, scopes=(QUEUE_MANAGE,))).status_code == 204
    assert (await own.refused("GET", one))[0] == 404
    assert (await own.refused("DELETE", one))[0] == 404


async def test_groups_and_addresses_go_from_user_to_user_as_far_as_one_may_act_on_both(own: OwnApi) -> None:
    made = await own.told("POST", "groups", {"name": "Press / News"})
    assert [one["name"] for [one] in (await pages(own, "groups", 1))[:-1]] == ["Press / News"]
    group = "group?name=Press%20%2F%20News"
    came = await own.told("POST", f"group/members{group[5:]}", {"come": [ALICE, BOB]})
    assert came == made | {"members": [ALICE, BOB]}
    left = await own.told("POST", f"group/members{group[5:]}", {"go": [BOB]})
    assert (await own.told("GET", group)) == left
    await own.api.operate(lambda op: role_operations.assign(op, BOB, "user-admin", "/"))
    assert (await own.refused("POST", f"group/members{group[5:]}", {"go": [ALICE]}, user=BOB))[0] == 403  # who may more
    assert (await own.told("PUT", group, {"name": "News"}))["name"] == "News"
    assert (await own.refused("GET", group))[0] == 404

    give = {"user": "me", "address": SECOND, "to": BOB}
    assert (await own.refused("POST", "send-as/transfer", give | {"user": ALICE}, user=BOB))[0] == 403
    again = await own.refused("POST", "send-as/transfer", give | {"to": ALICE})
    assert (again[0], "name another one" in again[1]) == (400, True)
    assert await own.told("POST", "send-as/transfer", give) == {"user": BOB, "address": SECOND, "confirmed": False}
    await own.api.operate(lambda op: role_operations.unassign(op, BOB, "user-admin", "/"))
    assert (await own.ask("DELETE", "group?name=News", user=ALICE)).status_code == 204


async def test_what_is_locked_is_seen_and_unlocked_and_how_tls_came_out_is_told(own: OwnApi) -> None:
    await asyncio.to_thread(_fail_to_log_in_and_to_secure, own.site)
    [found] = (await own.told("GET", "log-ins/locked"))["items"]
    assert (found["account"], found["network"]) == (BOB, "192.0.2.0/24")
    assert (await own.refused("GET", "log-ins/locked", user=BOB))[0] == 403
    assert (await own.told("GET", "log-ins/locked?limit=1"))["items"] == [found]
    unlocked = await own.told("POST", "log-ins/unlock", {"network": "192.0.2.7/24"})
    assert unlocked == {"network": "192.0.2.0/24", "failures": 10}
    assert (await own.told("GET", "log-ins/locked"))["items"] == []
    assert (await own.refused("POST", "log-ins/unlock", {"network": "everywhere"}))[0] == 400

    [domain] = (await own.told("GET", "tls-reports"))["items"]
    assert domain == {"domain": "recipient.example", "succeeded": 0, "failed": 1}
    told = await own.told("GET", "tls-reports/Recipient.Example")
    assert (told["policies"][0]["failures"][0]["result"], "report" in told) == ("certificate-expired", False)
    assert (await own.refused("GET", "tls-reports/recipient.example?day=2020-01-31"))[0] == 404
    assert (await own.refused("GET", "tls-reports?day=soon"))[0] == 400
    assert (await own.refused("GET", "tls-reports", user=BOB))[0] == 403


def _fail_to_log_in_and_to_secure(site: Site) -> None:
    with opened(site) as place, write(place.engine) as connection:
        rate, key = limits_of(place.config.log_in).events(BOB, "192.0.2.0/24")[0]
        while rates.hit(connection, rate, key, clock.now()):
            pass
        policy = AppliedPolicy(PolicyType.NONE, "recipient.example")
        fault = TlsFault(ResultType.EXPIRED, "certificate has expired")
        day = last_whole(clock.now())
        session_rows.add(connection, day, "recipient.example", {TlsSession("recipient.example", policy, fault): 1})


async def test_waiting_mail_is_listed_held_moved_and_deleted_by_one_and_by_many(tmp_path: Path) -> None:
    async with own_api(tmp_path, mail=2) as own:  # where nothing else is done to it
        await _steered(own)


async def _steered(own: OwnApi) -> None:
    assert [len(page) for page in await pages(own, "queue/recipients", 3)] == [3, 1]
    [[count], *_] = await pages(own, "queue/counts", 1)
    assert (count["messages"], count["recipients"], count["held"]) == (2, 4, 0)
    [first, *_, other] = (await own.told("GET", f"queue/recipients?address={PARTNER}&state=deferred"))["items"]
    assert (first["sender"], first["recipient"]) == (PARTNER, "carol@recipient.example")
    one = f"queue/messages/{first['id']}"

    before = (await own.told("GET", "log/events"))["nextCursor"]
    assert await own.told("POST", f"{one}/hold") == {"recipients": 2, "isDone": True, "isDryRun": False}
    followed = (await own.told("GET", f"log/events?cursor={before}"))["items"]
    assert [event["detail"].get("what") for event in followed if event["id"] == first["id"]][-2:] == ["held", "held"]
    after = await own.told("GET", one)
    assert {recipient["state"] for recipient in after["recipients"]} == {"held"}
    assert after["events"][-1]["detail"] == {"recipient": "dave@recipient.example", "what": "held", "by": ALICE}
    tally = await own.told("GET", "queue/tally?by=state")
    assert {"key": "held", "recipients": 2} in tally["items"]

    answer = await own.ask("GET", one)
    seen = answer.headers["etag"]
    assert {event["kind"] for event in answer.json()["events"]} >= {"accepted", "routed", "deferred"}
    unchanged = await own.ask("GET", one, headers={"If-None-Match": f'"else", {seen}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", seen)

    dry = await own.told("POST", "queue/release", {"state": "held", "dryRun": True})
    assert dry == {"recipients": 2, "isDone": False, "isDryRun": True}
    released = await own.ask("POST", f"{one}/release", headers={"If-Match": seen})
    assert released.json()["recipients"] == 2
    status, words = await own.refused("DELETE", one, headers={"If-Match": seen})
    assert (status, words) == (412, "It has changed since you have read it: read it again, and then decide.")
    await own.tried(2, 2, 1, 1)
    assert (await own.told("POST", f"{one}/move", {"way": "direct"}))["recipients"] == 2
    assert await own.told("POST", "queue/hold", {"everything": True}) == {"isDone": False, "isDryRun": False}
    assert (await own.told("DELETE", f"queue/messages/{other['id']}"))["recipients"] == 2
    assert (await own.refused("GET", f"queue/messages/{other['id']}"))[0] == 404


async def test_a_webhook_is_added_tested_stopped_started_and_removed(own: OwnApi) -> None:
    wanted = {"name": "tickets", "url": "https://localhost:1/events", "types": ["message.bounced"], "user": ALICE}
    made = await own.told("POST", "webhooks", wanted)
    assert made["secret"].startswith("whsec_")
    shown = await own.told("GET", "webhooks/tickets")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await own.told("GET", "webhooks"))["items"] == [shown]
    assert (await own.refused("POST", "webhooks", wanted))[0] == 409
    tried = await own.told("POST", "webhooks/tickets/test")
    assert (tried["type"], tried["outcome"] == "delivered", "status" in tried) == ("webhook.test", False, False)
    assert (await own.told("GET", "webhooks/tickets/tries"))["items"] == [tried]
    renewed = await own.told("POST", "webhooks/tickets/secret")
    assert renewed["secret"] != made["secret"]
    assert (await own.told("POST", "webhooks/tickets/stop"))["state"] == "stopped"
    assert (await own.refused("POST", "webhooks/tickets/stop"))[0] == 409
    assert (await own.told("POST", "webhooks/tickets/start", {"fromNow": True}))["state"] == "on"
    assert (await own.refused("POST", "webhooks/tickets/stop", scopes=("outgate.log-read",)))[0] == 403
    assert (await own.ask("DELETE", "webhooks/tickets")).status_code == 204
    assert (await own.refused("GET", "webhooks/tickets"))[0] == 404
