"""Times as people enter them."""

from datetime import datetime

import typer


def seconds(text: str | None) -> float | None:
    """A date or time, local unless it says otherwise, as seconds since the epoch."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a time; write 2026-01-31 or 2026-01-31T12:00") from None
