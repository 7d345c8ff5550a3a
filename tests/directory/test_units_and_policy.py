"""directory.units and directory.policy: the tree, and which value is in force where."""

import pytest
from sqlalchemy import Engine

from outgate.directory import accounts, policies, units, users
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.policies import Effective
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, SETTINGS, setting
from outgate.store.engine import read, write

UNITS = ("/Sales/Italy", "/Sales/Italy/Rome", "/SalesForce")


@pytest.fixture
def tree(example: Engine) -> Engine:
    with write(example) as connection:
        for path in UNITS:
            units.create(connection, path)
    return example


@pytest.mark.parametrize(
    ("own", "unit", "value", "source"),
    [
        ({}, "/", False, None),
        ({}, "/Sales/Italy", False, None),
        ({"/": True}, "/", True, "/"),
        ({"/": True}, "/Sales/Italy/Rome", True, "/"),
        ({"/": True, "/Sales": False}, "/Sales/Italy", False, "/Sales"),
        ({"/": True, "/Sales": False}, "/SalesForce", True, "/"),
        ({"/Sales": True}, "/", False, None),
        ({"/Sales": True}, "/SalesForce", False, None),
        ({"/Sales": True, "/Sales/Italy": False}, "/Sales/Italy/Rome", False, "/Sales/Italy"),
        ({"/Sales/Italy/Rome": True}, "/Sales/Italy", False, None),
        ({"/": True, "/Sales": False, "/Sales/Italy": True}, "/Sales/Italy", True, "/Sales/Italy"),
    ],
)
def test_the_nearest_value_up_to_the_root_is_in_force(
    tree: Engine, own: dict[str, bool], unit: str, value: bool, source: str | None
) -> None:
    with write(tree) as connection:
        for path, entered in own.items():
            policies.set_value(connection, path, ALLOW_EXTERNAL_SMTP, entered, 0.0)
        assert policies.load(connection).effective(unit, ALLOW_EXTERNAL_SMTP) == Effective(value, source)


def test_a_cleared_value_inherits_again(tree: Engine) -> None:
    with write(tree) as connection:
        policies.set_value(connection, "/", ALLOW_EXTERNAL_SMTP, True, 0.0)
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, False, 0.0)
        policies.set_value(connection, "/Sales", ALLOW_EXTERNAL_SMTP, True, 0.0)
        name = ALLOW_EXTERNAL_SMTP.name
        assert policies.load(connection).own == {"/": {name: True}, "/Sales": {name: True}}
        policies.clear(connection, "/Sales", ALLOW_EXTERNAL_SMTP)
        assert policies.load(connection).effective("/Sales/Italy", ALLOW_EXTERNAL_SMTP) == Effective(True, "/")


def test_a_user_who_moves_has_the_policy_of_the_new_unit(tree: Engine, alice: int) -> None:
    with write(tree) as connection:
        policies.set_value(connection, "/Sales/Italy", ALLOW_EXTERNAL_SMTP, True, 0.0)
        users.move(connection, "alice@example.com", "/Sales/Italy/Rome")
        account = accounts.load(connection, alice)
    assert account
    assert account.unit == "/Sales/Italy/Rome"
    assert account.policy.allow_external_smtp
    assert account.policy.sources == {"allow_external_smtp": "/Sales/Italy"}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("value", [None, {"a": 1}, [None], [{"a": 1}], [True], [["a.example"]], [1.5], b"a.example"])
def test_what_no_value_can_be_is_refused_by_each_setting(name: str, value: object) -> None:
    with pytest.raises(Invalid):
        SETTINGS[name].check(value)


def test_numbers_of_a_list_may_be_texts_and_texts_have_no_space_around() -> None:
    assert SETTINGS["allowedGatewayPorts"].check([25, "587 ", ""]) == [25, 587]
    assert SETTINGS["allowedRecipientDomains"].check([" A.example"]) == ["a.example"]


def test_settings_are_found_in_any_case() -> None:
    assert setting("ALLOWUSERSTOUSEEXTERNALSMTPSERVERS") is ALLOW_EXTERNAL_SMTP
    with pytest.raises(NotFound, match="allowUsersToUseExternalSmtpServers"):
        setting("allowEverything")


def test_a_value_for_a_unit_that_is_not_there_is_refused(example: Engine) -> None:
    with pytest.raises(NotFound, match="/Nowhere"), write(example) as connection:
        policies.set_value(connection, "/Nowhere", ALLOW_EXTERNAL_SMTP, True, 0.0)


def test_units_are_listed_each_after_its_parent(tree: Engine) -> None:
    with read(tree) as connection:
        assert units.paths(connection) == ("/", "/Sales", "/Sales/Italy", "/Sales/Italy/Rome", "/SalesForce")


def test_a_unit_needs_its_parent(example: Engine) -> None:
    with pytest.raises(NotFound, match="/Marketing"), write(example) as connection:
        units.create(connection, "/Marketing/Spain")


def test_a_unit_is_created_once(example: Engine) -> None:
    with pytest.raises(AlreadyExists), write(example) as connection:
        units.create(connection, "/Sales")


@pytest.mark.parametrize("path", ["", "Sales", "/Sales/", "//Sales", "/ Sales", "/Sa\nles", "/" + "x" * 61])
def test_what_is_no_path_is_refused(example: Engine, path: str) -> None:
    with pytest.raises(Invalid), write(example) as connection:
        units.create(connection, path)


@pytest.mark.parametrize(("path", "reason"), [("/", "root"), ("/Sales", "units below"), ("/SalesForce", "users")])
def test_a_unit_in_use_is_not_removed(tree: Engine, path: str, reason: str) -> None:
    with write(tree) as connection:
        users.move(connection, "bob@example.com", "/SalesForce")
    with pytest.raises(NotAllowed, match=reason), write(tree) as connection:
        units.remove(connection, path)


def test_an_empty_unit_is_removed_with_its_policy(tree: Engine) -> None:
    with write(tree) as connection:
        policies.set_value(connection, "/SalesForce", ALLOW_EXTERNAL_SMTP, True, 0.0)
        units.remove(connection, "/SalesForce")
        assert policies.load(connection).own == {}
