"""AUTH OAUTHBEARER (RFC 7628) and XOAUTH2, as the server engine takes them."""

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.smtp import Reply, SaslError, SmtpServer, Tls, TokenIssuer, TokenOffered
from outgate.smtp.oauth import oauthbearer_message, xoauth2_message
from smtp.dialogue import Desk, codes

TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"
OPENID = "https://id.example.com/.well-known/openid-configuration"
RFC_7628_EXAMPLE = (  # section 4.1
    b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
    b"HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)
GOOGLES_EXAMPLE = (  # developers.google.com/gmail/imap/xoauth2-protocol
    b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
)


def greeted(*, tls: Tls = Tls.ACTIVE, provider: bool = True) -> Desk:
    issuer = TokenIssuer(OPENID, "smtp") if provider else None
    services = Desk(SmtpServer("mx.example.com", max_size=1000, tls=tls, token_issuer=issuer))
    services.run(b"EHLO client.example\r\n")
    return services


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


def oauthbearer(username: str = "alice", token: str = TOKEN) -> bytes:
    return b"AUTH OAUTHBEARER " + b64(f"n,a={username},\1host=mx\1port=587\1auth=Bearer {token}\1\1") + b"\r\n"


def xoauth2(username: str = "alice", token: str = TOKEN) -> bytes:
    return b"AUTH XOAUTH2 " + b64(f"user={username}\1auth=Bearer {token}\1\1") + b"\r\n"


def challenge(said: bytes) -> dict[str, str]:
    assert said.startswith(b"334 ")
    told = json.loads(base64.b64decode(said[4:].strip(), validate=True))
    assert isinstance(told, dict)
    return told


def test_the_examples_of_both_mechanisms_are_read() -> None:
    bearer = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    assert oauthbearer_message(base64.b64decode(RFC_7628_EXAMPLE)) == ("user@example.com", bearer)
    google = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    assert xoauth2_message(base64.b64decode(GOOGLES_EXAMPLE)) == ("someuser@example.com", google)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_token_is_a_question(mechanism: str) -> None:
    services = greeted()
    line = oauthbearer() if mechanism == "OAUTHBEARER" else xoauth2()
    assert codes(services.run(line)) == [235]
    assert services.heard == [TokenOffered("alice", TOKEN, mechanism)]
    assert services.engine.authenticated


def test_the_token_may_come_in_a_line_of_its_own() -> None:
    services = greeted()
    assert services.run(b"AUTH OAUTHBEARER\r\n") == b"334 \r\n"
    assert codes(services.run(oauthbearer().split(b" ")[2])) == [235]


def test_a_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(TokenOffered("alice", TOKEN, "XOAUTH2"))


def test_both_are_offered_with_a_provider_and_under_tls_alone() -> None:
    assert b" OAUTHBEARER XOAUTH2\r\n" in greeted().said
    assert b"OAUTH" not in greeted(provider=False).said
    assert b"OAUTH" not in greeted(tls=Tls.AVAILABLE).said
    assert codes(greeted(provider=False).run(oauthbearer())) == [504]
    assert codes(greeted(tls=Tls.AVAILABLE).run(oauthbearer())) == [538]


@pytest.mark.parametrize("dummy", [b"AQ==", b"", b"AA", b"!"])
def test_who_is_refused_by_oauthbearer_is_told_where_tokens_are_had(dummy: bytes) -> None:
    services = greeted()
    told = challenge(services.run(oauthbearer("mallory")))
    assert told == {"status": "invalid_token", "scope": "smtp", "openid-configuration": OPENID}
    assert codes(services.run(dummy + b"\r\nNOOP\r\n")) == [535, 250]
    assert not services.engine.authenticated


def test_who_is_refused_by_xoauth2_is_told_as_google_tells_it() -> None:
    services = greeted()
    assert challenge(services.run(xoauth2("mallory"))) == {"status": "401", "schemes": "bearer", "scope": "smtp"}
    assert codes(services.run(b"\r\nNOOP\r\n")) == [535, 250]


def test_a_refusal_can_be_cut_short_and_another_token_tried() -> None:
    services = greeted()
    services.run(oauthbearer("mallory"))
    assert codes(services.run(b"*\r\n" + oauthbearer())) == [501, 235]


def test_a_fault_of_ours_is_told_at_once() -> None:
    """The token may be good; the client should not go for another one."""
    services = greeted()
    services.temporary = Reply(454, "4.7.0", ("Later",))
    assert codes(services.run(oauthbearer())) == [454]


def test_three_refused_tokens_end_the_session() -> None:
    services = greeted()
    assert codes(services.run((xoauth2("mallory") + b"\r\n") * 4)) == [334, 535, 334, 535, 334, 535, 421]


def test_a_client_may_ask_where_tokens_are_had() -> None:
    """RFC 7628 section 4.3."""
    services = greeted()
    told = challenge(services.run(b"AUTH OAUTHBEARER " + b64("n,,\1host=mx\1port=25\1auth=\1\1") + b"\r\n"))
    assert told["openid-configuration"] == OPENID
    assert services.heard == [TokenOffered("", "", "OAUTHBEARER")]


@pytest.mark.parametrize(
    ("message", "username"),
    [
        (f"n,,\1auth=Bearer {TOKEN}\1\1", ""),
        (f"n,a=alice,\1auth=bEARER   {TOKEN}\1\1", "alice"),
        (f"n,a=al=2Cice=3D,\1auth=Bearer {TOKEN}\1\1", "al,ice="),
        (f"n,a=jürgen,\1AUTH=Bearer {TOKEN}\1x=\t\r\n y\1\1", "jürgen"),
    ],
)
def test_what_rfc_7628_allows_is_read(message: str, username: str) -> None:
    assert oauthbearer_message(message.encode()) == (username, TOKEN)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "\1",
        "n,a=alice,",
        "n,a=alice,\1",
        "n,a=alice,\1\1",
        "n,a=alice,\1auth=Bearer x",
        "n,a=alice,\1auth=Bearer x\1",
        "n,a=alice,\1auth=Bearer x\1\1\1",
        "n,a=alice,\1auth=Bearer \1\1",
        "n,a=alice,\1auth=Basic x\1\1",
        "n,a=alice,\1auth=Bearer x y\1\1",
        "n,a=alice,\1auth=Bearer x\0\1\1",
        "n,a=alice,\1auth=Bearer x\1auth=Bearer x\1\1",
        "n,a=alice,\1auth=Bearer x\1AUTH=Bearer y\1\1",
        "n,a=alice,\1auth=Bearer x\1=y\1\1",
        "n,a=alice,\1auth=Bearer x\1port\1\1",
        "n,a=alice\1auth=Bearer x\1\1",
        "n,alice,\1auth=Bearer x\1\1",
        "n,a=,\1auth=Bearer x\1\1",
        "n,a=al=ice,\1auth=Bearer x\1\1",
        "n,a=al\nice,\1auth=Bearer x\1\1",
        "y,a=alice,\1auth=Bearer x\1\1",
        "p=tls-exporter,a=alice,\1auth=Bearer x\1\1",
        "F,n,a=alice,\1auth=Bearer x\1\1",
        "user=alice\1auth=Bearer x\1\1",
        f"n,a={'a' * 321},\1auth=Bearer x\1\1",
        f"n,a=alice,\1auth=Bearer {'x' * 8193}\1\1",
    ],
)
def test_any_other_oauthbearer_message_is_refused(message: str) -> None:
    with pytest.raises(SaslError):
        oauthbearer_message(message.encode())
    services = greeted()
    assert codes(services.run(b"AUTH OAUTHBEARER " + (b64(message) or b"=") + b"\r\nNOOP\r\n")) == [501, 250]
    assert services.heard == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"user=alice",
        b"user=alice\1\1",
        b"user=alice\1auth=Bearer x\1",
        b"user=alice\1auth=\1\1",
        b"user=\1auth=Bearer x\1\1",
        b"user=al\nice\1auth=Bearer x\1\1",
        b"user=\xff\1auth=Bearer x\1\1",
        b"User=alice\1auth=Bearer x\1\1",
        b"auth=Bearer x\1user=alice\1\1",
        b"n,a=alice,\1auth=Bearer x\1\1",
    ],
)
def test_any_other_xoauth2_message_is_refused(message: bytes) -> None:
    with pytest.raises(SaslError):
        xoauth2_message(message)


pieces = st.sampled_from([b"\1", b"n,", b"y,", b",", b"a=", b"user=", b"auth=", b"Bearer ", b"x", b"=", b"\0", b"\xff"])


@given(st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=15).map(b"".join)))
def test_no_bytes_break_the_parsers(message: bytes) -> None:
    for parse in (oauthbearer_message, xoauth2_message):
        try:
            username, token = parse(message)
        except SaslError:
            continue
        assert username.encode() in message.replace(b"=2C", b",").replace(b"=3D", b"=")
        assert token.encode() in message


STREAM = (
    oauthbearer("mallory")
    + b"AQ==\r\n"
    + b"AUTH XOAUTH2\r\n"
    + xoauth2("mallory").split(b" ")[2]
    + b"\r\n"
    + oauthbearer()
) + b"NOOP\r\n"


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=40))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    whole, services = greeted(), greeted()
    whole.run(STREAM)
    services.run_pieces(STREAM[start:end] for start, end in pairwise([0, *sorted(cuts), len(STREAM)]))
    assert services.heard == whole.heard
    assert services.said == whole.said
    assert codes(whole.said)[-5:] == [334, 334, 535, 235, 250]
