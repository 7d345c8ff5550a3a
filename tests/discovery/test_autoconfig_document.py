"""Autoconfig documents read: what becomes a candidate, and what hostile documents can't do."""

import time
from contextlib import suppress
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.discovery import autoconfig
from outgate.discovery.candidates import Candidate, Certainty, NotUnderstood, Sought, Source
from outgate.model import Security

ALICE = Sought.of("Alice@DominioPartner.example")
ADDRESS = "alice@dominiopartner.example"


def _server(
    hostname: str = "smtp.dominiopartner.example",
    port: str = "465",
    socket: str = "SSL",
    username: str = "%EMAILADDRESS%",
    authentication: tuple[str, ...] = ("password-cleartext",),
    kind: str = "smtp",
) -> str:
    ways = "".join(f"<authentication>{escape(way)}</authentication>" for way in authentication)
    return (
        f'<outgoingServer type="{kind}"><hostname>{escape(hostname)}</hostname><port>{escape(port)}</port>'
        f"<socketType>{escape(socket)}</socketType><username>{escape(username)}</username>{ways}</outgoingServer>"
    )


def _document(*servers: str) -> bytes:
    incoming = '<incomingServer type="imap"><hostname>imap.evil.example</hostname><port>993</port></incomingServer>'
    text = f'<clientConfig version="1.1"><emailProvider id="x"><domain>x</domain>{incoming}{"".join(servers)}'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}</emailProvider></clientConfig>'.encode()


def _only(document: bytes) -> Candidate:
    [candidate] = autoconfig.read(document, ALICE)
    return candidate


def test_a_server_becomes_a_candidate() -> None:
    assert _only(_document(_server())) == Candidate(
        "smtp.dominiopartner.example", 465, Security.SSL, ADDRESS, Source.AUTOCONFIG, Certainty.PUBLISHED
    )


def test_both_places_are_https_and_have_the_address_escaped() -> None:
    assert autoconfig.urls(Sought.of("a+b&c@dominiopartner.example")) == (
        "https://autoconfig.dominiopartner.example/mail/config-v1.1.xml"
        "?emailaddress=a%2Bb%26c%40dominiopartner.example",
        "https://dominiopartner.example/.well-known/autoconfig/mail/config-v1.1.xml"
        "?emailaddress=a%2Bb%26c%40dominiopartner.example",
    )


@pytest.mark.parametrize(
    ("written", "username"),
    [
        ("%EMAILADDRESS%", ADDRESS),
        (" %EMAILLOCALPART%\n", "alice"),
        ("%EMAILLOCALPART%.%EMAILDOMAIN%", "alice.dominiopartner.example"),
        ("u12345", "u12345"),
        ("", ADDRESS),
        ("%USERNAME%", ADDRESS),
        ("a\tb", ADDRESS),
        ("a b", ADDRESS),
        ("x" * 256, ADDRESS),
    ],
)
def test_the_user_name_is_filled_in(written: str, username: str) -> None:
    assert _only(_document(_server(username=written))).username == username


def test_the_host_may_have_the_domain_in_it() -> None:
    assert _only(_document(_server("mail.%EMAILDOMAIN%"))).host == "mail.dominiopartner.example"


@pytest.mark.parametrize(
    ("socket", "security"),
    [("SSL", Security.SSL), ("STARTTLS", Security.STARTTLS), ("starttls", Security.STARTTLS)],
)
def test_both_kinds_of_tls_are_taken(socket: str, security: Security) -> None:
    assert _only(_document(_server(socket=socket))).security is security


@pytest.mark.parametrize(
    "server",
    [
        *(_server(socket=socket) for socket in ("plain", "", "none", "TLS?", "SSL STARTTLS")),
        *(_server(port=port) for port in ("", "0", "65536", "-25", "4 65", "465.0", "٤٦٥", "1e3", "9" * 5000)),
        *(
            _server(hostname=host)
            for host in ("", " ", "a b", "http://x/", "x:25", "-", "a" * 300, "%USER%", "a_b.example")
        ),
        *(_server(kind=kind) for kind in ("imap", "SMTP", "")),
        "<outgoingServer/>",
        "<x><outgoingServer/></x>",
    ],
)
def test_what_is_no_usable_server_is_passed_over(server: str) -> None:
    assert _only(_document(server, _server())).host == "smtp.dominiopartner.example"


@pytest.mark.parametrize(
    ("ways", "hint"),
    [
        ((), ""),
        (("password-cleartext",), ""),
        (("plain",), ""),
        (("password-encrypted",), ""),
        (("OAuth2", "password-cleartext"), ""),
        (("OAuth2",), "takes OAuth2 only, no password"),
        (("NTLM", "GSSAPI"), "does not take a password"),
        (("client-IP-address",), "does not take a password"),
    ],
)
def test_how_to_log_in_is_noted(ways: tuple[str, ...], hint: str) -> None:
    assert _only(_document(_server(authentication=ways))).hint == hint


def test_the_order_is_the_documents_and_many_are_cut_off() -> None:
    found = autoconfig.read(_document(*(_server(f"smtp{n}.example") for n in range(1000))), ALICE)
    assert [one.host for one in found] == [f"smtp{n}.example" for n in range(autoconfig.MAX_SERVERS)]


_LOL = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))
_BODY = _server().replace("465", "&x;")
HOSTILE = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY lol0 "lol">{_LOL}]><clientConfig>&lol9;</clientConfig>',
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 30_000}">]><clientConfig>{"&a;" * 10_000}</clientConfig>',
    "file": f'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]><clientConfig>{_BODY}</clientConfig>',
    "url": f'<!DOCTYPE x [<!ENTITY x SYSTEM "http://127.0.0.1/">]><clientConfig>{_BODY}</clientConfig>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><clientConfig/>',
    "external type": '<!DOCTYPE clientConfig SYSTEM "http://127.0.0.1/x.dtd"><clientConfig/>',
    "empty type": "<!DOCTYPE clientConfig><clientConfig/>",
    "attributes by type": '<!DOCTYPE x [<!ATTLIST outgoingServer type CDATA "smtp">]><clientConfig/>',
    "unknown entity": "<clientConfig>&secret;</clientConfig>",
    "unknown encoding": '<?xml version="1.0" encoding="x-unknown"?><clientConfig/>',
    "many-byte encoding": '<?xml version="1.0" encoding="utf-7"?><clientConfig/>',
    "odd encoding": '<?xml version="1.0" encoding="rot13"?><clientConfig/>',
    "web page": "<!doctype html><html><body>Not found</body></html>",
    "xhtml": "<html><body/></html>",
    "json": '{"clientConfig": {}}',
    "nothing": "",
    "zeros": "\0" * 1000,
    "not closed": "<clientConfig>" * 4000,
    "other root": "<emailProvider><outgoingServer type='smtp'/></emailProvider>",
    "namespace": '<clientConfig xmlns="urn:x"/>',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once_and_not_repeated(name: str) -> None:
    started = time.process_time()
    with pytest.raises(NotUnderstood) as refused:
        autoconfig.read(HOSTILE[name].encode(), ALICE)
    assert time.process_time() - started < 1
    assert str(refused.value).startswith("it ")
    assert len(str(refused.value)) < 60
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("inner", ["<a>" * 10_000 + "</a>" * 10_000, "<a/>" * 15_000, f"<a {'b' * 60_000}=''/>"])
def test_a_document_of_odd_shape_is_just_empty(inner: str) -> None:
    assert autoconfig.read(f"<clientConfig>{inner}</clientConfig>".encode(), ALICE) == ()


def test_other_encodings_are_read() -> None:
    text = _document(_server()).decode().replace("UTF-8", "UTF-16")
    assert _only(text.encode("utf-16")).port == 465


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_a_document_or_refused(content: bytes) -> None:
    with suppress(NotUnderstood):
        assert autoconfig.read(content, ALICE) == ()


@given(st.data())
def test_a_damaged_document_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(_document(_server()))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = autoconfig.read(bytes(whole), ALICE)
    except NotUnderstood:
        return
    assert len(found) <= 1
    for one in found:
        assert one.security in (Security.SSL, Security.STARTTLS)
        assert 0 < one.port <= 65535


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda text: "--" not in text)
SERVERS = st.tuples(
    st.lists(LABEL, min_size=2, max_size=4).map(".".join),
    st.integers(-5, 70_000),
    st.sampled_from(["SSL", "STARTTLS", "plain", ""]),
    st.from_regex(r"[a-z0-9@.+_-]{1,30}", fullmatch=True),
)


@given(st.lists(SERVERS, max_size=autoconfig.MAX_SERVERS))
def test_exactly_the_servers_with_tls_and_a_port_are_found(servers: list[tuple[str, int, str, str]]) -> None:
    written = _document(*(_server(host, str(port), socket, user) for host, port, socket, user in servers))
    expected = [
        (host, port, {"SSL": "ssl", "STARTTLS": "starttls"}[socket], user)
        for host, port, socket, user in servers
        if socket in ("SSL", "STARTTLS") and 1 <= port <= 65535
    ]
    found = autoconfig.read(written, ALICE)
    assert [(one.host, one.port, str(one.security), one.username) for one in found] == expected
