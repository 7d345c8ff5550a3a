"""What was recorded of a gateway, in the one word that pages have sentences for."""

import json

import pytest

from http_gateways.mail_provider import google_error, graph_error
from outgate.deliver.api_answer import judged
from outgate.deliver.mail_api import APIS
from outgate.egress.https_client import Fetched
from outgate.model import Cause, Gateway, GatewayKind, Security
from outgate.operations.gateway_fault import GatewayFault, fault_of
from outgate.operations.public_reply import public_reply
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


OFF = google_error(403, "accessNotConfigured", "Gmail API has not been used in project 1 before or it is disabled.")


@pytest.mark.parametrize(
    ("kind", "status", "body", "fault", "words"),
    [
        ("gmail", 403, OFF, GatewayFault.PUTS_OFF, "the Gmail API is not switched on"),
        ("gmail", 403, google_error(403, "domainPolicy", "No."), GatewayFault.PUTS_OFF, "lets no programs use Gmail"),
        ("graph", 403, graph_error("ErrorQuotaExceeded", "No."), GatewayFault.PUTS_OFF, "mailbox is full"),
        ("graph", 503, None, GatewayFault.PUTS_OFF, "can't do it now (503)"),
        ("gmail", 429, google_error(429, "rateLimitExceeded", "Slow."), GatewayFault.LOAD, "wants less just now"),
        ("graph", 401, graph_error("InvalidAuthenticationToken", "Expired."), GatewayFault.SIGN_IN, "log-in refused"),
    ],
)
def test_what_a_providers_interface_answers_is_told_and_says_what_is_the_matter(
    kind: str, status: int, body: object, fault: GatewayFault, words: str
) -> None:
    gateway = Gateway("7", "api.example", 443, Security.SSL, "alice", provider="p", kind=GatewayKind(kind))
    answer = Fetched("https://api.example", status, json.dumps(body).encode())
    said = public_reply(judged(APIS[gateway.kind], answer, "api.example[192.0.2.1]:443", 7, 0.0).reason, gateway)
    assert words in said
    assert fault_of(said, None, has_password=True, signs_in=True) is fault


def test_how_an_interface_could_not_be_reached_is_not_told() -> None:
    gateway = Gateway("7", "api.example", 443, Security.SSL, "alice", provider="p", kind=GatewayKind.GRAPH)
    for reason in (
        "4.4.1 api.example[10.0.0.1]:443: refused",
        "4.4.2 api.example[10.0.0.1]:443: connection lost: (111)",
    ):
        said = public_reply(reason, gateway)
        assert said == "no answer from api.example:443"
        assert fault_of(said, None, has_password=True, signs_in=True) is GatewayFault.SILENT


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
