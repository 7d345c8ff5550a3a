"""What is told of Outgate's own API: made of the methods, whose names, words and scopes are those of operations."""

import re

from outgate.api.openapi_document import document, examples
from outgate.api.own_method import scope_of
from outgate.api.own_surface import OWN
from outgate.cli.roles_reference import all_operations
from outgate.directory.privileges import Privilege

URL = "https://mail.example.com"


def test_examples_are_what_is_taken_and_given() -> None:
    for kind, example in examples(OWN):
        assert example, kind
        assert kind.model_validate(example), kind


def test_a_method_is_an_operation_under_its_own_name_and_needs_its_privilege() -> None:
    operations = all_operations()
    for method in OWN.methods:
        [operation] = [one for name, one in operations.items() if method.id in (name, *_ways(name, method.id))]
        assert method.scopes == (scope_of(operation.needs),)
        assert method.description.startswith(operation.summary)
        assert (method.verb == "GET") == (not operation.changes), method.id


def _ways(name: str, method_id: str) -> list[str]:
    """Where there are several to one operation."""
    return [method_id] if method_id.startswith(f"{name}.") else []


def test_scopes_are_told_in_the_words_of_the_privileges() -> None:
    assert {scope.removeprefix("outgate.") for scope in OWN.scopes} <= set(Privilege)
    told = document(OWN, URL)
    flow = told["components"]["securitySchemes"]["token"]["flows"]["authorizationCode"]
    assert flow["scopes"] == OWN.scopes
    asked = {
        scope
        for path in told["paths"].values()
        for method in path.values()
        for way in method["security"]
        for scope in way["token"]
    }
    assert asked == set(OWN.scopes)


def test_each_path_names_its_parameters() -> None:
    for path, methods in document(OWN, URL)["paths"].items():
        for method in methods.values():
            told = {one["name"] for one in method["parameters"] if one["in"] == "path"}
            assert told == set(re.findall(r"\{(\w+)\}", path)), path
