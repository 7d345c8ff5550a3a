"""SCIM without HTTP: requests of an identity provider as the protocol gets them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from outgate.operations import context
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.scim.scim_protocol import answered
from outgate.store.vault import Vault

URL = "https://mail.example.com/scim/v2"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Provider:
    """An identity provider with a token for a unit."""

    engine: Engine
    vault: Vault
    actor: Actor
    unit: str = "/"
    now: float = 1_800_000_000.0

    @contextmanager
    def reading(self) -> Iterator[OperationContext]:
        with context.reading(self.engine, self.vault, self.actor, self.now) as op:
            yield op

    @contextmanager
    def writing(self) -> Iterator[OperationContext]:
        with context.writing(self.engine, self.vault, self.actor, self.now, []) as op:
            yield op

    writing_one_of_many = writing

    def ask(self, method: str, path: str, body: object = None, /, headers: Any = (), **query: str) -> Answer:
        sent = [("Content-Type", "application/scim+json"), *headers]
        raw = b"" if body is None else json.dumps(body).encode()
        told = answered(self, method, URL, path, query, sent, raw)
        return Answer(int(told.status), told.body, told.headers)

    def patch(self, path: str, *operations: object) -> Answer:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def found(self, kind: str, wanted: str) -> list[str]:
        """The names of users or groups that a filter finds."""
        answer = self.ask("GET", kind, filter=wanted)
        assert answer.status == 200, answer.body
        return [one.get("userName") or one["displayName"] for one in answer.body["Resources"]]
