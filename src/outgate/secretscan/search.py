"""Looks for many secrets at once in a stream of bytes. Tells how often and where, and never what."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from outgate.extras import extra
from outgate.frozen import frozen
from outgate.secretscan.encodings import Secret, forms

SHOWN: Final = 10  # offsets of one finding


@frozen
class Piece:
    """Bytes of a place. `at` is where they begin: a number, with words before it where numbers alone say little.

    A piece that `follows` goes on where the last one ended, so that what lies across both is found.
    """

    data: bytes = field(repr=False)
    at: int = 0
    label: str = ""
    follows: bool = False


@frozen
class ScanTarget:
    """Where to look. `memory` is that of a server, in which the vault's keys are at home."""

    name: str
    pieces: Iterable[Piece]
    memory: bool = False


@dataclass(slots=True)
class Finding:
    """One secret in one form in one place. `offsets` are the first of them."""

    place: str
    secret: str
    form: str
    count: int = 0
    offsets: list[str] = field(default_factory=list)

    def add(self, offset: str) -> None:
        """Found once more."""
        self.count += 1
        if len(self.offsets) < SHOWN:
            self.offsets.append(offset)


@frozen
class Searched:
    """What came of one place: how many bytes were looked at, and what was found."""

    place: str
    size: int
    findings: list[Finding]


class Search:
    """Made once of all secrets; each byte is looked at once, however many there are."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        whose: dict[bytes, list[tuple[Secret, str]]] = defaultdict(list)
        self.too_short: list[str] = []
        for secret in secrets:
            found = forms(secret)
            for text, form in found.items():
                whose[text].append((secret, form))
            if not found:
                self.too_short.append(secret.name)
        with extra("diagnostics"):  # here: `outgate secrets` has commands that do without
            from ahocorasick_rs import BytesAhoCorasick  # noqa: PLC0415
        self._whose = list(whose.values())
        self._overlap = max(map(len, whose), default=1) - 1
        self._automaton = BytesAhoCorasick(list(whose)) if whose else None

    def look(self, place: ScanTarget) -> Searched:
        """Go through one place. Raises OSError where it can't be read."""
        found: dict[tuple[str, str], Finding] = {}
        size, tail = 0, b""
        for piece in place.pieces:
            tail = tail if piece.follows else b""
            size += len(piece.data)
            data = tail + piece.data
            for secret, form, at in self._matches(data, len(tail)):
                if secret.in_memory or not place.memory:
                    finding = found.setdefault((secret.name, form), Finding(place.name, secret.name, form))
                    finding.add(f"{piece.label}{piece.at + at - len(tail)}")
            tail = data[len(data) - self._overlap :] if len(data) > self._overlap else data
        return Searched(place.name, size, list(found.values()))

    def _matches(self, data: bytes, known: int) -> Iterator[tuple[Secret, str, int]]:
        """Matches that end behind the first `known` bytes: those before were found with the piece before."""
        if self._automaton is None:
            return
        for number, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            if end > known:
                for secret, form in self._whose[number]:
                    yield secret, form, start
