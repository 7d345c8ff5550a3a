"""Rows made into the records that authorise and route work on: the one reading of account, addresses and gateways.

Reads only. Each function reads one state of the directory if its connection comes from store.engine.read. Addresses
are expected in compared form (mail.addresses.canonical).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import field, replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, literal_column, select

from outgate.directory import application_passwords, policies, second_factors
from outgate.directory.application_passwords import ApplicationPassword
from outgate.directory.policies import Policies
from outgate.directory.users import External
from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import DOMAIN_PROOF, Account, Gateway, GatewayKind, Organisation, Security, SendAs
from outgate.store import tables
from outgate.store.vault import holder_of, holder_of_common

AnyRow = Row[*tuple[Any, ...]]


@frozen
class LogInEntry:
    """What checking a password needs. `scram` is a verifier in the form of RFC 5803."""

    account_id: int
    password_hash: str | None = field(repr=False)
    scram: str | None = field(repr=False)
    suspended: bool
    application_passwords: tuple[ApplicationPassword, ...] = ()
    external: External | None = None  # whose password it is, if it is kept elsewhere
    second_factor: bool = False  # programs, which can't ask for a code, need a password of their own


@frozen
class Shared:
    """What all accounts have in common: the organisation, and the policy of every unit."""

    organisation: Organisation
    policies: Policies


def load(connection: Connection, account_id: int, shared: Shared | None = None) -> Account | None:
    """The account with this id, with all its addresses and gateways; `shared` is read as well if it is not given."""
    return _account(connection, tables.account.c.id == account_id, shared)


def load_some(connection: Connection, account_ids: Collection[int], shared: Shared) -> dict[int, Account]:
    """Those of these accounts that there are, by id."""
    which = _ACCOUNT_ROWS.where(tables.account.c.id.in_(account_ids)).order_by(None)
    rows = connection.execute(which.order_by(tables.account.c.id, tables.send_as.c.id))
    return {account: _made(list(mine), shared) for account, mine in groupby(rows, lambda row: row.account_id)}


def find(connection: Connection, address: str) -> Account | None:
    """The account with this primary address."""
    return _account(connection, tables.account.c.primary_address == address, None)


def every(connection: Connection, shared: Shared) -> Iterator[Account]:
    """All accounts by primary address, read as they are asked for: an organisation may have a hundred thousand."""
    ordered = _ACCOUNT_ROWS.order_by(None).order_by(tables.account.c.primary_address, tables.send_as.c.id)
    rows = connection.execute(ordered.execution_options(yield_per=1000))
    for _, of_account in groupby(rows, lambda row: row.account_id):
        yield _made(list(of_account), shared)


def login(connection: Connection, username: str) -> LogInEntry | None:
    """What to check a password against; the user name is the primary address."""
    columns = tables.account.c
    row = connection.execute(
        select(
            *(columns.id, columns.password_hash, columns.scram_sha_256, columns.suspended),
            *(columns.source, columns.external_id, columns.external_dn),
        ).where(columns.primary_address == username)
    ).first()
    if row is None:
        return None
    held = application_passwords.listed(connection, row.id)
    external = External(row.external_id, row.external_dn, row.source) if row.source != "local" else None
    on = second_factors.is_on(connection, row.id)
    return LogInEntry(row.id, row.password_hash, row.scram_sha_256, row.suspended, held, external, on)


def directory_version(connection: Connection) -> int:
    """A number that grows with every change to directory and send-as rows; 0 before there is an organisation."""
    return connection.scalar(select(tables.organisation.c.directory_version)) or 0


def policy_version(connection: Connection) -> int:
    """A number that grows with every change of what load_shared reads."""
    return connection.scalar(select(tables.organisation.c.policy_version)) or 0


def load_shared(connection: Connection) -> Shared:
    """What all accounts have in common."""
    return Shared(load_organisation(connection), policies.load(connection))


def load_organisation(connection: Connection) -> Organisation:
    """The organisation's domains, which is the primary one, and its outbound gateways."""
    rows = connection.execute(select(tables.domain_gateway)).all()
    gateways = {
        row.domain: replace(
            _gateway(row, f"domain-gateway:{row.id}", row.domain), fallbacks=tuple(row.fallbacks.split())
        )
        for row in rows
    }
    whole = gateways.pop("", None)
    primary = connection.scalar(select(tables.domain.c.name).where(tables.domain.c.is_primary))
    return Organisation(_domains(connection), whole, primary or "", gateways)


def local_mailbox(connection: Connection, address: str) -> str | None:
    """The primary address of the account that mail to an own-domain address belongs to.

    A primary address comes before addresses that were granted; of these the one granted first counts. What nobody has
    belongs to whoever has it without its +tag. A grant to send as an address (sendas.proven_domains) is none to receive
    its mail: all of a unit may have one.
    """
    if _domain_of(address) not in _domains(connection):
        return None
    base = without_tag(address)
    return _holder_of_mail(connection, address) or (base and _holder_of_mail(connection, base))


def _holder_of_mail(connection: Connection, address: str) -> str | None:
    account, send_as = tables.account.c, tables.send_as.c
    return connection.scalar(
        select(account.primary_address)
        .join_from(tables.send_as, tables.account)
        .where(
            send_as.address == address,
            send_as.verified_at.is_not(None),
            send_as.proof.is_distinct_from(DOMAIN_PROOF),
        )
        .order_by(send_as.is_primary.desc(), send_as.verified_at, send_as.id)
        .limit(1)
    )


# For `common_gateway`, beside columns of other tables that have the same names.
COMMON_GATEWAY_COLUMNS: Final = [column.label(f"common_{column.name}") for column in tables.common_gateway.c]

_TAGGED = tables.send_as.alias("tagged")

# The +tags of an address that others have proven or were given, with spaces between (literal: it is no parameter).
_OTHERS_TAGS = (
    select(func.aggregate_strings(_TAGGED.c.address, literal_column("' '")))  # type: ignore[arg-type]
    .where(
        _TAGGED.c.tag_of == tables.send_as.c.address,
        _TAGGED.c.account_id != tables.send_as.c.account_id,
        _TAGGED.c.verified_at.is_not(None),
    )
    .scalar_subquery()
)

_ACCOUNT_ROWS = (
    select(
        tables.account.c.id.label("account_id"),
        tables.account.c.primary_address,
        tables.account.c.name,
        tables.account.c.suspended,
        tables.account.c.language,
        tables.unit.c.path,
        tables.send_as.c.address,
        tables.send_as.c.display_name,
        tables.send_as.c.reply_to,
        tables.send_as.c.is_primary,
        tables.send_as.c.is_default,
        tables.send_as.c.treat_as_alias,
        tables.send_as.c.verified_at,
        tables.send_as.c.proof,
        _OTHERS_TAGS.label("others_tags"),
        tables.gateway.c.id.label("gateway_id"),
        tables.gateway.c.host,
        tables.gateway.c.port,
        tables.gateway.c.security,
        tables.gateway.c.username,
        tables.gateway.c.sealed_password,
        tables.gateway.c.credential_version,
        tables.gateway.c.provider,
        tables.gateway.c.kind,
        *COMMON_GATEWAY_COLUMNS,
    )
    .select_from(tables.account)
    .join(tables.unit)
    .join(tables.send_as)
    .outerjoin(tables.gateway)
    .outerjoin(tables.common_gateway, tables.common_gateway.c.grant_id == tables.send_as.c.grant_id)
    .order_by(tables.send_as.c.id)
)


BY_ID: Final = _ACCOUNT_ROWS.where(tables.account.c.id == bindparam("account_id"))


def made(rows: Sequence[AnyRow], shared: Shared) -> Account | None:
    """The account that the rows of BY_ID tell of; None if there are none."""
    return _made(rows, shared) if rows else None


def _account(connection: Connection, which: ColumnElement[bool], shared: Shared | None) -> Account | None:
    rows = connection.execute(_ACCOUNT_ROWS.where(which)).all()
    return made(rows, shared or load_shared(connection)) if rows else None


def _made(rows: Sequence[AnyRow], shared: Shared) -> Account:
    first = rows[0]
    return Account(
        id=first.account_id,
        primary=first.primary_address,
        name=first.name,
        unit=first.path,
        suspended=bool(first.suspended),
        policy=shared.policies.policy(first.path),
        send_as=_send_as(rows, shared.organisation.domains),
        language=first.language,
        others_tags=frozenset(tag for row in rows if row.others_tags for tag in row.others_tags.split(" ")),
    )


def _send_as(rows: Iterable[AnyRow], domains: frozenset[str]) -> dict[str, SendAs]:
    return {
        row.address: SendAs(
            address=row.address,
            display_name=row.display_name,
            reply_to=row.reply_to,
            is_primary=bool(row.is_primary),
            is_default=bool(row.is_default),
            treat_as_alias=bool(row.treat_as_alias),
            verified=row.verified_at is not None,
            own_domain=_domain_of(row.address) in domains,
            gateway=_gateway_of_user(row) if row.gateway_id is not None else None,
            is_by_grant=row.proof == DOMAIN_PROOF,
            common_gateway=common_gateway(row) if row.common_grant_id is not None else None,
        )
        for row in rows
    }


def common_gateway(row: AnyRow) -> Gateway:
    """Of a row of COMMON_GATEWAY_COLUMNS beside the address that is granted."""
    return Gateway(
        identity=f"common-gateway:{row.common_grant_id}",
        host=row.common_host,
        port=row.common_port,
        security=Security(row.common_security),
        username=row.common_username,
        sealed=row.common_sealed_password,
        credential_version=row.common_credential_version,
        holder=holder_of_common(row.common_grant_id, row.address),
        provider=row.common_provider,
        kind=GatewayKind(row.common_kind),
    )


def _gateway_of_user(row: AnyRow) -> Gateway:
    holder = holder_of(row.account_id, row.address)
    return _gateway(row, f"gateway:{row.gateway_id}", holder, row.provider, GatewayKind(row.kind))


def _gateway(
    row: AnyRow, identity: str, holder: str = "", provider: str = "", kind: GatewayKind = GatewayKind.SMTP
) -> Gateway:
    return Gateway(
        identity=identity,
        host=row.host,
        port=row.port,
        security=Security(row.security),
        username=row.username,
        sealed=row.sealed_password,
        credential_version=row.credential_version,
        holder=holder,
        provider=provider,
        kind=kind,
    )


def _domains(connection: Connection) -> frozenset[str]:
    return frozenset(connection.scalars(select(tables.domain.c.name)))


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]
