"""What was recorded of a gateway, in the one word that pages have sentences for."""

import pytest

from outgate.model import Cause
from outgate.operations.gateway_fault import GatewayFault, fault_of
from outgate.web.gateway_words import FAULTS

PEER = "smtp.partner.example[192.0.2.1]:587"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", None),
        ("535 5.7.8 Wrong user or password", GatewayFault.LOG_IN),
        (f"4.7.8 {PEER}: log-in refused: 535 5.7.8 no", GatewayFault.LOG_IN),
        (f"4.7.4 {PEER}: the peer offers no log-in that we can use", GatewayFault.LOG_IN),
        (f"4.7.5 {PEER}: the peer's certificate is not accepted: expired", GatewayFault.CERTIFICATE),
        (f"4.7.5 {PEER}: TLS failed: WRONG_VERSION_NUMBER", GatewayFault.TLS),
        (f"4.7.4 {PEER}: the peer does not offer STARTTLS, which is required", GatewayFault.TLS),
        ("421 4.3.2 too many connections", GatewayFault.LOAD),
        ("450 4.7.28 rate limit", GatewayFault.LOAD),
        ("450 4.2.1 mailbox busy", GatewayFault.PUTS_OFF),
        ("no answer from smtp.partner.example:587", GatewayFault.SILENT),
    ],
)
def test_a_reply_says_what_is_the_matter(said: str, fault: GatewayFault | None) -> None:
    assert fault_of(said, None, has_password=True, signs_in=False) is fault


@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        (Cause.OPERATOR, GatewayFault.SUSPENDED),
        (Cause.RULE, GatewayFault.PAUSED),
        (Cause.LOG_IN, GatewayFault.LOG_IN),
        (Cause.LIMIT, GatewayFault.PUTS_OFF),
    ],
)
def test_a_suspension_says_more_than_the_last_reply(cause: Cause, fault: GatewayFault) -> None:
    assert fault_of("450 4.2.1 busy", cause, has_password=True, signs_in=False) is fault


def test_without_a_password_nothing_else_matters_and_with_a_provider_one_signs_in_again() -> None:
    assert fault_of("450 4.2.1 busy", Cause.OPERATOR, has_password=False, signs_in=False) is GatewayFault.ERASED
    assert fault_of("", None, has_password=False, signs_in=True) is GatewayFault.SIGN_IN
    assert fault_of("535 5.7.8 no", None, has_password=True, signs_in=True) is GatewayFault.SIGN_IN
    assert fault_of("421 4.3.2 no", None, has_password=True, signs_in=True) is GatewayFault.LOAD


def test_each_fault_has_its_sentence() -> None:
    assert set(FAULTS) == set(GatewayFault)
    assert len({one.sentence for one in FAULTS.values()}) == len(FAULTS)
