"""Who may let the organisation's servers deliver in the place of an address's own, and what stays as it was decided."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, select, update

from outgate.directory import policies, settings
from outgate.directory.errors import NotAllowed
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Security
from outgate.operations import gateway_operations, sent_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.mail_operations import SendLimits
from outgate.operations.sent_operations import Dispatch
from outgate.queue import admin
from outgate.queue.admin import Selection
from outgate.queue.entry import Instruction
from outgate.sendas import send_as_addresses, verification
from outgate.store.engine import write
from outgate.store.tables import recipient
from outgate.store.vault import Vault
from outgate.submit import MessageLimits
from outgate.writing import drafts
from outgate.writing.drafts import DraftContent

ALICE, PARTNER = "alice@example.com", "alice@partner.example"
NOW = 10.0
GATEWAY = GatewaySettings("smtp.partner.example", 587, Security.STARTTLS, "u", "p")
DISPATCH = Dispatch(SendLimits(MessageLimits(10_000, 998, 10, 10), local_mailboxes=True), "mail.example.com", 0.0)
MESSAGE = Selection()  # the only one

Change = Callable[[OperationContext], object]


def _instructed(instruction: Instruction) -> Change:
    return lambda op: admin.instruct(op.connection, MESSAGE, instruction, NOW, "admin")


def _switched(name: str, value: object) -> Change:
    return lambda op: policies.set_value(op.connection, "/", settings.setting(name), value, NOW)


def _leased(op: OperationContext) -> None:
    op.connection.execute(update(recipient).values(leased_until=1e12))


def _sent(connection: Connection, vault: Vault, alice: int) -> tuple[OperationContext, int]:
    """A message from an address with a server of its own."""
    policies.set_value(connection, "/", settings.ALLOW_EXTERNAL_SMTP, True, 0.0)
    op = OperationContext(connection, vault, Actor.console("root"), NOW)
    send_as_addresses.add(connection, alice, PARTNER, 0.0)
    code = verification.start(connection, vault, alice, PARTNER, 0.0).code
    assert verification.enter(connection, vault, alice, PARTNER, code, 0.0) is None
    gateway_operations.set_gateway(op, ALICE, PARTNER, GATEWAY)
    draft = drafts.save(connection, alice, None, DraftContent(PARTNER, to="carol@recipient.example", text="Hi"), NOW)
    return op, sent_operations.send_draft(op, ALICE, draft, DISPATCH)


def _decided(connection: Connection) -> list[tuple[object, ...]]:
    columns = recipient.c
    return [tuple(row) for row in connection.execute(select(columns.instruction, columns.held, columns.leased_until))]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda op: gateway_operations.clear_gateway(op, ALICE, PARTNER), "does not leave by a server of its own"),
        (_switched("allowUsersToUseExternalSmtpServers", False), "does not leave by a server of its own"),
        (_switched("gatewayNotAllowed", "refuse"), "can only be sent through its own server"),
        (_switched("allowExternalFromWithoutGateway", False), "can only be sent through its own server"),
        (lambda op: admin.hold(op.connection, MESSAGE, NOW, "admin"), "holds this message back"),
        (_instructed(Instruction.RETURN), "has settled where this message goes"),
        (_instructed(Instruction.DIRECT), "has settled where this message goes"),
        (_leased, "is taking it just now"),
        (lambda op: admin.remove(op.connection, MESSAGE, NOW), "nobody waits for it"),
    ],
)
def test_what_forbids_it_is_said_and_stays(example: Engine, vault: Vault, alice: int, change: Change, why: str) -> None:
    with write(example) as connection:
        op, message = _sent(connection, vault, alice)
        change(op)
        before = _decided(connection)
        with pytest.raises(NotAllowed, match=why):
            sent_operations.send_past_gateway(op, ALICE, message)
        assert _decided(connection) == before


def test_it_is_said_twice_and_done(example: Engine, vault: Vault, alice: int) -> None:
    with write(example) as connection:
        op, message = _sent(connection, vault, alice)
        assert [sent_operations.send_past_gateway(op, ALICE, message) for _ in range(2)] == [1, 1]
        assert [told for told, *_ in _decided(connection)] == [Instruction.ORGANISATION]
