"""Gmail's `users.settings.sendAs`: a user's From addresses with their gateways.

A gateway is tried before it is saved. What `update` does not name is as it is in a new address; what `patch` does not
name stays. A gateway whose password is not sent stays as it is, if nothing else of it changes.
"""

from collections.abc import Callable
from typing import Final

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter
from outgate.api.gateway_trying import save_after_trial
from outgate.api.gmail_scopes import MAIL, MODIFY, READONLY, SETTINGS_BASIC, SETTINGS_SHARING
from outgate.api.google_error import invalid, precondition
from outgate.api.send_as_resource import SendAsList, SendAsResource, SmtpMsa
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Gateway, SendAs
from outgate.operations import confirmation_operations, gateway_operations, send_as_operations
from outgate.operations.account_lookup import entry_of
from outgate.operations.context import OperationContext
from outgate.operations.send_as_operations import NewAddress, WrittenSignature

PRIMARY: Final = "Cannot delete primary send-as"  # clients look for it

_PATH: Final = "gmail/v1/users/{userId}/settings/sendAs"
_ONE: Final = f"{_PATH}/{{sendAsEmail}}"
_USER: Final = ApiParameter(
    "userId", "The user's primary address, or `me`: the one that the token acts for.", default="me"
)
_ADDRESS: Final = ApiParameter("sendAsEmail", "The From address.")
_MAY_READ: Final = (MAIL, MODIFY, READONLY, SETTINGS_BASIC)
_MAY_CHANGE: Final = (SETTINGS_BASIC, SETTINGS_SHARING)


# --- looking ---------------------------------------------------------------------------------------------------------


def list_(call: ApiCall) -> SendAsList:
    """All of a user's."""
    with call.reading() as op:
        account = send_as_operations.account(op, call.user())
        signatures = send_as_operations.signatures(op, call.user())
    found = [SendAsResource.of(entry, signatures.get(entry.address, "")) for entry in account.send_as.values()]
    return SendAsList(send_as=found)


def get(call: ApiCall) -> SendAsResource:
    """One of them."""
    return _resource(call, _entry(call))


def _resource(call: ApiCall, entry: SendAs) -> SendAsResource:
    with call.reading() as op:
        signatures = send_as_operations.signatures(op, call.user())
    return SendAsResource.of(entry, signatures.get(entry.address, ""))


def _entry(call: ApiCall) -> SendAs:
    with call.reading() as op:
        return entry_of(send_as_operations.account(op, call.user()), call.parameters["sendAsEmail"])


# --- changing --------------------------------------------------------------------------------------------------------


async def create(call: ApiCall) -> SendAsResource:
    """Add an address, once its gateway was tried."""
    user, sent = call.user(), call.resource(SendAsResource)
    if not sent.send_as_email:
        raise invalid("Invalid send-as: sendAsEmail is missing.")
    wanted = NewAddress(
        address=sent.send_as_email,
        display_name=sent.display_name or "",
        reply_to=sent.reply_to_address or "",
        treat_as_alias=sent.treat_as_alias is not False,
        make_default=bool(sent.is_default),
        gateway=None if _is_none(sent.smtp_msa) else _settings(sent.smtp_msa),
    )
    confirmation, signature = call.services.confirmation, await _signature(call, sent)

    def change(op: OperationContext) -> SendAs:
        made = send_as_operations.create(op, user, wanted, confirmation)
        if signature and signature.html:
            send_as_operations.set_signature(op, user, made.address, signature)
        return made

    return await _saved(call, change, wanted.gateway, wanted.address)


async def update(call: ApiCall) -> SendAsResource:
    """Write an address whole."""
    sent = call.resource(SendAsResource)
    blank = SendAsResource(display_name="", reply_to_address="", signature="", treat_as_alias=True, smtp_msa=SmtpMsa())
    given = {name: value for name, value in _given(sent).items() if value is not None}
    return await _change(call, blank.model_copy(update=given))


async def patch(call: ApiCall) -> SendAsResource:
    """Write what is named."""
    sent = call.resource(SendAsResource)
    if "smtp_msa" in sent.model_fields_set and sent.smtp_msa is None:
        sent = sent.model_copy(update={"smtp_msa": SmtpMsa()})
    return await _change(call, sent)


async def _change(call: ApiCall, sent: SendAsResource) -> SendAsResource:
    entry = await call.in_thread(_entry, call)
    if not entry.is_primary:
        call.require_scope(SETTINGS_SHARING)
    user, address = call.user(), entry.address
    if sent.send_as_email and sent.send_as_email.lower() != address:
        raise invalid("Invalid send-as: sendAsEmail can't be changed.")
    settings, signature = _gateway_wanted(entry, sent.smtp_msa), await _signature(call, sent)

    def change(op: OperationContext) -> SendAs:
        changed = send_as_operations.edit(
            op,
            user,
            address,
            display_name=sent.display_name,
            reply_to=sent.reply_to_address,
            treat_as_alias=None if entry.is_primary else sent.treat_as_alias,
            make_default=bool(sent.is_default),
        )
        if signature is not None:
            send_as_operations.set_signature(op, user, address, signature)
        if settings:
            return gateway_operations.set_gateway(op, user, address, settings)
        if sent.smtp_msa is not None and _is_none(sent.smtp_msa) and entry.gateway:
            return gateway_operations.clear_gateway(op, user, address)
        return changed

    return await _saved(call, change, settings, address)


async def _signature(call: ApiCall, sent: SendAsResource) -> WrittenSignature | None:
    """As it is kept; None if none is sent. Raises Invalid."""
    return None if sent.signature is None else await call.in_thread(WrittenSignature.of, sent.signature)


def _gateway_wanted(entry: SendAs, msa: SmtpMsa | None) -> GatewaySettings | None:
    """The gateway to set; None to leave or to clear it. One of which nothing changes is left, however it logs in."""
    if msa is None or _is_none(msa):
        return None
    if entry.gateway is None or msa.password:
        return _settings(msa, entry.gateway)
    if not _keeps(msa, entry.gateway):
        raise invalid("Invalid smtpMsa: another server or user name needs its password as well.")
    return None


async def _saved(
    call: ApiCall, change: Callable[[OperationContext], SendAs], settings: GatewaySettings | None, address: str
) -> SendAsResource:
    saved = await save_after_trial(call, change, settings, address)
    return await call.in_thread(_resource, call, saved)


def delete(call: ApiCall) -> None:
    """Take an address away, with its proof."""
    if _entry(call).is_primary:
        raise invalid(PRIMARY)
    with call.writing() as op:
        send_as_operations.remove(op, call.user(), call.parameters["sendAsEmail"])


def verify(call: ApiCall) -> None:
    """Mail a new code."""
    entry = _entry(call)
    if entry.verified:
        raise precondition(f"{entry.address} is confirmed already.")
    with call.writing() as op:
        confirmation_operations.resend(op, call.user(), entry.address, call.services.confirmation)


# --- what is sent of a gateway ---------------------------------------------------------------------------------------


def _given(sent: SendAsResource) -> dict[str, object]:
    return {name: getattr(sent, name) for name in sent.model_fields_set}


def _is_none(msa: SmtpMsa | None) -> bool:
    return msa is None or msa.is_empty


def _keeps(msa: SmtpMsa, gateway: Gateway) -> bool:
    """Whether nothing that is sent differs from the gateway that there is."""
    pairs = ((msa.host, gateway.host), (msa.port, gateway.port), (msa.username, gateway.username))
    security = _security(msa)
    return all(sent in (None, kept) for sent, kept in pairs) and security in ("", gateway.security.value)


def _settings(msa: SmtpMsa | None, kept: Gateway | None = None) -> GatewaySettings:
    """What is sent, completed by what there is. Raises ApiError and directory.errors.Invalid."""
    assert msa
    host = msa.host or (kept.host if kept else "")
    port = msa.port or (kept.port if kept else 0)
    if not host or not port:
        raise invalid("Invalid smtpMsa: host and port are required.")
    security = _security(msa) or (kept.security.value if kept else "starttls")
    username = msa.username if msa.username is not None else kept.username if kept else ""
    return GatewaySettings.entered(host, port, security, username, msa.password or "")


def _security(msa: SmtpMsa) -> str:
    """Empty if it is left out."""
    mode = msa.security_mode
    return "" if mode in (None, "securityModeUnspecified") else str(mode)


METHODS: Final = (
    ApiMethod(
        id="gmail.users.settings.sendAs.list",
        verb="GET",
        path=_PATH,
        description="Lists the From addresses of an account, the primary one among them.",
        scopes=_MAY_READ,
        answer=list_,
        parameters=(_USER,),
        gives=SendAsList,
        of_directory=True,
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.create",
        verb="POST",
        path=_PATH,
        description="Adds a From address. Its gateway is tried before; its owner is mailed a code to confirm it with.",
        scopes=(SETTINGS_SHARING,),
        answer=create,
        parameters=(_USER,),
        takes=SendAsResource,
        gives=SendAsResource,
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.verify",
        verb="POST",
        path=f"{_ONE}/verify",
        description="Mails a new code to an address that is not confirmed yet.",
        scopes=(SETTINGS_SHARING,),
        answer=verify,
        parameters=(_USER, _ADDRESS),
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.get",
        verb="GET",
        path=_ONE,
        description="Gets a From address. It fails with HTTP 404 if the account has no such address.",
        scopes=_MAY_READ,
        answer=get,
        parameters=(_USER, _ADDRESS),
        gives=SendAsResource,
        of_directory=True,
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.update",
        verb="PUT",
        path=_ONE,
        description="Writes a From address whole. Only the primary one may be changed without gmail.settings.sharing.",
        scopes=_MAY_CHANGE,
        answer=update,
        parameters=(_USER, _ADDRESS),
        takes=SendAsResource,
        gives=SendAsResource,
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.patch",
        verb="PATCH",
        path=_ONE,
        description="Changes what is named of a From address.",
        scopes=_MAY_CHANGE,
        answer=patch,
        parameters=(_USER, _ADDRESS),
        takes=SendAsResource,
        gives=SendAsResource,
    ),
    ApiMethod(
        id="gmail.users.settings.sendAs.delete",
        verb="DELETE",
        path=_ONE,
        description="Deletes a From address, with its confirmation and its gateway.",
        scopes=(SETTINGS_SHARING,),
        answer=delete,
        parameters=(_USER, _ADDRESS),
    ),
)
