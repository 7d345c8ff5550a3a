"""A large organisation, written straight into the product's own tables: people, addresses, waiting mail, the record.

Made by rule from numbers, so that whoever measures knows who is there without asking. Knows no server.
"""

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, MetaData, Table, text
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from outgate.directory import organisation, policies, restrictions, roles, settings, units, users
from outgate.directory.users import Credentials
from outgate.mailbox.maildir_mailbox import folder_of
from outgate.model import Cause, QueueKey, QueueKind, Restriction
from outgate.record import audit_trail, events, search_keys
from outgate.record.audit_trail import AuditEntry
from outgate.record.events import MessageEvent, Passage
from outgate.store import tables
from outgate.store.engine import write
from outgate.store.vault import Vault

DOMAIN: Final = "example.com"
PASSWORD: Final = "a pass phrase of the bench"
ADMINISTRATOR: Final = "admin@example.com"
UNIT_ADMINISTRATOR: Final = "unit-admin@example.com"  # of one division
DIVISION: Final = "/Division 3"
FIRST_NAMES: Final = ("anna", "bruno", "carla", "dario", "elena", "fabio", "giulia", "hugo", "irene", "luca")
LAST_NAMES: Final = ("bianchi", "costa", "esposito", "ferrari", "greco", "marino", "ricci", "romano", "rossi", "russo")
UNITS: Final = 1110  # units below the root, in three levels
GATEWAY_HOSTS: Final = 3000
_DAYS: Final = 25 * 86400.0  # that the record goes back
_AT_ONCE: Final = 20_000  # rows of one statement
_BUSY: Final = 20  # users who have written much on the pages
_SENT: Final = 500  # by each of them
_LETTERS: Final = 600  # in the inbox of each of them
_SHARED: Final = 95  # addresses more of one user, who sends one of twenty messages from them
_EACH_SHARED: Final = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. `addresses` are all, primary ones with them; `waiting` are recipients."""

    users: int = 100_000
    addresses: int = 300_000
    messages: int = 1_000_000
    waiting: int = 20_000
    audited: int = 20_000

    def user(self, number: int) -> str:
        """A primary address."""
        first, last = _names(number)
        return f"{first}.{last}.{number}@{DOMAIN}"

    def outside(self, number: int) -> str:
        """An address of a partner's domain: its user is `number` modulo the users."""
        first, last = _names(number % self.users)
        return f"{first}.{last}.{number}@partner{number % 2000}.example"

    def shared(self, number: int) -> str:
        """An address of one department's, all of which `desk` has."""
        return f"department.{number % _SHARED}@{DOMAIN}"

    @property
    def desk(self) -> str:
        """Who has nearly as many addresses as one may have, and sends the most."""
        return self.user(self.users - 2)

    @property
    def outsides(self) -> int:
        """How many of them there are."""
        return self.addresses - self.users

    @property
    def busy(self) -> list[str]:
        """Those who write on the pages."""
        return [self.user(number) for number in range(min(_BUSY, self.users))]


def message_id(size: Size, number: int, now: float) -> int:
    """The queue id of a message of the record; 0 is the oldest."""
    return int((now - _DAYS * (1 - number / size.messages)) * 1000) << 21 | number % 4096


def fill(engine: Engine, vault: Vault, folder: Path, size: Size, now: float) -> None:
    """All of it, into a database that has its tables and nothing else. Maildirs come below `folder`."""
    credentials = Credentials.derive(PASSWORD, 4096)
    _structure(engine, vault, size, now)
    with _Loader(engine) as loader:
        _people(loader, vault, size, credentials, now)
        _mail(loader, size, now)
        _written(loader, size, now)
    _administrators(engine, credentials, now)
    _trail(engine, vault, size, now)
    for owner in size.busy:
        _letters(folder_of(folder, owner), owner, now)
    if engine.dialect.name == "postgresql":  # which does it by itself, later
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))


def _names(number: int) -> tuple[str, str]:
    return FIRST_NAMES[number % 10], LAST_NAMES[number // 10 % 10]


class _Loader:
    """Writes many rows as fast as the database takes them, in one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> "_Loader":
        self._raw = self._engine.raw_connection()
        if self._is_sqlite:
            self._driver.execute("PRAGMA synchronous = OFF")
            self._driver.execute("PRAGMA cache_size = -1000000")
            self._driver.execute("PRAGMA foreign_keys = OFF")
            self._driver.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._raw.commit()
        self._raw.invalidate()  # its pragmas go with it

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @property
    def _driver(self) -> Any:
        return self._raw.driver_connection

    def load(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows, each with the values of these columns; the others have their defaults."""
        defaults = {
            one.name: one.default.arg
            for one in table.c
            if one.name not in columns and isinstance(one.default, ScalarElementColumnDefault)
        }
        columns, rows = [*columns, *defaults], ((*row, *defaults.values()) for row in rows)
        names = ", ".join(f'"{one}"' for one in columns)
        if self._is_sqlite:
            marks = ", ".join("?" * len(columns))
            driver: sqlite3.Connection = self._driver
            driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
            return
        with self._driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def run(self, statement: str) -> None:
        """One statement."""
        self._driver.execute(statement)


# --- the directory ---------------------------------------------------------------------------------------------------


def unit_paths() -> Iterator[str]:
    """Each after its parent: divisions, departments, teams."""
    for division in range(10):
        yield f"/Division {division}"
    for division, department in product(range(10), repeat=2):
        yield f"/Division {division}/Department {department}"
    for division, department, team in product(range(10), repeat=3):
        yield f"/Division {division}/Department {department}/Team {team}"


def _structure(engine: Engine, vault: Vault, size: Size, now: float) -> None:
    with write(engine) as connection:
        organisation.create(connection, DOMAIN, now)
        for number in range(4):
            organisation.add_domain(connection, f"own{number}.example", now)
        audit_trail.begin(connection, vault)
        for path in unit_paths():
            units.create(connection, path)
        policies.set_value(connection, "/", settings.ALLOW_EXTERNAL_SMTP, True, now)
        for number, path in enumerate(unit_paths()):
            if number % 20 == 0:
                policies.set_value(connection, path, settings.ALLOW_EXTERNAL_SMTP, number % 40 == 0, now)
        for number in range(50):
            queue = QueueKey(QueueKind.GATEWAY, str(number + 1))
            wanted = Restriction(Cause.OPERATOR, "for the bench", ADMINISTRATOR, now, None)
            restrictions.put(connection, queue, wanted)


def _people(loader: _Loader, vault: Vault, size: Size, credentials: Credentials, now: float) -> None:
    common = (credentials.password_hash, credentials.scram, now)
    loader.load(
        tables.account,
        ("id", "primary_address", "name", "unit_id", "suspended", "password_hash", "scram_sha_256", "created_at"),
        ((n + 1, size.user(n), _full_name(n), 2 + n % UNITS, n % 1000 == 999, *common) for n in range(size.users)),
    )
    loader.load(
        tables.send_as,
        (
            *("id", "account_id", "address", "display_name", "reply_to", "signature", "is_primary", "is_default"),
            *("treat_as_alias", "verified_at", "proof", "created_at"),
        ),
        (_address(size, n, now) for n in range(size.addresses + _SHARED)),
    )
    loader.load(
        tables.gateway,
        (
            *("id", "send_as_id", "host", "port", "security", "username", "sealed_password"),
            *("credential_version", "changed_at"),
        ),
        (_gateway(vault, size, n, now) for n in range(size.outsides) if n % 4),
    )
    loader.load(
        tables.web_session,
        ("account_id", "digest", "peer", "browser", "created_at", "seen_at"),
        ((n + 1, n.to_bytes(32, "big"), "10.0.0.1", "Mozilla/5.0", now, now) for n in range(size.users // 2)),
    )
    if loader._engine.dialect.name == "postgresql":
        for table in ("account", "send_as", "gateway"):
            loader.run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")


def _gateway(vault: Vault, size: Size, number: int, now: float) -> tuple[object, ...]:
    """Of an outside address; one of five hundred waits for its password."""
    sealed = vault.seal(b"a password of the bench", f"gateway:{number + 1}") if number % 500 != 1 else None
    host = f"smtp{number % GATEWAY_HOSTS}.example"
    return (number + 1, size.users + number + 1, host, 587, "starttls", size.outside(number), sealed, 1, now)


def _full_name(number: int) -> str:
    return " ".join(one.capitalize() for one in _names(number))


def _address(size: Size, number: int, now: float) -> tuple[object, ...]:
    """The users' primary addresses first, then the others; one of a hundred of these is not confirmed. Behind them
    those of departments."""
    if number >= size.addresses:
        names = (size.shared(number - size.addresses), "")
        return (number + 1, size.users - 1, *names, "", "", False, False, True, now, "granted", now)
    if number < size.users:
        names = (size.user(number), _full_name(number))
        return (number + 1, number + 1, *names, "", "", True, True, True, now, None, now)
    outside = number - size.users
    account = outside % size.users + 1
    names = (size.outside(outside), _full_name(account - 1))
    verified = None if outside % 100 == 99 else now
    return (number + 1, account, *names, "", "", False, False, True, verified, "code", now)


def _administrators(engine: Engine, credentials: Credentials, now: float) -> None:
    with write(engine) as connection:
        users.create(connection, ADMINISTRATOR, credentials, now, name="Ada Admin")
        roles.assign(connection, ADMINISTRATOR, "super-admin", "/", now)
        users.create(connection, UNIT_ADMINISTRATOR, credentials, now, name="Uno Admin", unit_path=DIVISION)
        roles.assign(connection, UNIT_ADMINISTRATOR, "user-admin", DIVISION, now)


def _trail(engine: Engine, vault: Vault, size: Size, now: float) -> None:
    """A year of changes."""
    for start in range(0, size.audited, 2000):
        numbers = range(start, min(start + 2000, size.audited))
        with write(engine) as connection:
            audit_trail.append(connection, vault, [_entry(size, one, now) for one in numbers])


def _entry(size: Size, number: int, now: float) -> AuditEntry:
    at = now - 365 * 86400 * (1 - number / size.audited)
    changed = ("policy.set", "user.edit", "gateway.set", "send-as.add")[number % 4]
    detail = {settings.ALLOW_EXTERNAL_SMTP.name: [False, True]} if changed == "policy.set" else {}
    return AuditEntry(
        at, ADMINISTRATOR, "10.0.0.1", changed, target=size.user(number % size.users), unit="/", detail=detail
    )


# --- mail ------------------------------------------------------------------------------------------------------------


def _mail(loader: _Loader, size: Size, now: float) -> None:
    """The record of all messages; the last of them wait still."""
    chance = random.Random(1)
    loader.run("CREATE TEMPORARY TABLE unsorted_key (message_id bigint, role text, domain text, name text)")
    facts: list[tuple[object, ...]] = []
    keys: list[tuple[object, ...]] = []
    for number in range(size.messages):
        told = _history(size, number, chance, now)
        facts += [(one.message_id, one.at, one.kind.value, _json(one.detail)) for one in told]
        keys += [(told[0].message_id, *key) for key in search_keys.sorted_in_as(search_keys.keys_of(told[0]))]
        if len(facts) >= _AT_ONCE or number == size.messages - 1:
            loader.load(tables.fact, ("message_id", "at", "kind", "detail"), facts)
            loader.load(_UNSORTED, ("message_id", "role", "domain", "name"), keys)
            facts, keys = [], []
    loader.run(
        "INSERT INTO search_key (role, domain, name, message_id)"
        " SELECT role, domain, name, message_id FROM unsorted_key ORDER BY 1, 2, 3, 4"
    )
    loader.run("DROP TABLE unsorted_key")
    _waiting(loader, size, now)
    _tls(loader, int(now // 86400) - 1)
    hour = int(now // 3600)
    loader.load(
        tables.tally,
        ("hour", "measure", "label", "count"),
        (
            (hour - ago, measure, label, 1000 + ago)
            for ago in range(35 * 24)
            for measure, labels in (
                ("routed", ("user-gateway", "direct", "local", "domain-gateway")),
                ("delivered", ("user-gateway", "direct", "local", "domain-gateway")),
                ("deferred", ("user-gateway", "direct")),
                ("bounced", ("direct",)),
                ("refused", ("5.7", "5.1")),
                ("took", ("0.1", "1.0", "5.0", "60.0", "1800.0", "+Inf")),
            )
            for label in labels
        ),
    )


def _tls(loader: _Loader, day: int) -> None:
    """The sessions of a day with all recipients' domains: good ones, and with each third some that are not."""
    domains = [f"recipient{number}.example" for number in range(5000)]
    policy, kind = "0" * 32, "no-policy-found"
    columns = ("day", "domain", "policy", "type", "policy_domain", "lines", "mx")
    loader.load(tables.tls_policy, columns, ((day, one, policy, kind, one, "[]", "[]") for one in domains))
    good = ((day, one, policy, "", "", "", "", "", 40 + number) for number, one in enumerate(domains))
    fault = "starttls-not-supported"
    bad = (
        (day, one, policy, fault, "", f"mx.{one}", "203.0.113.5", "", 1 + number)
        for number, one in enumerate(domains)
        if number % 3 == 0
    )
    loader.load(tables.tls_session, [one.name for one in tables.tls_session.c], (*good, *bad))


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


_UNSORTED: Final = Table("unsorted_key", MetaData())


def _waits(size: Size, number: int) -> bool:
    return number >= size.messages - size.waiting


def _sender(size: Size, number: int) -> tuple[str, str, int | None]:
    """Account and From address of a message, and the gateway that this has."""
    if number % _EACH_SHARED == 7 and not _waits(size, number):
        return size.desk, size.shared(number // _EACH_SHARED), None
    if number % 3 == 0:
        return size.user(number % size.users), size.user(number % size.users), None
    outside = number % size.outsides
    return size.user(outside % size.users), size.outside(outside), outside + 1 if outside % 4 else None


def _queue(size: Size, number: int) -> str:
    gateway = _sender(size, number)[2]
    if _waits(size, number):  # at few servers, which are down
        return f"gateway:{number % 100 * 4 + 2}" if gateway else f"mx:recipient{number % 300}.example"
    return f"gateway:{gateway}" if gateway else f"mx:recipient{number % 5000}.example"


def _recipient(number: int, chance: random.Random) -> str:
    domain = "popular.example" if chance.random() < 0.3 else f"recipient{number % 5000}.example"
    return f"reader{chance.randrange(200_000)}@{domain}"


def _history(size: Size, number: int, chance: random.Random, now: float) -> list[MessageEvent]:
    """What is told of a message: one of a hundred is refused, one of fifty comes back."""
    identity = message_id(size, number, now)
    at = (identity >> 21) / 1000
    account, sender, _ = _sender(size, number)
    to, queue = _recipient(number, chance), _queue(size, number)
    came = events.accepted(
        identity,
        at,
        account=account,
        header_from=[sender],
        reverse_path=sender,
        recipients=[to],
        size=4200,
        peer="10.0.0.1",
        protocol="ESMTPSA",
        rfc822_message_id=f"<{number}.{chance.randrange(1 << 60)}@{DOMAIN}>",
    )
    if number % 100 == 1:
        return [events.refused(came, "550 5.7.1 this address may not be used")]
    way = "user-gateway" if queue.startswith("gateway:") else "direct"
    reasons = [f"{sender} goes by {queue}"]
    routed = events.routed(identity, at, recipients=[to], way=way, queue=queue, queue_name=queue, reasons=reasons)
    tried = events.attempt(
        identity,
        at + 1,
        way=way,
        verdicts=["delivered"],
        peer="smtp.partner.example[192.0.2.1]:587",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        mail_from=sender,
        recipients=1,
        reply="250 2.0.0 Ok: queued as 4F2A91C03",
        seconds=0.048,
    )
    passage = Passage(identity, sender, queue, way)
    if _waits(size, number):
        end = events.deferred(passage, at + 1, recipient=to, reason="450 4.3.0 come later", next_attempt=now + 86400)
    elif number % 50 == 2:
        end = events.bounced(passage, at + 1, recipient=to, reason="550 5.1.1 no such user", report=None)
    else:
        end = events.delivered(passage, at + 1, recipient=to, by="smtp.partner.example", reply="250 2.0.0 Ok", delay=1)
    return [came, routed, tried, end]


def _waiting(loader: _Loader, size: Size, now: float) -> None:
    chance = random.Random(2)
    numbers = [n for n in range(size.messages - size.waiting, size.messages) if n % 100 != 1]
    loader.load(
        tables.message,
        (
            *("id", "account_id", "chosen_from", "reverse_path", "size", "header_size", "chunks", "body_digest"),
            *("eight_bit", "smtputf8", "protocol", "received_at"),
        ),
        (
            (
                *(message_id(size, n, now), 1 + n % size.users, _sender(size, n)[1], _sender(size, n)[1]),
                *(4200, 200, 1, bytes(32), False, False, "ESMTPSA", (message_id(size, n, now) >> 21) / 1000),
            )
            for n in numbers
        ),
    )
    loader.load(
        tables.recipient,
        ("message_id", "number", "address", "queue", "attempts", "due_at", "last_reply", "delay_told"),
        (
            (
                *(message_id(size, n, now), 0, _recipient(n, chance), _queue(size, n), 3),
                *(now + 2 * 86400 + chance.random() * 3600, "450 4.3.0 come later", True),
            )
            for n in numbers
        ),
    )


# --- what users have written -----------------------------------------------------------------------------------------


def sent(size: Size, user: int, number: int) -> int:
    """Which message of the record a user has sent from the pages."""
    return size.messages - size.waiting - 1 - number * _BUSY - user


def _written(loader: _Loader, size: Size, now: float) -> None:
    """What the busy ones have sent, and begun to write."""
    mine = [(user, n) for user in range(len(size.busy)) for n in range(min(_SENT, size.messages // (2 * _BUSY)))]
    ids = [message_id(size, sent(size, user, n), now) for user, n in mine]
    loader.load(
        tables.sent_message,
        (
            *("message_id", "account_id", "sender", "recipients", "subject", "rfc822_message_id", "sent_at"),
            *("file_name", "file_at", "not_filed", "is_open"),
        ),
        (
            (
                *(identity, user + 1, size.user(user), "Rita Reader", f"Report {n}", f"<{identity}@{DOMAIN}>"),
                *((identity >> 21) / 1000, f"{identity}.copy", now, "", n < 5),
            )
            for (user, n), identity in zip(mine, ids, strict=True)
        ),
    )
    columns = ("to", "cc", "bcc", "subject", "text", "html", "in_reply_to", "references")
    loader.load(
        tables.draft,
        ("account_id", "sender", *columns, "changed_at"),
        (
            (user + 1, size.user(user), "reader@recipient1.example", "", "", f"Draft {n}", "Hello", "", "", "", now)
            for user, n in product(range(len(size.busy)), range(30))
        ),
    )


def _letters(folder: Path, owner: str, now: float) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number in range(_LETTERS):
        at = now - number * 3600
        before = f"<{number - number % 3}.letter@{DOMAIN}>"
        lines = (
            f"From: Rita Reader <reader{number}@recipient{number % 7}.example>",
            f"To: <{owner}>",
            f"Subject: Letter {number - number % 3}",
            f"Message-ID: <{number}.letter@{DOMAIN}>",
            f"References: {before}",
            "Date: Mon, 1 Jun 2026 12:00:00 +0000",
            "MIME-Version: 1.0",
            "Content-Type: text/html; charset=utf-8",
            "",
            "<p>Dear colleague,</p>" + "<p>what you asked for is here, with <b>all</b> that belongs to it.</p>" * 40,
        )
        (folder / "cur" / f"{int(at)}.{number}.bench:2,S").write_text("\r\n".join(lines))
