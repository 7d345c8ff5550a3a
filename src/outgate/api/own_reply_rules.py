"""Outgate's own API: the rules that read replies of other servers, and what follows from them."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.directory.reply_rules import RuleAction
from outgate.iso_time import iso
from outgate.operations import reply_rule_operations
from outgate.operations.reply_rule_operations import RuleSettings, RuleShown

NAME: Final = ApiParameter("name", "The rule's name.")
_WORDS: Final = "daily quota * exceeded"


class ReplyRuleResource(Resource):
    """A rule that reads replies."""

    name: str = Field(description="Its name.", examples=["partner-quota"])
    words: str = Field(
        description="What it finds: words with * for anything between, or the pattern of a file.", examples=[_WORDS]
    )
    hosts: list[str] = Field(description="Endings of servers' names; none are all.", examples=[["partner.example"]])
    action: RuleAction = Field(description="What follows.", examples=["wait"])
    seconds: float = Field(description="For how long that holds.", examples=[3600])
    rate: str = Field(description="How fast mail goes then, if it is slowed down.", examples=[""])
    reason: str = Field(description="Why there is this rule.", examples=["their quota ends at midnight"])
    is_own: bool = Field(description="Whether somebody has added it; else a file has it.", examples=[True])
    author: str | None = Field(None, description="Who has added it.", examples=["alice@example.com"])
    until: str | None = Field(None, description="When it ends, if it has an end.", examples=[MOMENT])

    @classmethod
    def of(cls, shown: RuleShown) -> "ReplyRuleResource":
        """Of a file, or somebody's."""
        rule, own = shown.rule, shown.own
        return cls(
            name=rule.name,
            words=shown.words,
            hosts=list(rule.hosts),
            action=rule.action,
            seconds=rule.seconds,
            rate=rule.rate,
            reason=rule.meaning,
            is_own=own is not None,
            author=own.author if own else None,
            until=iso(own.until) if own else None,
        )


class ReplyRuleList(Resource):
    """The rules, in the order in which they are asked."""

    items: list[ReplyRuleResource] = Field(description="The rules.")


class NewReplyRule(Resource):
    """A rule that reads replies, to be added."""

    name: str = Field(description="Its name: 3 to 60 of a-z, 0-9 and -.", examples=["partner-quota"])
    words: str = Field(description="What it finds, with * for anything between.", examples=[_WORDS])
    hosts: list[str] = Field(
        [], max_length=20, description="Endings of servers' names; none are all.", examples=[["partner.example"]]
    )
    action: RuleAction = Field(description="What follows.", examples=["wait"])
    seconds: float = Field(0.0, description="For how long that holds.", examples=[3600])
    rate: str = Field("", description="How fast mail goes then, as in 60/hour; with slow-down alone.", examples=[""])
    reason: str = Field(description="Why, for whoever comes next.", examples=["their quota ends at midnight"])
    lasts: float | None = Field(
        None, description="Seconds until the rule itself ends; left out: until it is removed.", examples=[86400]
    )


class RuleThatReads(Resource):
    """Which rule reads a reply."""

    rule: ReplyRuleResource | None = Field(None, description="The first that does; left out if none does.")


def listed(call: ApiCall) -> ReplyRuleList:
    """All of them."""
    with call.reading() as op:
        found = reply_rule_operations.listed(op, call.services.reply_rules)
    return ReplyRuleList(items=[ReplyRuleResource.of(one) for one in found])


def reading(call: ApiCall) -> RuleThatReads:
    """Which would read a reply."""
    given = call.parameters
    with call.reading() as op:
        found = reply_rule_operations.reading(op, call.services.reply_rules, given["reply"], given.get("host", ""))
    return RuleThatReads(rule=ReplyRuleResource.of(found) if found else None)


def add(call: ApiCall) -> ReplyRuleResource:
    """One more."""
    sent = call.resource(NewReplyRule)
    wanted = RuleSettings(
        sent.name, sent.words, sent.action, sent.reason, tuple(sent.hosts), seconds=sent.seconds, rate=sent.rate
    )
    with call.writing() as op:
        made = reply_rule_operations.add(op, call.services.reply_rules, wanted, sent.lasts)
    return ReplyRuleResource.of(RuleShown(made.rule, made))


def remove(call: ApiCall) -> None:
    """One that somebody has added."""
    with call.writing() as op:
        reply_rule_operations.remove(op, call.parameters["name"])


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(reply_rule_operations.listed, "GET", "rules", listed, gives=ReplyRuleList),
    own_method(reply_rule_operations.add, "POST", "rules", add, takes=NewReplyRule, gives=ReplyRuleResource),
    own_method(
        reply_rule_operations.reading,
        "GET",
        "rules/reading",
        reading,
        ApiParameter("reply", "What a server says.", "query", is_required=True),
        ApiParameter("host", "The server's name.", "query"),
        gives=RuleThatReads,
    ),
    own_method(reply_rule_operations.remove, "DELETE", "rules/{name}", remove, NAME),
)
