"""The Directory API's `orgunits`: the tree of units. A unit is named by its path, or its number as in `id:3`."""

from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import CHANGES, ApiMethod, ApiParameter
from outgate.api.directory_resources import CUSTOMER_ID, OrgUnitList, OrgUnitResource
from outgate.api.google_error import invalid, not_found
from outgate.directory.units import OrgUnit, normal_path
from outgate.operations import unit_operations
from outgate.operations.context import OperationContext

UNITS: Final = "https://www.googleapis.com/auth/admin.directory.orgunit"
UNITS_READONLY: Final = f"{UNITS}.readonly"
UNIT_SCOPES: Final = {UNITS: "See, add, move and remove units", UNITS_READONLY: "See units"}


def list_(call: ApiCall) -> OrgUnitList:
    """Those right below a unit, or all below it."""
    _of_ours(call)
    given = call.parameters
    with call.reading() as op:
        tree = unit_operations.tree(op)
    top = _found(tree, given.get("orgUnitPath") or "/")
    wanted = given.get("type", "children")
    below = f"{top.path.rstrip('/')}/"
    found = [
        one
        for one in tree
        if (one.parent_id == top.id if wanted == "children" else one.path.startswith(below) and one.id != top.id)
        or (wanted == "allIncludingParent" and one.id == top.id)
    ]
    return OrgUnitList(organization_units=[OrgUnitResource.of(one) for one in found])


def get(call: ApiCall) -> OrgUnitResource:
    """One of them."""
    with call.reading() as op:
        return OrgUnitResource.of(_named(call, op))


def insert(call: ApiCall) -> OrgUnitResource:
    """A new one below another."""
    _of_ours(call)
    sent = _sent(call)
    if not sent.name:
        raise invalid("Invalid unit: name is missing.")
    with call.writing() as op:
        tree = unit_operations.tree(op)
        above = _parent(tree, sent, None) or _found(tree, "/")
        made = unit_operations.create(op, _below(above.path, sent.name))
        return OrgUnitResource.of(_found(unit_operations.tree(op), made))


def patch(call: ApiCall) -> OrgUnitResource:
    """Rename one, or put it elsewhere with everything below it; so does `update`."""
    sent = _sent(call)
    with call.writing() as op:
        unit = _named(call, op)
        present, _, name = unit.path.rpartition("/")
        above = _parent(unit_operations.tree(op), sent, unit.parent_id)
        to = _below(above.path if above else present, sent.name or name)
        if to != unit.path:
            unit_operations.move(op, unit.path, to)
        return OrgUnitResource.of(_found(unit_operations.tree(op), to))


def delete(call: ApiCall) -> None:
    """Remove one that is empty, with its policy."""
    with call.writing() as op:
        unit_operations.remove(op, _named(call, op).path)


def _sent(call: ApiCall) -> OrgUnitResource:
    sent = call.resource(OrgUnitResource)
    if sent.description:
        raise invalid("Invalid unit: units have no description here; leave it out.")
    return sent


def _parent(tree: tuple[OrgUnit, ...], sent: OrgUnitResource, present: int | None) -> OrgUnit | None:
    """The unit above that is wanted, None if that is the present one. Programs send the number and the path as they
    have read them, and change one: what differs from the present one counts. Raises ApiError.
    """
    named = [_found(tree, text) for text in (sent.parent_org_unit_id, sent.parent_org_unit_path) if text]
    wanted = {one.id: one for one in named if one.id != present}
    if len(wanted) > 1:
        raise invalid("Invalid unit: parentOrgUnitId and parentOrgUnitPath name different units; send one of them.")
    return next(iter(wanted.values()), None)


def _below(above: str, name: str) -> str:
    """Raises ApiError and Invalid."""
    if "/" in name:
        raise invalid("Invalid unit: name is the last part of its path, without a slash.")
    return normal_path(f"{above.rstrip('/')}/{name}")


def _of_ours(call: ApiCall) -> None:
    """Raises ApiError for another organisation."""
    if call.parameters["customerId"] != CUSTOMER_ID:
        raise not_found()


def _named(call: ApiCall, op: OperationContext) -> OrgUnit:
    """The unit in the path. Raises ApiError."""
    _of_ours(call)
    return _found(unit_operations.tree(op), call.parameters["orgUnitPath"])


def _found(tree: tuple[OrgUnit, ...], text: str) -> OrgUnit:
    wanted = text if text.startswith(("/", "id:")) else f"/{text}"
    found = next((one for one in tree if wanted in (one.path, f"id:{one.id}")), None)
    if found is None:
        raise not_found()
    return found


_PATH: Final = "admin/directory/v1/customer/{customerId}/orgunits"
_ONE: Final = f"{_PATH}/{{+orgUnitPath}}"
_FLAT: Final = f"{_PATH}/{{orgunitsId}}"
_CUSTOMER: Final = ApiParameter("customerId", CUSTOMER_ID)
_UNIT: Final = ApiParameter("orgUnitPath", "The path, as in Sales/Italy, or the number, as in id:3.")
_MAY_READ: Final = (UNITS, UNITS_READONLY)

METHODS: Final = (
    ApiMethod(
        id="directory.orgunits.list",
        verb="GET",
        path=_PATH,
        description="Lists the units below one, which is the root if none is named.",
        scopes=_MAY_READ,
        answer=list_,
        parameters=(
            _CUSTOMER,
            ApiParameter("orgUnitPath", "The path or number of the unit above.", "query"),
            ApiParameter(
                "type",
                "Those right below it, which are meant if it is left out, or all, or all and itself.",
                "query",
                enum=("all", "children", "allIncludingParent"),
            ),
        ),
        gives=OrgUnitList,
    ),
    ApiMethod(
        id="directory.orgunits.insert",
        verb="POST",
        path=_PATH,
        description="Adds a unit.",
        scopes=(UNITS,),
        answer=insert,
        parameters=(_CUSTOMER,),
        takes=OrgUnitResource,
        gives=OrgUnitResource,
    ),
    ApiMethod(
        id="directory.orgunits.get",
        verb="GET",
        path=_ONE,
        flat_path=_FLAT,
        description="Gets a unit.",
        scopes=_MAY_READ,
        answer=get,
        parameters=(_CUSTOMER, _UNIT),
        gives=OrgUnitResource,
    ),
    *(
        ApiMethod(
            id=f"directory.orgunits.{name}",
            verb=verb,
            path=_ONE,
            flat_path=_FLAT,
            description="Renames a unit, or puts it elsewhere, with everything below it.",
            scopes=(UNITS,),
            answer=patch,
            parameters=(_CUSTOMER, _UNIT),
            takes=OrgUnitResource,
            gives=OrgUnitResource,
        )
        for name, verb in CHANGES
    ),
    ApiMethod(
        id="directory.orgunits.delete",
        verb="DELETE",
        path=_ONE,
        flat_path=_FLAT,
        description="Removes a unit that is empty, with its policy.",
        scopes=(UNITS,),
        answer=delete,
        parameters=(_CUSTOMER, _UNIT),
    ),
)
