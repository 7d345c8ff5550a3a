"""A message as Gmail's API has it, and an account's profile."""

from pydantic import Field

from outgate.api.api_method import Resource


class MessageResource(Resource):
    """An email message."""

    google_name = "Message"

    id: str | None = Field(None, description="The message's id: by it `outgate log` tells what became of it.")
    thread_id: str | None = Field(None, description="The same: there are no threads here.")
    label_ids: list[str] | None = Field(None, description="SENT, once it is on its way.")
    raw: str | None = Field(
        None,
        repr=False,
        description="The whole message (RFC 5322) in base64url.",
        json_schema_extra={"format": "byte"},
    )


class Profile(Resource):
    """Profile for a user."""

    email_address: str = Field(description="The user's primary address.")
    messages_total: int = Field(0, description="0: mailboxes are elsewhere.", json_schema_extra={"format": "int32"})
    threads_total: int = Field(0, description="0: mailboxes are elsewhere.", json_schema_extra={"format": "int32"})
    history_id: str = Field(
        "1", description="Always the same: there is no history.", json_schema_extra={"format": "uint64"}
    )
