"""Rates of messages: as a form asks for them, and in the words of a page. Knows no queue and no rule."""

from typing import Final

from outgate.directory.errors import Invalid
from outgate.store import rates
from outgate.web.form import Form
from outgate.web.words import N_, Words

PERIODS: Final = {"second": N_("second"), "minute": N_("minute"), "hour": N_("hour"), "day": N_("day")}
_OFTEN: Final = {
    1: N_("%(number)s a second"),
    60: N_("%(number)s a minute"),
    3600: N_("%(number)s an hour"),
    86400: N_("%(number)s a day"),
}


def rate_entered(form: Form) -> str:
    """Of the fields `most` and `per` ("300/hour"); empty if no number was entered. Raises Invalid."""
    text, per = form.text("most"), form.text("per", "hour")
    if not text:
        return ""
    if not form.number("most") or per not in PERIODS:
        raise Invalid("“{text}” is not a number of messages; write it as 300", text=text)
    return f"{form.number('most')}/{per}"


def said_rate(said: Words, rate: str) -> str:
    """As in `300 an hour`, `10 in 5 minutes`."""
    number, seconds = rates.parts(rate)
    if seconds in _OFTEN:
        return said(_OFTEN[seconds], number=said.number(number))
    return said("%(number)s in %(time)s", number=said.number(number), time=said.duration(seconds))
