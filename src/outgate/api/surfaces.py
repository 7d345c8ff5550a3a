"""The APIs that are served, each with its methods. Data only."""

from typing import Final

from outgate.api import (
    directory_roles,
    directory_units,
    directory_users,
    gmail_drafts,
    gmail_messages,
    gmail_send_as,
    identity_policies,
    reports_activities,
)
from outgate.api.api_method import ApiSurface
from outgate.api.gmail_scopes import GMAIL_SCOPES
from outgate.api.own_surface import OWN

GMAIL: Final = ApiSurface(
    name="gmail",
    version="v1",
    title="Gmail API",
    description="Users' From addresses with their gateways, drafts, and sending as them, in the words of Gmail's API.",
    service_path="",
    scopes=GMAIL_SCOPES,
    methods=(*gmail_send_as.METHODS, *gmail_messages.METHODS, *gmail_drafts.METHODS),
)

REPORTS: Final = ApiSurface(
    name="admin",
    version="reports_v1",
    title="Admin SDK API",
    description="The audit trail: who changed what.",
    service_path="",
    scopes={reports_activities.AUDIT: "See the audit trail"},
    methods=reports_activities.METHODS,
)

IDENTITY: Final = ApiSurface(
    name="cloudidentity",
    version="v1",
    title="Cloud Identity API",
    description="The policy of units: what their users may do.",
    service_path="",
    scopes=identity_policies.SCOPES,
    methods=identity_policies.METHODS,
)

DIRECTORY: Final = ApiSurface(
    name="admin",
    version="directory_v1",
    title="Admin SDK API",
    description="Users with their other addresses in the own domains, the tree of units, and administrators' roles.",
    service_path="",
    scopes={**directory_users.USER_SCOPES, **directory_units.UNIT_SCOPES, **directory_roles.ROLE_SCOPES},
    methods=(*directory_users.METHODS, *directory_units.METHODS, *directory_roles.METHODS),
)

GOOGLES: Final = (GMAIL, REPORTS, IDENTITY, DIRECTORY)
SURFACES: Final = (*GOOGLES, OWN)
