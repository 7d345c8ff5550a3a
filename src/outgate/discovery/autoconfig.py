"""The document in which a domain tells mail programs their settings (Thunderbird's autoconfig), read as candidates.

The document is anybody's: a parser without document types and entities reads it, and of what it says only servers with
TLS become candidates. Asks nobody.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from outgate.discovery.candidates import Candidate, Certainty, NotUnderstood, Sought, Source
from outgate.mail.addresses import AddressError, canonical_domain
from outgate.model import Security

MAX_SERVERS = 10

_SECURITY = {"SSL": Security.SSL, "STARTTLS": Security.STARTTLS}
_PASSWORD = frozenset(  # in clear within TLS, or by a challenge (CRAM-MD5); the short words are of old documents
    ("password-cleartext", "plain", "password-encrypted", "secure")
)
_PORT = re.compile(r"[0-9]{1,5}")
_USERNAME = re.compile(r"[^\x00-\x20\x7f%]{1,255}")


def urls(sought: Sought) -> tuple[str, str]:
    """Where a domain may have it. Plain http is left out: what comes by it is anybody's on the way."""
    query = f"?emailaddress={quote(sought.address, safe='')}"
    return (
        f"https://autoconfig.{sought.domain}/mail/config-v1.1.xml{query}",
        f"https://{sought.domain}/.well-known/autoconfig/mail/config-v1.1.xml{query}",
    )


def read(document: bytes, sought: Sought) -> tuple[Candidate, ...]:
    """The SMTP servers with TLS, in the document's order, which is its author's preference. Raises NotUnderstood."""
    try:
        root = fromstring(document, forbid_dtd=True)
    except DefusedXmlException:
        raise NotUnderstood("it declares a document type or entities") from None
    except (ParseError, ValueError, LookupError):  # the last two: encodings that are unknown or don't fit
        raise NotUnderstood("it is not well-formed XML") from None
    if root.tag != "clientConfig":
        raise NotUnderstood("it is no clientConfig document")
    return tuple(_candidates(root, sought))


def _candidates(root: Element, sought: Sought) -> Iterator[Candidate]:
    for server in root.findall("./emailProvider/outgoingServer[@type='smtp']")[:MAX_SERVERS]:
        host, port = _host(_text(server, "hostname"), sought), _port(_text(server, "port"))
        security = _SECURITY.get(_text(server, "socketType").upper())
        if host and port and security:
            yield Candidate(
                host,
                port,
                security,
                _username(_text(server, "username"), sought),
                Source.AUTOCONFIG,
                Certainty.PUBLISHED,
                _hint([(each.text or "").strip() for each in server.findall("authentication")]),
            )


def _text(server: Element, name: str) -> str:
    return (server.findtext(name) or "").strip()


def _filled(text: str, sought: Sought) -> str:
    for name, value in (
        ("%EMAILADDRESS%", sought.address),
        ("%EMAILLOCALPART%", sought.local),
        ("%EMAILDOMAIN%", sought.domain),
    ):
        text = text.replace(name, value)
    return text


def _host(text: str, sought: Sought) -> str | None:
    try:
        return canonical_domain(_filled(text, sought).removesuffix("."))
    except AddressError:
        return None


def _port(text: str) -> int | None:
    port = int(text) if _PORT.fullmatch(text) else 0
    return port if 0 < port <= 65535 else None


def _username(text: str, sought: Sought) -> str:
    """The address where the document says nothing that can be used, as a field that the user would have to fill in."""
    name = _filled(text, sought)
    return name if _USERNAME.fullmatch(name) else sought.address


def _hint(ways: list[str]) -> str:
    """What to know about the log-in. A server that takes a password needs no word."""
    if not ways or _PASSWORD & set(ways):
        return ""
    return "takes OAuth2 only, no password" if "OAuth2" in ways else "does not take a password"
