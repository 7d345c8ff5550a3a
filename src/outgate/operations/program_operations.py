"""Operations on programs that users let act for them: registering them, and what each user lets them do."""

from collections.abc import Sequence

from outgate.directory import program_consents, programs, users
from outgate.directory.errors import Invalid
from outgate.directory.privileges import Privilege
from outgate.directory.program_consents import ProgramConsent
from outgate.directory.programs import RegisteredProgram
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation


@frozen
class ConsentAsked:
    """What a program asks of a user: where it is led back to, what it wants to do, and PKCE's challenge (S256)."""

    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str


@operation("program.list", Privilege.API_MANAGE, targets.ORGANISATION, changes=False)
def list_programs(op: OperationContext) -> tuple[RegisteredProgram, ...]:
    """List the programs that users may let act for them."""
    return programs.listed(op.connection)


@operation("program.register", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def register(op: OperationContext, name: str, redirect_uris: Sequence[str]) -> RegisteredProgram:
    """Register a program that users may let act for them."""
    made = programs.register(op.connection, name, redirect_uris, op.now)
    op.note(program=made.name, client_id=made.client_id, redirect_uris=list(made.redirect_uris))
    return made


@operation("program.remove", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def remove(op: OperationContext, name: str) -> RegisteredProgram:
    """Take a program away, with all that users have let it do."""
    removed = programs.remove(op.connection, name)
    op.note(program=removed.name, client_id=removed.client_id)
    return removed


@operation("consent.list", Privilege.USERS_READ, targets.user("address"), changes=False, own=True)
def list_consents(op: OperationContext, address: str) -> tuple[ProgramConsent, ...]:
    """See which programs a user lets act for them."""
    return program_consents.listed(op.connection, users.find(op.connection, address).id, op.now)


@operation("consent.give", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def give_consent(op: OperationContext, address: str, asked: ConsentAsked) -> str:
    """Let a program act for a user; returns the code by which it gets its tokens."""
    program = checked(op, asked)
    op.note(program=program.name, scopes=sorted(asked.scopes))
    account_id = users.find(op.connection, address).id
    return program_consents.give(
        op.connection, account_id, program, asked.scopes, asked.redirect_uri, asked.challenge, op.now
    )


@operation("consent.end", Privilege.USERS_SECURITY, targets.user("address"), own=True)
def end_consent(op: OperationContext, address: str, consent: int) -> ProgramConsent:
    """Let a program act for a user no more: its tokens end."""
    ended = program_consents.end(op.connection, users.find(op.connection, address).id, consent)
    op.note(program=ended.program, scopes=list(ended.scopes))
    return ended


def checked(op: OperationContext, asked: ConsentAsked) -> RegisteredProgram:
    """The program that asks, if it may be led back there: nobody is, before that. Raises NotFound and Invalid.

    No operation: who it is, is shown to whoever it asks.
    """
    found = programs.by_client_id(op.connection, asked.client_id)
    if not found.accepts(asked.redirect_uri):
        raise Invalid("{program} wants to be led back to an address that is not registered for it", program=found.name)
    return found
