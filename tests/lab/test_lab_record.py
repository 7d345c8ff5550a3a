"""What Outgate's own record says of a message, held against the log of the server that it was handed to."""

import pytest
from lab.plan import ALICE, CAROL, MARIO, PARTNER_HOST, RELAY_HOST
from lab.polling import wait_for
from lab.story import Lab

from lab import clients

pytestmark = pytest.mark.lab


def delivered(lab: Lab, message_id: str) -> dict[str, str]:
    """The fact that the message was delivered, once `outgate log` has it."""

    def look() -> dict[str, str] | None:
        [message] = lab.outgate.command("log", "--message-id", message_id)
        story = lab.outgate.command("log", message["id"])
        return next((fact for fact in story["facts"] if fact["kind"] == "delivered"), None)

    return wait_for(f"the record of {message_id}", look)


def submit(lab: Lab, author: str) -> str:
    message_id, message = lab.message(author)
    sent = clients.swaks(lab.desk, lab.to_outgate(message, author))
    assert sent.returncode == 0, sent.stdout
    return message_id


def test_the_record_names_the_partners_queue_id(lab: Lab) -> None:
    lab.arrange(own_servers=True)
    message_id = submit(lab, MARIO)
    fact = delivered(lab, message_id)
    [queue_id] = lab.partner.postfix.queue_ids(message_id)
    assert fact["recipient"] == CAROL
    assert fact["by"] == f"{PARTNER_HOST.name}[{PARTNER_HOST.address}]:587"
    assert fact["reply"].endswith(f"queued as {queue_id}")


def test_the_record_names_the_relays_queue_id(lab: Lab) -> None:
    lab.arrange(own_servers=True, domain_gateway=True)
    message_id = submit(lab, ALICE)
    fact = delivered(lab, message_id)
    [queue_id] = lab.relay.postfix.queue_ids(message_id)
    assert fact["by"] == f"{RELAY_HOST.name}[{RELAY_HOST.address}]:25"
    assert fact["reply"].endswith(f"queued as {queue_id}")
