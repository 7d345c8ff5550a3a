"""What every change of directory and send-as rows begins with."""

from contextlib import suppress
from ipaddress import ip_address

from sqlalchemy import Connection, select, update

from outgate.directory.errors import Invalid, NotFound
from outgate.mail.addresses import AddressError, canonical, canonical_domain
from outgate.store import tables


def touch(connection: Connection, *, shared: bool = False, queues: bool = False) -> int:
    """Make copies of the directory elsewhere out of date; returns the directory's new version.

    `shared` says that units, policy, domains or the organisation's gateway change, which concern all accounts; `queues`
    that restrictions on queues do.

    Lets one change at a time through until its transaction ends, so that what a change has checked still holds when
    it is committed. So this comes first.
    """
    columns = tables.organisation.c
    version = columns.directory_version
    values = {
        "directory_version": version + 1,
        "policy_version": columns.policy_version + int(shared),
        "queue_version": columns.queue_version + int(queues),
    }
    statement = update(tables.organisation).values(values).returning(version)
    changed: int | None = connection.scalar(statement)
    if changed is None:
        raise NotFound("there is no organisation yet; run: outgate init")
    return changed


def lock(connection: Connection) -> None:
    """As `touch`, for a change that no copy shows."""
    connection.execute(select(tables.organisation.c.id).with_for_update())


def compared(address: str) -> str:
    """The compared form of an address that somebody entered; raises Invalid."""
    try:
        return canonical(address)
    except AddressError as error:
        raise Invalid(error.text, **error.facts) from None


def compared_domain(name: str) -> str:
    """The compared form of a domain that somebody entered; raises Invalid."""
    try:
        return canonical_domain(name)
    except AddressError as error:
        raise Invalid(error.text, **error.facts) from None


def compared_host(name: str) -> str:
    """The compared form of a host that somebody entered: an IP address, or a name as A-labels; raises Invalid.

    An address has no zone (RFC 4007 section 11): that may be any text, and means something on one machine alone.
    """
    if "%" not in name:
        with suppress(ValueError):
            return ip_address(name.strip("[]")).compressed
    return compared_domain(name)
