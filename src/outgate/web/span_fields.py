"""Spans of time as a form asks for them: a number and its unit. Knows no schedule."""

from typing import Final

from outgate.directory.errors import Invalid
from outgate.web.form import Form
from outgate.web.words import N_

UNITS: Final = {"second": N_("seconds"), "minute": N_("minutes"), "hour": N_("hours"), "day": N_("days")}
_SECONDS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def span_entered(form: Form, name: str) -> float | None:
    """Seconds of the fields NAME and NAME-unit; None if no number was entered. Raises Invalid."""
    text, unit = form.text(name), form.text(f"{name}-unit")
    if not text:
        return None
    if not form.number(name) or unit not in UNITS:
        raise Invalid("“{text}” is not a time; write a whole number, and choose its unit beside it", text=text)
    return float(text) * _SECONDS[unit]
