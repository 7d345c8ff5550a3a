"""Operations on the tokens of identity providers, and who a request with such a token is from."""

from sqlalchemy import Engine

from outgate.directory import scim_tokens
from outgate.directory.privileges import Privilege
from outgate.directory.scim_tokens import ScimToken
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.store.engine import read


@operation("scim-token.list", Privilege.API_MANAGE, targets.ORGANISATION, changes=False)
def list_tokens(op: OperationContext) -> tuple[ScimToken, ...]:
    """List the tokens of identity providers."""
    return scim_tokens.listed(op.connection)


@operation("scim-token.create", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def create(op: OperationContext, name: str, role: str, unit: str) -> tuple[ScimToken, str]:
    """Make a token for an identity provider, which may do what a role says in a unit; it is shown once."""
    made, secret = scim_tokens.create(op.connection, name, role, unit, op.now)
    op.note(token=made.name, role=made.role, unit=made.unit)
    return made, secret


@operation("scim-token.revoke", Privilege.API_MANAGE, targets.ORGANISATION, proof=True)
def revoke(op: OperationContext, name: str) -> ScimToken:
    """Revoke a token of an identity provider."""
    revoked = scim_tokens.revoke(op.connection, name)
    op.note(token=revoked.name)
    return revoked


@frozen
class ScimHolder:
    """Who makes a request: the token, and the actor that it makes."""

    token: ScimToken
    actor: Actor


def holder_of_token(engine: Engine, secret: str, peer: str) -> ScimHolder | None:
    """Whose request it is that came with this token; None if nobody's. No operation: whoever has it has the right."""
    with read(engine) as connection:
        token = scim_tokens.find(connection, secret)
        if token is None:
            return None
        granted = scim_tokens.grants(connection, token)
        return ScimHolder(token, Actor(f"SCIM token {token.name}", peer, granted=granted))
