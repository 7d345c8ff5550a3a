"""The Reports API's `activities.list`: the audit trail, of the application `admin`.

The user that the token acts for needs the privilege audit-read.
"""

from typing import Final

from outgate.api.activity_resource import Activities, Activity
from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter
from outgate.api.google_error import invalid
from outgate.operations import audit_operations
from outgate.record.activity import activity
from outgate.record.audit_trail import AuditFilter

AUDIT: Final = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
MOST: Final = 1000  # entries of a page


def list_(call: ApiCall) -> Activities:
    """A page of entries. Those of an event that is asked for are looked for within the page."""
    given = call.parameters
    if given["applicationName"] != "admin":
        raise invalid("Invalid applicationName: the audit trail is that of admin.")
    limit = min(int(given.get("maxResults", MOST)) or MOST, MOST)
    wanted = AuditFilter(
        actor=None if given["userKey"] == "all" else given["userKey"].lower(),
        since=call.moment("startTime"),
        until=call.moment("endTime"),
        before=_number(given.get("pageToken", "")),
        limit=limit,
    )
    with call.reading() as op:
        page = audit_operations.search(op, wanted)
    found = [Activity.of(activity(one, page.customer)) for one in page.entries]
    event = given.get("eventName", "")
    return Activities(
        items=[one for one in found if not event or event in {told.name for told in one.events}],
        next_page_token=str(page.entries[-1].number) if len(page.entries) == limit else None,
    )


def _number(token: str) -> int | None:
    if not token:
        return None
    if not (token.isascii() and token.isdigit() and len(token) < 18):
        raise invalid("Invalid pageToken: it must be the nextPageToken of an answer.")
    return int(token)


METHODS: Final = (
    ApiMethod(
        id="reports.activities.list",
        verb="GET",
        path="admin/reports/v1/activity/users/{userKey}/applications/{applicationName}",
        description="Lists who changed what, the newest first.",
        scopes=(AUDIT,),
        answer=list_,
        parameters=(
            ApiParameter("userKey", "`all`, or the primary address of the user whose doings are wanted."),
            ApiParameter("applicationName", "`admin`."),
            ApiParameter("startTime", "Only from then on (RFC 3339).", "query"),
            ApiParameter("endTime", "Only before then (RFC 3339).", "query"),
            ApiParameter("eventName", "Only this event.", "query"),
            ApiParameter("maxResults", "At most so many.", "query", "integer", "int32", default=str(MOST)),
            ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query"),
        ),
        gives=Activities,
    ),
)
