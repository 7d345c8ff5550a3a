"""Apps > Workspace > Mail > End User Access: the switch that lets users have gateways, unit by unit."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.policies import Policies
from outgate.directory.privileges import Privilege
from outgate.directory.settings import ALLOW_EXTERNAL_SMTP, SETTINGS, Setting, in_words
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import (
    audit_operations,
    domain_gateway_operations,
    domain_operations,
    policy_operations,
    propagation,
)
from outgate.operations.context import OperationContext
from outgate.operations.policy_reach import MOST, reach
from outgate.record.audit_trail import AuditFilter, Recorded
from outgate.web import unit_tree
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

PATH: Final = "/admin/apps/mail/end-user-access"
PATIENCE: Final = 3.0  # seconds to wait for all nodes; what is not in force by then is said

_HOSTS: Final = SETTINGS["allowedGatewayHosts"]
_JOURNAL: Final = SETTINGS["gatewayJournalAddress"]
_SHOWN: Final = (ALLOW_EXTERNAL_SMTP, _HOSTS, _JOURNAL)
_CHANGES: Final = 5  # of the last ones, that are shown
_PAUSE: Final = 0.02


@frozen
class SwitchChange:
    """An entry of the audit trail; None is the inherited value."""

    at: float
    actor: str
    unit: str
    old: bool
    new: bool
    cleared: bool


class EndUserAccessPage:
    """Shows the policy, and changes it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, show), visits.post(PATH, save)]


def show(visit: Visit, status: int = 200, why: str = "") -> Response:
    """The tree at the left, the unit's policy at the right."""
    tops = unit_tree.tops(visit.holder.grants)
    form = visit.form
    with visit.reading() as op:
        listed = [policy_operations.list_policies(op, top) for top in tops or ["/"]]
        unit = form.text("unit") or listed[0][0][0]
        concerned = reach(op, unit, ALLOW_EXTERNAL_SMTP)
        changes = _last_changes(op, visit)
        domain = domain_operations.list_domains(op)[0].name if visit.may(Privilege.UNITS_READ) else ""
        gateway = domain_gateway_operations.show(op) if visit.may(Privilege.UNITS_READ) else None
    policies = listed[0][1]
    entered = {one.name: form.text(one.name) for one in (_HOSTS, _JOURNAL)} if why else {}
    return visit.page(
        "end_user_access.html",
        status,
        path=PATH,
        why=why,
        tree=[unit_tree.tree(paths[0], paths, domain, unit, _tags(visit, policies)) for paths, _ in listed],
        unit=unit,
        parent=unit_tree.name(unit_tree.parent(unit), domain) if unit != "/" else "",
        name=unit_tree.name(unit, domain),
        switch=policies.effective(unit, ALLOW_EXTERNAL_SMTP),
        hosts=entered.get(_HOSTS.name, in_words(policies.effective(unit, _HOSTS).value)),
        journal=entered.get(_JOURNAL.name, in_words(policies.effective(unit, _JOURNAL).value)),
        is_own=any(one.name in policies.own.get(unit, ()) for one in _SHOWN),
        concerned=concerned,
        most=MOST,
        names=[unit_tree.name(path, domain) for path in concerned.units],
        gateway=gateway,
        may_save=visit.may(Privilege.GMAIL_SETTINGS, unit),
        changes=changes,
        saved=_seconds(form.text("saved")),
        behind=form.text("behind"),
    )


async def save(visit: Visit) -> Response:
    """Save, or inherit again; then wait until it is in force everywhere."""
    unit, began = visit.form.text("unit", "/"), time.monotonic()
    try:
        version = await visit.in_thread(_change, visit, unit)
    except Exception as error:
        return await visit.in_thread(show, visit, status_of(error), visit.said.error(error))
    while behind := await visit.in_thread(propagation.nodes_behind, visit.services.engine, version):
        if time.monotonic() - began > PATIENCE:
            return visit.go_to(f"{PATH}?{urlencode({'unit': unit, 'behind': len(behind)})}")
        await asyncio.sleep(_PAUSE)
    return visit.go_to(f"{PATH}?{urlencode({'unit': unit, 'saved': f'{time.monotonic() - began:.2f}'})}")


def _change(visit: Visit, unit: str) -> int:
    """Returns the directory's version then."""
    form = visit.form
    with visit.writing() as op:
        if "inherit" in form:
            for setting in _SHOWN:
                policy_operations.clear_policy(op, unit, setting)
        else:
            policy_operations.set_policy(op, unit, ALLOW_EXTERNAL_SMTP, form.ticked("allow"))
            _, policies = policy_operations.list_policies(op, unit)
            for setting in (_HOSTS, _JOURNAL):
                _set_if_changed(op, policies, unit, setting, form.text(setting.name))
    return propagation.version_now(visit.services.engine)


def _set_if_changed(op: OperationContext, policies: Policies, unit: str, setting: Setting, entered: str) -> None:
    if setting.check(entered) != policies.effective(unit, setting).value:
        policy_operations.set_policy(op, unit, setting, entered)


# --- what is shown ---------------------------------------------------------------------------------------------------


def _tags(visit: Visit, policies: Policies) -> unit_tree.Said:
    """Beside each unit: on, off, or that it inherits."""

    def said(path: str) -> tuple[str, bool]:
        value = policies.effective(path, ALLOW_EXTERNAL_SMTP)
        if path not in (value.source, "/"):
            return visit.said("inherits"), False
        return visit.said("on") if value.value else visit.said("off"), bool(value.value)

    return said


def _seconds(text: str) -> float | None:
    try:
        return min(max(float(text), 0.0), PATIENCE)
    except ValueError:
        return None


def _last_changes(op: OperationContext, visit: Visit) -> list[SwitchChange]:
    """Of the switch, newest first; none for who may not see the audit trail."""
    if not visit.may(Privilege.AUDIT_READ):
        return []
    found = [
        entry
        for name in ("policy.set", "policy.clear")
        for entry in audit_operations.search(op, AuditFilter(operation=name, limit=50)).entries
    ]
    return list(_changes(sorted(found, key=lambda one: -one.number)))[:_CHANGES]


def _changes(found: list[Recorded]) -> Iterator[SwitchChange]:
    for recorded in found:
        entry, detail = recorded.entry, recorded.entry.detail
        match _pair(detail):
            case [bool(old), bool(new)]:
                yield SwitchChange(entry.at, entry.actor, entry.unit, old, new, entry.operation == "policy.clear")


def _pair(detail: Mapping[str, object]) -> object:
    return detail.get(ALLOW_EXTERNAL_SMTP.name)
