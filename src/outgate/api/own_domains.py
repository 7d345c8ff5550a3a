"""Outgate's own API: the outbound gateways of the organisation and of single domains, the domains, their DKIM keys."""

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.gateway_trying import failed_step
from outgate.api.google_error import not_found
from outgate.api.own_gateways import GatewayServer
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.api.problem_form import require_match
from outgate.deliver.probe import ProbeStep
from outgate.directory.domain_keys import KeyRecord, KeyStage, NewDkimKey
from outgate.directory.errors import Invalid
from outgate.directory.gateway_settings import GatewaySettings
from outgate.directory.organisation import Domain
from outgate.iso_time import iso
from outgate.mail import dkim
from outgate.model import Security
from outgate.operations import domain_gateway_operations, domain_operations
from outgate.operations.context import Change, OperationContext, rehearse
from outgate.operations.gateway_trial import GatewayUnusable, tentative

DOMAIN: Final = ApiParameter("domain", "The domain's name.")
OF_DOMAIN: Final = ApiParameter(
    "domain", "The domain whose own gateway is meant; left out: that of the whole organisation.", "query"
)
_RECORD: Final = "v=DKIM1; k=rsa; p=MIIBIjANBgkq"
_MOST_PEM: Final = 20_000  # characters


class WantedGateway(Resource):
    """Where the organisation's mail is to go. It is tried before it is saved."""

    host: str = Field(description="The name or IP address.", examples=["relay.example.net"])
    fallbacks: list[str] | None = Field(
        None,
        description="Further hosts, in turn; left out, those of the gateway stay whose host stays.",
        examples=[["relay2.example.net"]],
    )
    port: int = Field(description="The port.", examples=[587])
    security: Security = Field(
        Security.STARTTLS, description="How the connection is secured: none has no password.", examples=["starttls"]
    )
    username: str = Field("", description="Who logs in; empty: nobody.", examples=["example"])
    password: str = Field(
        "",
        repr=False,
        description="The password. Write-only; left out, that of the gateway stays whose hosts and user name stay.",
        examples=["a secret"],
    )


class DomainGateway(Resource):
    """The outbound gateway of the organisation, or the own one of a domain."""

    domain: str | None = Field(
        None, description="The domain; left out: of the whole organisation.", examples=["branch.example.com"]
    )
    server: GatewayServer = Field(description="Where it is.")


class DomainGatewayList(Resource):
    """All outbound gateways, that of the whole organisation first."""

    items: list[DomainGateway] = Field(description="The gateways.")


class DkimKeyResource(Resource):
    """A DKIM key of a domain, without its secret."""

    selector: str = Field(description="Where its record is.", examples=["outgate202601"])
    record: str = Field(description="What to publish there.", examples=[_RECORD])
    stage: KeyStage = Field(description="Whether it waits for its record, signs, or is retired.", examples=["signing"])
    signs_from: str | None = Field(None, description="Since when it signs.", examples=[MOMENT])
    removable_from: str | None = Field(None, description="From when on nobody needs its record, if it is retired.")

    @classmethod
    def of(cls, key: KeyRecord) -> "DkimKeyResource":
        """As the directory has it."""
        return cls(
            selector=key.selector,
            record=key.record,
            stage=key.stage,
            signs_from=iso(key.signs_from),
            removable_from=iso(key.removable_from),
        )


class DomainResource(Resource):
    """One of the organisation's domains."""

    name: str = Field(description="Its name.", examples=["example.com"])
    is_primary: bool = Field(description="Whether it is the first one.", examples=[True])
    dkim_keys: list[DkimKeyResource] = Field(description="Its keys, in the order in which they were made.")

    @classmethod
    def of(cls, domain: Domain) -> "DomainResource":
        """With its DKIM keys."""
        keys = [DkimKeyResource.of(one) for one in domain.keys]
        return cls(name=domain.name, is_primary=domain.is_primary, dkim_keys=keys)


class DomainList(Resource):
    """The organisation's domains, the primary first."""

    items: list[DomainResource] = Field(description="The domains.")


class NewDomain(Resource):
    """A further domain of the organisation."""

    name: str = Field(description="Its name.", examples=["example.org"])


class WantedDkimKey(Resource):
    """A key to sign a domain's mail with at once."""

    selector: str | None = Field(
        None, description="Where its record will be; left out: a new one with the current month.", examples=["s2027"]
    )
    private_key: str | None = Field(
        None,
        repr=False,
        max_length=_MOST_PEM,
        description="An RSA or Ed25519 key in PEM. Write-only; left out, one is made.",
    )


# --- the outbound gateway --------------------------------------------------------------------------------------------


def show_gateway(call: ApiCall) -> GatewayServer:
    """The one there is."""
    domain = _of_domain(call)
    with call.reading() as op:
        found = _shown(op, domain)
    if found is None and domain:
        raise not_found(f"{domain[:80]} has no outbound gateway of its own: its mail goes as the organisation's.")
    if found is None:
        raise not_found("No outbound gateway is set: mail goes to its recipients' exchangers.")
    return found


def list_gateways(call: ApiCall) -> DomainGatewayList:
    """All there are."""
    with call.reading() as op:
        found = domain_gateway_operations.listed(op)
    return DomainGatewayList(
        items=[DomainGateway(domain=domain or None, server=GatewayServer.of(one)) for domain, one in found.items()]
    )


def _of_domain(call: ApiCall) -> str:
    """Empty for the whole organisation."""
    return call.parameters.get("domain", "")


def _shown(op: OperationContext, domain: str) -> GatewayServer | None:
    found = domain_gateway_operations.show(op, domain)
    return GatewayServer.of(found) if found else None


async def set_gateway(call: ApiCall) -> GatewayServer:
    """Tried on the event loop, then saved."""
    wanted, domain = await call.in_thread(_wanted, call), _of_domain(call)

    def change(op: OperationContext) -> GatewayServer:
        require_match(call.request, lambda: _shown(op, domain))
        return GatewayServer.of(domain_gateway_operations.set_gateway(op, wanted, domain))

    await call.in_thread(rehearse, call, change)
    done: set[ProbeStep] = set()
    probed = await call.services.prober.domain_gateway(
        tentative(wanted), wanted.secret, lambda step, _detail: done.add(step)
    )
    if not probed.works:
        raise GatewayUnusable(wanted, f"{failed_step(done)}: {probed.detail}")

    def save() -> GatewayServer:
        with call.writing() as op:
            return change(op)

    return await call.in_thread(save)


def _wanted(call: ApiCall) -> GatewaySettings:
    """What is sent, with further hosts and password as they are if none are. Raises Invalid and what operations do."""
    sent, domain = call.resource(WantedGateway), _of_domain(call)
    with call.reading() as op:
        kept = domain_gateway_operations.show(op, domain)
    fallbacks: Sequence[str] = sent.fallbacks or ()
    if kept and sent.fallbacks is None and GatewaySettings.entered(sent.host, 25, "none").host == kept.host:
        fallbacks = kept.fallbacks

    def entered(password: str) -> GatewaySettings:
        return GatewaySettings.entered(
            sent.host, sent.port, sent.security, sent.username, password, fallbacks=fallbacks
        )

    if not sent.username or sent.password:
        return entered(sent.password)
    with_any = entered("kept")
    if kept is None or (kept.hosts, kept.username) != ((with_any.host, *with_any.fallbacks), with_any.username):
        raise Invalid("another server or user name needs its password as well")
    return entered(domain_gateway_operations.kept_password(call, with_any, domain))


def clear_gateway(call: ApiCall) -> None:
    """None any more."""
    domain = _of_domain(call)
    with call.writing() as op:
        require_match(call.request, lambda: _shown(op, domain))
        domain_gateway_operations.clear_gateway(op, domain)


# --- domains ---------------------------------------------------------------------------------------------------------


def list_domains(call: ApiCall) -> DomainList:
    """All of them."""
    with call.reading() as op:
        return DomainList(items=[DomainResource.of(one) for one in domain_operations.list_domains(op)])


def show_domain(call: ApiCall) -> DomainResource:
    """One of them."""
    with call.reading() as op:
        return DomainResource.of(domain_operations.show(op, call.parameters["domain"]))


def add_domain(call: ApiCall) -> DomainResource:
    """One more, without a key yet."""
    name = call.resource(NewDomain).name
    with call.writing() as op:
        domain_operations.add(op, name)
        return DomainResource.of(domain_operations.show(op, name))


def remove_domain(call: ApiCall) -> None:
    """One that no address uses."""
    name = call.parameters["domain"]
    with call.writing() as op:
        require_match(call.request, lambda: DomainResource.of(domain_operations.show(op, name)))
        domain_operations.remove(op, name)


def set_key(call: ApiCall) -> DomainResource:
    """One new key, from now on."""
    sent, name = call.resource(WantedDkimKey), call.parameters["domain"]
    selector = sent.selector or domain_operations.new_selector(call.services.now())
    with call.reading() as op:
        domain_operations.set_signing_key.require(op, name, NewDkimKey(selector, "", b""))  # before the work
    key = domain_operations.new_key(selector) if sent.private_key is None else _brought(selector, sent.private_key)

    def change(op: OperationContext) -> None:
        domain_operations.set_signing_key(op, name, key)

    return _changed(call, name, change)


def rotate(call: ApiCall) -> DomainResource:
    """New keys that sign when their records are seen."""
    name = call.parameters["domain"]
    with call.reading() as op:
        domain_operations.begin_rotation.require(op, name, ())
        domain_operations.show(op, name)  # there must be one before the work
    made = domain_operations.new_keys(call.services.now())
    return _changed(call, name, lambda op: domain_operations.begin_rotation(op, name, made))


def cancel_rotation(call: ApiCall) -> DomainResource:
    """The former keys go on."""
    name = call.parameters["domain"]
    return _changed(call, name, lambda op: domain_operations.cancel_rotation(op, name))


def _changed(call: ApiCall, name: str, change: Change[object]) -> DomainResource:
    with call.writing() as op:
        require_match(call.request, lambda: DomainResource.of(domain_operations.show(op, name)))
        change(op)
        return DomainResource.of(domain_operations.show(op, name))


def _brought(selector: str, text: str) -> NewDkimKey:
    pem = text.encode()
    try:
        dkim.load(pem)
    except ValueError as error:
        raise Invalid("privateKey: {fault}", fault=str(error)) from None
    return NewDkimKey(selector, dkim.dns_record(pem), pem)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(domain_gateway_operations.show, "GET", "domain-gateway", show_gateway, OF_DOMAIN, gives=GatewayServer),
    own_method(domain_gateway_operations.listed, "GET", "domain-gateways", list_gateways, gives=DomainGatewayList),
    own_method(
        domain_gateway_operations.set_gateway,
        "PUT",
        "domain-gateway",
        set_gateway,
        OF_DOMAIN,
        says="It is tried first, and not saved if it can't be used. Mail that waits is decided again.",
        takes=WantedGateway,
        gives=GatewayServer,
        besides=(domain_gateway_operations.show,),
        guarded_by=(domain_gateway_operations.show,),
    ),
    own_method(
        domain_gateway_operations.clear_gateway,
        "DELETE",
        "domain-gateway",
        clear_gateway,
        OF_DOMAIN,
        guarded_by=(domain_gateway_operations.show,),
    ),
    own_method(domain_operations.list_domains, "GET", "domains", list_domains, gives=DomainList),
    own_method(
        domain_operations.add,
        "POST",
        "domains",
        add_domain,
        takes=NewDomain,
        gives=DomainResource,
        besides=(domain_operations.show,),
    ),
    own_method(domain_operations.show, "GET", "domains/{domain}", show_domain, DOMAIN, gives=DomainResource),
    own_method(
        domain_operations.remove,
        "DELETE",
        "domains/{domain}",
        remove_domain,
        DOMAIN,
        guarded_by=(domain_operations.show,),
    ),
    own_method(
        domain_operations.set_signing_key,
        "POST",
        "domains/{domain}/dkim-key",
        set_key,
        DOMAIN,
        says="What to publish in the DNS is answered; until it is there, recipients can't check signatures.",
        takes=WantedDkimKey,
        gives=DomainResource,
        besides=(domain_operations.show,),
        guarded_by=(domain_operations.show,),
    ),
    own_method(
        domain_operations.begin_rotation,
        "POST",
        "domains/{domain}/dkim-rotation",
        rotate,
        DOMAIN,
        says="The server looks for them by itself. What to publish is answered.",
        gives=DomainResource,
        besides=(domain_operations.show,),
        guarded_by=(domain_operations.show,),
    ),
    own_method(
        domain_operations.cancel_rotation,
        "DELETE",
        "domains/{domain}/dkim-rotation",
        cancel_rotation,
        DOMAIN,
        gives=DomainResource,
        besides=(domain_operations.show,),
        guarded_by=(domain_operations.show,),
    ),
)
