"""Operations on the audit trail."""

from collections.abc import Sequence

from outgate.directory import organisation
from outgate.directory.privileges import Privilege
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import Counted, OperationContext
from outgate.operations.error_codes import CheckFailed
from outgate.operations.operation import operation
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditFilter, Recorded


class Tampered(CheckFailed):
    """The audit trail is not as it was written. `faults` says where."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("the audit trail was tampered with: " + "; ".join(faults[:5]))
        self.faults = faults


@frozen
class AuditPage:
    """Entries, the newest first, and whose they are: the organisation's primary domain, as the Reports API names it."""

    customer: str
    entries: tuple[Recorded, ...]


@operation("audit.list", Privilege.AUDIT_READ, targets.ORGANISATION, changes=False)
def search(op: OperationContext, wanted: AuditFilter) -> AuditPage:
    """See who changed what."""
    return AuditPage(organisation.domains(op.connection)[0].name, tuple(audit_trail.search(op.connection, wanted)))


@operation("audit.verify", Privilege.AUDIT_READ, targets.ORGANISATION)
def verify(op: OperationContext) -> None:
    """Check that the audit trail is as it was written."""
    if faults := audit_trail.verify(op.connection, op.vault):
        raise Counted(Tampered(faults))
