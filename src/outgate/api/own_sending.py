"""Outgate's own API: what would become of a message: whether it may be sent and which way it goes, and what recipients
will make of it.
"""

from ipaddress import ip_address
from typing import Final

from pydantic import Field

from outgate.advisor.advice import Advice, Outlook, advise
from outgate.advisor.advisor import Advisor, Question
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Findings, Sending
from outgate.advisor.wording import LANGUAGES
from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import ApiError, invalid, sentence
from outgate.api.own_gateways import GatewayServer
from outgate.api.own_method import own_method
from outgate.extras import MissingExtra
from outgate.mail.addresses import canonical, canonical_domain
from outgate.model import Refused
from outgate.operations import explanation_operations, send_as_operations
from outgate.operations.send_as_operations import AdviceBasis

USER: Final = ApiParameter(
    "user", "The user's primary address, or `me`: the one that the token acts for.", "query", default="me"
)
SENDER: Final = ApiParameter("sender", "The address in From.", "query", is_required=True)
_ALICE: Final = "alice@example.com"
_PARTNER: Final = "alice@dominiopartner.example"


class MessageExplanation(Resource):
    """What would become of a message that nobody sends."""

    account: str = Field(description="Who would send it.", examples=[_ALICE])
    sender: str = Field(description="The address in From.", examples=[_PARTNER])
    recipient: str = Field(description="Who would receive it.", examples=["carol@recipient.example"])
    allowed: bool = Field(description="Whether it would be taken.", examples=[True])
    way: str | None = Field(None, description="By which way it would go.", examples=["user-gateway"])
    queue: str | None = Field(None, description="In which queue it would wait.", examples=["gateway:3"])
    mail_from: str | None = Field(None, description="The envelope's sender.", examples=[_PARTNER])
    on_behalf_of: str | None = Field(None, description="The header Sender, if it has one.", examples=[_ALICE])
    gateway: GatewayServer | None = Field(None, description="The gateway that it would pass.")
    reasons: list[str] = Field(description="Why, in the order of the decision.", examples=[["it has a gateway"]])
    cautions: list[str] = Field(description="What keeps it waiting, as far as it is known.", examples=[["it fails"]])


class WayForeseen(Resource):
    """What recipients will find of mail that leaves by one way."""

    host: str = Field(description="The server that they will meet.", examples=["smtp.dominiopartner.example"])
    mail_from: str = Field(description="The envelope's sender.", examples=[_PARTNER])
    refused: str | None = Field(None, description="Why policy forbids this way.", examples=["no gateways here"])
    spf: str = Field(description="How SPF will come out.", examples=["pass"])
    dkim: str = Field(description="How DKIM will come out.", examples=["expected-if-it-signs"])
    dmarc: str = Field(description="How DMARC will come out.", examples=["pass"])
    shown_as: str = Field(description="How recipients will see it.", examples=[_PARTNER])
    sentence: str = Field(description="The same in a sentence.", examples=["Recipients see the address alone."])
    unanswered: list[str] = Field(description="What the DNS gave no answer to.", examples=[["dominiopartner.example"]])

    @classmethod
    def of(cls, way: Sending, outlook: Outlook) -> "WayForeseen":
        """The facts with their conclusion."""
        return cls(
            host=way.host,
            mail_from=way.mail_from,
            refused=way.refused,
            spf=outlook.spf.value,
            dkim=outlook.dkim.value,
            dmarc=outlook.dmarc.value,
            shown_as=outlook.shown_as,
            sentence=outlook.sentence,
            unanswered=[one.name for one in (*way.unanswered, *(x.unanswered for x in way.checks if x.unanswered))],
        )


class AdviceResource(Resource):
    """What recipients will make of mail from an address."""

    account: str = Field(description="Whose it would be.", examples=[_ALICE])
    address: str = Field(description="The address in From.", examples=[_PARTNER])
    organisation: WayForeseen = Field(description="By the organisation's servers.")
    gateway: WayForeseen | None = Field(None, description="By the address's own gateway, if it has one.")
    advice: str = Field(description="The advice in one sentence.", examples=["Use the address's own server."])

    @classmethod
    def of(cls, account: str, findings: Findings, advice: Advice) -> "AdviceResource":
        """Both ways."""
        has_gateway = findings.gateway and advice.gateway
        return cls(
            account=account,
            address=findings.address,
            organisation=WayForeseen.of(findings.organisation, advice.organisation),
            gateway=WayForeseen.of(findings.gateway, advice.gateway) if has_gateway else None,  # type: ignore[arg-type]
            advice=advice.sentence,
        )


def explain(call: ApiCall) -> MessageExplanation:
    """Nothing is sent."""
    given = call.parameters
    with call.reading() as op:
        found = explanation_operations.explain(
            op,
            _user(call),
            given["sender"],
            given["recipient"],
            local_mailboxes=call.services.config.local.mailbox == "maildir",
        )
    asked = {"account": found.account, "sender": found.sender, "recipient": found.recipient}
    if isinstance(found.outcome, Refused):
        return MessageExplanation(**asked, allowed=False, reasons=[found.outcome.reason], cautions=[])
    way = found.outcome
    return MessageExplanation(
        **asked,
        allowed=True,
        way=way.kind.value,
        queue=str(way.queue),
        mail_from=way.reverse_path,
        on_behalf_of=way.on_behalf_of,
        gateway=GatewayServer.of(way.gateway) if way.gateway else None,
        reasons=list(way.reasons),
        cautions=list(found.cautions),
    )


async def foresee(call: ApiCall) -> AdviceResource:
    """From what the DNS says now."""
    basis = await call.in_thread(_basis, call)
    given = call.parameters
    address, host = given.get("sendingAddress", ""), given.get("gatewayHost", "")
    question = Question(
        basis.organisation,
        basis.account,
        canonical(given["sender"]),
        {domain: Signing(selector, record) for domain, (selector, record) in basis.dkim.items()},
        addresses=(_ip(address),) if address else (),
        gateway_host=canonical_domain(host) if host else "",
    )
    try:
        findings = await Advisor(call.services.config).findings(question)
    except MissingExtra as error:
        raise ApiError(503, sentence(str(error))) from None
    return AdviceResource.of(basis.account.primary, findings, advise(findings, given.get("language", basis.language)))


def _basis(call: ApiCall) -> AdviceBasis:
    with call.reading() as op:
        return send_as_operations.advice_basis(op, _user(call))


def _user(call: ApiCall) -> str:
    named = call.parameters["user"]
    return call.address if named == "me" else named


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise invalid(f"Invalid value for sendingAddress: '{text[:50]}' is no IP address.") from None


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        explanation_operations.explain,
        "GET",
        "explanation",
        explain,
        USER,
        SENDER,
        ApiParameter("recipient", "Who would receive it.", "query", is_required=True),
        says="Nothing is sent.",
        gives=MessageExplanation,
    ),
    own_method(
        send_as_operations.advice_basis,
        "GET",
        "advice",
        foresee,
        USER,
        SENDER,
        ApiParameter("gatewayHost", "A gateway that is thought of, in place of the one it has.", "query"),
        ApiParameter("sendingAddress", "IP address that the organisation's mail leaves from.", "query"),
        ApiParameter("language", "Of the sentences; else the user's.", "query", enum=tuple(LANGUAGES)),
        says="By the organisation's servers and by the address's own gateway: SPF, DKIM, DMARC. Only the DNS is asked.",
        gives=AdviceResource,
    ),
)
