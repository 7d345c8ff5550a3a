"""Operations on what users log in to the pages with beside their password: codes of an app, and passkeys."""

from sqlalchemy import Engine

from outgate.directory import passkeys, second_factors, users, web_sessions
from outgate.directory.passkeys import Passkey, VerifiedKey
from outgate.directory.privileges import Privilege
from outgate.directory.second_factors import Enrolment, SecondFactor
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.store.engine import read, write
from outgate.store.vault import Vault


@frozen
class LogInFactors:
    """What a user has beside the password; `second_factor` is None if none was begun."""

    second_factor: SecondFactor | None
    passkeys: tuple[Passkey, ...]


@operation("second-factor.show", Privilege.USERS_SECURITY, targets.user("address"), changes=False, own=True)
def show(op: OperationContext, address: str) -> LogInFactors:
    """See which second factor and passkeys a user has."""
    user = users.find(op.connection, address)
    return LogInFactors(second_factors.find(op.connection, user.id), passkeys.listed(op.connection, user.id))


@operation("second-factor.begin", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def begin(op: OperationContext, address: str) -> None:
    """Make the secret of a user's second factor; it counts once a code of it was entered."""
    second_factors.begin(op.connection, op.vault, users.find(op.connection, address).id)


@operation(
    "second-factor.enrolment",
    Privilege.USERS_SECURITY,
    targets.user("address"),
    own=True,
    own_recorded=False,  # but another's is: who knows the secret can be them
    proof=True,
)
def enrolment(op: OperationContext, address: str) -> Enrolment:
    """See what the app is told, until a code was entered."""
    user = users.find(op.connection, address)
    return second_factors.enrolment(op.connection, op.vault, user.id, user.address)


@operation("second-factor.confirm", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def confirm(op: OperationContext, address: str, code: str) -> tuple[str, ...]:
    """Turn a user's second factor on, by a code of the app; the recovery codes are shown once."""
    return second_factors.confirm(op.connection, op.vault, users.find(op.connection, address).id, code, op.now)


@operation("second-factor.codes", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def new_recovery_codes(op: OperationContext, address: str) -> tuple[str, ...]:
    """Make a user's recovery codes anew; those there were open nothing any more."""
    return second_factors.new_recovery_codes(op.connection, users.find(op.connection, address).id)


@operation("second-factor.remove", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def remove(op: OperationContext, address: str) -> None:
    """Turn a user's second factor off."""
    op.changed(second_factor=(second_factors.remove(op.connection, users.find(op.connection, address).id), False))


@operation("second-factor.reset", Privilege.USERS_SECURITY, targets.user("address"), proof=True)
def reset(op: OperationContext, address: str) -> LogInFactors:
    """Take second factor and passkeys from a user who has lost them, and end their log-ins on the pages."""
    user = users.find(op.connection, address)
    before = LogInFactors(second_factors.find(op.connection, user.id), passkeys.listed(op.connection, user.id))
    op.changed(second_factor=(second_factors.remove(op.connection, user.id), False))
    op.note(passkeys=passkeys.remove_all(op.connection, user.id))
    op.note(sessions_ended=web_sessions.end_all(op.connection, user.id))
    return before


@operation("passkey.add", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def add_passkey(op: OperationContext, address: str, name: str, key: VerifiedKey) -> None:
    """Let a user log in with a passkey."""
    op.note(name=name)
    passkeys.add(op.connection, users.find(op.connection, address).id, name, key, op.now)


@operation("passkey.remove", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def remove_passkey(op: OperationContext, address: str, passkey: int) -> Passkey:
    """Remove a passkey of a user."""
    removed = passkeys.remove(op.connection, users.find(op.connection, address).id, passkey)
    op.note(name=removed.name)
    return removed


# No operations: whoever has proven the password, or holds the key, is only about to be somebody.


def needs_code(engine: Engine, account_id: int) -> bool:
    """Whether the password alone does not log this account in."""
    with read(engine) as connection:
        return second_factors.is_on(connection, account_id)


def take_code(engine: Engine, vault: Vault, account_id: int, code: str, now: float) -> bool:
    """Whether a code opens; none does twice."""
    with write(engine) as connection:
        return second_factors.take(connection, vault, account_id, code, now)


def find_passkey(engine: Engine, credential_id: bytes) -> Passkey | None:
    """The passkey that a browser offers, if it is anybody's who may log in."""
    with read(engine) as connection:
        found = passkeys.find(connection, credential_id)
        return None if found is None or users.by_id(connection, found.account_id).suspended else found


def passkeys_of(engine: Engine, account_id: int) -> tuple[Passkey, ...]:
    """Those that an account has, for a browser that is to offer one of them."""
    with read(engine) as connection:
        return passkeys.listed(connection, account_id)


def note_passkey(engine: Engine, passkey: Passkey, sign_count: int, now: float) -> None:
    """It was used."""
    with write(engine) as connection:
        passkeys.note_use(connection, passkey, sign_count, now)
