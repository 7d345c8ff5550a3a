"""JMAP's Identity: the From addresses that may be sent from, with name, Reply-To and signature as sendAs has them."""

from typing import Any

import pytest

from api.api_site import ALICE, PARTNER, ApiSite, ask
from api.jmap_site import JmapClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_identities_are_the_addresses_that_are_confirmed(shared: ApiSite) -> None:
    pending = {"sendAsEmail": "new@dominiopartner.example"}
    await shared.site.set_domain_gateway(shared.partner.port)
    await ask(shared.send_as().create(userId="me", body=pending))
    client = await JmapClient.of(shared)
    found = await client.identities()
    assert found.keys() == {ALICE, PARTNER}
    assert [one["mayDelete"] for one in found.values()] == [False, True]
    new = {"a": {"email": "new@dominiopartner.example"}, "b": {"email": PARTNER, "name": "Twice"}, "c": {"name": "x"}}
    told = (await client.call("Identity/set", create=new))["notCreated"]
    assert [told[name]["type"] for name in "abc"] == ["forbiddenFrom", "alreadyExists", "invalidProperties"]
    assert told["b"]["existingId"] == found[PARTNER]["id"]


async def test_what_is_changed_is_what_send_as_has(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    identity = (await client.identities())[PARTNER]["id"]
    state = (await client.call("Identity/get", ids=[]))["state"]

    async def updated(**patch: Any) -> Any:
        told = await client.call("Identity/set", update={identity: patch})
        return (told["updated"] or {}).get(identity, told["notUpdated"])

    assert await updated(name="Alice P.", htmlSignature="<b>Alice</b><script>x</script>") == {
        "htmlSignature": "<b>Alice</b>",  # as it is kept
        "textSignature": "Alice",
    }
    told = await updated(replyTo=[{"name": "Alice", "email": "reply@example.com"}])
    assert told == {"replyTo": [{"name": None, "email": "reply@example.com"}]}  # its name is not kept
    kept = await ask(shared.send_as().get(userId="me", sendAsEmail=PARTNER))
    assert (kept["displayName"], kept["replyToAddress"], kept["signature"]) == (
        *("Alice P.", "reply@example.com"),
        "<b>Alice</b>",
    )
    assert await updated(textSignature="Alice\n<sales>") == {"htmlSignature": "Alice<br>&lt;sales&gt;"}
    assert await updated(replyTo=None, textSignature="") == {"htmlSignature": ""}
    for wrong in ({"bcc": [{"email": ALICE}]}, {"email": ALICE}, {"replyTo": [{"email": ALICE}] * 2}, {"name": 1}):
        assert (await updated(**wrong))[identity]["properties"] == list(wrong), wrong
    changes = await client.call("Identity/changes", sinceState=state)
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [identity], [])
    assert changes["newState"] == (await client.call("Identity/get", ids=[]))["state"]
    assert (await client.call("Identity/changes", sinceState=changes["newState"]))["updated"] == []
    assert await client.error("Identity/changes", sinceState=state, maxChanges=0) == "invalidArguments"
    since, told = "", list[str]()
    for more in (True, False):  # all of them are new since the state of none
        one = await client.call("Identity/changes", sinceState=since, maxChanges=1)
        assert (len(one["created"]), one["hasMoreChanges"]) == (1, more)
        since, told = one["newState"], told + one["created"]
    assert (since, set(told)) == (changes["newState"], {one["id"] for one in (await client.identities()).values()})


async def test_an_identity_is_destroyed_with_its_address(shared: ApiSite) -> None:
    client = await JmapClient.of(shared)
    found = await client.identities()
    mine, primary = found[PARTNER]["id"], found[ALICE]["id"]
    state = (await client.call("Identity/get", ids=[]))["state"]
    told = await client.call("Identity/set", destroy=[mine, primary, "Ix"], update={mine: {"name": "x"}})
    assert told["destroyed"] == [mine]
    assert told["notUpdated"][mine]["type"] == "willDestroy"
    assert [told["notDestroyed"][one]["type"] for one in (primary, "Ix")] == ["forbidden", "notFound"]
    listed = (await ask(shared.send_as().list(userId="me")))["sendAs"]
    assert PARTNER not in [one["sendAsEmail"] for one in listed]
    assert (await client.call("Identity/changes", sinceState=state))["destroyed"] == [mine]
