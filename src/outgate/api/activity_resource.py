"""Entries of the audit trail as the Reports API has them."""

from typing import Any

from pydantic import Field

from outgate.api.api_method import Resource


class ActivityId(Resource):
    """Unique identifier for each activity record."""

    inline = True

    time: str = Field(description="When it was.", json_schema_extra={"format": "date-time"})
    unique_qualifier: str = Field(description="Its number in the trail.", json_schema_extra={"format": "int64"})
    application_name: str = Field(description="admin")
    customer_id: str = Field(description="The organisation's primary domain.")


class ActivityActor(Resource):
    """Who did it."""

    inline = True

    caller_type: str = Field(description="USER, or KEY for the console and programs.")
    email: str = Field(description="The user's primary address, or what else it was.")


class ActivityParameter(Resource):
    """One of an event's parameters."""

    inline = True

    name: str = Field(description="The name of the parameter.")
    value: str = Field(description="Its value, as text.")


class ActivityEvent(Resource):
    """What was done."""

    inline = True

    type: str = Field(description="The kind of event, as in EMAIL_SETTINGS.")
    name: str = Field(description="The event, as in CHANGE_EMAIL_SETTING.")
    parameters: list[ActivityParameter] = Field(description="What it was done to, and how.")


class Activity(Resource):
    """One entry of the audit trail."""

    kind: str = Field(description="admin#reports#activity")
    id: ActivityId = Field(description="Its time and number.")
    actor: ActivityActor = Field(description="Who did it.")
    ip_address: str = Field(description="From where.")
    events: list[ActivityEvent] = Field(description="What was done.")

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Activity":
        """As record.activity says it."""
        return cls.model_validate(told)


class Activities(Resource):
    """A page of the audit trail, the newest first."""

    kind: str = Field("admin#reports#activities", description="admin#reports#activities")
    items: list[Activity] = Field(description="The entries.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")
