"""What has to be done so that the accounts say what the LDAP directory says. Pure: entries and users in, steps out.

Nothing is ever deleted: who is gone is suspended, and resumed if they come back.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from outgate.directory.users import External, User
from outgate.frozen import frozen
from outgate.ldap.entries import Fault, LdapEntry

# More suspensions than both are taken for a mistake: a wrong base or filter, a directory that was restored half.
FEW: Final = 5
SHARE: Final = 0.2  # of the accounts that the directory keeps and that are not suspended


class StepKind(StrEnum):
    """What a step does."""

    CREATE = "create"
    ADOPT = "adopt"
    LINK = "link"
    RENAME = "rename"
    MOVE = "move"
    RESUME = "resume"
    SUSPEND = "suspend"


@frozen
class SyncStep:
    """One change of one account. `external` is what it is linked to; `name` and `unit` as far as they are set."""

    kind: StepKind
    address: str
    external: External
    name: str = ""
    unit: str | None = None
    because: str = ""


@frozen
class Problem:
    """What was left alone: an entry by its DN or an account by its address, why, and what to do."""

    subject: str
    text: str


@frozen
class Plan:
    """All that has to be done. Steps about one account are together and in their order."""

    steps: tuple[SyncStep, ...]
    problems: tuple[Problem, ...]
    active: int  # accounts of the directory that are not suspended

    def count(self, kind: StepKind) -> int:
        """Steps of one kind."""
        return sum(step.kind is kind for step in self.steps)

    @property
    def suspends_too_many(self) -> bool:
        """Whether a person should look first."""
        return self.count(StepKind.SUSPEND) > max(FEW, SHARE * self.active)


def plan(users: Sequence[User], found: Iterable[LdapEntry | Fault], *, adopt: bool = False) -> Plan:
    """Compare. `adopt` says that accounts which are there already may become those of entries with their address."""
    found = tuple(found)
    entries = [one for one in found if isinstance(one, LdapEntry)]
    faults = [one for one in found if isinstance(one, Fault)]
    known = {user.external.id: user for user in users if user.external}
    by_address = {user.address: user for user in users}
    ids = Counter(entry.id for entry in entries)
    claims = Counter(entry.address for entry in entries if not entry.disabled)
    outcome: list[SyncStep | Problem] = [Problem(fault.dn, fault.text) for fault in faults]
    for entry in entries:
        if ids[entry.id] > 1:
            outcome.append(Problem(entry.dn, f"{ids[entry.id]} entries have the id {entry.id}; see ldap.id_attribute"))
        elif user := known.get(entry.id):
            outcome += _changes(user, entry)
        elif claims[entry.address] > 1 and not entry.disabled:
            outcome.append(Problem(entry.dn, f"{claims[entry.address]} entries have the address {entry.address}"))
        elif not entry.disabled:
            outcome += _arrival(by_address.get(entry.address), entry, ids, adopt=adopt)
    # An entry with a fault is there: its account stays as it is.
    spared = {*ids, *(fault.id for fault in faults), *(fault.dn for fault in faults)}
    spared |= {step.address for step in outcome if isinstance(step, SyncStep) and step.kind is StepKind.ADOPT}
    for user in known.values():
        if user.external and not {user.external.id, user.external.dn, user.address} & spared:
            outcome += _suspension(user, user.external, "gone from the directory")
    return Plan(
        steps=tuple(one for one in outcome if isinstance(one, SyncStep)),
        problems=tuple(one for one in outcome if isinstance(one, Problem)),
        active=sum(not user.suspended for user in known.values()),
    )


def _arrival(
    user: User | None, entry: LdapEntry, present: Container[str], *, adopt: bool
) -> Iterator[SyncStep | Problem]:
    """An entry that no account is linked to; `user` has its address, if anybody has."""
    external = External(entry.id, entry.dn)
    if user is None:
        yield SyncStep(StepKind.CREATE, entry.address, external, entry.name, entry.unit, entry.dn)
    elif user.external and user.external.id in present:
        yield Problem(entry.dn, f"{entry.address} is the account of another entry, which has another address now")
    elif not adopt:
        whose = "of an entry that is gone" if user.external else "that is kept here"
        yield Problem(entry.dn, f"there is an account {entry.address} {whose}; --adopt makes it this entry's")
    else:
        yield SyncStep(StepKind.ADOPT, user.address, external, because=entry.dn)
        yield from _resumption(user, external)
        yield from _edits(user, entry, external)


def _changes(user: User, entry: LdapEntry) -> Iterator[SyncStep | Problem]:
    """An entry whose account is known."""
    external = External(entry.id, entry.dn)
    if entry.address != user.address:
        yield Problem(entry.dn, f"has the address {entry.address} now; its account stays {user.address}")
    if entry.disabled:
        yield from _suspension(user, external, "disabled in the directory")
        return
    if user.external != external:
        yield SyncStep(StepKind.LINK, user.address, external, because=entry.dn)
    yield from _resumption(user, external)
    yield from _edits(user, entry, external)


def _edits(user: User, entry: LdapEntry, external: External) -> Iterator[SyncStep]:
    if entry.name and entry.name != user.name:
        yield SyncStep(
            StepKind.RENAME, user.address, external, name=entry.name, because=f"was {user.name or 'without a name'}"
        )
    if entry.unit and entry.unit != user.unit:
        yield SyncStep(StepKind.MOVE, user.address, external, unit=entry.unit, because=f"was in {user.unit}")


def _resumption(user: User, external: External) -> Iterator[SyncStep]:
    """Only whom a sync suspended: an administrator's suspension stays."""
    if user.suspended and user.external and user.external.dn is None:
        yield SyncStep(StepKind.RESUME, user.address, external, because="back in the directory")


def _suspension(user: User, external: External, because: str) -> Iterator[SyncStep]:
    if not user.suspended:
        yield SyncStep(StepKind.SUSPEND, user.address, External(external.id, None), because=because)
