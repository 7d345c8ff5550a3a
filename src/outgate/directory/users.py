"""Users: the accounts of the organisation, each with its primary address and what its password is checked against."""

from collections.abc import Collection, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from outgate.directory import units
from outgate.directory.change import compared, touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.password_hash import hash_password
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, format_mailbox, without_tag
from outgate.smtp.sasl import SaslError, ScramVerifier, saslprep
from outgate.store import tables
from outgate.store.containing import Containing

SCRAM_ITERATIONS: Final = 600_000
LANGUAGES: Final = ("en", "it")
MIN_PASSWORD: Final = 8  # characters (NIST SP 800-63B)
MAX_PASSWORD: Final = 1024
LONGEST_NAME: Final = 255  # characters; PostgreSQL takes 2,704 bytes in an index


@frozen
class Credentials:
    """What a password is checked against: an argon2id hash, and a SCRAM-SHA-256 verifier in the form of RFC 5803."""

    password_hash: str = field(repr=False)
    scram: str = field(repr=False)

    @classmethod
    def derive(cls, password: str, iterations: int = SCRAM_ITERATIONS) -> Self:
        """Takes a good part of a second by intent: call it in a thread, outside of transactions. Raises Invalid."""
        prepared = check_password(password)
        return cls(hash_password(prepared), str(ScramVerifier.derive(prepared, iterations)))


def check_password(password: str) -> str:
    """A new password as SASL prepares it. Raises Invalid."""
    try:
        prepared = saslprep(password)
        prepared.encode()
    except (SaslError, UnicodeEncodeError):
        raise Invalid("the password has a character that SASL does not allow (RFC 4013)") from None
    if not MIN_PASSWORD <= len(prepared) <= MAX_PASSWORD:
        raise Invalid("a password has {least} to {most} characters", least=MIN_PASSWORD, most=MAX_PASSWORD)
    return prepared


@frozen
class External:
    """Whose entry an account is elsewhere: `source` keeps it (LDAP), `id` never changes, `dn` is its name there now.

    Without a DN the entry is gone or disabled: the source has suspended the account, and may resume it.
    """

    id: str
    dn: str | None
    source: str = "ldap"


class ReplyFrom(StrEnum):
    """Which of the user's addresses a reply goes from: the one that was written to, or always the default."""

    RECEIVED = "received"
    DEFAULT = "default"


@frozen
class User:
    """An account as a list of users shows it. `external` is None if it is kept here."""

    id: int
    address: str
    name: str
    unit: str
    suspended: bool
    created_at: float
    language: str
    reply_from: ReplyFrom
    external: External | None = None


_USERS = select(
    tables.account.c.id,
    tables.account.c.primary_address,
    tables.account.c.name,
    tables.unit.c.path,
    tables.account.c.suspended,
    tables.account.c.created_at,
    tables.account.c.language,
    tables.account.c.reply_from,
    tables.account.c.source,
    tables.account.c.external_id,
    tables.account.c.external_dn,
).join_from(tables.account, tables.unit)


def users(connection: Connection, unit_path: str | None = None) -> tuple[User, ...]:
    """All users by address, or those of one unit (without the units below it)."""
    query = _USERS.order_by(tables.account.c.primary_address)
    if unit_path is not None:
        query = query.where(tables.account.c.unit_id == units.find(connection, unit_path).id)
    return tuple(_user(row) for row in connection.execute(query))


@frozen
class UserFilter:
    """Which users `search` gives; what is empty or None is not asked for. `text` is part of the address or name;
    `unit` has those below it with it; `after` is the last address that was shown.
    """

    text: str = ""
    unit: str | None = None
    suspended: bool | None = None
    after: str = ""
    limit: int = 50


def search(connection: Connection, wanted: UserFilter) -> tuple[User, ...]:
    """Users by address. Raises NotFound."""
    columns = tables.account.c
    conditions: list[ColumnElement[bool]] = [columns.primary_address > wanted.after]
    if text := wanted.text.strip():
        conditions.append(or_(*(Containing(one, text) for one in (columns.primary_address, columns.name))))
    if wanted.unit not in (None, "/"):
        conditions.append(columns.unit_id.in_(units.ids_below(units.find(connection, wanted.unit or "/").path)))
    if wanted.suspended is not None:
        conditions.append(columns.suspended if wanted.suspended else ~columns.suspended)
    # By the index alone, which has no id on PostgreSQL: rows are looked at of those that are shown.
    address = columns.primary_address
    found = select(address).where(*conditions).order_by(address).limit(wanted.limit).subquery()
    shown = _USERS.where(address.in_(select(found.c.primary_address))).order_by(address)
    return tuple(_user(row) for row in connection.execute(shown))


def find(connection: Connection, address: str) -> User:
    """The user with this primary address. Raises NotFound and Invalid."""
    address = compared(address)
    row = connection.execute(_USERS.where(tables.account.c.primary_address == address)).first()
    if row is None:
        raise NotFound("there is no user {address}", address=address)
    return _user(row)


def count(connection: Connection, unit_paths: Sequence[str]) -> int:
    """How many users these units have, without those below them."""
    these = tables.account.c.unit_id.in_(units.ids_of(unit_paths))
    return connection.scalar(select(func.count()).select_from(tables.account).where(these)) or 0


def count_all(connection: Connection) -> int:
    """How many users there are."""
    return connection.scalar(select(func.count()).select_from(tables.account)) or 0


def by_id(connection: Connection, account_id: int) -> User:
    """The user of this account. Raises NotFound."""
    row = connection.execute(_USERS.where(tables.account.c.id == account_id)).first()
    if row is None:
        raise NotFound("there is no such user any more")
    return _user(row)


def some(connection: Connection, account_ids: Collection[int]) -> tuple[User, ...]:
    """Those of these accounts that there are, by age."""
    rows = connection.execute(_USERS.where(tables.account.c.id.in_(account_ids)).order_by(tables.account.c.id))
    return tuple(_user(row) for row in rows)


def create(
    connection: Connection,
    address: str,
    credentials: Credentials | None,
    now: float,
    *,
    name: str = "",
    unit_path: str = "/",
    external: External | None = None,
) -> User:
    """Add a user; their primary address is in one of the organisation's domains. Without credentials nobody logs in."""
    touch(connection)
    address = compared(address)
    check_name(name, address)
    check_domain(address, connection.scalars(select(tables.domain.c.name)).all())
    columns = tables.account.c
    if connection.execute(select(columns.id).where(columns.primary_address == address)).first():
        raise AlreadyExists("there is a user {address} already", address=address)
    account_id = connection.scalar(
        insert(tables.account)
        .values(
            primary_address=address,
            name=name,
            unit_id=units.find(connection, unit_path).id,
            created_at=now,
            **_columns(credentials),
            **_external(external),
        )
        .returning(columns.id)
    )
    connection.execute(
        insert(tables.send_as).values(
            account_id=account_id,
            address=address,
            tag_of=without_tag(address),
            display_name=name,
            is_primary=True,
            is_default=True,
            verified_at=now,
            created_at=now,
        )
    )
    return find(connection, address)


def set_credentials(connection: Connection, address: str, credentials: Credentials) -> None:
    """A new password. Raises NotAllowed for a user whose password is kept elsewhere."""
    if find(connection, address).external:
        raise password_elsewhere(address)
    _update(connection, address, **_columns(credentials))


def link(connection: Connection, address: str, external: External) -> None:
    """The user is this entry of another directory from now on, and a password kept here is forgotten."""
    _update(connection, address, password_hash=None, scram_sha_256=None, **_external(external))


def edit(
    connection: Connection,
    address: str,
    *,
    name: str | None = None,
    language: str | None = None,
    reply_from: ReplyFrom | None = None,
) -> None:
    """Change what is given. The primary address's name follows, unless it was given one of its own."""
    user = find(connection, address)
    if name is not None:
        check_name(name, user.address)
        columns = tables.send_as.c
        primary = (columns.account_id == user.id, columns.is_primary, columns.display_name == user.name)
        connection.execute(update(tables.send_as).where(*primary).values(display_name=name))
        _update(connection, address, name=name)
    if language is not None:
        check_language(language)
        _update(connection, address, language=language)
    if reply_from is not None:
        _update(connection, address, reply_from=reply_from.value)


def suspend(connection: Connection, address: str) -> None:
    """Neither log-in nor sending from now on; mail to the user is still delivered."""
    _update(connection, address, suspended=True)


def resume(connection: Connection, address: str) -> None:
    """Undo `suspend`."""
    _update(connection, address, suspended=False)


def move(connection: Connection, address: str, unit_path: str) -> None:
    """Put the user in another unit, whose policy is theirs from now on."""
    _update(connection, address, unit_id=units.find(connection, unit_path).id)


def remove(connection: Connection, address: str) -> None:
    """Delete the user with all their addresses and gateways."""
    touch(connection)
    connection.execute(delete(tables.account).where(tables.account.c.id == find(connection, address).id))


def check_name(name: str, address: str) -> None:
    """Whether From can show this name, and an index take it; raises Invalid."""
    if len(name) > LONGEST_NAME:
        raise Invalid(
            "a name has at most {most} characters, and this one has {count}", most=LONGEST_NAME, count=len(name)
        )
    try:
        format_mailbox(name, address)
    except AddressError as error:
        raise Invalid(error.text, **error.facts) from None


def check_language(language: str) -> None:
    """Whether there are texts in it; raises Invalid."""
    if language not in LANGUAGES:
        raise Invalid(
            "'{text}' is not a language that there are texts in: {languages}",
            text=language[:20],
            languages=", ".join(LANGUAGES),
        )


def check_domain(address: str, domains: Collection[str]) -> None:
    """Whether a user may have this primary address; raises Invalid."""
    domain = address.rpartition("@")[2]
    if domain not in domains:
        raise Invalid(
            "{domain} is not one of the organisation's domains; add it first, or correct the address", domain=domain
        )


def password_elsewhere(address: str) -> NotAllowed:
    """Such a user's password is not changed here."""
    return NotAllowed("the password of {address} is kept in the LDAP directory; change it there", address=address)


def _user(row: Row[*tuple[Any, ...]]) -> User:
    external = External(row.external_id, row.external_dn, row.source) if row.source != "local" else None
    id_, address, name, unit, suspended, created_at, language = row[:7]
    return User(id_, address, name, unit, suspended, created_at, language, ReplyFrom(row.reply_from), external)


def _external(external: External | None) -> dict[str, str | None]:
    if external is None:
        return {}
    return {"source": external.source, "external_id": external.id, "external_dn": external.dn}


def _columns(credentials: Credentials | None) -> dict[str, str]:
    if credentials is None:
        return {}
    return {"password_hash": credentials.password_hash, "scram_sha_256": credentials.scram}


def _update(connection: Connection, address: str, **values: Any) -> None:
    touch(connection)
    user = find(connection, address)
    connection.execute(update(tables.account).where(tables.account.c.id == user.id).values(values))
