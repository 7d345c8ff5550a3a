"""Queries (RFC 8620 5.5): which of some objects, in which order, and from where on. Pure; knows no kind of object."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from outgate.jmap.jmap_call import JmapCall
from outgate.jmap.jmap_fault import MethodFault, SetFault
from outgate.jmap.jmap_limits import MAX_COMPARATORS, MAX_CONDITIONS, MAX_IN_GET
from outgate.jmap.jmap_method import GivenObject, OfAccount, Told

Matches = Callable[[Told], bool]
Condition = Callable[[Mapping[str, object]], Matches]

_DEEPEST: Final = 10  # operators within each other
_OPERATORS: Final[Mapping[str, Callable[[Iterable[bool]], bool]]] = {
    "AND": all,
    "OR": any,
    "NOT": lambda outcomes: not any(outcomes),
}


class Comparator(GivenObject):
    """By what is sorted."""

    property: str
    is_ascending: bool = True
    collation: str | None = None


class QueryArguments(OfAccount):
    """/query"""

    filter: dict[str, Any] | None = None
    sort: list[Comparator] | None = None
    position: int = 0
    anchor: str | None = None
    anchor_offset: int = 0
    limit: int | None = None
    calculate_total: bool = False


def found_by(given: Mapping[str, Any] | None, condition: Condition, depth: int = 0) -> Matches:
    """What matches a filter: a condition, or an operator on some. Raises MethodFault."""
    if given is None:
        return lambda _one: True
    if not depth:
        _require_few(given)
    if "operator" not in given:
        try:
            return condition(given)
        except SetFault as fault:
            raise MethodFault("unsupportedFilter", fault.description) from None
    operator, conditions = given["operator"], given.get("conditions")
    if operator not in _OPERATORS or not isinstance(conditions, list) or depth == _DEEPEST or len(given) != 2:
        raise MethodFault("unsupportedFilter", f"an operator is AND, OR or NOT; at most {_DEEPEST} within each other")
    if not all(isinstance(one, dict) for one in conditions):
        raise MethodFault("invalidArguments", "conditions are objects")
    within = [found_by(one, condition, depth + 1) for one in conditions]
    return lambda one: _OPERATORS[operator](matches(one) for matches in within)


def _require_few(given: Mapping[str, Any]) -> None:
    """Each is asked of every object. Raises MethodFault."""
    found, waiting = 0, [given]
    while waiting and found <= MAX_CONDITIONS:
        found, conditions = found + 1, waiting.pop().get("conditions")
        waiting += [one for one in conditions if isinstance(one, dict)] if isinstance(conditions, list) else []
    if found > MAX_CONDITIONS:
        raise MethodFault("unsupportedFilter", f"a filter has at most {MAX_CONDITIONS} conditions and operators")


def queried(
    call: JmapCall, asked: QueryArguments, found: Sequence[Told], state: str, sorted_by: Mapping[str, str]
) -> Told:
    """The answer of /query. `sorted_by` are the properties by the names that programs sort by. Raises MethodFault."""
    if len(asked.sort or []) > MAX_COMPARATORS:
        raise MethodFault("unsupportedSort", f"at most {MAX_COMPARATORS} comparators")
    ordered = list(found)
    for one in reversed(asked.sort or []):
        if one.property not in sorted_by or one.collation:
            raise MethodFault("unsupportedSort", f"sorted by {', '.join(sorted_by)}, without a collation")
        ordered.sort(key=itemgetter(sorted_by[one.property]), reverse=not one.is_ascending)
    if asked.limit is not None and asked.limit < 0:
        raise MethodFault("invalidArguments", "limit must not be negative")
    ids = [one["id"] for one in ordered]
    start, limit = _start(asked, ids), min(MAX_IN_GET if asked.limit is None else asked.limit, MAX_IN_GET)
    told: Told = {
        "accountId": call.account,
        "queryState": state,
        "canCalculateChanges": False,
        "position": start,
        "ids": ids[start : start + limit],
    }
    if asked.calculate_total:
        told["total"] = len(ids)
    return told if limit == asked.limit else told | {"limit": limit}


def _start(asked: QueryArguments, ids: Sequence[str]) -> int:
    if asked.anchor is None:
        at = asked.position if asked.position >= 0 else len(ids) + asked.position
    elif asked.anchor in ids:
        at = ids.index(asked.anchor) + asked.anchor_offset
    else:
        raise MethodFault("anchorNotFound")
    return max(at, 0)
