"""Moments as programs read them (ISO 8601, RFC 3339). Pure."""

from datetime import UTC, datetime
from typing import overload


@overload
def iso(at: float) -> str: ...
@overload
def iso(at: float | None) -> str | None: ...
def iso(at: float | None) -> str | None:
    """Seconds since the epoch as `2026-01-31T12:00:00.123Z`; None for a moment that there is not."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
