"""The audit trail: who changed what, from where, when; and which refusals matter. Rows are added and never changed.

Each row's hash covers the row and the hash before it, and the number and hash of the last row are sealed by the vault:
so a row that was changed, removed, put in between or cut off at the end shows when the trail is verified. Knows no
operation's meaning and no secret.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from outgate.store.tables import audit, organisation
from outgate.store.vault import SealBroken, Vault

HEAD: Final = "audit-head"  # the identity that the head is sealed for
_START: Final = b"\0" * 32

DONE, DENIED, REFUSED, FAILED = "done", "denied", "refused", "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is to be recorded. `detail` is {name: [old value, new value]} or {name: value}, as JSON."""

    at: float
    actor: str
    peer: str
    operation: str
    target: str = ""
    unit: str = ""
    outcome: str = DONE
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry with its number in the trail."""

    number: int
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries `search` gives; what is None is not asked for. `text` is part of actor, target or unit."""

    text: str | None = None
    operation: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 50


def append(connection: Connection, vault: Vault, entries: Sequence[AuditEntry]) -> None:
    """Add to the trail, in the caller's transaction, which holds the directory's lock (directory.change.lock)."""
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    number, digest = (last.id, last.hash) if last else (0, _START)
    for entry in entries:
        number += 1
        row = _row(number, entry)
        digest = _hash(digest, row)
        connection.execute(insert(audit).values(**row, hash=digest))
    sealed = vault.seal(_head(number, digest), HEAD)
    connection.execute(update(organisation).values(audit_head=sealed))


def search(connection: Connection, wanted: AuditFilter) -> Iterator[Recorded]:
    """The newest entries that match, newest first."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.text:
        conditions.append(or_(*(c.icontains(wanted.text, autoescape=True) for c in _TEXTS)))
    if wanted.operation:
        conditions.append(audit.c.operation == wanted.operation)
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    rows = connection.execute(select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(wanted.limit))
    return (Recorded(row.id, _entry(row)) for row in rows)


_TEXTS: Final = (audit.c.actor, audit.c.target, audit.c.unit)


def verify(connection: Connection, vault: Vault) -> list[str]:
    """What is wrong with the trail, in words; nothing if it is whole."""
    faults = []
    number, digest = 0, _START
    for row in connection.execute(select(audit).order_by(audit.c.id)):
        if row.id != number + 1:
            faults.append(f"entries {number + 1} to {row.id - 1} are missing")
        elif _hash(digest, _row(row.id, _entry(row))) != row.hash:
            faults.append(f"entry {row.id} was changed, or the one before it")
        number, digest = row.id, row.hash
    return faults + _verify_head(connection, vault, number, digest)


def _verify_head(connection: Connection, vault: Vault, number: int, digest: bytes) -> list[str]:
    sealed = connection.scalar(select(organisation.c.audit_head))
    if sealed is None:
        return ["the seal of the last entry is missing"] if number else []
    try:
        head = vault.open(sealed, HEAD)
    except SealBroken:
        return ["the seal of the last entry was changed"]
    if head == _head(number, digest):
        return []
    return [f"the last entry is number {number}, but the seal tells of another: entries were removed or added"]


def _head(number: int, digest: bytes) -> bytes:
    return f"{number}:{digest.hex()}".encode()


def _row(number: int, entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": number,
        "at": entry.at,
        "actor": entry.actor,
        "peer": entry.peer,
        "operation": entry.operation,
        "outcome": entry.outcome,
        "target": entry.target,
        "unit": entry.unit,
        "detail": json.dumps(entry.detail, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
    }


def _hash(before: bytes, row: Mapping[str, Any]) -> bytes:
    """Over an unambiguous form: JSON of all columns in their order."""
    return hashlib.sha256(before + json.dumps(list(row.values()), ensure_ascii=False).encode()).digest()


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        actor=row.actor,
        peer=row.peer,
        operation=row.operation,
        target=row.target,
        unit=row.unit,
        outcome=row.outcome,
        detail=json.loads(row.detail),
    )
