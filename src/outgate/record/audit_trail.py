"""The audit trail: who changed what, from where, when; and which refusals matter. Rows are added, never changed, and
removed from the begin alone.

Each row's hash covers the row and the hash before it, keyed: who has the database and not the vault can make none. The
number and hash of the last row are sealed by the vault, and looked at before anything is built on them: so a row that
was changed, removed, put in between or cut off at the end shows when the trail is verified, and at the next entry. That
one is made all the same, behind an entry that tells what was found. Of rows that were let go the number and hash of the
last one are sealed, the anchor: the first row that is kept must follow on it. Knows no operation's meaning, no secret.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select, update

from outgate.frozen import frozen
from outgate.store.containing import Containing
from outgate.store.sealed import AUDIT_ANCHOR, AUDIT_HEAD, AUDIT_KEY
from outgate.store.tables import audit, organisation
from outgate.store.vault import KeyMissing, SealBroken, Vault

START: Final = b"\0" * 32  # the hash before the first row
TAMPERED: Final = "security.audit-tampered"  # the operation of an entry that tells what was found
_KEY_BYTES: Final = 32

DONE, DENIED, REFUSED, FAILED = "done", "denied", "refused", "failed"

_log = structlog.get_logger("audit")


class BrokenTrail(Exception):
    """The oldest entries are not as they were written; the text says which. None of them is let go."""


@frozen
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


@frozen
class Recorded:
    """An entry with its number in the trail."""

    number: int
    entry: AuditEntry


@frozen
class AuditFilter:
    """Which entries `search` gives; what is None is not asked for. `text` is part of actor, target or unit; `before`
    is the number of an entry: only older ones.
    """

    text: str | None = None
    operation: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 50
    actor: str | None = None
    before: int | None = None


@frozen
class _Link:
    """A row's number and hash: what the next one is built on."""

    number: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.digest.hex()}"

    @classmethod
    def parse(cls, text: str) -> "_Link":
        number, _, digest = text.partition(":")
        return cls(int(number), bytes.fromhex(digest))


@frozen
class _Chain:
    """What rows are chained with. Rows up to `since` are of a release that had no key: by SHA-256 alone, and held by
    the hash of the last of them, which is sealed along with the key.
    """

    since: _Link
    key: bytes = field(repr=False)

    def link(self, before: _Link, row: Mapping[str, Any]) -> _Link:
        """The hash is over an unambiguous form: JSON of all columns in their order."""
        covered = before.digest + json.dumps(list(row.values()), ensure_ascii=False).encode()
        number: int = row["id"]
        if number <= self.since.number:
            return _Link(number, hashlib.sha256(covered).digest())
        return _Link(number, hmac.digest(self.key, covered, "sha256"))

    def faults_of(self, row: Row[Any], before: _Link) -> list[str]:
        """What is wrong with a row that should follow on `before`."""
        if row.id != before.number + 1:
            return [f"entries {before.number + 1} to {row.id - 1} are missing"]
        if self.link(before, _row(row.id, _entry(row))).digest != row.hash:
            return [f"entry {row.id} was changed, or the one before it"]
        if row.id == self.since.number and _Link(row.id, row.hash) != self.since:
            return [f"entry {row.id} is not the one that a former release had written last"]
        return []


def begin(connection: Connection, vault: Vault) -> None:
    """An empty trail, sealed: from now on a trail without a seal is one that somebody has taken away.

    Called once for an organisation, in the transaction that makes it.
    """
    start = _Link(0, START)
    _seal(connection, vault, start, _new_chain(start))


def append(connection: Connection, vault: Vault, entries: Sequence[AuditEntry]) -> None:
    """Add to the trail, in the caller's transaction, which holds the directory's lock (directory.change.lock).

    Raises store.vault.KeyMissing.
    """
    if not entries:
        return
    last = _last(connection)
    faults = _head_faults(connection, vault, last)
    chain = _chain(connection, vault)
    new_chain = None
    if chain is None:
        chain = new_chain = _new_chain(last)
        faults.append(f"the key of the trail is missing or was changed; entries up to {last.number} are not held by it")
    if faults:
        _log.error("the audit trail was tampered with", faults=faults)
        found = AuditEntry(entries[0].at, "server", "", TAMPERED, outcome=FAILED, detail={"faults": faults})
        entries = [found, *entries]
    for entry in entries:
        row = _row(last.number + 1, entry)
        last = chain.link(last, row)
        connection.execute(insert(audit).values(**row, hash=last.digest))
    _seal(connection, vault, last, new_chain)


def search(connection: Connection, wanted: AuditFilter) -> Iterator[Recorded]:
    """The newest entries that match, newest first."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.text:
        conditions.append(or_(*(Containing(one, wanted.text) for one in _TEXTS)))
    if wanted.operation:
        conditions.append(audit.c.operation == wanted.operation)
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    if wanted.actor is not None:
        conditions.append(audit.c.actor == wanted.actor)
    if wanted.before is not None:
        conditions.append(audit.c.id < wanted.before)
    rows = connection.execute(select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(wanted.limit))
    return (Recorded(row.id, _entry(row)) for row in rows)


_TEXTS: Final = (audit.c.actor, audit.c.target, audit.c.unit)


def verify(connection: Connection, vault: Vault) -> list[str]:
    """What is wrong with the trail, in words; nothing if it is whole. Raises store.vault.KeyMissing."""
    chain, last = _chain(connection, vault), _anchor(connection, vault)
    faults = [] if chain else ["the key of the trail is missing or was changed"]
    if last is None:
        faults.append("the seal of where the trail begins was changed")
    chain, last = chain or _new_chain(_Link(0, START)), last or _Link(0, START)
    for row in connection.execute(select(audit).order_by(audit.c.id)):
        faults += chain.faults_of(row, last)
        if row.operation == TAMPERED:
            faults += [f"entry {row.id} tells of what was found then: {one}" for one in _entry(row).detail["faults"]]
        last = _Link(row.id, row.hash)
    return faults + _head_faults(connection, vault, last)


def let_go(connection: Connection, vault: Vault, before: float, limit: int) -> int:
    """Remove at most `limit` of the oldest entries, those made before then, and seal where the trail begins now;
    returns their number. The newest entry stays whatever its age, and so do entries that tell of tampering, with all
    behind them: what was found is not to pass with time.

    In the caller's transaction, which holds the directory's lock. Raises BrokenTrail and store.vault.KeyMissing.
    """
    chain, anchor, newest = _chain(connection, vault), _anchor(connection, vault), _last(connection)
    if chain is None or anchor is None:
        raise BrokenTrail("the key of the audit trail, or the seal of where it begins, is missing or was changed")
    last = anchor
    for row in connection.execute(select(audit).order_by(audit.c.id).limit(limit)):
        if row.at >= before or row.id == newest.number or row.operation == TAMPERED:
            break
        if faults := chain.faults_of(row, last):
            raise BrokenTrail("; ".join(faults))
        last = _Link(row.id, row.hash)
    if last != anchor:
        sealed = vault.seal(str(last).encode(), AUDIT_ANCHOR)
        connection.execute(update(organisation).values(audit_anchor=sealed, audit_let_go=last.number))
        connection.execute(delete(audit).where(audit.c.id <= last.number))
    return last.number - anchor.number


def _anchor(connection: Connection, vault: Vault) -> _Link | None:
    """What the first row follows on; None if somebody has changed the seal of it."""
    sealed = connection.scalar(select(organisation.c.audit_anchor))
    if sealed is None:
        return _Link(0, START)
    try:
        return _Link.parse(vault.open(sealed, AUDIT_ANCHOR).decode())
    except KeyMissing:
        raise
    except SealBroken:
        return None


def _last(connection: Connection) -> _Link:
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    return _Link(last.id, last.hash) if last else _Link(0, START)


def _head_faults(connection: Connection, vault: Vault, last: _Link) -> list[str]:
    """Whether the seal tells of this row as the last one."""
    sealed = connection.scalar(select(organisation.c.audit_head))
    if sealed is None:
        return ["the seal of the last entry is missing"]
    try:
        head = vault.open(sealed, AUDIT_HEAD)
    except KeyMissing:
        raise
    except SealBroken:
        return ["the seal of the last entry was changed"]
    if head == str(last).encode():
        return []
    return [f"the last entry is number {last.number}, but the seal tells of another: entries were removed or added"]


def _chain(connection: Connection, vault: Vault) -> _Chain | None:
    """The chain's key, None if it is missing or was changed."""
    sealed = connection.scalar(select(organisation.c.audit_key))
    if sealed is None:
        return None
    try:
        since, _, key = vault.open(sealed, AUDIT_KEY).decode().rpartition(":")
    except KeyMissing:
        raise
    except SealBroken:
        return None
    return _Chain(_Link.parse(since), bytes.fromhex(key))


def _new_chain(since: _Link) -> _Chain:
    return _Chain(since, secrets.token_bytes(_KEY_BYTES))


def _seal(connection: Connection, vault: Vault, last: _Link, new_chain: _Chain | None) -> None:
    values = {"audit_head": vault.seal(str(last).encode(), AUDIT_HEAD)}
    if new_chain:
        values["audit_key"] = vault.seal(f"{new_chain.since}:{new_chain.key.hex()}".encode(), AUDIT_KEY)
    connection.execute(update(organisation).values(values))


def _row(number: int, entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": number,
        "at": float(entry.at) + 0.0,  # as databases give it back: SQLite has no negative zero
        "actor": entry.actor,
        "peer": entry.peer,
        "operation": entry.operation,
        "outcome": entry.outcome,
        "target": entry.target,
        "unit": entry.unit,
        "detail": json.dumps(entry.detail, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
    }


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
