"""Operations on secrets: the keys of the vault, and the search for secrets in the open."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext, Transactions
from outgate.operations.error_codes import CheckFailed
from outgate.operations.operation import operation
from outgate.secretscan import scan, scan_targets, sources
from outgate.secretscan.encodings import Secret
from outgate.secretscan.search import Search, Searched
from outgate.store import sealed
from outgate.store.rotation import Rotation


@operation("secrets.status", Privilege.SECRETS_MANAGE, targets.ORGANISATION, changes=False)
def count_by_key(op: OperationContext) -> dict[str, int]:
    """See how much each key of the vault has sealed."""
    return sealed.count_by_key(op.connection)


@operation("secrets.rotate", Privilege.SECRETS_MANAGE, targets.ORGANISATION, services=("done",), proof=True)
def rotated(op: OperationContext, done: Rotation) -> None:
    """Seal every secret with a new key."""
    op.note(key=done.key_id, resealed=done.resealed)


@operation("secrets.audit", Privilege.SECRETS_MANAGE, targets.ORGANISATION, services=("findings",))
def searched(op: OperationContext, findings: int) -> None:
    """Search database, logs and memory for secrets."""
    op.note(findings=findings)


def rotate(transactions: Transactions, rotation: Callable[[], Rotation]) -> Rotation:
    """Rotate the keys, if the actor may; it takes transactions of its own. Raises what `rotation` does."""
    nothing = Rotation("", 0)
    with transactions.reading() as op:
        rotated.require(op, nothing)
    done = rotation()
    with transactions.writing() as op:
        rotated(op, done)
    return done


@frozen
class SearchResult:
    """What came of each place, and the names of secrets that are too short to look for."""

    places: list[Searched]
    too_short: list[str]

    @property
    def found(self) -> int:
        """How often a secret lay in the open."""
        return sum(finding.count for place in self.places for finding in place.findings)


def search(
    transactions: Transactions, engine: Engine, given: Sequence[Secret], logs: Sequence[Path], pids: Sequence[int]
) -> SearchResult:
    """Look everywhere for what the vault seals and for what is given besides. Raises CheckFailed and OSError."""
    with transactions.reading() as op:
        searched.require(op, 0)
        looked_for = Search([*given, *sources.of_vault(op.connection, op.vault)])
    try:
        result = SearchResult(list(scan.look(engine, looked_for, logs, pids)), looked_for.too_short)
    except scan_targets.NotReadable as error:
        raise CheckFailed(str(error)) from None
    with transactions.writing() as op:
        searched(op, result.found)
    return result
