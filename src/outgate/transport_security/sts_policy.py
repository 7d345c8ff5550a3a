"""MTA-STS policies (RFC 8461): the TXT record that announces one, and the document itself, read and matched. Pure.

Both are anybody's text. Knows no DNS, no HTTP and no database.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical_domain

MAX_AGE: Final = 31_557_600  # seconds, about a year: section 3.2
MAX_PATTERNS: Final = 1000

_VERSION: Final = "STSv1"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_SECONDS = re.compile(r"[0-9]{1,10}")


class StsMode(StrEnum):
    """What is to be done when an exchanger does not fit the policy."""

    ENFORCE = "enforce"  # it gets no mail
    TESTING = "testing"  # it does, and the domain is told (RFC 8460)
    NONE = "none"  # there is no policy any more


class StsPolicyError(ValueError):
    """The document is no policy; the text says why."""


@frozen
class StsPolicy:
    """One domain's policy. `mx` are the names that its exchangers may have, as A-labels in lower case."""

    mode: StsMode
    max_age: int
    mx: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "StsPolicy":
        """From the document (section 3.2). Raises StsPolicyError.

        Of keys that come twice the first counts, but for `mx`; unknown ones are passed over.
        """
        fields: dict[str, str] = {}
        patterns: list[str] = []
        for key, value in _lines(text):
            if key == "mx":
                patterns.append(_pattern(value))
            else:
                fields.setdefault(key, value)
        if fields.get("version") != _VERSION:
            raise StsPolicyError(f"its version is not {_VERSION}")
        if fields.get("mode") not in {*StsMode}:
            raise StsPolicyError("its mode is none of enforce, testing and none")
        if not _SECONDS.fullmatch(fields.get("max_age", "")):
            raise StsPolicyError("its max_age is no number of seconds")
        mode = StsMode(fields["mode"])
        if mode is not StsMode.NONE and not patterns:
            raise StsPolicyError("it names no mx")
        if len(patterns) > MAX_PATTERNS:
            raise StsPolicyError(f"it names more than {MAX_PATTERNS} mx")
        return cls(mode, min(int(fields["max_age"]), MAX_AGE), tuple(patterns))

    def names(self, exchanger: str) -> bool:
        """Whether an exchanger (section 4.1) is one of the policy's: a `*` is exactly one label, the first."""
        name = exchanger.lower().removesuffix(".")
        above = name.partition(".")[2]
        return any(above == one[2:] if one.startswith("*.") else name == one for one in self.mx)


def announced(records: Sequence[str]) -> str | None:
    """The id of the policy that a domain announces at `_mta-sts` (section 3.1), by the texts of its TXT records.

    None if there is none: not exactly one record of this version, or one without an id.
    """
    ours = [text for text in records if re.match(rf"v={_VERSION}[ \t]*(;|$)", text)]
    if len(ours) != 1:
        return None
    fields = dict(_field(part, "=") for part in reversed(ours[0].split(";")[1:]))
    found = fields.get("id", "")
    return found if _ID.fullmatch(found) else None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in re.split(r"\r?\n", text):
        if line.strip():
            yield _field(line, ":")


def _field(text: str, separator: str) -> tuple[str, str]:
    key, _, value = text.partition(separator)
    return key.strip(" \t"), value.strip(" \t")


def _pattern(text: str) -> str:
    """A name, or `*.` and a name. One in Unicode is read as its A-labels, which are what the DNS has."""
    wildcard = "*." if text.startswith("*.") else ""
    try:
        return wildcard + canonical_domain(text.removeprefix(wildcard).removesuffix("."))
    except AddressError:
        raise StsPolicyError("an mx of it is not a domain") from None
