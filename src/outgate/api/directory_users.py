"""The Directory API's `users` and `users.aliases`.

The user that the token acts for needs the privileges that the console asks for. What is asked for of one user is done
whole, or not at all.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import CHANGES, ApiMethod, ApiParameter
from outgate.api.directory_resources import (
    CUSTOMER_ID,
    AliasList,
    AliasResource,
    UserList,
    UserNameResource,
    UserResource,
)
from outgate.api.google_error import invalid, not_found
from outgate.directory.change import compared
from outgate.directory.users import Credentials, UserFilter
from outgate.model import Account, SendAs
from outgate.operations import send_as_operations, user_operations
from outgate.operations.account_lookup import address_of_key
from outgate.operations.context import OperationContext

USERS: Final = "https://www.googleapis.com/auth/admin.directory.user"
USERS_READONLY: Final = f"{USERS}.readonly"
ALIASES: Final = f"{USERS}.alias"
ALIASES_READONLY: Final = f"{ALIASES}.readonly"
USER_SCOPES: Final = {
    USERS: "See, add, change and delete users",
    USERS_READONLY: "See users",
    ALIASES: "See, add and delete users' other addresses in the own domains",
    ALIASES_READONLY: "See users' other addresses in the own domains",
}

_USUAL: Final = 100  # users of a page
_MOST: Final = 500
_CLAUSE: Final = re.compile(
    r"""\s*(?:(?P<name>orgUnitPath|isSuspended|email|name)\s*(?P<sign>[:=])\s*)?(?:'(?P<quoted>[^']*)'|(?P<plain>[^\s'=:]+))"""
)


# --- looking ---------------------------------------------------------------------------------------------------------


def list_(call: ApiCall) -> UserList:
    """A page of them. Those of a domain are looked for within the page."""
    given = call.parameters
    if given.get("customer", CUSTOMER_ID) != CUSTOMER_ID:
        raise not_found()
    if given.get("showDeleted") == "true":
        return UserList()  # who is deleted is gone
    limit = min(int(given.get("maxResults", _USUAL)) or _USUAL, _MOST)
    wanted = replace(_asked(given.get("query", "")), after=given.get("pageToken", ""), limit=limit)
    with call.reading() as op:
        found = user_operations.search(op, wanted, wanted.unit)
    ending = f"@{given['domain'].lower()}" if "domain" in given else ""
    return UserList(
        users=[UserResource.of(one) for one in found if one.address.endswith(ending)],
        next_page_token=found[-1].address if len(found) == limit else None,
    )


def _asked(query: str) -> UserFilter:
    """What a query asks for. Raises ApiError."""
    wanted, position = UserFilter(), 0
    while query[position:].strip():
        match = _CLAUSE.match(query, position)
        if match is None:
            raise _not_known(query[position:])
        wanted, position = _with(wanted, match), match.end()
    return wanted


def _with(wanted: UserFilter, clause: re.Match[str]) -> UserFilter:
    text = clause["quoted"] if clause["plain"] is None else clause["plain"]
    match clause["name"], clause["sign"]:
        case "orgUnitPath", "=":
            return replace(wanted, unit=_path(text))
        case "isSuspended", "=" if text in ("true", "false"):
            return replace(wanted, suspended=text == "true")
        case (("email" | "name" | None), (":" | None)) if not wanted.text:
            return replace(wanted, text=text.removesuffix("*"))
    raise _not_known(clause[0])


def _not_known(text: str) -> Exception:
    return invalid(
        f"Invalid query: '{text.strip()[:80]}' is not known here; there are one of email:, name: or a word, and"
        " orgUnitPath= and isSuspended=."
    )


def get(call: ApiCall) -> UserResource:
    """One of them."""
    with call.reading() as op:
        return _shown(op, _address(call, op))


def _address(call: ApiCall, op: OperationContext) -> str:
    return address_of_key(op, call.parameters["userKey"])


def _shown(op: OperationContext, address: str) -> UserResource:
    return UserResource.of(user_operations.show(op, address).user)


# --- changing --------------------------------------------------------------------------------------------------------


def insert(call: ApiCall) -> UserResource:
    """A new one."""
    sent = call.resource(UserResource)
    if not sent.primary_email:
        raise invalid("Invalid user: primaryEmail is missing.")
    credentials = _credentials(call, sent)
    name = (sent.name or UserNameResource()).text("")
    with call.writing() as op:
        made = user_operations.create(
            op, sent.primary_email, credentials, name=name, unit=_path(sent.org_unit_path or "/")
        )
        if sent.suspended:
            user_operations.suspend(op, made.address)
        return _shown(op, made.address)


def patch(call: ApiCall) -> UserResource:
    """Change what is named; so does `update`, as at Google."""
    sent = call.resource(UserResource)
    credentials = _credentials(call, sent)
    with call.writing() as op:
        user = user_operations.show(op, _address(call, op)).user
        if sent.primary_email and compared(sent.primary_email) != user.address:
            raise invalid("Invalid user: primaryEmail can't be changed; make another user, and transfer the addresses.")
        if sent.name is not None and (name := sent.name.text(user.name)) != user.name:
            user_operations.edit(op, user.address, name=name)
        if sent.org_unit_path and _path(sent.org_unit_path) != user.unit:
            user_operations.move(op, user.address, _path(sent.org_unit_path))
        if credentials:
            user_operations.set_password(op, user.address, credentials)
        if sent.suspended is not None and sent.suspended != user.suspended:
            (user_operations.suspend if sent.suspended else user_operations.resume)(op, user.address)
        return _shown(op, user.address)


def delete(call: ApiCall) -> None:
    """Delete one, with all addresses, gateways and passwords."""
    with call.writing() as op:
        user_operations.remove(op, _address(call, op))


def _credentials(call: ApiCall, sent: UserResource) -> Credentials | None:
    """Derived before the transaction, since it takes a good part of a second. Raises Invalid."""
    if not sent.password:
        return None
    return Credentials.derive(sent.password, call.services.config.log_in.scram_iterations)


def _path(text: str) -> str:
    """With its slash, which Google's tools may leave out."""
    return text if text.startswith("/") else f"/{text}"


# --- aliases ---------------------------------------------------------------------------------------------------------


def list_aliases(call: ApiCall) -> AliasList:
    """A user's other addresses in the own domains."""
    with call.reading() as op:
        address = _address(call, op)
        account = send_as_operations.account(op, address)
    told = [_alias(account, one.address).model_dump(by_alias=True) for one in _aliases(account).values()]
    return AliasList(aliases=told)


def insert_alias(call: ApiCall) -> AliasResource:
    """Give a user one, without a proof."""
    sent = call.resource(AliasResource)
    if not sent.alias:
        raise invalid("Invalid alias: alias is missing.")
    with call.writing() as op:
        address = _address(call, op)
        made = send_as_operations.grant(op, address, sent.alias)
        return _alias(send_as_operations.account(op, address), made.address)


def delete_alias(call: ApiCall) -> None:
    """Take one away, with its gateway."""
    with call.writing() as op:
        address = _address(call, op)
        alias = compared(call.parameters["alias"])
        if alias not in _aliases(send_as_operations.account(op, address)):
            raise not_found()
        send_as_operations.remove(op, address, alias)


def _aliases(account: Account) -> Mapping[str, SendAs]:
    return {
        name: one for name, one in account.send_as.items() if one.own_domain and one.verified and not one.is_primary
    }


def _alias(account: Account, address: str) -> AliasResource:
    return AliasResource(kind="admin#directory#alias", id=str(account.id), primary_email=account.primary, alias=address)


_KEY: Final = ApiParameter("userKey", "The user's primary address, or number.")
_PATH: Final = "admin/directory/v1/users"
_ONE: Final = f"{_PATH}/{{userKey}}"
_ALIASES: Final = f"{_ONE}/aliases"
_MAY_READ: Final = (USERS, USERS_READONLY)
_MAY_READ_ALIASES: Final = (USERS, USERS_READONLY, ALIASES, ALIASES_READONLY)
_MAY_CHANGE_ALIASES: Final = (USERS, ALIASES)

METHODS: Final = (
    ApiMethod(
        id="directory.users.list",
        verb="GET",
        path=_PATH,
        description="Lists users by their addresses.",
        scopes=_MAY_READ,
        answer=list_,
        parameters=(
            ApiParameter("customer", "my_customer", "query"),
            ApiParameter("domain", "Only those with addresses in this domain.", "query"),
            ApiParameter("query", "A word, email:, name:, orgUnitPath= (with those below), isSuspended=.", "query"),
            ApiParameter("maxResults", "At most so many; 500 at most.", "query", "integer", "int32", str(_USUAL)),
            ApiParameter("pageToken", "The page that an answer's nextPageToken names.", "query"),
            ApiParameter("orderBy", "By address, as they are always.", "query", enum=("email",)),
            ApiParameter("sortOrder", "As they are always.", "query", enum=("ASCENDING",)),
            ApiParameter("showDeleted", "true: none, since who is deleted is gone.", "query"),
        ),
        gives=UserList,
    ),
    ApiMethod(
        id="directory.users.insert",
        verb="POST",
        path=_PATH,
        description="Adds a user. Without a password nobody logs in as them.",
        scopes=(USERS,),
        answer=insert,
        takes=UserResource,
        gives=UserResource,
    ),
    ApiMethod(
        id="directory.users.get",
        verb="GET",
        path=_ONE,
        description="Gets a user.",
        scopes=_MAY_READ,
        answer=get,
        parameters=(_KEY,),
        gives=UserResource,
    ),
    *(
        ApiMethod(
            id=f"directory.users.{name}",
            verb=verb,
            path=_ONE,
            description="Changes what is named of a user; suspends and resumes.",
            scopes=(USERS,),
            answer=patch,
            parameters=(_KEY,),
            takes=UserResource,
            gives=UserResource,
        )
        for name, verb in CHANGES
    ),
    ApiMethod(
        id="directory.users.delete",
        verb="DELETE",
        path=_ONE,
        description="Deletes a user with all their addresses, gateways and passwords. It can't be undone.",
        scopes=(USERS,),
        answer=delete,
        parameters=(_KEY,),
    ),
    ApiMethod(
        id="directory.users.aliases.list",
        verb="GET",
        path=_ALIASES,
        description="Lists a user's other addresses in the own domains.",
        scopes=_MAY_READ_ALIASES,
        answer=list_aliases,
        parameters=(_KEY,),
        gives=AliasList,
    ),
    ApiMethod(
        id="directory.users.aliases.insert",
        verb="POST",
        path=_ALIASES,
        description="Gives a user another address in the own domains, without a proof.",
        scopes=_MAY_CHANGE_ALIASES,
        answer=insert_alias,
        parameters=(_KEY,),
        takes=AliasResource,
        gives=AliasResource,
    ),
    ApiMethod(
        id="directory.users.aliases.delete",
        verb="DELETE",
        path=f"{_ALIASES}/{{alias}}",
        description="Takes such an address away, with its gateway.",
        scopes=_MAY_CHANGE_ALIASES,
        answer=delete_alias,
        parameters=(_KEY, ApiParameter("alias", "The address.")),
    ),
)
