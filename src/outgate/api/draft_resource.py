"""A draft as Gmail's API has it."""

from pydantic import Field

from outgate.api.api_method import Resource
from outgate.api.message_resource import MessageResource


class DraftResource(Resource):
    """A message that is being written. The user sees it among the drafts of the pages."""

    google_name = "Draft"

    id: str | None = Field(None, description="The draft's id, which it keeps.")
    message: MessageResource | None = Field(None, description="The message so far.")


class DraftList(Resource):
    """A page of drafts, the newest first."""

    google_name = "ListDraftsResponse"

    drafts: list[DraftResource] = Field([], description="The drafts, with ids alone.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")
    result_size_estimate: int = Field(description="How many drafts there are.", json_schema_extra={"format": "uint32"})
