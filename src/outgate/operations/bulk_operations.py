"""Many users, addresses or gateways at once, as rows of a table: what each row asks for, done by the operations.

Knows no file and no CSV (commands.bulk does); a row is a mapping from column to text.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

from outgate.directory import users as directory
from outgate.directory.change import compared
from outgate.directory.errors import DirectoryError, Invalid, NotFound
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.directory.users import Credentials, User
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical
from outgate.model import Gateway, SendAs
from outgate.operations import gateway_operations, send_as_operations, user_operations
from outgate.operations.bulk_check import UserCheck, flag
from outgate.operations.confirmation import Confirmation
from outgate.operations.context import Denied, OperationContext, Transactions, rehearse
from outgate.operations.gateway_trial import GatewayProbe, GatewayUnusable, tentative
from outgate.operations.moments import for_a_moment, room_after
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditEntry
from outgate.sendas.send_as_addresses import is_own_domain

Row = Mapping[str, str]

BATCH: Final = 100  # rows whose passwords are hashed together


@frozen
class ListKind:
    """One kind of table. `key` names what must be given, and tells rows apart; `secret` is never exported."""

    name: str
    key: tuple[str, ...]
    optional: tuple[str, ...]
    secret: tuple[str, ...]
    export: Callable[[OperationContext], Iterator[dict[str, str]]]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that an import may have."""
        return (*self.key, *self.optional, *self.secret)


@frozen
class ImportLine:
    """A row with the line of the file that it begins in."""

    number: int
    row: Row


_Prepared = tuple[ImportLine, Callable[[], Credentials | None]]  # what was derived, or why it could not be


@dataclass(slots=True)
class ImportResult:
    """What became of the rows: `created`, `changed` or `unchanged` for each good one, line and text of each fault."""

    done: list[str] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    denied: list[AuditEntry] = field(default_factory=list)

    @contextmanager
    def taking_faults_of(self, line: ImportLine) -> Iterator[None]:
        """Stands round what is done with a row: what is wrong with it is noted, and the next one can follow."""
        try:
            yield
        except (DirectoryError, AddressError) as error:
            self.faults.append((line.number, str(error)))
            if isinstance(error, Denied):
                self.denied.append(error.entry)


@frozen
class Import:
    """Rows of one kind, checked or saved. `derive` makes credentials of a password, and may take long."""

    transactions: Transactions
    kind: ListKind
    confirmation: Confirmation
    derive: Callable[[str], Credentials]

    def check(self, lines: Iterable[ImportLine], probe: GatewayProbe | None) -> ImportResult:
        """Find out whether it could be done, and try the gateways of good rows with the probe. Writes nothing."""
        result = ImportResult()
        if self.kind.name == "users":
            with self.transactions.reading() as op:
                check = UserCheck(op)
                for line in lines:
                    with result.taking_faults_of(line):
                        check.check(line.row)
        else:
            self._rehearse(lines, probe, result)
        self._record_denials(result)
        return result

    def save(self, lines: Iterable[ImportLine]) -> ImportResult:
        """Do it. A row that fails undoes only itself. Returns when all is in force everywhere."""
        result = ImportResult()
        with ThreadPoolExecutor(os.cpu_count(), initializer=_step_back) as threads:
            for batch in _batches(lines):
                rows = self._prepared(batch, threads)
                while rows:
                    with room_after(), self.transactions.writing_one_of_many() as op:
                        self._apply_some(rows, result, op)
        self._record_denials(result)
        with self.transactions.writing():
            return result

    def _rehearse(self, lines: Iterable[ImportLine], probe: GatewayProbe | None, result: ImportResult) -> None:
        for batch in _batches(lines):
            rows: deque[_Prepared] = deque((line, _no_credentials) for line in batch)
            while rows:
                with room_after():
                    rehearse(self.transactions, partial(self._apply_some, rows, result))
            if probe and self.kind.name == "gateways":
                _try_gateways(self.transactions, probe, batch, result)

    def _prepared(self, batch: Sequence[ImportLine], threads: Executor) -> deque[_Prepared]:
        """The hashes of passwords take long, so they are made before the transaction, each once, by all cores."""
        futures = [threads.submit(self._credentials, line.row) for line in batch]
        wait(futures)
        return deque((line, future.result) for line, future in zip(batch, futures, strict=True))

    def _credentials(self, row: Row) -> Credentials | None:
        return self.derive(row["password"]) if self.kind.name == "users" and row.get("password") else None

    def _apply_some(self, rows: deque[_Prepared], result: ImportResult, op: OperationContext) -> None:
        """The first rows, for a moment's time."""
        for line, credentials in for_a_moment(rows):
            with result.taking_faults_of(line):
                made = credentials()
                with op.step():
                    result.done.append(self._apply(op, line.row, made))

    def _apply(self, op: OperationContext, row: Row, credentials: Credentials | None) -> str:
        if self.kind.name == "users":
            return import_user(op, row, credentials)
        if self.kind.name == "gateways":
            return import_gateway(op, row)
        return import_address(op, row, self.confirmation)

    def _record_denials(self, result: ImportResult) -> None:
        if result.denied:
            with self.transactions.writing_one_of_many() as op:
                audit_trail.append(op.connection, op.vault, result.denied)


def _no_credentials() -> None:
    """A rehearsal needs none."""


def _step_back() -> None:
    """Hashing takes what the server leaves of the machine."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _batches(lines: Iterable[ImportLine]) -> Iterator[list[ImportLine]]:
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _try_gateways(
    transactions: Transactions, probe: GatewayProbe, batch: Sequence[ImportLine], result: ImportResult
) -> None:
    """Only of rows that nothing else speaks against: policy has been asked."""
    faulty = {number for number, _ in result.faults}
    for line in batch:
        if line.number not in faulty:
            row, password = line.row, line.row.get("password", "")
            if row.get("username") and not password:
                password = gateway_operations.kept_password(transactions, row["user"], row["address"])
            wanted = server(row, password)
            if reason := probe.user_gateway(tentative(wanted), wanted.secret, compared(row["address"])):
                result.faults.append((line.number, str(GatewayUnusable(wanted, reason))))


def import_user(op: OperationContext, row: Row, credentials: Credentials | None) -> str:
    """Create the user, or make an existing one what the row says; what it leaves empty stays. Returns what was done."""
    address, before = row["address"], _existing(op, row["address"])
    name, unit, language = (row.get(column) or None for column in ("name", "unit", "language"))
    if before is None:
        user_operations.create(op, address, credentials, name=name or "", unit=unit or "/")
        before = directory.find(op.connection, address)
        done = "created"
    else:
        done = "unchanged"
        if credentials:
            user_operations.set_password(op, address, credentials)
            done = "changed"
    changes: list[Callable[[], object]] = []
    if (name or before.name, language or before.language) != (before.name, before.language):
        changes.append(lambda: user_operations.edit(op, address, name=name, language=language))
    if unit and unit != before.unit:
        changes.append(lambda: user_operations.move(op, address, unit))
    suspended = flag(row, "suspended")
    if suspended is not None and suspended != before.suspended:
        changes.append(lambda: (user_operations.suspend if suspended else user_operations.resume)(op, address))
    for change in changes:
        change()
    return "changed" if changes and done == "unchanged" else done


def import_address(op: OperationContext, row: Row, confirmation: Confirmation) -> str:
    """Add the address, or change it. One of the own domains is granted; any other is mailed its code."""
    user, address = row["user"], row["address"]
    entry = _entry(op, user, address)
    done = "unchanged"
    if entry is None:
        if is_own_domain(op.connection, canonical(address)):
            entry = send_as_operations.grant(op, user, address)
        else:
            entry = send_as_operations.add(op, user, address, confirmation)
        done = "created"
    wanted = (
        row.get("name") or entry.display_name,
        row.get("reply_to") or entry.reply_to,
        _or(flag(row, "treat_as_alias"), entry.treat_as_alias),
        entry.is_default or bool(flag(row, "is_default")),
    )
    if wanted == (entry.display_name, entry.reply_to, entry.treat_as_alias, entry.is_default):
        return done
    name, reply_to, alias, default = wanted
    send_as_operations.edit(
        op,
        user,
        address,
        display_name=name,
        reply_to=reply_to,
        treat_as_alias=alias,
        make_default=default and not entry.is_default,
    )
    return "changed" if done == "unchanged" else done


def import_gateway(op: OperationContext, row: Row) -> str:
    """Set the gateway of an address that is there."""
    entry = _entry(op, row["user"], row["address"])
    if entry is None:
        raise NotFound(
            "{address} is not an address of {user}; import it first", address=row["address"], user=row["user"]
        )
    before = entry.gateway
    password = row.get("password") or (_kept_password(op, row, before) if row.get("username") else "")
    made = gateway_operations.set_gateway(op, row["user"], row["address"], server(row, password)).gateway
    return "created" if before is None else "unchanged" if made == before else "changed"


def _kept_password(op: OperationContext, row: Row, before: Gateway | None) -> str:
    """What is exported has no password: the one that is stored stays, for the same log-in at the same host."""
    host = GatewaySettings.entered(row["host"], 25, "none").host
    if before is None or before.sealed is None or (before.host, before.username) != (host, row["username"]):
        raise Invalid("the password of {name} at {host} is not known here; give it", name=row["username"], host=host)
    return open_password(op.vault, before)


def server(row: Row, password: str) -> GatewaySettings:
    """The gateway that a row describes, with its password. Raises Invalid."""
    port = row.get("port") or "587"
    if not port.isascii() or not port.isdigit():
        raise Invalid("'{text}' is not a port; it is a number from 1 to 65535", text=port[:20])
    security = row.get("security") or "starttls"
    return GatewaySettings.entered(row["host"], int(port), security, row.get("username", ""), password)


def _export_users(op: OperationContext) -> Iterator[dict[str, str]]:
    for user in user_operations.list_users(op):
        yield {
            "address": user.address,
            "name": user.name,
            "unit": user.unit,
            "language": user.language,
            "suspended": _word(user.suspended),
        }


def _export_addresses(op: OperationContext) -> Iterator[dict[str, str]]:
    for user, _, entry in send_as_operations.every(op):
        if not entry.is_primary:
            yield {
                "user": user,
                "address": entry.address,
                "name": entry.display_name,
                "reply_to": entry.reply_to,
                "treat_as_alias": _word(entry.treat_as_alias),
                "is_default": _word(entry.is_default),
            }


def _export_gateways(op: OperationContext) -> Iterator[dict[str, str]]:
    for user, _, entry in send_as_operations.every(op):
        if entry.gateway:
            yield {
                "user": user,
                "address": entry.address,
                "host": entry.gateway.host,
                "port": str(entry.gateway.port),
                "security": entry.gateway.security.value,
                "username": entry.gateway.username,
            }


KINDS: Final = {
    kind.name: kind
    for kind in (
        ListKind("users", ("address",), ("name", "unit", "language", "suspended"), ("password",), _export_users),
        ListKind(
            "addresses",
            ("user", "address"),
            ("name", "reply_to", "treat_as_alias", "is_default"),
            (),
            _export_addresses,
        ),
        ListKind(
            "gateways",
            ("user", "address", "host"),
            ("port", "security", "username"),
            ("password",),
            _export_gateways,
        ),
    )
}


def _existing(op: OperationContext, address: str) -> User | None:
    try:
        return directory.find(op.connection, address)
    except NotFound:
        return None


def _entry(op: OperationContext, user: str, address: str) -> SendAs | None:
    return send_as_operations.account(op, user).send_as.get(canonical(address))


def _or(value: bool | None, otherwise: bool) -> bool:
    return otherwise if value is None else value


def _word(value: bool) -> str:
    return "yes" if value else "no"
