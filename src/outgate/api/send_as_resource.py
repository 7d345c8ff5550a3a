"""A From address as Gmail's API has it. What is written and never read is in no answer."""

from typing import Literal

from pydantic import Field

from outgate.api.api_method import Resource
from outgate.model import Gateway, SendAs


class SmtpMsa(Resource):
    """Configuration for communication with an SMTP service: the gateway of an address."""

    host: str | None = Field(None, description="The hostname of the SMTP service. Required.")
    port: int | None = Field(
        None, description="The port of the SMTP service. Required.", json_schema_extra={"format": "int32"}
    )
    username: str | None = Field(
        None, repr=False, description="The username to log in with. Write-only: it is never in a response."
    )
    password: str | None = Field(
        None, repr=False, description="The password to log in with. Write-only: it is never in a response."
    )
    security_mode: Literal["securityModeUnspecified", "none", "ssl", "starttls"] | None = Field(
        None, description="How the connection is secured: starttls if it is left out. none requires port 25."
    )

    @classmethod
    def of(cls, gateway: Gateway) -> "SmtpMsa":
        """What is told of a gateway."""
        return cls(host=gateway.host, port=gateway.port, security_mode=gateway.security.value)

    @property
    def is_empty(self) -> bool:
        """Whether it says that there is no gateway."""
        return not any((self.host, self.port, self.username, self.password))


class SendAsResource(Resource):
    """A From address of an account: its primary address, or another that its user has proven to own."""

    google_name = "SendAs"

    send_as_email: str | None = Field(None, description="The address in From. Read-only but for create.")
    display_name: str | None = Field(None, description="The name in From; empty: that of the primary address.")
    reply_to_address: str | None = Field(None, description="Reply-To; empty: there is no such header.")
    signature: str | None = Field(None, description="The signature in HTML; it is cleaned.")
    is_primary: bool | None = Field(None, description="Whether it is the address of the account itself. Read-only.")
    is_default: bool | None = Field(
        None, description="Whether new mail is from it. Only true may be written; the former default ceases to be it."
    )
    treat_as_alias: bool | None = Field(None, description="Whether mail to it counts as the user's own.")
    smtp_msa: SmtpMsa | None = Field(
        None,
        description="The gateway that delivers what is sent as it; empty: the organisation's servers do, or one that an"
        " administrator has set.",
    )
    verification_status: Literal["verificationStatusUnspecified", "accepted", "pending"] | None = Field(
        None, description="Whether its owner has confirmed it. Read-only; the primary address has none."
    )

    @classmethod
    def of(cls, entry: SendAs, signature: str) -> "SendAsResource":
        """What is told of an address."""
        return cls(
            send_as_email=entry.address,
            display_name=entry.display_name,
            reply_to_address=entry.reply_to,
            signature=signature,
            is_primary=entry.is_primary,
            is_default=entry.is_default,
            treat_as_alias=entry.treat_as_alias if not entry.is_primary else None,
            smtp_msa=SmtpMsa.of(entry.gateway) if entry.gateway else None,
            verification_status=None if entry.is_primary else "accepted" if entry.verified else "pending",
        )


class SendAsList(Resource):
    """All From addresses of an account."""

    google_name = "ListSendAsResponse"

    send_as: list[SendAsResource] = Field([], description="The addresses, the primary one first.")
