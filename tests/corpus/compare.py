"""Compares a message as sent with the same as received: the body byte for byte, the header but for allowed changes.

Splits by itself, in the simplest way there is, so as not to share a fault with what it checks.
"""

import re
from dataclasses import dataclass, replace

# A field with its continuation lines; what is no field at all becomes a piece of its own rather than vanish.
_FIELD = re.compile(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


@dataclass(frozen=True)
class Allowed:
    """The header changes that the documents name (docs/header-changes.md), by field name in lower case.

    `on_top`: may have been added above everything. `dropped`: must be gone. `at_end`: may have been added below
    everything, each once, and only if it is not (or, being in `dropped`, no longer) there.
    `final_crlf`: the message went by DATA at least once, which can't end but with a CRLF (RFC 5321 4.1.1.4).
    """

    on_top: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    at_end: frozenset[str] = frozenset()
    final_crlf: bool = False

    def by_data(self) -> "Allowed":
        """The same, for a message that went by DATA."""
        return replace(self, final_crlf=True)

    def through_hops(self) -> "Allowed":
        """The same, for a message that passed further servers, which leave their own trace on top."""
        return replace(self, on_top=self.on_top | _HOPS)


_HOPS = frozenset({"received", "return-path", "authentication-results", "delivered-to", "x-original-to"})

NOTHING = Allowed()
OUTGATE = Allowed(
    on_top=frozenset({"received", "dkim-signature"}),
    dropped=frozenset({"bcc", "resent-bcc", "return-path", "content-length", "sender"}),
    at_end=frozenset({"sender", "date", "message-id"}),
)


def differences(sent: bytes, received: bytes, allowed: Allowed = NOTHING) -> list[str]:
    """What differs beyond the allowed, in words; empty if nothing does."""
    if allowed.final_crlf and not sent.endswith(b"\r\n"):
        sent += b"\r\n"
    sent_header, sent_body = divide(sent)
    received_header, received_body = divide(received)
    return _header_differences(fields(sent_header), fields(received_header), allowed) + _body_difference(
        sent_body, received_body
    )


def divide(message: bytes) -> tuple[bytes, bytes | None]:
    """Header block and body; the body is None where not even the empty line is."""
    if message.startswith(b"\r\n"):
        return b"", message[2:]
    header, separator, body = message.partition(b"\r\n\r\n")
    return (header + b"\r\n", body) if separator else (header, None)


def fields(header: bytes) -> list[bytes]:
    """The header's fields, each with all its lines."""
    pieces = _FIELD.findall(header)
    rest = header[sum(map(len, pieces)) :]
    return [*pieces, rest] if rest else pieces


def name_of(field: bytes) -> str:
    """A field's name in lower case."""
    return field.partition(b":")[0].strip().lower().decode("ascii", "replace")


def _header_differences(sent: list[bytes], received: list[bytes], allowed: Allowed) -> list[str]:
    kept = [field for field in sent if name_of(field) not in allowed.dropped]
    start = _position(kept, received)
    if start is None:
        return _first_difference(kept, received, allowed)
    top = [name_of(field) for field in received[:start]]
    end = [name_of(field) for field in received[start + len(kept) :]]
    there = {name_of(field) for field in kept}
    return [
        *[f"added on top: {name}" for name in top if name not in allowed.on_top],
        *[f"added at the end: {name}" for name in end if name not in allowed.at_end or name in there],
        *[f"added more than once: {name}" for name in sorted(set(end)) if end.count(name) > 1],
    ]


def _position(kept: list[bytes], received: list[bytes]) -> int | None:
    """Where the fields that were sent stand in what was received, in one piece."""
    for start in range(len(received) - len(kept) + 1):
        if received[start : start + len(kept)] == kept:
            return start
    return None


def _first_difference(kept: list[bytes], received: list[bytes], allowed: Allowed) -> list[str]:
    """The fields that were sent are not there as they were: say which is the first to differ."""
    remaining = list(received)
    while remaining and name_of(remaining[0]) in allowed.on_top and remaining[0] != (kept or [b""])[0]:
        del remaining[0]
    for number, (before, after) in enumerate(zip(kept, remaining, strict=False), start=1):
        if before != after:
            return [f"field {number} was {before[:200]!r} and is {after[:200]!r}"]
    return [f"of {len(kept)} fields only the first {len(remaining)} are there"]


def _body_difference(sent: bytes | None, received: bytes | None) -> list[str]:
    if sent == received:
        return []
    if sent is None or received is None:
        return [f"the empty line after the header was {_there(sent)} and is {_there(received)}"]
    at = next(
        (index for index, (before, after) in enumerate(zip(sent, received, strict=False)) if before != after),
        min(len(sent), len(received)),
    )
    around = slice(max(0, at - 20), at + 20)
    return [
        f"body of {len(sent)} bytes became {len(received)}; at {at} {sent[around]!r} became {received[around]!r}",
    ]


def _there(body: bytes | None) -> str:
    return "not there" if body is None else "there"
