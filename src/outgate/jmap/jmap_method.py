"""What is declared of each method, and what the standard ones have in common (RFC 8620 5). Knows no kind of object."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from outgate.frozen import frozen
from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import MethodFault, SetFault
from outgate.jmap.jmap_limits import MAX_IN_GET, MAX_IN_SET
from outgate.operations.error_codes import ErrorCode, code_of, text_of

_log = structlog.get_logger("jmap")

Told = dict[str, Any]
Responses = list[tuple[str, Told]]
Arguments = Mapping[str, object]


@frozen
class JmapMethod:
    """A method as in `Identity/get`. Any one of the scopes is enough; without any, every token is good."""

    name: str
    capability: str
    scopes: tuple[str, ...]
    answer: Callable[[JmapCall, Arguments], Responses]


class _Given(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True)


SomeGiven = TypeVar("SomeGiven", bound=_Given)
Read = TypeVar("Read")


class OfAccount(_Given):
    """What every method of objects is given."""

    account_id: str


class GetArguments(OfAccount):
    """/get"""

    ids: list[str] | None = None
    properties: list[str] | None = None


class ChangesArguments(OfAccount):
    """/changes"""

    since_state: str
    max_changes: int | None = Field(None, ge=1)


class SetArguments(OfAccount):
    """/set"""

    if_in_state: str | None = None
    create: dict[str, dict[str, Any]] | None = None
    update: dict[str, dict[str, Any]] | None = None
    destroy: list[str] | None = None


class GivenObject(_Given):
    """An object, or a part of one, as a program gives it."""


def arguments(call: JmapCall, kind: type[SomeGiven], given: Arguments) -> SomeGiven:
    """Those of a method, of the token's own account. Raises MethodFault."""
    try:
        read = kind.model_validate(given)
    except ValidationError as error:
        raise MethodFault("invalidArguments", _fault(error)) from None
    if isinstance(read, OfAccount) and read.account_id != call.account:
        raise MethodFault("accountNotFound")
    return read


def given_object(kind: type[SomeGiven], given: Mapping[str, object]) -> SomeGiven:
    """What is to be made. Raises SetFault."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        names = sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})
        raise SetFault("invalidProperties", _fault(error), properties=names) from None


_METHOD_FAULTS: Final = {ErrorCode.NOT_ALLOWED: "forbidden", ErrorCode.UNAVAILABLE: "serverUnavailable"}


def method_fault(name: str, error: Exception) -> MethodFault:
    """Why a method has done nothing; what nobody foresaw is logged, and not told of."""
    if isinstance(error, MethodFault):
        return error
    code = code_of(error)
    if code is None:
        _log.error("a method failed", method=name, exc_info=error)
        return MethodFault("serverFail", "something went wrong here; it was logged")
    return MethodFault(_METHOD_FAULTS.get(code, "invalidArguments"), text_of(error))


def _fault(error: ValidationError) -> str:
    """Never with what was sent."""
    told = [f"{'/'.join(map(str, one['loc']))[:80]}: {one['type'].replace('_', ' ')}" for one in error.errors()[:10]]
    return "; ".join(told)


# --- /get ------------------------------------------------------------------------------------------------------------


def got(call: JmapCall, given: GetArguments, found: Iterable[Told], state: str, known: Sequence[str]) -> Told:
    """The answer of /get, of all objects there are, or of those that were found for the ids. Raises MethodFault."""
    properties = known if given.properties is None else ["id", *given.properties]
    if odd := sorted(set(properties) - set(known)):
        raise MethodFault("invalidArguments", f"there is no property {odd[0][:80]} here")
    by_id = {one["id"]: one for one in found}
    wanted = list(by_id) if given.ids is None else list(dict.fromkeys(call.resolved(one) for one in given.ids))
    limited(wanted, MAX_IN_GET)
    told = [{name: by_id[one][name] for name in dict.fromkeys(properties)} for one in wanted if one in by_id]
    missing = [one for one in wanted if one not in by_id]
    return {"accountId": call.account, "state": state, "list": told, "notFound": missing}


def limited(wanted: Sequence[object], most: int) -> None:
    """Raises MethodFault if it is more than may be asked for at once."""
    if len(wanted) > most:
        raise MethodFault("requestTooLarge", f"at most {most} objects at once")


def unchanged(call: JmapCall, given: ChangesArguments, state: str) -> Told:
    """The answer of /changes where nothing is known of what was before. Raises MethodFault."""
    if given.since_state != state:
        raise MethodFault("cannotCalculateChanges")
    return changes(call, given, state, [], [], [])


def changes(
    call: JmapCall,
    given: ChangesArguments,
    state: str,
    created: Sequence[str],
    updated: Sequence[str],
    destroyed: Sequence[str],
    *,
    more: bool = False,
) -> Told:
    """The answer of /changes."""
    return {
        "accountId": call.account,
        "oldState": given.since_state,
        "newState": state,
        "hasMoreChanges": more,
        "created": list(created),
        "updated": list(updated),
        "destroyed": list(destroyed),
    }


# --- /set ------------------------------------------------------------------------------------------------------------

Create = Callable[[str, Mapping[str, Any]], Told]  # the creation id, the object; what the server has set
Update = Callable[[str, Mapping[str, Any]], Told | None]  # what the server has changed beside what was given
Destroy = Callable[[str], None]


@frozen
class ObjectSetting:
    """How objects of a kind are changed, one at a time: each raises SetFault, or what operations do."""

    create: Create
    update: Update
    destroy: Destroy
    state: Callable[[], str]


def set_objects(call: JmapCall, given: SetArguments, how: ObjectSetting) -> Told:
    """Make, change and destroy each, and say what came of it. Raises MethodFault."""
    create, update, destroy = given.create or {}, given.update or {}, given.destroy or []
    limited([*create, *update, *destroy], MAX_IN_SET)
    before = how.state()
    if given.if_in_state not in (None, before):
        raise MethodFault("stateMismatch")
    told: Told = {"accountId": call.account, "oldState": before, "newState": before}
    outcomes, gone = _Outcomes(), list(dict.fromkeys(call.resolved(one) for one in destroy))
    for name, value in create.items():
        with outcomes.refusals("notCreated", name):
            made = how.create(name, value)
            outcomes.note("created", name, made)
            call.created[name] = made["id"]
    for name, value in update.items():
        identity = call.resolved(name)
        with outcomes.refusals("notUpdated", identity):
            if identity in gone:
                raise SetFault("willDestroy")
            outcomes.note("updated", identity, how.update(identity, value))
    for identity in map(call.resolved, gone):  # what was made just now may be meant
        with outcomes.refusals("notDestroyed", identity):
            how.destroy(identity)
            outcomes.destroyed.append(identity)
    return told | {"newState": read_after(how.state, before)} | outcomes.told()


def read_after(read: Callable[[], Read], otherwise: Read) -> Read:
    """What is there after something was done: a fault of looking must not be told as one of doing.

    In place of a state, the one before it will do: the program then asks for what it has done itself.
    """
    try:
        return read()
    except Exception as error:
        _log.warning("what was done could not be read", exc_info=error)
        return otherwise


class _Outcomes:
    """What came of each object."""

    def __init__(self) -> None:
        self.destroyed: list[str] = []
        self._told: dict[str, dict[str, object]] = {}

    @contextmanager
    def refusals(self, place: str, name: str) -> Iterator[None]:
        """Notes why an object is left as it is, and goes on."""
        try:
            yield
        except SetFault as fault:
            self.note(place, name, fault.told())
        except Exception as error:
            self.note(place, name, refusal(error, has_done=self.has_done).told())

    @property
    def has_done(self) -> bool:
        """Whether anything has changed."""
        return bool(self.destroyed or self._told.keys() & {"created", "updated"})

    def note(self, place: str, name: str, value: object) -> None:
        """What came of one."""
        self._told.setdefault(place, {})[name] = value

    def told(self) -> Told:
        """As the answer has it: null where there is nothing."""
        kinds = ("created", "updated", "notCreated", "notUpdated", "notDestroyed")
        return {kind: self._told.get(kind) for kind in kinds} | {"destroyed": self.destroyed or None}


_SET_FAULTS: Final = {
    ErrorCode.NOT_FOUND: "notFound",
    ErrorCode.ALREADY_EXISTS: "alreadyExists",
    ErrorCode.INVALID: "invalidProperties",
    ErrorCode.NOT_ALLOWED: "forbidden",
}


def refusal(error: Exception, *, has_done: bool) -> SetFault:
    """An operation's. Raises the error itself if it is none, or MethodFault if something was done before it."""
    kind = _SET_FAULTS.get(code_of(error) or ErrorCode.UNAVAILABLE)
    if kind is not None:
        return SetFault(kind, text_of(error))
    if not has_done:
        raise error
    _log.error("some of a method was done, and not all", exc_info=error)
    raise MethodFault("serverPartialFail", "not all of it was done; ask what is there now") from error
