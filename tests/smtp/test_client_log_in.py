"""The client's log-ins: one mechanism after the other, and servers that say what they should not."""

import base64
import hmac

import pytest

from outgate.smtp import (
    AuthDone,
    AuthNotOffered,
    ClientEvent,
    KeyDerivation,
    PasswordCredentials,
    ProtocolError,
    SaslError,
    ScramVerifier,
    SmtpClient,
    TokenCredentials,
)
from outgate.smtp.sasl import saslprep
from smtp.test_client_judgement import ready, say

ALICE = PasswordCredentials("alice", "secret")
VERIFIER = ScramVerifier.derive("secret", 4096, b"0123456789abcdef")


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def offered(mechanisms: bytes) -> SmtpClient:
    return ready(b"250-peer\r\n250 AUTH " + mechanisms + b"\r\n")


def begun(mechanisms: bytes = b"SCRAM-SHA-256 PLAIN") -> tuple[SmtpClient, bytes]:
    """A client that has sent its first SCRAM message, and the nonce in it."""
    client = offered(mechanisms)
    client.auth(ALICE)
    sent = base64.b64decode(client.data_to_send().split()[2])
    return client, sent.rpartition(b"r=")[2]


def first(client: SmtpClient, nonce: bytes, rest: bytes) -> list[ClientEvent]:
    return say(client, b"334 " + b64(b"r=" + nonce + rest) + b"\r\n")


def proved(client: SmtpClient, nonce: bytes) -> list[ClientEvent]:
    """After the server's first message, up to the proof."""
    (wanted,) = first(client, nonce, b"x,s=" + b64(VERIFIER.salt) + b",i=4096")
    assert isinstance(wanted, KeyDerivation)
    assert not client.idle
    assert "secret" not in repr(wanted)
    client.derived(wanted.run())
    assert client.data_to_send().endswith(b"\r\n")
    return []


@pytest.mark.parametrize("refusal", [b"535 5.7.8 no", b"504 5.5.4 not that", b"534 5.7.9 too weak"])
def test_after_scram_the_next_mechanism_is_tried(refusal: bytes) -> None:
    client, nonce = begun(b"SCRAM-SHA-256 PLAIN LOGIN")
    proved(client, nonce)
    (done,) = say(client, refusal + b"\r\n")
    assert isinstance(done, AuthDone)
    assert client.mechanisms(ALICE) == ("PLAIN", "LOGIN")
    client.auth(ALICE)
    assert client.data_to_send() == b"AUTH PLAIN " + b64(b"\0alice\0secret") + b"\r\n"
    assert isinstance(say(client, b"235 2.7.0 ok\r\n")[0], AuthDone)
    assert client.idle


@pytest.mark.parametrize(
    ("mechanisms", "reply", "left"),
    [
        (b"PLAIN LOGIN", b"535 5.7.8 no", ()),
        (b"LOGIN CRAM-MD5", b"535 5.7.8 no", ()),
        (b"PLAIN LOGIN", b"504 5.5.4 not that", ("LOGIN",)),
        (b"PLAIN LOGIN", b"454 4.7.0 later", ()),
        (b"PLAIN LOGIN", b"500 5.5.1 what", ("LOGIN",)),
    ],
)
def test_who_has_judged_the_password_itself_is_not_asked_again(
    mechanisms: bytes, reply: bytes, left: tuple[str, ...]
) -> None:
    client = offered(mechanisms)
    client.auth(ALICE)
    say(client, reply + b"\r\n")
    assert client.mechanisms(ALICE) == left
    if not left:
        with pytest.raises(AuthNotOffered):
            client.auth(ALICE)


def test_a_refused_token_is_not_tried_again() -> None:
    client = offered(b"XOAUTH2 PLAIN")
    client.auth(TokenCredentials("alice", "token"))
    say(client, b"535 5.7.8 no\r\n")
    assert client.mechanisms(TokenCredentials("alice", "token")) == ()


def test_a_name_that_scram_can_not_carry_goes_by_another_mechanism() -> None:
    client = offered(b"SCRAM-SHA-256 PLAIN")
    client.auth(PasswordCredentials("al\0ice", "secret"))
    assert client.data_to_send().startswith(b"AUTH PLAIN ")


def test_a_password_that_scram_can_not_carry_goes_by_another_mechanism() -> None:
    client = offered(b"SCRAM-SHA-256 PLAIN")
    credentials = PasswordCredentials("alice", "se\0cret")
    client.auth(credentials)
    nonce = base64.b64decode(client.data_to_send().split()[2]).rpartition(b"r=")[2]
    assert first(client, nonce, b"x,s=c2FsdA==,i=4096") == []
    assert client.data_to_send() == b"*\r\n"
    say(client, b"501 cancelled\r\n")
    assert client.mechanisms(credentials) == ("PLAIN",)


@pytest.mark.parametrize(
    "rest",
    [
        "x,s=c2FsdA==,i=²".encode(),
        b"x,s=c2FsdA==,i=" + b"9" * 5000,
        b"x,s=c2FsdA==,i=2000000",
        b"x,s=c2FsdA==,i=1000001",
        b"x,s=c2FsdA==,i=4095",
        b"x,s=c2FsdA==,i=-5000",
        b"x,s=c2FsdA==,i=",
        b"x,s=c2FsdA==",
        "x,s=é,i=4096".encode(),
        b"x,s=c2FsdA==,i=4096,m=ext",
    ],
)
def test_a_first_message_that_can_not_be_right_ends_the_exchange_and_not_the_log_in(rest: bytes) -> None:
    client, nonce = begun()
    assert first(client, nonce, rest) == []
    assert client.data_to_send() == b"*\r\n"
    assert isinstance(say(client, b"501 cancelled\r\n")[0], AuthDone)
    assert client.mechanisms(ALICE) == ("PLAIN",)


@pytest.mark.parametrize("final", ["v=é", "v=AAAA", "e=other-error", "v="])
def test_a_server_that_does_not_know_the_password_is_not_told_it(final: str) -> None:
    client, nonce = begun()
    proved(client, nonce)
    assert say(client, b"334 " + b64(final.encode()) + b"\r\n") == []
    assert client.data_to_send() == b"*\r\n"
    say(client, b"501 cancelled\r\n")
    assert client.mechanisms(ALICE) == ()


def test_a_welcome_after_a_cancelled_exchange_is_no_log_in() -> None:
    client = offered(b"PLAIN")
    client.auth(ALICE)
    say(client, b"334 !\r\n")
    assert client.data_to_send().endswith(b"*\r\n")
    with pytest.raises(ProtocolError):
        say(client, b"235 2.7.0 welcome\r\n")


@pytest.mark.parametrize(("mechanism", "credentials"), [
    (b"PLAIN", ALICE), (b"XOAUTH2", TokenCredentials("alice", "token")), (b"SCRAM-SHA-256", ALICE),
])  # fmt: skip
def test_an_empty_challenge_asks_for_the_response_in_a_line_of_its_own(
    mechanism: bytes, credentials: PasswordCredentials | TokenCredentials
) -> None:
    client = offered(mechanism)
    client.auth(credentials)
    response = client.data_to_send().split()[2]
    assert say(client, b"334 \r\n") == []
    assert client.data_to_send() == response + b"\r\n"


def test_a_second_empty_challenge_to_plain_is_too_much() -> None:
    client = offered(b"PLAIN")
    client.auth(ALICE)
    say(client, b"334\r\n334\r\n")
    assert client.data_to_send().endswith(b"\r\n*\r\n")


@pytest.mark.parametrize(
    "line",
    [b"auth=login plain", b"Auth=PLAIN LOGIN", b"AUTH=LOGIN PLAIN", b"auth login Plain", b"AUTH X=Y PLAIN LOGIN"],
)
def test_the_offer_of_log_in_is_read_in_all_its_spellings(line: bytes) -> None:
    client = ready(b"250-peer\r\n250-\r\n250 " + line + b"\r\n")
    assert {"LOGIN", "PLAIN"} <= client.capabilities.auth
    assert client.mechanisms(ALICE) == ("PLAIN", "LOGIN")


def test_nothing_is_derived_that_was_not_asked_for() -> None:
    with pytest.raises(RuntimeError):
        offered(b"PLAIN").derived(b"x")


def test_cram_md5_logs_in() -> None:
    client = offered(b"CRAM-MD5")
    client.auth(ALICE)
    assert client.data_to_send() == b"AUTH CRAM-MD5\r\n"
    say(client, b"334 " + b64(b"<1@x>") + b"\r\n")
    digest = hmac.new(b"secret", b"<1@x>", "md5").hexdigest().encode()
    assert client.data_to_send() == b64(b"alice " + digest) + b"\r\n"


def test_a_verifier_is_read_as_it_was_written() -> None:
    assert ScramVerifier.parse(str(VERIFIER)) == VERIFIER
    for text in ("", "SCRAM-SHA-1$4096:c2FsdA==$AA==:AA==", "SCRAM-SHA-256$x:c2FsdA==$AA==:AA=="):
        with pytest.raises(ValueError, match="not a SCRAM-SHA-256 verifier"):
            ScramVerifier.parse(text)


def test_saslprep_maps_and_refuses() -> None:
    assert saslprep("a\u00a0b\u00adc\u2168") == "a bcIX"
    with pytest.raises(SaslError):
        saslprep("a\0b")


# --- what is recorded ------------------------------------------------------------------------------------------------

WHOLE = b64(b"\0alice\0secret").decode()


@pytest.mark.parametrize(
    "words",
    [
        f"bad AUTH PLAIN {WHOLE}",
        f"bad AUTH PLAIN {WHOLE[:12]}...",
        f"bad initial response '{WHOLE}='",
        "wrong password secret for alice",
        f"{b64(b'secret').decode()} is wrong",
    ],
)
def test_what_was_sent_in_an_exchange_is_cut_out_of_replies(words: str) -> None:
    client = offered(b"PLAIN")
    client.auth(ALICE)
    (done,) = say(client, f"535-5.7.8 no\r\n535 5.7.8 {words}\r\n".encode())
    assert isinstance(done, AuthDone)
    text = " ".join(done.reply.lines)
    assert "[cut]" in text
    assert WHOLE[:12] not in text
    assert "secret" not in text
    assert b64(b"secret").decode() not in text


def test_it_is_cut_out_of_each_reply_of_the_exchange_and_forgotten_with_it() -> None:
    client = offered(b"LOGIN")
    client.auth(PasswordCredentials("alice", "a very long secret"))
    say(client, b"334 " + b64(b"Username:") + b"\r\n")
    say(client, b"334 " + b64(b"Password:") + b"\r\n")
    (done,) = say(client, b"421 4.7.0 " + b64(b"a very long secret") + b" Authentication failed\r\n")
    assert isinstance(done, AuthDone)
    assert done.reply.lines == ("[cut] Authentication failed",)
    assert not client._log_in._said
    assert not client._log_in._secret


def test_a_short_password_cuts_no_words() -> None:
    client = offered(b"PLAIN")
    client.auth(PasswordCredentials("al", "no"))
    (done,) = say(client, b"535 5.7.8 no, not now\r\n")
    assert isinstance(done, AuthDone)
    assert done.reply.lines == ("no, not now",)


def test_a_token_is_cut_out_as_well() -> None:
    client = offered(b"XOAUTH2")
    client.auth(TokenCredentials("alice", "token-of-alice"))
    (done,) = say(client, b"535 5.7.8 token-of-alice has expired\r\n")
    assert isinstance(done, AuthDone)
    assert done.reply.lines == ("[cut] has expired",)


def test_the_details_of_a_refused_bearer_are_answered_so_that_the_reply_comes() -> None:
    """RFC 7628 section 3.2.3."""
    client = offered(b"OAUTHBEARER")
    client.auth(TokenCredentials("a=lice,", "token", "smtp.example", 587))
    sent = base64.b64decode(client.data_to_send().split()[2])
    assert sent == b"n,a=a=3Dlice=2C,\1host=smtp.example\1port=587\1auth=Bearer token\1\1"
    assert say(client, b"334 " + b64(b'{"status":"invalid_token"}') + b"\r\n") == []
    assert client.data_to_send() == b64(b"\1") + b"\r\n"
