"""Rules that read replies: what a provider means when it says so, and what follows (reply_rules.toml). Pure.

Those of a file come before those that are shipped, and what administrators make (own_rules.py) before both. Knows no
queue and no table.
"""

import re
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from outgate.setting_fault import demand
from outgate.store import rates

NAME: Final = "[a-z0-9-]{3,60}"  # of a rule
LONGEST: Final = 7 * 86400.0  # seconds that a rule holds
LONGEST_REPLY: Final = 500  # characters that are read of a reply, kept and told


class RuleAction(StrEnum):
    """What follows from a reply."""

    SUSPEND = "suspend"
    SLOW_DOWN = "slow-down"
    WAIT = "wait"
    GIVE_UP = "give-up"

    @property
    def lasts(self) -> bool:
        """Whether it holds for some seconds."""
        return self is not RuleAction.GIVE_UP

    @property
    def has_rate(self) -> bool:
        """Whether it needs a rate."""
        return self is RuleAction.SLOW_DOWN


class ReplyRule(BaseModel):
    """`hosts` are endings of peers' names; none are all. `seconds` is how long it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME}$")
    hosts: tuple[str, ...] = ()
    pattern: str = Field(min_length=3)
    action: RuleAction
    seconds: float = Field(0.0, ge=0, le=LONGEST)
    rate: str = ""
    meaning: str

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"`pattern` is no regular expression: {error}") from None
        if self.action.lasts != bool(self.seconds):
            raise ValueError("`seconds` belongs to every action but give-up")
        if self.action.has_rate != bool(self.rate):
            raise ValueError("`rate` belongs to slow-down")
        _check_rate(self.rate)
        return self

    @cached_property
    def _found(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE)

    def fits(self, host: str, reply: str) -> bool:
        """Whether it speaks of this reply of this peer."""
        of_host = not self.hosts or any(host == end or host.endswith(f".{end}") for end in self.hosts)
        return of_host and self._found.search(reply) is not None


def _check_rate(rate: str) -> None:
    if rate:
        try:
            rates.parsed(rate)
        except ValueError:
            raise ValueError("`rate` must be as in 60/hour or 10/5minutes") from None


class ReplyRules:
    """Answers by peer and reply."""

    def __init__(self, rules: Sequence[ReplyRule]) -> None:
        self.all = tuple(rules)

    def behind(self, own: Sequence[ReplyRule]) -> Self:
        """These, asked after the others."""
        return type(self)([*own, *self.all])

    def find(self, host: str, reply: str) -> ReplyRule | None:
        """The first that fits. Of a reply as much is read as is kept of one."""
        host, reply = host.lower().strip(". "), reply[:LONGEST_REPLY]
        return next((rule for rule in self.all if rule.fits(host, reply)), None)


class RulesError(ValueError):
    """The file of rules can't be used; the text says why."""


@cache
def shipped() -> ReplyRules:
    """Those that come with Outgate."""
    return ReplyRules(_read(resources.files("outgate.directory").joinpath("reply_rules.toml").read_text()))


def in_force(own: Path | None) -> ReplyRules:
    """Those of a file first, if there is one, then those that come with Outgate. Raises RulesError."""
    if own is None:
        return shipped()
    try:
        return ReplyRules((*_read(own.read_text()), *shipped().all))
    except OSError as error:
        raise RulesError(f"{own} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesError(f"{own} is not valid TOML: {error}") from None
    except RulesError as error:
        raise RulesError(f"{own}: {error}") from None


def _read(text: str) -> list[ReplyRule]:
    found = tomllib.loads(text)
    tables = found.get("rule", [])
    if not isinstance(tables, list) or found.keys() - {"rule"}:
        raise RulesError("it may have nothing but tables of the name [[rule]]")
    return [_made(number, table) for number, table in enumerate(tables, start=1)]


def _made(number: int, table: object) -> ReplyRule:
    try:
        return ReplyRule.model_validate(table)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    named = table.get("name") if isinstance(table, dict) else None
    key = ".".join(str(part) for part in fault["loc"])
    why = _FAULTS.get(fault["type"]) or demand(fault, "[rule]")
    raise RulesError(f"rule {named or number}: {key} {why}".replace("  ", " "))


_FAULTS: Final = {
    "extra_forbidden": f"is no key of a rule: those are {', '.join(ReplyRule.model_fields)}",
    "string_pattern_mismatch": "must be of 3 to 60 small letters, digits and hyphens",
}
