"""The DNS Tree Walk of DMARC (RFC 9989 section 4.10): the records that a domain and those above it publish, and by them
which domains belong to the same organisation. Asks through what it is given, and knows no list of suffixes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from outgate.frozen import frozen

Texts = Callable[[str], Awaitable[list[str]]]

QUESTIONS: Final = 8  # at most, however many labels a name has


@frozen
class PublishedRecord:
    """A domain with a DMARC record, and its tags."""

    domain: str
    tags: Mapping[str, str]

    @property
    def psd(self) -> str:
        """`y`: a public suffix, below which others register; `n`: an organisation; `u`: it does not say."""
        return self.tags.get("psd", "u").lower()


async def walk(domain: str, texts: Texts) -> list[PublishedRecord]:
    """The records on the way up from a domain, the nearest first. Raises what `texts` raises.

    One that says that it is an organisation's, or a suffix above the start, ends the walk.
    """
    found: list[PublishedRecord] = []
    for name in _names(domain):
        records = _dmarc(await texts(f"_dmarc.{name}"))
        if len(records) != 1:
            continue  # several are as none
        record = PublishedRecord(name, _tags(records[0]))
        found.append(record)
        if record.psd == "n" or (record.psd == "y" and name != domain):
            break
    return found


def organisational_domain(domain: str, found: Sequence[PublishedRecord]) -> str:
    """The organisation's domain by what was found on the way up from this one (section 4.10.2)."""
    for record in found:
        if record.psd == "n":
            return record.domain
        if record.psd == "y" and record.domain != domain:
            labels = domain.split(".")
            return ".".join(labels[-record.domain.count(".") - 2 :])
    return found[-1].domain if found else domain


async def of_one_organisation(domain: str, other: str, texts: Texts) -> bool:
    """Relaxed alignment (RFC 9989 section 4.4): the walk from both leads to the same. Raises what `texts` raises."""
    if domain == other:
        return True
    found = [organisational_domain(one, await walk(one, texts)) for one in (domain, other)]
    return found[0] == found[1]


def _names(domain: str) -> list[str]:
    """Section 4.10: from a name of more than eight labels the walk goes on with the last seven."""
    if domain.startswith("["):
        return []
    labels = domain.split(".")
    above = labels[1:] if len(labels) <= QUESTIONS else labels[-QUESTIONS + 1 :]
    return [domain, *(".".join(above[start:]) for start in range(len(above)))]


def _dmarc(texts: Sequence[str]) -> list[str]:
    """Those that begin with the tag v=DMARC1, which "MUST appear first" (section 4.7)."""
    return [text for text in texts if "".join(text.partition(";")[0].split()) == "v=DMARC1"]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, separator, value in pairs if separator}
