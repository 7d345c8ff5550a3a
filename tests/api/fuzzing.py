"""Asks an API for what its description allows, and for what it does not, and holds the answers against the description.

By Schemathesis, in the caller's thread. First each method is asked as is right; then at random, where half of the
requests are right but for one thing, so that more than refusals is seen. Hosts become this one: nothing leaves the
machine.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err, Result
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.right_requests import NotMade, Stock
from outgate.api.api_method import ApiSurface
from outgate.api.openapi_document import document

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES: Final = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@dataclass
class Fuzzing:
    """`stock` has right requests; `known` are further names of what there is, by parameter of the query; `secrets` must
    be in no answer.
    """

    url: str
    ca_file: str
    session: requests.Session
    stock: Stock
    known: Mapping[str, Sequence[str]]
    secrets: Sequence[str]
    answers: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))  # of methods

    def faults(self, surface: ApiSurface, *, examples: int, number: int, until: float = float("inf")) -> Iterator[str]:
        """What of the answers is not as described; the same for the same number. With a single example of each method
        every other one is asked as described, the others otherwise.
        """
        described = schemathesis.openapi.from_dict(document(surface, self.url))
        described.validate()
        operations = [_found(one) for one in described.get_all_operations()]
        for operation in operations:
            yield from self._asked_rightly(operation)
        for place, operation in enumerate(operations):
            # What names something in a path may be any text: nothing is wrong, and looking for it takes long.
            modes = MODES if operation.body or operation.query else MODES[:1]
            if examples == 1 and not (operation.body or operation.query or operation.path_parameters):
                continue  # was asked with all that there is
            for mode in modes if examples > 1 else [modes[place % len(modes)]]:
                if time.monotonic() > until:
                    return
                yield from self._asked_at_random(operation, mode, examples, number)

    def _asked_rightly(self, operation: Any) -> list[str]:
        right = self.stock.request(_id(operation))
        named = {one.name: right.path[one.name] for one in operation.path_parameters}
        body = {} if right.body is None else {"body": right.body, "media_type": "application/json"}
        case = operation.Case(path_parameters=named, query=dict(right.query), **body)
        return list(self._faults_of(operation, case).values())

    def _asked_at_random(
        self, operation: Any, mode: schemathesis.GenerationMode, examples: int, number: int
    ) -> list[str]:
        faults: dict[str, str] = {}

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), draw=st.data())
        def ask(case: Any, draw: st.DataObject) -> None:
            if draw.draw(st.booleans()):
                try:
                    self._make_lifelike(operation, case, draw)
                except NotMade as error:
                    faults.setdefault("not made", str(error))
            _lead_here(case.body)
            faults.update({kind: text for kind, text in self._faults_of(operation, case).items() if kind not in faults})

        with suppress(Unsatisfiable):  # there is nothing to be given wrongly
            ask()
        return list(faults.values())

    def _faults_of(self, operation: Any, case: Any) -> dict[str, str]:
        """What is wrong with the answer to a request, by its kind."""
        answer = case.call(base_url=self.url, session=self.session, verify=self.ca_file, timeout=30)
        self.answers[_id(operation)][answer.status_code] += 1
        faults: dict[str, str] = {}
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for one in group.exceptions:
                faults.setdefault(f"{type(one).__name__} {answer.status_code}", f"{operation.label}: {one}"[:2000])
        if any(one in answer.text for one in self.secrets):
            faults["secret"] = f"{operation.label}: an answer has a secret"
        return faults

    def _make_lifelike(self, operation: Any, case: Any, draw: st.DataObject) -> None:
        """Right, but for one thing that stays as it came."""
        right = self.stock.request(_id(operation))
        for name in case.path_parameters or ():
            case.path_parameters[name] = right.path[name]
        if case.query is not None:
            for name in sorted(set(case.query) & self.known.keys()):
                if draw.draw(st.booleans()):
                    case.query[name] = draw.draw(st.sampled_from(self.known[name]))
            case.query.update(right.query)
        if isinstance(right.body, dict) and isinstance(case.body, dict):
            odd = draw.draw(st.sampled_from([None, *sorted(case.body)]))
            case.body = right.body | ({} if odd is None else {odd: case.body[odd]})


def _found(one: Result[Any, Any]) -> Any:
    assert not isinstance(one, Err), one
    return one.ok()


def _id(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def _lead_here(body: object) -> None:
    """Whatever server is named is this machine."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name == "host":
                body[name] = "localhost"
            else:
                _lead_here(value)
    elif isinstance(body, list):
        for one in body:
            _lead_here(one)
