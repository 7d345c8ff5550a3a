"""A right request to each method of the APIs: what it names is made by the APIs themselves, where it is to be used up.

What is there at the beginning stays as it is, and of what is made not much is there at a time. Knows neither
descriptions nor how answers are judged.
"""

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import requests

from outgate.frozen import frozen

_ORGANISATION: Final = {"customer": "my_customer", "customerId": "my_customer"}
_ROLES: Final = "/admin/directory/v1/customer/my_customer/roles"
_ASSIGNMENTS: Final = "/admin/directory/v1/customer/my_customer/roleassignments"
_UNITS: Final = "/admin/directory/v1/customer/my_customer/orgunits"
_USERS: Final = "/admin/directory/v1/users"
_GMAIL: Final = "/gmail/v1/users/me"
_OWN: Final = "/api/v1"
_SCHEDULE: Final = {"retryFirst": 600, "giveUpAfter": 864000, "reason": "they are moving"}
_PER_DAY: Final = {"setting": {"type": "settings/outgate.messages_per_day", "value": {"messagesPerDay": 100_000}}}
# Of what there may be so many alone: where it is listed, as what, and by what it is named.
_FEW: Final = (
    (f"{_GMAIL}/settings/sendAs", "sendAs", "sendAsEmail"),
    (f"{_GMAIL}/drafts", "drafts", "id"),
    (f"{_OWN}/rules", "items", "name"),
    (f"{_OWN}/webhooks", "items", "name"),
    (f"{_OWN}/schedules", "items", "destination"),
)
_MADE_BETWEEN: Final = 50  # before they are removed
PROVEN: Final = "proven.example"  # is an outside domain, proven whole
CAROL: Final = "carol@recipient.example"


@frozen
class RightRequest:
    """What a request has in its path, its query and its body (None: nothing)."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


Make = Callable[["Stock"], str]


class NotMade(Exception):
    """What was asked for rightly was refused."""


@dataclass
class Stock:
    """Things for requests to name. `session` asks as alice, who may do everything; `gateway` is one that works, and
    `served` an address of hers that has it; mail from `stuck` waits. `mailed_code` tells what is mailed to an address
    of hers that waits for its proof.
    """

    url: str
    session: requests.Session
    gateway: Mapping[str, Any]
    served: str
    stuck: str
    node: str
    domain_key: str
    mailed_code: Callable[[str], str]
    _at_hand: dict[str, Any] = field(default_factory=dict)  # what was made for all that leave it there, by its kind
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._kept = {path: self._names(path, kind, name) for path, kind, name in _FEW}

    def request(self, method_id: str) -> RightRequest:
        """One to this method."""
        made = _RIGHT[method_id](self) if method_id in _RIGHT else RightRequest()
        return RightRequest({**_ORGANISATION, "userId": "me", "user": "me", **made.path}, made.query, made.body)

    def _ask(self, verb: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(verb, f"{self.url}{path}", json=body, timeout=30)
        if not answer.ok:
            raise NotMade(f"{verb} {path}: {answer.text}")
        return answer.json() if answer.content else None

    def name(self, kind: str) -> str:
        """Another one each time."""
        number = next(self._numbers)
        if number % _MADE_BETWEEN == 0:
            self._clear()
        return f"{kind}-{number}"

    def kept(self, make: "Make") -> str:
        """What such a request has made, the same each time until it is cleared away."""
        made: str = self._at_hand.get(make.__name__) or make(self)
        self._at_hand[make.__name__] = made
        return made

    def _names(self, path: str, kind: str, name: str) -> set[str]:
        return {one[name] for one in self._ask("GET", path).get(kind, [])}

    def _clear(self) -> None:
        """Only that is left which was there at the beginning."""
        self._at_hand.clear()
        for one in self._ask("GET", f"{_OWN}/address-grants")["items"]:
            whose = {name: one[name] for name in ("address", "user", "unit", "group") if name in one}
            self._ask("POST", f"{_OWN}/address-grants/revoke", whose)
        for path, kind, name in _FEW:
            for found in self._names(path, kind, name) - self._kept[path]:
                self._ask("DELETE", f"{path}/{quote(found, safe='')}")

    # --- what is made ------------------------------------------------------------------------------------------------

    def role(self) -> str:
        return str(self._ask("POST", _ROLES, role_body(self))["roleId"])

    def user(self) -> str:
        return str(self._ask("POST", _USERS, user_body(self))["primaryEmail"])

    def assignment(self) -> str:
        return str(self._ask("POST", _ASSIGNMENTS, assignment_body(self))["roleAssignmentId"])

    def unit(self) -> str:
        return str(self._ask("POST", _UNITS, unit_body(self))["orgUnitId"])

    def alias(self, user: str) -> str:
        return str(self._ask("POST", f"{_USERS}/{user}/aliases", alias_body(self))["alias"])

    def policy(self) -> str:
        made: str = self._ask("POST", "/v1/policies", policy_body(self))["response"]["name"]
        return made.removeprefix("policies/")

    def address(self) -> str:
        """It waits for its proof."""
        made = self._ask("POST", f"{_GMAIL}/settings/sendAs", {"sendAsEmail": self._partner()})
        return str(made["sendAsEmail"])

    def _partner(self) -> str:
        return f"{self.name('alice')}@dominiopartner.example"

    def draft(self) -> str:
        return str(self._ask("POST", f"{_GMAIL}/drafts", draft_body(self))["id"])

    def message(self) -> str:
        """It waits."""
        return str(self._ask("POST", f"{_GMAIL}/messages/send", message_body(self))["id"])

    def rule(self) -> str:
        return str(self._ask("POST", f"{_OWN}/rules", rule_body(self))["name"])

    def webhook(self) -> str:
        return str(self._ask("POST", f"{_OWN}/webhooks", webhook_body(self))["name"])

    def stopped_webhook(self) -> str:
        made = self.webhook()
        self._ask("POST", f"{_OWN}/webhooks/{made}/stop")
        return made

    def domain(self) -> str:
        return str(self._ask("POST", f"{_OWN}/domains", {"name": f"{self.name('d')}.example"})["name"])

    def domain_that_signs(self) -> str:
        made = self.domain()
        self._ask("POST", f"{_OWN}/domains/{made}/dkim-key", {"privateKey": self.domain_key})
        return made

    def domain_in_rotation(self) -> str:
        made = self.domain_that_signs()
        self._ask("POST", f"{_OWN}/domains/{made}/dkim-rotation")
        return made

    def domain_with_gateway(self) -> str:
        made = self.domain()
        self._ask("PUT", f"{_OWN}/domain-gateway?domain={made}", domain_gateway_body(self))
        return made

    def proof(self) -> str:
        return str(self._ask("POST", f"{_OWN}/domain-proofs", {"domain": f"{self.name('p')}.example"})["domain"])

    def schedule(self) -> str:
        destination = f"{self.name('slow')}.example"
        self._ask("PUT", f"{_OWN}/schedules/{destination}", _SCHEDULE)
        return destination

    def grant_with_gateway(self) -> Any:
        grant = grant_in_proven_domain(self)
        self._ask("POST", f"{_OWN}/address-grants", grant)
        self._ask("PUT", f"{_OWN}/address-grants/gateway", grant | domain_gateway_body(self))
        return grant

    def group(self) -> str:
        return str(self._ask("POST", f"{_OWN}/groups", {"name": self.name("group")})["name"])

    def grant(self) -> Any:
        return self._ask("POST", f"{_OWN}/address-grants", grant_body(self))

    def queue(self) -> str:
        """That of alice's gateway."""
        return str(self._ask("GET", f"{_OWN}/gateways")["items"][0]["queue"])

    def drained(self) -> str:
        """It resumes."""
        self._ask("POST", f"{_OWN}/nodes/{self.node}/drain")
        return self.node

    def confirmable(self) -> dict[str, str]:
        """An address with the code that is mailed to it."""
        address = self.address()
        return {"address": address, "code": self.mailed_code(address)}


# --- bodies ----------------------------------------------------------------------------------------------------------


def role_body(stock: Stock) -> Any:
    return {"roleName": stock.name("role"), "rolePrivileges": [{"privilegeName": "queue-read"}]}


def user_body(stock: Stock) -> Any:
    return {"primaryEmail": f"{stock.name('user')}@example.com", "name": {"givenName": "Ada", "familyName": "Byron"}}


def assignment_body(stock: Stock) -> Any:
    return {"roleId": stock.kept(Stock.role), "assignedTo": stock.user(), "scopeType": "CUSTOMER"}


def unit_body(stock: Stock) -> Any:
    return {"name": stock.name("Unit"), "parentOrgUnitPath": "/"}


def alias_body(stock: Stock) -> Any:
    return {"alias": f"{stock.name('alias')}@example.com"}


def policy_body(stock: Stock) -> Any:
    return {**_PER_DAY, "policyQuery": {"orgUnit": f"orgUnits/{stock.unit().removeprefix('id:')}"}}


def message_body(stock: Stock) -> Any:
    raw = f"From: {stock.stuck}\r\nTo: {CAROL}\r\nSubject: Lunch\r\n\r\nAt one?\r\n"
    return {"raw": base64.urlsafe_b64encode(raw.encode()).decode()}


def draft_body(stock: Stock) -> Any:
    return {"message": message_body(stock)}


def rule_body(stock: Stock) -> Any:
    return {"name": stock.name("rule"), "words": "quota", "action": "wait", "seconds": 60, "reason": "theirs"}


def webhook_body(stock: Stock) -> Any:
    return {"name": stock.name("hook"), "url": "https://localhost:1/events", "types": ["message.bounced"]}


def domain_gateway_body(stock: Stock) -> Any:
    return {name: stock.gateway[name] for name in ("host", "port", "username", "password")}


def grant_body(stock: Stock) -> Any:
    return {"address": f"{stock.name('sales')}@example.com", "unit": "/"}


def grant_in_proven_domain(stock: Stock) -> Any:
    return {"address": f"{stock.name('sales')}@{PROVEN}", "user": stock.kept(Stock.user)}


def _common_gateway(stock: Stock) -> RightRequest:
    return RightRequest(body=stock.grant_with_gateway() | domain_gateway_body(stock))


def _selected(stock: Stock, **more: str) -> RightRequest:
    return RightRequest(body={"id": stock.message(), **more})


# --- by method -------------------------------------------------------------------------------------------------------

Right = Callable[[Stock], RightRequest]


def _named(name: str, make: Make, body: Any = None) -> Right:
    """It has this in its path, and leaves it there; it has perhaps a body."""
    return lambda stock: RightRequest({name: stock.kept(make)}, body=body)


def _changed(name: str, make: Make, body: Callable[[Stock], Any]) -> Right:
    """The same with a body that is made each time."""
    return lambda stock: RightRequest({name: stock.kept(make)}, body=body(stock))


def _ended(name: str, make: Make) -> Right:
    """It has this in its path, and uses it up."""
    return lambda stock: RightRequest({name: make(stock)})


def _sent(make: Callable[[Stock], Any]) -> Right:
    return lambda stock: RightRequest(body=make(stock))


def _of_alias(stock: Stock) -> RightRequest:
    user = stock.kept(Stock.user)
    return RightRequest({"userKey": user, "alias": stock.alias(user)})


def _send_as(stock: Stock) -> RightRequest:
    gateway = dict(stock.gateway)
    return RightRequest(body={"sendAsEmail": f"{stock.name('alice')}@dominiopartner.example", "smtpMsa": gateway})


def _joined(stock: Stock) -> RightRequest:
    return RightRequest(query={"name": stock.kept(Stock.group)}, body={"come": [stock.kept(Stock.user)]})


def _of_domain_gateway(stock: Stock) -> RightRequest:
    return RightRequest(query={"domain": stock.domain_with_gateway()})


_KEEPING: Final = ("retry", "hold", "release")
_ENDING: Final = ("expire", "delete")

_RIGHT: Final[Mapping[str, Right]] = {
    # Gmail
    "gmail.users.settings.sendAs.create": _send_as,
    "gmail.users.settings.sendAs.verify": _named("sendAsEmail", Stock.address),
    "gmail.users.settings.sendAs.get": _named("sendAsEmail", Stock.address),
    "gmail.users.settings.sendAs.update": _named("sendAsEmail", Stock.address, {"displayName": "Alice"}),
    "gmail.users.settings.sendAs.patch": _named("sendAsEmail", Stock.address, {"signature": "<b>Alice</b>"}),
    "gmail.users.settings.sendAs.delete": _ended("sendAsEmail", Stock.address),
    "gmail.users.messages.get": lambda stock: RightRequest({"id": stock.kept(Stock.message)}, {"format": "metadata"}),
    "gmail.users.messages.send": _sent(message_body),
    "gmail.users.drafts.create": _sent(draft_body),
    "gmail.users.drafts.send": _sent(lambda stock: {"id": stock.draft()}),
    "gmail.users.drafts.get": _named("id", Stock.draft),
    "gmail.users.drafts.update": _changed("id", Stock.draft, draft_body),
    "gmail.users.drafts.delete": _ended("id", Stock.draft),
    # Reports, Cloud Identity
    "reports.activities.list": lambda _stock: RightRequest({"userKey": "all", "applicationName": "admin"}),
    "cloudidentity.policies.create": _sent(policy_body),
    "cloudidentity.policies.get": _named("policiesId", Stock.policy),
    "cloudidentity.policies.patch": _named("policiesId", Stock.policy, _PER_DAY),
    "cloudidentity.policies.delete": _ended("policiesId", Stock.policy),
    # Directory
    "directory.users.insert": _sent(user_body),
    "directory.users.get": _named("userKey", Stock.user),
    "directory.users.patch": _named("userKey", Stock.user, {"suspended": True}),
    "directory.users.update": _named("userKey", Stock.user, {"name": {"familyName": "King"}}),
    "directory.users.delete": _ended("userKey", Stock.user),
    "directory.users.aliases.list": _named("userKey", Stock.user),
    "directory.users.aliases.insert": lambda stock: RightRequest(
        {"userKey": stock.kept(Stock.user)}, body=alias_body(stock)
    ),
    "directory.users.aliases.delete": _of_alias,
    "directory.orgunits.insert": _sent(unit_body),
    "directory.orgunits.get": _named("orgunitsId", Stock.unit),
    "directory.orgunits.patch": _named("orgunitsId", Stock.unit, {"parentOrgUnitPath": "/"}),
    "directory.orgunits.update": lambda stock: RightRequest(
        {"orgunitsId": stock.kept(Stock.unit)}, body=unit_body(stock)
    ),
    "directory.orgunits.delete": _ended("orgunitsId", Stock.unit),
    "directory.roles.insert": _sent(role_body),
    "directory.roles.get": _named("roleId", Stock.role),
    "directory.roles.delete": _ended("roleId", Stock.role),
    "directory.roleAssignments.list": lambda stock: RightRequest(query={"roleId": stock.kept(Stock.role)}),
    "directory.roleAssignments.insert": _sent(assignment_body),
    "directory.roleAssignments.get": _named("roleAssignmentId", Stock.assignment),
    "directory.roleAssignments.delete": _ended("roleAssignmentId", Stock.assignment),
    # Our own
    "send-as.verify": _sent(Stock.confirmable),
    "send-as.transfer": _sent(lambda stock: {"address": stock.address(), "to": stock.kept(Stock.user)}),
    "queue.list.message": _named("id", Stock.message),
    **{f"queue.{verb}.one": _named("id", Stock.message) for verb in _KEEPING},
    **{f"queue.{verb}.one": _ended("id", Stock.message) for verb in _ENDING},
    **{f"queue.{verb}.many": _selected for verb in (*_KEEPING, *_ENDING)},
    "queue.move.one": _named("id", Stock.message, {"way": "direct"}),
    "queue.move.many": lambda stock: _selected(stock, way="usual"),
    "queue.suspend": _named("queue", Stock.queue, {"reason": "theirs", "seconds": 60}),
    "queue.resume": _named("queue", Stock.queue),
    "queue.limit": _named("queue", Stock.queue, {"connections": 2, "reason": "they said so"}),
    "queue.limit.end": _named("queue", Stock.queue),
    "schedule.list.one": _named("destination", Stock.schedule),
    "schedule.set": lambda stock: RightRequest({"destination": f"{stock.name('slow')}.example"}, body=_SCHEDULE),
    "schedule.remove": _ended("destination", Stock.schedule),
    "rule.add": _sent(rule_body),
    "rule.test": lambda _stock: RightRequest(query={"reply": "451 4.7.1 quota exceeded"}),
    "rule.remove": _ended("name", Stock.rule),
    "gateway.list.one": _named("gateway", Stock.queue),
    "gateway.test": lambda stock: RightRequest({"address": stock.served}),
    "mail.explain": lambda stock: RightRequest(query={"sender": stock.stuck, "recipient": CAROL}),
    "send-as.advise": lambda stock: RightRequest(query={"sender": stock.stuck}),
    "log.show": _named("id", Stock.message),
    "tls-report.show": lambda _stock: RightRequest({"domain": "recipient.example"}),
    "domain-gateway.show": _of_domain_gateway,
    "domain-gateway.set": lambda stock: RightRequest(query={"domain": stock.domain()}, body=domain_gateway_body(stock)),
    "domain-gateway.clear": _of_domain_gateway,
    "domain.add": _sent(lambda stock: {"name": f"{stock.name('d')}.example"}),
    "domain.show": _named("domain", Stock.domain),
    "domain.remove": _ended("domain", Stock.domain),
    "domain.key": lambda stock: RightRequest({"domain": stock.domain()}, body={"privateKey": stock.domain_key}),
    "domain.rotate": _ended("domain", Stock.domain_that_signs),
    "domain.cancel-rotation": _ended("domain", Stock.domain_in_rotation),
    "domain-proof.begin": _sent(lambda stock: {"domain": f"{stock.name('p')}.example"}),
    "domain-proof.show": _named("domain", Stock.proof),
    "domain-proof.remove": _ended("domain", Stock.proof),
    "address-grant.add": _sent(grant_body),
    "address-grant.remove": _sent(Stock.grant),
    "common-gateway.set": _common_gateway,
    "common-gateway.clear": _sent(Stock.grant_with_gateway),
    "common-gateway.test": _sent(Stock.grant_with_gateway),
    "user.unlock": _named("user", Stock.user),
    "group.create": _sent(lambda stock: {"name": stock.name("group")}),
    "group.show": lambda stock: RightRequest(query={"name": stock.kept(Stock.group)}),
    "group.edit": lambda stock: RightRequest(query={"name": stock.group()}, body={"name": stock.name("group")}),
    "group.remove": lambda stock: RightRequest(query={"name": stock.group()}),
    "group.members": _joined,
    "log-in.unlock": _sent(lambda _stock: {"network": "192.0.2.0/24"}),
    "webhook.add": _sent(webhook_body),
    "webhook.show": _named("name", Stock.webhook),
    "webhook.remove": _ended("name", Stock.webhook),
    "webhook.rotate": _named("name", Stock.webhook),
    "webhook.enable": lambda stock: RightRequest({"name": stock.stopped_webhook()}, body={"fromNow": True}),
    "webhook.disable": _ended("name", Stock.webhook),
    "webhook.test": _named("name", Stock.webhook),
    "webhook.tries": _named("name", Stock.webhook),
    "node.drain": lambda stock: RightRequest({"node": stock.node}),
    "node.resume": _ended("node", Stock.drained),
}
