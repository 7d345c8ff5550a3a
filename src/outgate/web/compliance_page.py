"""Apps > Workspace > Mail > Compliance: all settings of policy but those of End User Access, unit by unit.

The list says what is in force and from where; each setting has an address of its own, where it is changed.
"""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.errors import NotFound
from outgate.directory.policies import Effective
from outgate.directory.privileges import Privilege
from outgate.directory.settings import in_words
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.operations import domain_operations, policy_operations
from outgate.operations.policy_reach import MOST, reach
from outgate.web import unit_tree
from outgate.web.settings_shown import COMPLIANCE, SHOWN, ShownSetting
from outgate.web.visit import Visit
from outgate.web.visits import Visits, status_of

PATH: Final = COMPLIANCE


@frozen
class SettingRow:
    """A setting as it is in force in a unit: its value in words, the unit that it comes from (empty: the default), and
    whether that is the unit itself.
    """

    shown: ShownSetting
    value: str
    source: str
    is_own: bool
    path: str


class CompliancePage:
    """Shows policy, and changes it."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, _show), visits.post(PATH, _save)]


def path_of(unit: str, setting: str = "", done: str = "") -> str:
    """Where a unit's settings are, or where one of them is changed."""
    query = {"unit": unit, "setting": setting, "done": done}
    return f"{PATH}?{urlencode({name: text for name, text in query.items() if text})}"


def _show(visit: Visit, status: int = 200, why: str = "") -> Response:
    form, tops = visit.form, unit_tree.tops(visit.holder.grants) or ["/"]
    chosen = _chosen(form.text("setting"))
    with visit.reading() as op:
        listed = [policy_operations.list_policies(op, top) for top in tops]
        unit = form.text("unit") or listed[0][0][0]
        policy_operations.list_policies(op, unit)  # or it says that there is no such unit
        concerned = reach(op, unit, chosen.setting) if chosen else None
        domain = domain_operations.list_domains(op)[0].name if visit.may(Privilege.UNITS_READ) else ""
    effective = listed[0][1].all_effective(unit)
    rows = [_row(visit, unit, one, effective[one.name]) for one in SHOWN.values() if one.path == PATH]
    row = next((one for one in rows if chosen and one.shown.name == chosen.name), None)
    return visit.page(
        "compliance.html",
        status,
        why=why,
        done=visit.said("Saved: it is in force at the next command of SMTP.") if form.text("done") else "",
        path=PATH,
        tree=[unit_tree.tree(paths[0], paths, domain, unit) for paths, _ in listed],
        unit=unit,
        name=unit_tree.name(unit, domain),
        rows=rows,
        row=row,
        entered=form.text("value") if why else in_words(effective[chosen.name].value) if chosen else "",
        concerned=concerned,
        most=MOST,
        back=path_of(unit),
        may_save=visit.may(Privilege.GMAIL_SETTINGS, unit),
    )


def _chosen(name: str) -> ShownSetting | None:
    if not name:
        return None
    found = SHOWN.get(name)
    if found is None or found.path != PATH:
        raise NotFound("there is no setting “{text}” here; choose one of the list", text=name)
    return found


def _row(visit: Visit, unit: str, shown: ShownSetting, effective: Effective) -> SettingRow:
    words = dict(shown.choices)
    value = in_words(effective.value)
    said = visit.said(words[value]) if value in words else value
    return SettingRow(shown, said, effective.source or "", effective.source == unit, path_of(unit, shown.name))


def _save(visit: Visit) -> Response:
    """Save, or inherit again."""
    form = visit.form
    chosen = _chosen(form.text("setting"))
    if chosen is None:
        raise NotFound("there is no setting “{text}” here; choose one of the list", text="")
    unit = form.text("unit", "/")
    try:
        with visit.writing() as op:
            if "inherit" in form:
                policy_operations.clear_policy(op, unit, chosen.setting)
            else:
                policy_operations.set_policy(op, unit, chosen.setting, form.text("value"))
    except Exception as error:
        return _show(visit, status_of(error), visit.said.error(error))
    return visit.go_to(path_of(unit, done="saved"))
