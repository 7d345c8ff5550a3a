"""DKIM signatures and body digests, checked by dkimpy."""

import hashlib

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dkim.canonicalization import Simple
from hypothesis import given
from hypothesis import strategies as st

from outgate.mail.dkim import BodyDigest, DkimKey, Kind, dns_record, generate, load, sign

HEADER = (
    b"Received: by mail.example.com; x\r\n"
    b"From: Alice  Owner\r\n\t<alice@example.com>\r\n"
    b"To: bob@recipient.example\r\n"
    b"Subject:   folded \r\n\t and\t spaced  \r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@example.com>\r\n"
    b"References: <a@x>\r\n <b@y>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
)
BODY = b"Hello  \r\n\r\n.world\r\n\r\n\r\n"
KEYS: dict[Kind, bytes] = {"rsa": generate("rsa"), "ed25519": generate("ed25519")}


@pytest.fixture(params=["rsa", "ed25519"])
def pem(request: pytest.FixtureRequest) -> bytes:
    if request.param == "ed25519":
        pytest.importorskip("nacl", reason="dkimpy checks Ed25519 only with PyNaCl")
    return KEYS[request.param]


def digest(*pieces: bytes) -> bytes:
    body = BodyDigest()
    for piece in pieces:
        body.update(piece)
    return body.digest()


def verifies(message: bytes, pem: bytes) -> bool:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.example.com."
        return dns_record(pem).encode()

    return bool(dkim.verify(message, dnsfunc=lookup))


def signed(header: bytes, body: bytes, pem: bytes) -> bytes:
    field = sign(header, digest(body), DkimKey("example.com", "s1", load(pem)), 1_700_000_000.5)
    return field + header + b"\r\n" + body


def test_signatures_verify(pem: bytes) -> None:
    assert verifies(signed(HEADER, BODY, pem), pem)
    assert verifies(signed(HEADER, b"", pem), pem)
    assert verifies(signed("From: Jörg <jörg@example.com>\r\nSubject: grüß\r\n".encode(), BODY, pem), pem)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hello", b"Hullo"),
        (b"bob@", b"carol@"),
        (b"<1@", b"<2@"),
        (b"MIME-Version: 1.0\r\n", b""),
        (b"To: bob", b"From: carol@x\r\nTo: bob"),
        (b"To: bob", b"Subject: other\r\nTo: bob"),
        (b"To: bob", b"Cc: other@x\r\nTo: bob"),
        (b"To: bob", b"Reply-To: other@x\r\nTo: bob"),
    ],
)
def test_what_was_changed_or_added_afterwards_breaks_the_signature(pem: bytes, old: bytes, new: bytes) -> None:
    message = signed(HEADER, BODY, pem)
    assert not verifies(message.replace(old, new, 1), pem)


def test_trace_fields_may_be_added(pem: bytes) -> None:
    assert verifies(b"Received: by other\r\n" + signed(HEADER, BODY, pem), pem)


def test_the_field_is_folded_and_names_key_and_time() -> None:
    field = signed(HEADER, BODY, KEYS["rsa"]).partition(b"\r\nReceived:")[0]
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    for tag in (b"a=rsa-sha256", b"c=relaxed/simple", b"d=example.com", b"s=s1", b"t=1700000000", b"h=from:from:"):
        assert tag in field


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"\r\n\r\n", b"a", b"a\r\n", b"a\r\n\r\n", b"a\r\n\r\nb", b"\r\r\n", b"a\r", b"\n", b"\r\na"]
)
def test_body_digests_are_those_of_dkimpy(body: bytes) -> None:
    assert digest(body) == hashlib.sha256(Simple.canonicalize_body(body)).digest()


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b" ", b"\r\n\r\n", b"text\r\n", b""]), max_size=30))
def test_any_split_of_a_body_has_dkimpys_digest(pieces: list[bytes]) -> None:
    assert digest(*pieces) == hashlib.sha256(Simple.canonicalize_body(b"".join(pieces))).digest()


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12))
def test_a_digest_may_be_asked_for_at_any_time(pieces: list[bytes]) -> None:
    body = BodyDigest()
    for count, piece in enumerate(pieces, 1):
        body.update(piece)
        assert body.digest() == digest(b"".join(pieces[:count]))


def test_long_runs_of_empty_lines_are_reduced() -> None:
    body = b"a" + b"\r\n" * 100_000
    assert digest(body, body) == hashlib.sha256(Simple.canonicalize_body(body + b"a\r\n")).digest()


def test_the_dns_record_names_the_kind() -> None:
    assert dns_record(KEYS["rsa"]).startswith("v=DKIM1; k=rsa; p=MIIBIjAN")
    assert dns_record(KEYS["ed25519"]).startswith("v=DKIM1; k=ed25519; p=")


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), ed448.Ed448PrivateKey.generate()])
def test_a_key_of_another_kind_than_dkims_is_refused(key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="DKIM keys are RSA"):
        load(pem)


# Of the curve secp112r1, which nothing here knows (PKCS #8, RFC 5958).
ODD_CURVE = b"""-----BEGIN PRIVATE KEY-----
MCwCAQAwEAYHKoZIzj0CAQYFK4EEAAYEFTATAgEBBA4BAQEBAQEBAQEBAQEBAQ==
-----END PRIVATE KEY-----
"""


def test_a_key_of_a_curve_that_nobody_knows_is_refused_alike() -> None:
    with pytest.raises(ValueError, match="DKIM keys are RSA"):
        load(ODD_CURVE)


def test_what_is_no_key_is_refused_without_being_shown() -> None:
    for pem in (b"", b"secret", KEYS["rsa"][:200]):
        with pytest.raises(ValueError, match="private key in PEM") as error:
            load(pem)
        assert "secret" not in str(error.value)
    assert "private" not in repr(DkimKey("example.com", "s1", load(KEYS["rsa"])))
