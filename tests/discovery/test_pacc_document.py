"""What is read in a PACC document: one whose digest is known, in its former form and its present one."""

import hashlib
import json
from base64 import b64encode

import pytest

from outgate.discovery import pacc
from outgate.discovery.candidates import Candidate, Certainty, NotUnderstood, Sought, Source
from outgate.mail_program.pacc_document import digest_record, pacc_document
from outgate.mail_program.program_servers import ProgramServer, ProgramServers
from outgate.model import Security

ALICE = Sought.of("Alice@Example.com")
D = b64encode(hashlib.sha256(b"x").digest())


def read(document: object) -> tuple[Candidate, ...]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return pacc.read(raw, frozenset([hashlib.sha256(raw).digest()]), ALICE)


@pytest.mark.parametrize(
    ("protocols", "host"),
    [
        ({"submit": {"host": "Smtp.Example.net"}, "smtp": {"host": "old.example.net"}, "new": 1}, "smtp.example.net"),
        ({"smtp": {"host": "old.example.net"}}, "old.example.net"),
        ({"submit": {"host": "bad host"}}, None),
        ({"submit": {"url": "https://x.example"}}, None),
        ({"submit": "smtp.example.net"}, None),
        ([], None),
    ],
)
def test_the_server_for_submission_is_at_the_port_for_tls_with_the_address_as_user_name(
    protocols: object, host: str | None
) -> None:
    found = read({"protocols": protocols, "more": None})
    wanted = Candidate(host or "", 465, Security.SSL, "alice@example.com", Source.PACC, Certainty.PUBLISHED)
    assert found == ((wanted,) if host else ())


@pytest.mark.parametrize(
    ("authentication", "hint"),
    [
        ({"password": True, "oauth-public": {"issuer": "https://x.example"}}, ""),
        ({"password": False, "oauth-public": {"issuer": "https://x.example"}}, "takes OAuth2 only, no password"),
        ({"password": False}, "does not take a password"),
        ("?", ""),
    ],
)
def test_a_server_that_takes_no_password_is_said_to(authentication: object, hint: str) -> None:
    (found,) = read({"protocols": {"submit": {"host": "smtp.example.net"}}, "authentication": authentication})
    assert found.hint == hint


@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b"[" * 60_000, b'{"protocols":' * 5_000])
def test_what_is_no_json_is_refused_even_with_the_right_digest(document: bytes) -> None:
    with pytest.raises(NotUnderstood, match="not well-formed JSON"):
        read(document)


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (b"v=UAAC1; a=sha256; d=" + D, True),
        (b" d = " + D + b" ;a=sha256;new=1;v=UAAC1;", True),
        (b"v=UAAC1; a=sha512; d=" + D, False),
        (b"v=UAAC2; a=sha256; d=" + D, False),
        (b"v=UAAC1; a=sha256; d=" + D + b"; d=" + D, False),
        (b"v=UAAC1; a=sha256; d=!" + D, False),
        (b"v=UAAC1; a=sha256", False),
        (b"\xff", False),
    ],
)
def test_a_record_counts_whatever_the_order_of_its_tags(record: bytes, counts: bool) -> None:
    assert pacc.digests([record, b"something else"]) == ({hashlib.sha256(b"x").digest()} if counts else set())
    assert not pacc.digests([b"other"] * pacc.MAX_RECORDS + [record])


def test_others_find_the_server_in_our_document_as_we_find_theirs() -> None:
    smtps, submission = (
        ProgramServer("mail.example.com", 465, Security.SSL),
        ProgramServer("mail.example.com", 587, Security.STARTTLS),
    )
    imaps = ProgramServer("imap.example.com", 993, Security.SSL)
    document = pacc_document(ProgramServers((smtps, submission), imaps, "https://mail.example.com"))
    assert document
    (found,) = pacc.read(document, pacc.digests([digest_record(document).encode()]), ALICE)
    assert (found.host, found.port, found.hint) == ("mail.example.com", 465, "")
    assert json.loads(document)["protocols"] == {"submit": {"host": "mail.example.com"}, "imap": {"host": imaps.host}}
    assert pacc_document(ProgramServers((submission,), imaps, "")) is None
