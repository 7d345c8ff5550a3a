"""Filters of SCIM (RFC 7644 3.4.2.2) as conditions that the database judges. Knows no operation.

What is not known here is refused by name: to look through all users by something that no index has would be easy to
ask for, and dear.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true

from outgate.extras import extra
from outgate.store.tables import account, group_member, provisioned_user, user_group

with extra("scim"):
    from scim2_models import InvalidFilterException, ScimFilter
    from scim2_models.path import (
        AttrPath,
        CompareOperator,
        Comparison,
        FilterVisitor,
        LogicalExpr,
        LogicalOperator,
        Not,
        Present,
        ValuePath,
    )

T = TypeVar("T")
Condition = ColumnElement[bool]
# Of a value that is there: no condition is ever NULL, so that each can be negated.
Positive = Callable[[CompareOperator, Any], Condition]

TERMS_AT_MOST: Final = 50


class FilterCondition(FilterVisitor[Condition]):
    """Makes a condition of a filter of one kind of resource. Raises InvalidFilterException."""

    def __init__(self, asked: ScimFilter[Any], known: Mapping[str, Positive], present: Mapping[str, Condition]) -> None:
        self._asked, self._known, self._present, self._terms = asked, known, present, 0

    def made(self) -> Condition:
        """The whole."""
        return self.visit(self._asked.ast)

    def visit_comparison(self, node: Comparison) -> Condition:
        """One attribute and a value; any of several is enough."""
        name = self._name(node.attr_path)
        if name is None:
            return false()
        if node.value is None:
            present = _of(self._present, name)
            return not_(present) if node.op is CompareOperator.eq else present
        positive, value = _of(self._known, name), _storable(node.value)
        if node.op is CompareOperator.ne:
            return not_(positive(CompareOperator.eq, value))
        return positive(node.op, value)

    def visit_present(self, node: Present) -> Condition:
        """Whether an attribute has a value."""
        name = self._name(node.attr_path)
        return false() if name is None else _of(self._present, name)

    def visit_not(self, node: Not) -> Condition:
        """What does not meet it."""
        return not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        """All of them, or any."""
        terms = [self.visit(one) for one in node.terms]
        return and_(*terms) if node.op is LogicalOperator.and_ else or_(*terms)

    def visit_value_path(self, node: ValuePath) -> Condition:
        """`members[value eq "3"]` is `members eq "3"`."""
        match node.val_filter:
            case Comparison(attr_path=AttrPath(attr="value", sub_attr=None), op=op, value=value):
                return self.visit_comparison(Comparison(node.attr_path, op, value))
        raise InvalidFilterException(detail=f"'{str(node)[:80]}' is not known here")

    def _name(self, path: AttrPath) -> str | None:
        self._terms += 1
        if self._terms > TERMS_AT_MOST:
            raise InvalidFilterException(detail=f"a filter has at most {TERMS_AT_MOST} comparisons here")
        found = self._asked.resolve_comparison(path, strict=False)
        return None if found is None else found.urn.rpartition(":")[2]


def _of(known: Mapping[str, T], name: str) -> T:
    if name not in known:
        raise InvalidFilterException(detail=f"no filter by {name} is known here; there are: {', '.join(known)}")
    return known[name]


def _text(column: ColumnElement[Any]) -> Positive:
    """A text that has no case."""

    def positive(op: CompareOperator, value: Any) -> Condition:
        if not isinstance(value, str):
            return false()
        match op:
            case CompareOperator.eq:
                return and_(column.is_not(None), func.lower(column) == func.lower(value))
            case CompareOperator.co:
                return and_(column.is_not(None), column.icontains(value, autoescape=True))
            case CompareOperator.sw:
                return and_(column.is_not(None), column.istartswith(value, autoescape=True))
            case CompareOperator.ew:
                return and_(column.is_not(None), column.iendswith(value, autoescape=True))
        raise InvalidFilterException(detail="texts are compared by eq, ne, co, sw and ew here")

    return positive


def _only_equal(equal: Callable[[Any], Condition]) -> Positive:
    def positive(op: CompareOperator, value: Any) -> Condition:
        if op is not CompareOperator.eq:
            raise InvalidFilterException(detail="that attribute is compared by eq and ne here")
        return equal(value)

    return positive


def _of_provider(positive: Positive) -> Positive:
    """Of what an identity provider has said of a user."""
    return lambda op, value: account.c.id.in_(_said(positive(op, value)))


def _said(condition: Condition) -> Any:
    return select(provisioned_user.c.account_id).where(condition)


def _number(column: ColumnElement[int]) -> Callable[[Any], Condition]:
    def equal(value: Any) -> Condition:
        number = number_of(str(value))
        return false() if number is None else column == number

    return equal


def _user_name(op: CompareOperator, value: Any) -> Condition:
    """By the index, where the whole address is given: it is kept in small letters."""
    if op is CompareOperator.eq and isinstance(value, str):
        return account.c.primary_address == value.lower()
    return _text(account.c.primary_address)(op, value)


def _display_name(op: CompareOperator, value: Any) -> Condition:
    """As the provider gave it, else as it is here."""
    by_provider = _of_provider(_text(_given.display_name))(op, value)
    return or_(by_provider, and_(account.c.id.not_in(_said(true())), _text(account.c.name)(op, value)))


def number_of(text: str) -> int | None:
    """The number that a program knows something by; None if it can't be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _storable(value: Any) -> Any:
    """Raises InvalidFilterException for what no database keeps as text."""
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= one <= "\udfff" for one in value)):
        raise InvalidFilterException(detail="a value in the filter is no text")
    return value


_given: Final = provisioned_user.c
_in_groups: Final = select(group_member.c.account_id)
_with_members: Final = select(group_member.c.group_id)

USERS: Final[Mapping[str, Positive]] = {
    "id": _only_equal(_number(account.c.id)),
    "userName": _user_name,
    "externalId": _of_provider(_only_equal(lambda value: _given.external_id == str(value))),
    "displayName": _display_name,
    "name.givenName": _of_provider(_text(_given.given_name)),
    "name.familyName": _of_provider(_text(_given.family_name)),
    "active": _only_equal(
        lambda value: ~account.c.suspended if value in (True, "true", "True") else account.c.suspended
    ),
    "groups.value": _only_equal(
        lambda value: account.c.id.in_(_in_groups.where(_number(group_member.c.group_id)(value)))
    ),
}
USERS_WITH: Final[Mapping[str, Condition]] = {
    "id": true(),
    "userName": true(),
    "active": true(),
    "externalId": account.c.id.in_(_said(_given.external_id.is_not(None))),
    "displayName": or_(
        account.c.id.in_(_said(_given.display_name.is_not(None))),
        and_(account.c.id.not_in(_said(true())), account.c.name != ""),
    ),
    "name.givenName": account.c.id.in_(_said(_given.given_name.is_not(None))),
    "name.familyName": account.c.id.in_(_said(_given.family_name.is_not(None))),
    "groups.value": account.c.id.in_(_in_groups),
}
GROUPS: Final[Mapping[str, Positive]] = {
    "id": _only_equal(_number(user_group.c.id)),
    "externalId": _only_equal(
        lambda value: and_(user_group.c.external_id.is_not(None), user_group.c.external_id == str(value))
    ),
    "displayName": _text(user_group.c.name),
    "members.value": _only_equal(
        lambda value: user_group.c.id.in_(_with_members.where(_number(group_member.c.account_id)(value)))
    ),
}
GROUPS_WITH: Final[Mapping[str, Condition]] = {
    "id": true(),
    "displayName": true(),
    "externalId": user_group.c.external_id.is_not(None),
    "members.value": user_group.c.id.in_(_with_members),
}
