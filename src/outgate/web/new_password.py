"""A password that is made up for somebody: shown once, easily read out and typed. Pure but for chance."""

import secrets
from typing import Final

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
_GROUPS: Final = 5


def new_password() -> str:
    """Five groups of four, as in 7k3m-…: 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(_GROUPS))
