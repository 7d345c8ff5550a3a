"""`users.settings.sendAs` as Google's own Python client asks for it."""

import asyncio

import pytest

from api.api_site import ALICE, BASIC, BOB, PARTNER, READONLY, SEND, SHARING, ApiSite, ask, refused
from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import users
from outgate.directory.gateway_settings import GatewaySettings
from outgate.http.database_threads import THREADS
from outgate.model import Consent, OAuthTokens, Security
from outgate.operations import send_as_operations
from outgate.operations.context import OperationContext
from outgate.sendas import gateways
from way.place import GATEWAY_PASSWORD


async def test_an_address_is_made_with_its_gateway_read_changed_and_deleted(api: ApiSite) -> None:
    send_as = api.send_as()
    wanted = {"sendAsEmail": PARTNER, "displayName": "Alice", "treatAsAlias": False, "smtpMsa": api.gateway}
    made = await ask(send_as.create(userId="me", body=wanted))
    assert made == {
        "sendAsEmail": PARTNER,
        "displayName": "Alice",
        "replyToAddress": "",
        "signature": "",
        "isPrimary": False,
        "isDefault": False,
        "treatAsAlias": False,
        "smtpMsa": {"host": "localhost", "port": api.partner.port, "securityMode": "starttls"},
        "verificationStatus": "pending",
    }
    assert await ask(send_as.get(userId=ALICE, sendAsEmail=PARTNER)) == made
    listed = await ask(send_as.list(userId="me"))
    assert [one["sendAsEmail"] for one in listed["sendAs"]] == [ALICE, PARTNER]
    assert "verificationStatus" not in listed["sendAs"][0]
    changed = await ask(send_as.patch(userId="me", sendAsEmail=PARTNER, body={"replyToAddress": "a@b.example"}))
    assert changed == made | {"replyToAddress": "a@b.example"}
    signed = {"signature": "<b>Alice</b><script>x</script>"}
    changed = await ask(send_as.patch(userId="me", sendAsEmail=PARTNER, body=signed))
    assert changed["signature"] == "<b>Alice</b>"
    assert (await ask(send_as.list(userId="me")))["sendAs"][1]["signature"] == "<b>Alice</b>"
    written = await ask(send_as.update(userId="me", sendAsEmail=PARTNER, body={"displayName": "A."}))
    assert written == {name: value for name, value in made.items() if name != "smtpMsa"} | {
        "displayName": "A.",
        "treatAsAlias": True,
    }
    assert not await ask(send_as.verify(userId="me", sendAsEmail=PARTNER))
    assert not await ask(send_as.delete(userId="me", sendAsEmail=PARTNER))
    assert await refused(send_as.get(userId="me", sendAsEmail=PARTNER)) == (
        404,
        "NOT_FOUND",
        "Requested entity was not found.",
    )


async def test_a_gateway_that_can_not_be_used_is_told_with_the_step_and_nothing_is_made(api: ApiSite) -> None:
    send_as = api.send_as()
    wrong = api.gateway | {"password": "another"}
    code, status, text = await refused(send_as.create(userId="me", body={"sendAsEmail": PARTNER, "smtpMsa": wrong}))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert f"localhost:{api.partner.port} can't be used as a gateway: logging in failed: " in text
    assert "535 5.7.8 Wrong user or password" in text
    assert "another" not in text
    assert len((await ask(send_as.list(userId="me")))["sendAs"]) == 1


async def test_with_the_switch_off_the_reference_s_text_is_told(api: ApiSite) -> None:
    await api.site.switch(on=False)
    body = {"sendAsEmail": PARTNER, "smtpMsa": api.gateway}
    code, status, text = await refused(api.send_as().create(userId="me", body=body))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert text.startswith("Functionality not enabled. You must send through dominiopartner.example SMTP servers")
    assert not api.partner.connections


async def test_a_gateway_keeps_its_password_unless_it_is_another_server(api: ApiSite) -> None:
    send_as = api.send_as()
    await ask(send_as.create(userId="me", body={"sendAsEmail": PARTNER, "smtpMsa": api.gateway}))
    known = await ask(send_as.get(userId="me", sendAsEmail=PARTNER))
    assert await ask(send_as.update(userId="me", sendAsEmail=PARTNER, body=known)) == known
    msa = {"host": "elsewhere.example", "port": 587}
    told = await refused(send_as.patch(userId="me", sendAsEmail=PARTNER, body={"smtpMsa": msa}))
    assert told == (
        400,
        "INVALID_ARGUMENT",
        "Invalid smtpMsa: another server or user name needs its password as well.",
    )
    cleared = await ask(send_as.patch(userId="me", sendAsEmail=PARTNER, body={"smtpMsa": {}}))
    assert "smtpMsa" not in cleared


@pytest.mark.parametrize("state", ["signed in", "erased"])
async def test_a_gateway_that_does_not_change_is_left_however_it_logs_in(api: ApiSite, state: str) -> None:
    """Nothing of its password is opened, and nothing is tried: what reads an address and writes it again works."""
    await api.site.add_external(ALICE, PARTNER, api.partner.port)
    tokens = OAuthTokens("access", "refresh", clock.now() + 3600)
    wanted = GatewaySettings(
        "localhost", 587, Security.STARTTLS, PARTNER, consent=Consent("example", "outgate", tokens)
    )

    def change(op: OperationContext) -> None:
        account = users.find(op.connection, ALICE).id
        if state == "signed in":
            gateways.set_gateway(op.connection, op.vault, account, PARTNER, wanted, op.now)
        else:
            gateways.erase(op.connection, account)

    await api.operate(change)
    send_as = api.send_as()
    known = await ask(send_as.get(userId="me", sendAsEmail=PARTNER))
    written = await ask(send_as.update(userId="me", sendAsEmail=PARTNER, body=known | {"displayName": "A."}))
    assert written == known | {"displayName": "A."}
    body = {"smtpMsa": known["smtpMsa"], "displayName": "B."}
    assert await ask(send_as.patch(userId="me", sendAsEmail=PARTNER, body=body)) == known | {"displayName": "B."}
    assert not api.partner.connections


async def test_the_default_moves_and_the_primary_stays(api: ApiSite) -> None:
    await api.site.add_external(ALICE, PARTNER)
    send_as = api.send_as()
    assert (await ask(send_as.patch(userId="me", sendAsEmail=PARTNER, body={"isDefault": True})))["isDefault"]
    assert not (await ask(send_as.get(userId="me", sendAsEmail=ALICE)))["isDefault"]
    assert await refused(send_as.delete(userId="me", sendAsEmail=ALICE)) == (
        400,
        "INVALID_ARGUMENT",
        "Cannot delete primary send-as",
    )
    told = await refused(send_as.verify(userId="me", sendAsEmail=PARTNER))
    assert told[:2] == (400, "FAILED_PRECONDITION")
    again = await refused(send_as.create(userId="me", body={"sendAsEmail": PARTNER}))
    assert again[:2] == (409, "ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"sendAsEmail": "no address"}, "no address"),
        ({"displayName": "x"}, "sendAsEmail is missing"),
        ({"sendAsEmail": PARTNER, "smtpMsa": {"host": "localhost"}}, "host and port are required"),
        ({"sendAsEmail": PARTNER, "smtpMsa": {"host": "h", "port": "five"}}, "smtpMsa.port"),
        ({"sendAsEmail": PARTNER, "smtpMsa": {"host": "h", "port": 587, "securityMode": "none"}}, "only port 25"),
        ({"sendAsEmail": PARTNER, "colour": "red"}, 'Unknown name "colour": Cannot find field.'),
    ],
)
async def test_what_can_not_be_so_is_told_by_name(api: ApiSite, body: dict[str, object], part: str) -> None:
    code, status, text = await refused(api.send_as().create(userId="me", body=body))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert part in text


async def test_scopes_are_held_call_by_call(api: ApiSite) -> None:
    reader, basic = api.send_as(scopes=[READONLY]), api.send_as(scopes=[BASIC])
    await api.site.add_external(ALICE, PARTNER)
    assert await ask(reader.list(userId="me"))
    for request in (
        api.send_as(scopes=[SEND]).list(userId="me"),
        reader.patch(userId="me", sendAsEmail=ALICE, body={"displayName": "x"}),
        basic.create(userId="me", body={"sendAsEmail": "a@b.example"}),
        basic.patch(userId="me", sendAsEmail=PARTNER, body={"displayName": "x"}),
        basic.delete(userId="me", sendAsEmail=PARTNER),
    ):
        told = await refused(request)
        assert told == (403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
    assert (await ask(basic.patch(userId="me", sendAsEmail=ALICE, body={"displayName": "x"})))["displayName"] == "x"


async def test_a_token_is_for_one_user_alone(api: ApiSite) -> None:
    told = await refused(api.send_as().list(userId=BOB))
    assert told == (403, "PERMISSION_DENIED", f"Delegation denied for {ALICE}")
    listed = await ask(api.send_as(BOB).list(userId=BOB))
    assert [one["sendAsEmail"] for one in listed["sendAs"]] == [BOB]


async def test_fields_say_what_is_answered(api: ApiSite) -> None:
    send_as = api.send_as(scopes=[SHARING])
    with pytest.raises(Exception, match="insufficient"):
        await ask(send_as.list(userId="me"))
    send_as = api.send_as()
    listed = await ask(send_as.list(userId="me", fields="sendAs(sendAsEmail,isDefault)"))
    assert listed == {"sendAs": [{"sendAsEmail": ALICE, "isDefault": True}]}
    assert (await refused(send_as.list(userId="me", fields="sendAs(")))[:2] == (400, "INVALID_ARGUMENT")


async def test_a_gateway_without_tls_is_refused_and_nothing_is_made(api: ApiSite) -> None:
    async with RawPeer(credentials={}) as plain:
        msa = {"host": "localhost", "port": plain.port, "username": PARTNER, "password": GATEWAY_PASSWORD}
        told = await refused(api.send_as().create(userId="me", body={"sendAsEmail": PARTNER, "smtpMsa": msa}))
        assert "securing the connection (TLS) failed" in told[2]
    account = await api.look(lambda op: send_as_operations.account(op, ALICE))
    assert list(account.send_as) == [ALICE]


async def test_a_silent_gateway_is_not_waited_for_in_the_threads_of_others(
    api: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outgate.deliver.connection.SILENCE", 60.0)  # none of them ends by itself
    connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    silent = await asyncio.start_server(lambda _reader, writer: connected.put(writer), "127.0.0.1", 0)
    msa = {"host": "localhost", "port": silent.sockets[0].getsockname()[1], "username": PARTNER, "password": "x"}
    bodies = [{"sendAsEmail": f"{number}@dominiopartner.example", "smtpMsa": msa} for number in range(THREADS)]
    waiting = [asyncio.create_task(refused(api.send_as().create(userId="me", body=body))) for body in bodies]
    async with asyncio.timeout(40):
        writers = [await connected.get() for _ in waiting]
        answers = await asyncio.gather(*(ask(api.send_as().list(userId="me")) for _ in range(2 * THREADS)))
    assert all(one["sendAs"][0]["sendAsEmail"] == ALICE for one in answers)
    assert not any(one.done() for one in waiting)
    for writer in writers:
        writer.close()
    for told in await asyncio.gather(*waiting):
        assert "connection closed by the peer" in told[2]
    silent.close()
