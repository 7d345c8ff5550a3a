"""The directory as accept and deliver ask for it: copies in memory, never used when they are out of date.

A change made by any process is in force at the next call, since every call compares the directory's version first.
"""

from functools import lru_cache
from typing import Final

from sqlalchemy import Engine

from outgate.directory import accounts, own_rules, own_schedules, restrictions
from outgate.directory.accounts import LogInEntry, Shared
from outgate.directory.own_rules import OwnRule
from outgate.directory.own_schedules import OwnSchedule
from outgate.model import Account, Organisation, Restrictions
from outgate.store.engine import read
from outgate.store.prepared import PreparedNumber, PreparedRows

COPIES: Final = 10_000  # accounts in memory; as many log-ins, and as many mailboxes

VERSION: Final = "SELECT directory_version FROM organisation"
_POLICY_VERSION: Final = "SELECT policy_version FROM organisation"
_QUEUE_VERSION: Final = "SELECT queue_version FROM organisation"


class DirectoryCache:
    """Accounts, log-ins and mailboxes by their compared addresses. Any number of threads may ask at once.

    Each question takes the directory's version if the caller has just read it, so that one reading can serve many
    questions; else it reads it. All raise store.engine.StoreUnavailable.
    """

    def __init__(self, engine: Engine, copies: int = COPIES) -> None:
        self._engine = engine
        self._version = PreparedNumber(engine, VERSION)
        self._account_rows = PreparedRows(engine, accounts.BY_ID)
        self._policy_version = PreparedNumber(engine, _POLICY_VERSION)
        # The version is part of the key: a copy of an older version is not found any more, and is the first to go.
        # What is read after the version was is at least as new.
        self._accounts = lru_cache(copies)(self._load_account)
        self._log_ins = lru_cache(copies)(self._load_log_in)
        self._mailboxes = lru_cache(copies)(self._load_mailbox)
        self._shared_at = lru_cache(1)(lambda _version: self._shared(self._policy_version.read()))
        self._shared = lru_cache(1)(self._load_shared)
        self._queue_version = PreparedNumber(engine, _QUEUE_VERSION)
        self._restrictions_at = lru_cache(1)(lambda _version: self._restrictions(self._queue_version.read()))
        self._restrictions = lru_cache(1)(self._load_restrictions)
        self._own_rules_at = lru_cache(1)(lambda _version: self._own_rules(self._queue_version.read()))
        self._own_rules = lru_cache(1)(self._load_own_rules)
        self._own_schedules_at = lru_cache(1)(lambda _version: self._own_schedules(self._queue_version.read()))
        self._own_schedules = lru_cache(1)(self._load_own_schedules)

    @property
    def is_local(self) -> bool:
        """Whether the database is a file of this machine, which can be read without waiting for anybody."""
        return self._engine.dialect.name == "sqlite"

    def version(self) -> int:
        """The directory's version now: one cheap query."""
        return self._version.read()

    def account(self, account_id: int, version: int | None = None) -> Account | None:
        """The account with this id."""
        return self._accounts(self._at(version), account_id)

    def login(self, username: str, version: int | None = None) -> LogInEntry | None:
        """What to check this user's password against."""
        return self._log_ins(self._at(version), username)

    def mailbox(self, address: str, version: int | None = None) -> str | None:
        """The primary address of the account that mail to this address belongs to."""
        return self._mailboxes(self._at(version), address)

    def organisation(self, version: int | None = None) -> Organisation:
        """The organisation's domains and outbound gateway."""
        return self._shared_at(self._at(version)).organisation

    def restrictions(self, version: int | None = None) -> Restrictions:
        """What holds mail of queues back."""
        return self._restrictions_at(self._at(version))

    def own_rules(self, version: int | None = None) -> tuple[OwnRule, ...]:
        """The administrators' own rules that read replies, also what is over."""
        return self._own_rules_at(self._at(version))

    def own_schedules(self, version: int | None = None) -> tuple[OwnSchedule, ...]:
        """The administrators' own schedules, also what is over."""
        return self._own_schedules_at(self._at(version))

    def _at(self, version: int | None) -> int:
        return self.version() if version is None else version

    def _load_account(self, version: int, account_id: int) -> Account | None:
        shared = self._shared_at(version)
        return accounts.made(self._account_rows.read(account_id), shared)

    def _load_log_in(self, _version: int, username: str) -> LogInEntry | None:
        with read(self._engine) as connection:
            return accounts.login(connection, username)

    def _load_mailbox(self, _version: int, address: str) -> str | None:
        with read(self._engine) as connection:
            return accounts.local_mailbox(connection, address)

    def _load_shared(self, _policy_version: int) -> Shared:
        with read(self._engine) as connection:
            return accounts.load_shared(connection)

    def _load_restrictions(self, _queue_version: int) -> Restrictions:
        with read(self._engine) as connection:
            return restrictions.load(connection)

    def _load_own_rules(self, _queue_version: int) -> tuple[OwnRule, ...]:
        with read(self._engine) as connection:
            return own_rules.load(connection)

    def _load_own_schedules(self, _queue_version: int) -> tuple[OwnSchedule, ...]:
        with read(self._engine) as connection:
            return own_schedules.load(connection)
