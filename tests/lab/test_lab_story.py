"""The story of the product among real parts: submitted by real mail programs, checked by a real recipient.

Whether a message went by the address's own server or by the organisation's is read from the recipient's own Received,
and from the logs of the partner and of the organisation's relay.
"""

import pytest
from lab.arrival import Arrival
from lab.clients import PROGRAMS
from lab.organisation import STARTTLS_PORT, TLS_PORT
from lab.plan import (
    ALICE,
    CAROL,
    DORA,
    MARIO,
    ORGANISATION,
    OUTGATE_HOST,
    PARTNER,
    PARTNER_HOST,
    RELAY_HOST,
)
from lab.polling import LabError
from lab.story import Lab

pytestmark = pytest.mark.lab

programs = pytest.mark.parametrize("program", PROGRAMS)
ports = pytest.mark.parametrize("port", [STARTTLS_PORT, TLS_PORT])


def submit(lab: Lab, program: str, author: str, *recipients: str, port: int = STARTTLS_PORT) -> str:
    """Alice submits a message; returns its Message-ID."""
    message_id, message = lab.message(author, *recipients)
    sent = PROGRAMS[program](lab.desk, lab.to_outgate(message, author, *recipients, port=port))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    return message_id


def assert_from_the_partner(lab: Lab, arrival: Arrival) -> None:
    assert arrival.client == PARTNER_HOST.address
    assert arrival.author == MARIO
    assert arrival.sender is None
    assert arrival.reverse_path == MARIO
    assert (arrival.spf, arrival.dkim, arrival.dmarc) == (("pass", PARTNER), ("pass", PARTNER), ("pass", PARTNER))
    assert b"alice" not in arrival.raw.lower()
    assert lab.partner.postfix.sent(arrival.message_id)


def assert_on_behalf(lab: Lab, arrival: Arrival) -> None:
    assert arrival.author == MARIO
    assert arrival.sender == ALICE
    assert arrival.reverse_path == ALICE
    assert arrival.spf == ("pass", ORGANISATION)
    assert arrival.dkim == ("pass", ORGANISATION)
    assert arrival.dmarc == ("fail", PARTNER)
    assert not lab.partner.postfix.sent(arrival.message_id)


def assert_from_the_organisation(arrival: Arrival) -> None:
    assert arrival.author == ALICE
    assert arrival.sender is None
    assert arrival.reverse_path == ALICE
    passed = ("pass", ORGANISATION)
    assert (arrival.spf, arrival.dkim, arrival.dmarc) == (passed, passed, passed)


@ports
@programs
def test_switched_on_the_partner_delivers(lab: Lab, program: str, port: int) -> None:
    lab.arrange(own_servers=True)
    arrival = lab.recipient.arrival(submit(lab, program, MARIO, port=port))
    assert_from_the_partner(lab, arrival)


def test_switched_on_the_partner_delivers_to_every_recipient(lab: Lab) -> None:
    lab.arrange(own_servers=True)
    message_id = submit(lab, "swaks", MARIO, CAROL, DORA)
    assert_from_the_partner(lab, lab.recipient.arrival(message_id, CAROL))
    assert_from_the_partner(lab, lab.recipient.arrival(message_id, DORA))
    assert {handover.recipient for handover in lab.partner.postfix.sent(message_id)} == {CAROL, DORA}


@ports
@programs
def test_switched_off_the_organisation_delivers_on_behalf(lab: Lab, program: str, port: int) -> None:
    lab.arrange(own_servers=False)
    arrival = lab.recipient.arrival(submit(lab, program, MARIO, port=port))
    assert arrival.client == OUTGATE_HOST.address
    assert_on_behalf(lab, arrival)


@programs
def test_mail_by_the_partner_does_not_pass_the_domain_gateway(lab: Lab, program: str) -> None:
    lab.arrange(own_servers=True, domain_gateway=True)
    message_id = submit(lab, program, MARIO)
    assert_from_the_partner(lab, lab.recipient.arrival(message_id))
    assert not lab.relay.postfix.sent(message_id)


@programs
def test_mail_from_the_primary_address_passes_the_domain_gateway(lab: Lab, program: str) -> None:
    lab.arrange(own_servers=True, domain_gateway=True)
    message_id = submit(lab, program, ALICE)
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == RELAY_HOST.address
    assert_from_the_organisation(arrival)
    assert [handover.recipient for handover in lab.relay.postfix.sent(message_id)] == [CAROL]


def test_switched_off_mail_of_the_other_address_passes_the_domain_gateway(lab: Lab) -> None:
    lab.arrange(own_servers=False, domain_gateway=True)
    message_id = submit(lab, "swaks", MARIO)
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == RELAY_HOST.address
    assert_on_behalf(lab, arrival)
    assert [handover.recipient for handover in lab.relay.postfix.sent(message_id)] == [CAROL]


@programs
def test_mail_from_the_primary_address_is_delivered_by_outgate(lab: Lab, program: str) -> None:
    lab.arrange(own_servers=True)
    message_id = submit(lab, program, ALICE)
    arrival = lab.recipient.arrival(message_id)
    assert arrival.client == OUTGATE_HOST.address
    assert_from_the_organisation(arrival)
    assert not lab.partner.postfix.sent(message_id)


def test_a_from_address_of_somebody_else_is_refused(lab: Lab) -> None:
    lab.arrange(own_servers=True)
    _, message = lab.message(f"luigi@{PARTNER}")
    sent = PROGRAMS["swaks"](lab.desk, lab.to_outgate(message, f"luigi@{PARTNER}"))
    assert sent.returncode != 0
    assert "550 5.7.1" in sent.stdout


def test_a_gateway_with_another_hosts_certificate_is_not_saved(lab: Lab) -> None:
    lab.arrange(own_servers=True)
    with pytest.raises(LabError, match="certificate"):
        lab.set_gateway("other.dominiopartner.example")
    assert_from_the_partner(lab, lab.recipient.arrival(submit(lab, "swaks", MARIO)))
