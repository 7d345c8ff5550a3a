"""Whether recipients find the key that a domain's mail is signed with (RFC 6376 section 3.6)."""

from collections.abc import Sequence

from outgate.advisor.findings import Dkim
from outgate.frozen import frozen


@frozen
class Signing:
    """The key that one of the organisation's domains signs with: its selector, and the text of its DNS record."""

    selector: str
    record: str


def key_name(selector: str, domain: str) -> str:
    """Where the record of a key is (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def published(signing: Signing, texts: Sequence[str]) -> Dkim:
    """What a signature by this key will be worth, given the TXT records at its name."""
    keys = [_key(text) for text in texts]
    if not any(keys):  # an empty p= is a key that was revoked
        return Dkim.KEY_MISSING
    # "the results are undefined" if there are several: right only if all of them are
    return Dkim.PASS if set(keys) == {_key(signing.record)} else Dkim.KEY_DIFFERS


def _key(text: str) -> str:
    pairs = (part.partition("=") for part in text.split(";"))
    tags = {name.strip(): "".join(value.split()) for name, _, value in pairs}
    return tags.get("p", "")
