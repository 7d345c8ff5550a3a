"""Times asked for in a form, in the zone that they are meant in: an address means the same everywhere. Pure."""

from datetime import datetime, tzinfo

from outgate.directory.errors import Invalid


def time_asked(text: str, zone: tzinfo) -> float | None:
    """A time as browsers send it, in this zone unless it says otherwise; in seconds since the epoch. Raises Invalid."""
    if not text:
        return None
    try:
        then = datetime.fromisoformat(text)
        return (then if then.tzinfo else then.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise Invalid("“{text}” is not a time; write it as in 2026-01-31T12:00", text=text) from None


def time_shown(text: str, zone: tzinfo, shown: tzinfo) -> str:
    """A time of one zone as the field for it takes it, in another; empty if it is none."""
    try:
        at = time_asked(text, zone)
        return "" if at is None else datetime.fromtimestamp(at, shown).strftime("%Y-%m-%dT%H:%M")
    except (Invalid, ValueError, OverflowError):
        return ""
