"""A message as Gmail's API has it, and an account's profile."""

from pydantic import Field

from outgate.api.api_method import Resource


class MessagePartHeader(Resource):
    """A field of a part's header."""

    name: str = Field(description="Its name, before the colon.")
    value: str = Field(description="Its value, decoded.")


class MessagePartBody(Resource):
    """The content of a part that has no parts."""

    size: int = Field(description="Its length in bytes, decoded.", json_schema_extra={"format": "int32"})
    data: str | None = Field(None, description="Its bytes in base64url.", json_schema_extra={"format": "byte"})


class MessagePart(Resource):
    """A MIME part of a message, or the message itself."""

    part_id: str = Field(description="Its number within the message; the message's own is empty.")
    mime_type: str = Field(description="Its type, as in text/plain.")
    filename: str = Field(description="The name of the file, if it is one.")
    headers: list[MessagePartHeader] = Field(description="Its header.")
    body: MessagePartBody = Field(description="Its content.")
    parts: list["MessagePart"] | None = Field(None, description="The parts within a multipart.")


class MessageResource(Resource):
    """An email message."""

    google_name = "Message"

    id: str | None = Field(None, description="The message's id: by it `outgate log` tells what became of it.")
    thread_id: str | None = Field(None, description="The same: there are no threads here.")
    label_ids: list[str] | None = Field(None, description="SENT, once it is on its way; DRAFT before.")
    snippet: str | None = Field(None, description="The beginning of its text.")
    internal_date: str | None = Field(
        None, description="When it was written last, in ms since 1970.", json_schema_extra={"format": "int64"}
    )
    size_estimate: int | None = Field(None, description="Its bytes.", json_schema_extra={"format": "int32"})
    payload: MessagePart | None = Field(None, description="Its parts. Read-only: `raw` is what is written.")
    raw: str | None = Field(
        None,
        repr=False,
        description="The whole message (RFC 5322) in base64url.",
        json_schema_extra={"format": "byte"},
    )


class MessageList(Resource):
    """A page of messages, the newest first."""

    google_name = "ListMessagesResponse"

    messages: list[MessageResource] = Field([], description="The messages, with ids alone.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")
    result_size_estimate: int = Field(description="How many are on this page.", json_schema_extra={"format": "uint32"})


class Profile(Resource):
    """Profile for a user."""

    email_address: str = Field(description="The user's primary address.")
    messages_total: int = Field(0, description="0: mailboxes are elsewhere.", json_schema_extra={"format": "int32"})
    threads_total: int = Field(0, description="0: mailboxes are elsewhere.", json_schema_extra={"format": "int32"})
    history_id: str = Field(
        "1", description="Always the same: there is no history.", json_schema_extra={"format": "uint64"}
    )
