"""AUTH, as the server engine takes it."""

import base64

import pytest

from outgate.smtp import PasswordOffered, ScramFailed, ScramProved, ScramStarted, Tls
from smtp.dialogue import Desk, client_half, codes, greeted, server


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def challenge(said: bytes) -> bytes:
    assert said.startswith(b"334 ")
    return base64.b64decode(said[4:].strip(), validate=True)


def scram(services: Desk, username: str, password: str) -> bytes:
    """Run the client's half; what the server says last."""
    steps = client_half("SCRAM-SHA-256", username, password)
    said = services.run(b"AUTH SCRAM-SHA-256 " + b64(next(steps)) + b"\r\n")
    while said.startswith(b"334 "):
        said = services.run(b64(steps.send(challenge(said))) + b"\r\n")
    return said


def test_plain_is_a_question() -> None:
    services = greeted()
    assert codes(services.run(b"AUTH PLAIN\r\n")) == [334]
    assert codes(services.run(b64(b"\0alice\0pencil") + b"\r\n")) == [235]
    assert services.heard == [PasswordOffered("PLAIN", "alice", "pencil")]
    assert services.engine.authenticated
    assert codes(services.run(b"AUTH PLAIN\r\n")) == [503]


@pytest.mark.parametrize("initial", [b"", b" " + b64(b"alice")])
def test_login_asks_for_both(initial: bytes) -> None:
    services = greeted()
    said = services.run(b"AUTH LOGIN" + initial + b"\r\n")
    if not initial:
        assert challenge(said) == b"Username:"
        said = services.run(b64(b"alice") + b"\r\n")
    assert challenge(said) == b"Password:"
    assert codes(services.run(b64(b"pencil") + b"\r\n")) == [235]
    assert services.heard == [PasswordOffered("LOGIN", "alice", "pencil")]


def test_scram_proves_both_sides() -> None:
    services = greeted()
    assert codes(scram(services, "alice", "pencil")) == [235]
    assert services.heard == [ScramStarted("alice"), ScramProved("alice")]


def test_a_wrong_password_by_scram_is_told_to_the_application() -> None:
    services = greeted()
    assert codes(scram(services, "alice", "pen")) == [535]
    assert services.heard == [ScramStarted("alice"), ScramFailed("alice")]
    assert not services.engine.authenticated


def test_scram_does_not_tell_who_exists() -> None:
    """An unknown user has a salt that stays, and the rounds that users have."""

    def first(username: bytes) -> dict[str, str]:
        services = Desk(server())
        services.run(b"EHLO a\r\n")
        said = challenge(services.run(b"AUTH SCRAM-SHA-256 " + b64(b"n,,n=" + username + b",r=x") + b"\r\n"))
        return dict(part.split("=", 1) for part in said.decode().split(",") if not part.startswith("r="))

    assert first(b"nobody") == first(b"nobody")
    assert first(b"nobody")["s"] != first(b"noone")["s"]
    assert first(b"nobody")["i"] == "600000"
    assert len(first(b"nobody")["s"]) == len(first(b"alice")["s"])


@pytest.mark.parametrize(
    "line",
    [
        b"AUTH PLAIN !!!",
        b"AUTH PLAIN =",
        b"AUTH PLAIN " + b64(b"alice"),
        b"AUTH PLAIN " + b64(b"\0\xff\0x"),
        b"AUTH LOGIN " + b64(b"\xff"),
        b"AUTH SCRAM-SHA-256 " + b64(b"p=tls-unique,,n=alice,r=x"),
        b"AUTH SCRAM-SHA-256 " + b64(b"n,a=bob,n=alice,r=x"),
        b"AUTH SCRAM-SHA-256 " + b64(b"n,,m=x,n=alice,r=x"),
        b"AUTH SCRAM-SHA-256 " + b64(b"n,,r=x"),
        b"AUTH SCRAM-SHA-256 " + b64(b"n"),
        b"AUTH SCRAM-SHA-256 " + b64(b"n,x"),
    ],
)
def test_what_can_not_be_read_is_refused(line: bytes) -> None:
    services = greeted()
    assert codes(services.run(line + b"\r\nNOOP\r\n")) == [501, 250]
    assert services.heard == []


@pytest.mark.parametrize(
    "final", [b"c=biws,r=other,p=AAAA", b"RIGHT,p=AAAA", b"c=eSws,r=x,p=AAAA", b"x", b"c=biws,r=x,p=!"]
)
def test_a_final_message_that_can_not_be_right_fails(final: bytes) -> None:
    services = greeted()
    services.run(b"AUTH SCRAM-SHA-256 " + b64(b"n,,n=alice,r=x") + b"\r\n")
    nonce = base64.b64decode(services.said.rpartition(b"334 ")[2]).partition(b",")[0]
    assert codes(services.run(b64(final.replace(b"RIGHT", b"c=biws," + nonce)) + b"\r\n")) == [535]


def test_an_exchange_can_be_cancelled() -> None:
    services = greeted()
    assert codes(services.run(b"AUTH PLAIN\r\n*\r\nNOOP\r\n")) == [334, 501, 250]


@pytest.mark.parametrize("line", [b"x" * 13_000, b"AGFsaWNl\0", b"AGFs\raWNl"])
def test_a_bad_line_ends_the_exchange(line: bytes) -> None:
    services = greeted()
    said = codes(services.run(b"AUTH PLAIN\r\n" + line + b"\r\nNOOP\r\n"))
    assert said[0] == 334
    assert said[1] in (500, 501)
    assert said[2] == 250


def test_a_long_response_fits() -> None:
    services = greeted()
    assert codes(services.run(b"AUTH PLAIN\r\n" + b64(b"\0alice\0" + b"x" * 8000) + b"\r\n")) == [334, 535]


def test_three_failures_end_the_session() -> None:
    services = greeted()
    attempt = b"AUTH PLAIN " + b64(b"\0alice\0wrong") + b"\r\n"
    assert codes(services.run(attempt * 4)) == [535, 535, 535, 421]
    assert services.engine.closing


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.AVAILABLE])
def test_no_password_is_taken_in_the_clear(tls: Tls) -> None:
    services = greeted(tls=tls)
    assert codes(services.run(b"AUTH PLAIN " + b64(b"\0alice\0pencil") + b"\r\n")) == [538]
    assert services.heard == []
