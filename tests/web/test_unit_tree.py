"""The tree of units: all of a few, the way to the one that is shown of many."""

from outgate.web import unit_tree
from outgate.web.unit_tree import MANY, UnitNode

FEW = ("/", "/Sales", "/Sales/Italy", "/Sales/Italy/Rome", "/Staff", "/Staff/Board")


def _paths(node: UnitNode) -> list[str]:
    return [node.path, *(path for one in node.below for path in _paths(one))]


def test_of_a_few_units_all_are_shown() -> None:
    assert _paths(unit_tree.tree("/", FEW, "example.com", "/Staff")) == list(FEW)


def test_of_many_units_the_way_to_one_is_opened() -> None:
    many = sorted([*FEW, *(f"/Staff/{number}" for number in range(MANY))])
    shown = _paths(unit_tree.tree("/", many, "example.com", "/Sales/Italy"))
    assert shown == ["/", "/Sales", "/Sales/Italy", "/Sales/Italy/Rome", "/Staff"]


def test_nobody_chooses_one_of_many_from_a_list() -> None:
    assert unit_tree.to_choose_from(FEW) == FEW
    assert unit_tree.to_choose_from([str(number) for number in range(MANY + 1)]) == ()
