"""What an installation still lacks, as far as the database says it: the rest is in the DNS and in files."""

from outgate.directory import organisation, policies, users
from outgate.directory.organisation import Domain
from outgate.directory.privileges import Privilege
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP
from outgate.frozen import frozen
from outgate.model import Gateway
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@frozen
class Setup:
    """The organisation as it stands. `is_on` says whether users of any unit may have gateways."""

    domains: tuple[Domain, ...]
    gateway: Gateway | None
    users: int
    is_on: bool


@operation("setup.show", Privilege.UNITS_READ, targets.ORGANISATION, changes=False)
def setup(op: OperationContext) -> Setup:
    """See what an installation has, to know what it still lacks."""
    own = policies.load(op.connection).own.values()
    return Setup(
        organisation.domains(op.connection),
        organisation.domain_gateway(op.connection),
        users.count_all(op.connection),
        any(values.get(ALLOW_EXTERNAL_SMTP.name) for values in own),
    )
