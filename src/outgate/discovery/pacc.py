"""The document in which a domain tells programs its servers by PACC (draft-ietf-mailmaint-pacc-02 and -03), read as
candidates.

The document counts only if the DNS has its digest. Its servers speak TLS from the start at the ports of their
protocols, and the user name is the address. Asks nobody.
"""

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable
from typing import Final

from outgate.discovery.candidates import Candidate, Certainty, NotUnderstood, Sought, Source
from outgate.mail.addresses import AddressError, canonical_domain
from outgate.model import Security

MAX_RECORDS: Final = 10  # of one name that are looked at

_PORT: Final = 465  # RFC 8314 section 3.3
_NAMES: Final = ("submit", "smtp")  # as of -03, and before


def url(sought: Sought) -> str:
    """Where a domain has it."""
    return f"https://ua-auto-config.{sought.domain}/.well-known/user-agent-configuration.json"


def record_name(sought: Sought) -> str:
    """Where the DNS has the digest, in TXT records."""
    return f"_ua-auto-config.{sought.domain}"


def digests(records: Iterable[bytes]) -> frozenset[bytes]:
    """Those that count, of TXT records in one piece each: while a document is changed there is more than one."""
    found = (_digest(record) for record in list(records)[:MAX_RECORDS])
    return frozenset(one for one in found if one)


def read(document: bytes, known: frozenset[bytes], sought: Sought) -> tuple[Candidate, ...]:
    """The server for submission, if it names one. Raises NotUnderstood, also if the document's digest is not known."""
    if hashlib.sha256(document).digest() not in known:
        raise NotUnderstood("its digest is not the one in the DNS")
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        raise NotUnderstood("it is not well-formed JSON") from None
    protocols = _object(_object(found).get("protocols"))
    host = next((host for name in _NAMES if (host := _host(_object(protocols.get(name)).get("host")))), None)
    if host is None:
        return ()
    hint = _hint(_object(_object(found).get("authentication")))
    return (Candidate(host, _PORT, Security.SSL, sought.address, Source.PACC, Certainty.PUBLISHED, hint),)


def _digest(record: bytes) -> bytes | None:
    """Tags come in any order, and unknown ones may be among them; of two of one name the record says nothing."""
    parts = [part.partition(b"=") for part in record.split(b";") if part.strip()]
    tags = {name.strip(): value.strip() for name, _, value in parts}
    if len(tags) < len(parts) or (tags.get(b"v"), tags.get(b"a")) != (b"UAAC1", b"sha256"):
        return None
    try:
        return b64decode(tags.get(b"d", b""), validate=True)
    except ValueError:
        return None


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _host(text: object) -> str | None:
    try:
        return canonical_domain(text) if isinstance(text, str) else None
    except AddressError:
        return None


def _hint(authentication: dict[str, object]) -> str:
    """What to know about the log-in. A server that takes a password needs no word, nor one that does not say."""
    if authentication.get("password") is True or not authentication:
        return ""
    return "takes OAuth2 only, no password" if "oauth-public" in authentication else "does not take a password"
