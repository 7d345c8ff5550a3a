"""Asks an API for what its description allows, and for what it does not, and holds the answers against the description.

By Schemathesis, in the caller's thread. Half of the values that name something are made of what there is, so that more
than refusals is seen. Hosts become this one: nothing leaves the machine.
"""

import time
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
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

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
    """`known` are names of what there is, by parameter; `secrets` must be in no answer."""

    url: str
    token: str
    ca_file: str
    known: Mapping[str, Sequence[str]]
    secrets: Sequence[str]
    answers: dict[int, int] = field(default_factory=dict)  # how many by status

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {self.token}"

    def close(self) -> None:
        self._session.close()

    def faults(self, surface: ApiSurface, *, examples: int, number: int, until: float = float("inf")) -> Iterator[str]:
        """What of the answers is not as described; the same for the same number."""
        described = schemathesis.openapi.from_dict(document(surface, self.url))
        described.validate()
        for found in described.get_all_operations():
            assert not isinstance(found, Err), found
            operation = found.ok()
            # What names something in a path may be any text: nothing is wrong, and looking for it takes long.
            for mode in MODES if operation.body or operation.query else MODES[:1]:
                if time.monotonic() > until:
                    return
                yield from self._of(operation, mode, examples, number)

    def _of(self, operation: Any, mode: schemathesis.GenerationMode, examples: int, number: int) -> list[str]:
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
            self._make_lifelike(case, draw)
            answer = case.call(base_url=self.url, session=self._session, verify=self.ca_file, timeout=30)
            self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as group:
                for one in group.exceptions:
                    faults.setdefault(f"{type(one).__name__} {answer.status_code}", f"{operation.label}: {one}"[:2000])
            leaked = [one for one in self.secrets if one in answer.text]
            if leaked:
                faults["secret"] = f"{operation.label}: an answer has a secret"

        with suppress(Unsatisfiable):  # there is nothing to be given wrongly
            ask()
        return list(faults.values())

    def _make_lifelike(self, case: Any, draw: st.DataObject) -> None:
        for given_by_name in (case.path_parameters, case.query):
            for name in sorted(set(given_by_name or ()) & self.known.keys()):
                if draw.draw(st.booleans()):
                    given_by_name[name] = draw.draw(st.sampled_from(self.known[name]))
        _lead_here(case.body)


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
