"""The endpoints that are told of events: whose events, of which types, where to, and whether that works.

Of a secret only its sealed form is kept; it is shown once. The functions work in the caller's transaction.
"""

import re
from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from secrets import randbits
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from outgate.directory import units, users
from outgate.directory.change import compared_domain, lock
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.egress.guard import is_address, names_no_host
from outgate.frozen import frozen
from outgate.model import Phrase
from outgate.record import message_log
from outgate.store import tables
from outgate.store.vault import SealBroken, Vault, webhook_secret
from outgate.webhooks import signature
from outgate.webhooks.event_body import CHOICES, WebhookEventType

AT_MOST: Final = 50  # webhooks of an installation
BOTH_SIGN: Final = 86400.0  # seconds that a former secret still signs after a rotation
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")
_MAX_URL: Final = 500  # characters

_webhook, _event = tables.webhook.c, tables.webhook_event.c


class StopCause(StrEnum):
    """Why nothing is sent to an endpoint any more. Each has a detail: who, or what was answered."""

    ASKED = "asked"  # somebody stopped it
    GONE = "gone"
    FAILING = "failing"
    SEALED = "sealed"  # its secret can't be opened


@frozen
class WebhookSettings:
    """A webhook that somebody wants: events of these types, of a unit with those below it, or of a user, or of all.

    Checked when made: raises Invalid. `allow_http` is of the installation.
    """

    name: str
    url: str
    event_types: tuple[WebhookEventType, ...] = CHOICES
    unit: str | None = None
    user: str | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Invalid(
                "'{name}' is not a webhook's name: at most 60 small letters, digits and hyphens, no hyphen at its ends",
                name=self.name[:80],
            )
        if self.unit and self.user:
            raise Invalid("say a unit or a user whose events are sent, not both")
        if not self.event_types:
            raise Invalid("say at least one type of event")
        _check_url(self.url, ("https", "http") if self.allow_http else ("https",))
        chosen = tuple(one for one in CHOICES if one in self.event_types)
        object.__setattr__(self, "event_types", chosen)


@frozen
class Webhook:
    """One, and how it stands. `stopped_at` is None while events are sent, `stopped` says why they are not; `waiting` is
    how many wait.
    """

    id: int
    name: str
    url: str
    event_types: tuple[WebhookEventType, ...]
    unit: str | None
    user: str | None
    author: str
    created_at: float
    stopped_at: float | None
    stopped: Phrase | None
    failing_since: float | None
    paused_until: float
    former_until: float | None
    after: int
    waiting: int

    @property
    def state(self) -> str:
        """`stopped`, `failing` or `on`."""
        if self.stopped_at is not None:
            return "stopped"
        return "failing" if self.failing_since is not None else "on"


@frozen
class WebhookSecret:
    """What a webhook's events are signed with, as its receiver needs it: shown once."""

    text: str = field(repr=False)


def create(
    connection: Connection, vault: Vault, wanted: WebhookSettings, author: str, now: float
) -> tuple[Webhook, WebhookSecret]:
    """One that is told of what happens from now on. Raises AlreadyExists, NotFound, NotAllowed."""
    lock(connection)
    if connection.scalar(select(_webhook.id).where(_webhook.name == wanted.name)):
        raise AlreadyExists("there is a webhook {name} already", name=wanted.name)
    if (connection.scalar(select(func.count()).select_from(tables.webhook)) or 0) >= AT_MOST:
        raise NotAllowed("there are {most} webhooks already; remove one first", most=AT_MOST)
    secret = signature.new_secret()
    row = {
        # SQLite would give the number of one that was removed again, and what is under way for that one means it.
        "id": randbits(53),
        "name": wanted.name,
        "url": wanted.url,
        "event_types": " ".join(wanted.event_types),
        "unit_id": units.find(connection, wanted.unit).id if wanted.unit else None,
        "account_id": users.find(connection, wanted.user).id if wanted.user else None,
        "sealed_secret": vault.seal(secret, webhook_secret(wanted.name)),
        "author": author,
        "created_at": now,
        "stop_cause": "",
        "stop_detail": "",
        "stop_to_tell": False,
        "after": message_log.newest(connection),
        "failures": 0,
        "paused_until": 0.0,
        "leased_until": 0.0,
    }
    connection.execute(insert(tables.webhook).values(row))
    return find(connection, wanted.name), WebhookSecret(signature.shown(secret))


def listed(connection: Connection) -> tuple[Webhook, ...]:
    """All there are, by name."""
    return tuple(map(_made, connection.execute(_select().order_by(_webhook.name))))


def find(connection: Connection, name: str) -> Webhook:
    """The one of this name. Raises NotFound."""
    row = connection.execute(_select().where(_webhook.name == name)).first()
    if row is None:
        raise NotFound("there is no webhook {name}; `outgate webhook list` shows those there are", name=name[:80])
    return _made(row)


def by_row(connection: Connection, row: int) -> Webhook | None:
    """The one in this row, if it is still there."""
    found = connection.execute(_select().where(_webhook.id == row)).first()
    return _made(found) if found else None


def secrets_of(connection: Connection, vault: Vault, name: str, now: float) -> list[bytes]:
    """What signs its events: its secret, and the former one for some time. Raises NotFound, SealBroken."""
    row = connection.execute(select(tables.webhook).where(_webhook.name == find(connection, name).name)).one()
    sealed = [row.sealed_secret]
    if row.sealed_former_secret is not None and now < row.former_until:
        sealed.append(row.sealed_former_secret)
    return [vault.open(one, webhook_secret(name)) for one in sealed]


def rotate(connection: Connection, vault: Vault, name: str, now: float) -> WebhookSecret:
    """A new secret; the former one signs as well for BOTH_SIGN seconds, if it can be opened, and one before that no
    more. Raises NotFound.
    """
    lock(connection)
    found, secret = find(connection, name), signature.new_secret()
    former = connection.execute(select(_webhook.sealed_secret).where(_webhook.id == found.id)).scalar_one()
    is_whole = _opens(vault, former, name)
    values = {
        "sealed_former_secret": former if is_whole else None,
        "former_until": now + BOTH_SIGN if is_whole else None,
        "sealed_secret": vault.seal(secret, webhook_secret(name)),
    }
    connection.execute(update(tables.webhook).where(_webhook.id == found.id).values(values))
    return WebhookSecret(signature.shown(secret))


def _opens(vault: Vault, sealed: bytes, name: str) -> bool:
    try:
        vault.open(sealed, webhook_secret(name))
    except SealBroken:
        return False
    return True


def stop(connection: Connection, row: int, cause: StopCause, detail: str, now: float) -> None:
    """Send nothing more. What waits is kept, and so is where in the record it was. What nobody asked for is told."""
    values = {
        "stopped_at": now,
        "stop_cause": cause.value,
        "stop_detail": detail,
        "stop_to_tell": cause is not StopCause.ASKED,
    }
    connection.execute(update(tables.webhook).where(_webhook.id == row, _webhook.stopped_at.is_(None)).values(values))


def start(connection: Connection, name: str, now: float, *, from_now: bool) -> Webhook:
    """Send again: all that waits and that is on record since, or only what happens `from_now` on. Raises NotFound."""
    found = find(connection, name)
    values: dict[str, object] = {
        "stopped_at": None,
        "stop_cause": "",
        "stop_detail": "",
        "stop_to_tell": False,
        "failures": 0,
        "failing_since": None,
        "paused_until": 0.0,
    }
    of_it = _event.webhook_id == found.id
    if from_now:
        connection.execute(delete(tables.webhook_event).where(of_it))
        values["after"] = message_log.newest(connection)
    else:
        again = {"due_at": now, "taken_at": now, "attempts": 0}
        connection.execute(update(tables.webhook_event).where(of_it).values(again))
    connection.execute(update(tables.webhook).where(_webhook.id == found.id).values(values))
    return find(connection, name)


def remove(connection: Connection, name: str) -> Webhook:
    """With what waits for it, and its tries. Raises NotFound."""
    found = find(connection, name)
    connection.execute(delete(tables.webhook).where(_webhook.id == found.id))
    return found


def stopped_by_server(connection: Connection) -> Sequence[Webhook]:
    """Those that somebody is to look after."""
    wanted = (_webhook.stopped_at.is_not(None), _webhook.stop_cause != StopCause.ASKED.value)
    return [_made(row) for row in connection.execute(_select().where(*wanted).order_by(_webhook.name))]


def stops_to_tell(connection: Connection) -> Sequence[Webhook]:
    """Those that the server has stopped, and nobody was told."""
    return [_made(row) for row in connection.execute(_select().where(_webhook.stop_to_tell))]


def stop_told(connection: Connection, row: int) -> None:
    """An administrator knows."""
    connection.execute(update(tables.webhook).where(_webhook.id == row).values(stop_to_tell=False))


def _check_url(url: str, schemes: Sequence[str]) -> None:
    """Raises Invalid."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid("this is not a URL") from None
    if parts.scheme not in schemes or not host or len(url) > _MAX_URL or not url.isascii() or not url.isprintable():
        raise Invalid(
            "give a URL that begins with {schemes}, of at most {most} characters",
            schemes=" or ".join(f"{one}://" for one in schemes),
            most=_MAX_URL,
        )
    if "@" in parts.netloc or "#" in url or " " in url:
        raise Invalid("the URL may have no user name, password, fragment or space: events are signed instead")
    if not is_address(host):
        compared_domain(host.removesuffix("."))
    if is_address(host) or names_no_host(host):
        raise Invalid("the URL must name a host, not an address: its certificate is checked against the name")


def _why_stopped(cause: StopCause, detail: str) -> Phrase:
    match cause:
        case StopCause.ASKED:
            return Phrase("stopped by {author}", {"author": detail})
        case StopCause.GONE:
            return Phrase("its endpoint answered 410, that it wants nothing any more")
        case StopCause.FAILING:
            return Phrase("nothing but failures for five days, the last: {reason}", {"reason": detail})
        case StopCause.SEALED:
            return Phrase("its secret can't be opened ({reason}); make a new one", {"reason": detail})


def _select() -> Any:
    waiting = select(func.count()).where(_event.webhook_id == _webhook.id).scalar_subquery()
    return (
        select(
            tables.webhook,
            tables.unit.c.path.label("unit"),
            tables.account.c.primary_address.label("user"),
            waiting.label("waiting"),
        )
        .outerjoin(tables.unit, tables.unit.c.id == _webhook.unit_id)
        .outerjoin(tables.account, tables.account.c.id == _webhook.account_id)
    )


def _made(row: Row[*tuple[Any, ...]]) -> Webhook:
    return Webhook(
        id=row.id,
        name=row.name,
        url=row.url,
        event_types=tuple(WebhookEventType(one) for one in row.event_types.split()),
        unit=row.unit,
        user=row.user,
        author=row.author,
        created_at=row.created_at,
        stopped_at=row.stopped_at,
        stopped=_why_stopped(StopCause(row.stop_cause), row.stop_detail) if row.stop_cause else None,
        failing_since=row.failing_since,
        paused_until=row.paused_until,
        former_until=row.former_until,
        after=row.after,
        waiting=row.waiting,
    )
