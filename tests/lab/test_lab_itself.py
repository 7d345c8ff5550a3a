"""The lab without Outgate: its parties do their work, and its checkers can say both pass and fail."""

from dataclasses import replace
from pathlib import Path

import pytest
from lab.plan import (
    CAROL,
    DORA,
    LUIGI,
    MARIO,
    OUTGATE_HOST,
    PARTNER,
    PARTNER_ALIAS,
    PARTNER_HOST,
    RECIPIENT_HOST,
    RELAY_HOST,
)
from lab.postfix import Handover
from lab.story import Lab

from lab import clients

pytestmark = pytest.mark.lab


def swaks_from_outgate(lab: Lab, server: str, message: Path, sender: str = MARIO) -> str:
    """Hand a message to a server's port 25 from Outgate's address, without log-in; returns the dialogue."""
    command = ("swaks", "--server", server, "--ehlo", OUTGATE_HOST.name, "--from", sender, "--to", CAROL)
    return lab.outgate_machine.run(*command, "--data", f"@{message}", check=False).stdout


@pytest.mark.parametrize("port", [587, 465])
def test_mail_that_the_partner_delivers_passes_every_check(lab: Lab, port: int) -> None:
    message_id, message = lab.message(MARIO)
    sent = clients.swaks(lab.desk, lab.to_partner(message, MARIO, port=port))
    assert sent.returncode == 0, sent.stdout
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == PARTNER_HOST.address
    assert arrival.spf == ("pass", PARTNER)
    assert arrival.dkim == ("pass", PARTNER)
    assert arrival.dmarc == ("pass", PARTNER)


def test_the_partner_logs_each_recipient_of_a_message(lab: Lab) -> None:
    message_id, message = lab.message(MARIO, CAROL, DORA)
    sent = clients.swaks(lab.desk, lab.to_partner(message, MARIO, CAROL, DORA))
    assert sent.returncode == 0, sent.stdout
    lab.recipient.arrival(message_id, CAROL)
    lab.recipient.arrival(message_id, DORA)
    to = f"{RECIPIENT_HOST.name}[{RECIPIENT_HOST.address}]:25"
    assert sorted(lab.partner.postfix.sent(message_id)) == [Handover(CAROL, to), Handover(DORA, to)]


def test_mail_in_the_partners_name_from_another_server_fails(lab: Lab) -> None:
    message_id, message = lab.message(MARIO)
    swaks_from_outgate(lab, RECIPIENT_HOST.name, message)
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == OUTGATE_HOST.address
    assert arrival.spf == ("fail", PARTNER)
    assert arrival.dkim.value == "none"
    assert arrival.dmarc == ("fail", PARTNER)


def test_a_signature_fails_once_the_message_is_changed(lab: Lab, tmp_path: Path) -> None:
    message_id, message = lab.message(MARIO)
    assert clients.swaks(lab.desk, lab.to_partner(message, MARIO)).returncode == 0
    signed = lab.recipient.arrival(message_id).raw
    start = signed.index(b"DKIM-Signature:")
    changed = tmp_path / "changed.eml"
    changed_id = message_id.replace("@", ".changed@")  # Message-ID is not signed, and tells the two apart
    content = signed[start:].replace(message_id.encode(), changed_id.encode())
    changed.write_bytes(content.replace(b"Here they are", b"Here they were"))
    swaks_from_outgate(lab, RECIPIENT_HOST.name, changed)
    arrival = lab.recipient.arrival(changed_id)
    assert arrival.dkim == ("fail", PARTNER)
    assert arrival.dmarc == ("fail", PARTNER)


def test_the_partner_wants_tls_and_then_a_log_in(lab: Lab) -> None:
    command = ("swaks", "--server", PARTNER_HOST.name, "--port", "587", "--from", MARIO, "--to", CAROL)
    before_tls = lab.desk.run(*command, check=False).stdout
    assert "530 5.7.0 Must issue a STARTTLS command first" in before_tls
    assert "AUTH" not in before_tls
    assert "Client host rejected: Access denied" in lab.desk.run(*command, "--tls", check=False).stdout


def test_the_partner_lets_nobody_in_with_a_wrong_password(lab: Lab) -> None:
    _, message = lab.message(MARIO)
    sent = clients.swaks(lab.desk, replace(lab.to_partner(message, MARIO), password="wrong"))
    assert "535 5.7.8" in sent.stdout


def test_the_partners_users_send_as_themselves_only(lab: Lab) -> None:
    _, message = lab.message(LUIGI)
    sent = clients.swaks(lab.desk, lab.to_partner(message, LUIGI))
    assert "Sender address rejected: not owned by user mario" in sent.stdout


def test_the_partners_certificate_is_for_its_own_name_only(lab: Lab) -> None:
    _, message = lab.message(MARIO)
    sent = clients.curl(lab.desk, replace(lab.to_partner(message, MARIO), server=PARTNER_ALIAS))
    assert "SSL" in sent.stderr
    assert PARTNER_ALIAS in sent.stderr


def test_the_relay_relays_for_outgates_address_only(lab: Lab) -> None:
    message_id, message = lab.message("postmaster@example.com")
    swaks_from_outgate(lab, RELAY_HOST.name, message, "postmaster@example.com")
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == RELAY_HOST.address
    assert arrival.spf == ("pass", "example.com")
    from_the_desk = ("swaks", "--server", RELAY_HOST.name, "--from", MARIO, "--to", CAROL)
    assert "Relay access denied" in lab.desk.run(*from_the_desk, check=False).stdout


def test_nothing_leaves_the_lab(lab: Lab) -> None:
    assert "unreachable" in lab.desk.run("ip", "route", "get", "192.0.2.1", check=False).stderr
    assert "NXDOMAIN" in lab.desk.run("dig", "www.example.net").stdout
