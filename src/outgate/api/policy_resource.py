"""Settings of policy as the Cloud Identity Policy API has them: one policy for each value that a unit has."""

from typing import Any, Literal

from pydantic import Field

from outgate.api.api_method import Resource


class PolicyQueryResource(Resource):
    """Whom a policy is for."""

    google_name = "PolicyQuery"

    org_unit: str | None = Field(None, description="The unit, as in orgUnits/3, with those below it. Required.")
    query: str | None = Field(None, description="The same in CEL. Read-only.")
    group: str | None = Field(None, description="Not to be given: there are no policies of groups here.")
    sort_order: float | None = Field(
        None,
        description="Of policies of one setting that are for a user, the one with the highest holds. Read-only.",
        json_schema_extra={"format": "double"},
    )


class SettingResource(Resource):
    """A setting with a value."""

    google_name = "Setting"

    type: str | None = Field(None, description="The setting, as in settings/gmail.per_user_outbound_gateway. Required.")
    value: dict[str, Any] | None = Field(None, description="Its value by its name. Required.")


class PolicyResource(Resource):
    """The value that a unit has of its own for a setting, or a default."""

    google_name = "Policy"

    name: str | None = Field(None, description="As in policies/3.allowUsersToUseExternalSmtpServers. Read-only.")
    customer: str | None = Field(None, description="customers/my_customer")
    policy_query: PolicyQueryResource | None = Field(None, description="Whom it is for.")
    setting: SettingResource | None = Field(None, description="What it sets.")
    type: Literal["POLICY_TYPE_UNSPECIFIED", "SYSTEM", "ADMIN"] | None = Field(
        None, description="ADMIN, or SYSTEM for a default. Read-only."
    )


class PolicyList(Resource):
    """A page of policies."""

    google_name = "ListPoliciesResponse"

    policies: list[PolicyResource] = Field([], description="The policies.")
    next_page_token: str | None = Field(None, description="Names the next page; the last one has none.")


class DoneOperation(Resource):
    """What came of a change: it is always done."""

    google_name = "Operation"

    name: str = Field(description="The policy's name, as an operation's.")
    done: bool = Field(True, description="Always true.")
    response: dict[str, Any] = Field(description="The policy as it is now; empty if it is gone.")
