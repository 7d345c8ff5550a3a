"""Why a provider takes a user's refresh token no more, in words for the user. Pure."""

import re
from typing import Final

from outgate.oauth.authorization_server import GrantRefused
from outgate.oauth.providers import OAuthProvider

_DAY: Final = 86400.0
_MICROSOFT: Final = re.compile(r"AADSTS\d+")
# What Microsoft's numbers mean; the rest of its description is for administrators.
_NUMBERS: Final = {
    "AADSTS50173": "the password was changed or the consent was revoked",
    "AADSTS70008": "the consent has ended: it was not used for too long",
    "AADSTS700082": "the consent has ended: it was not used for 90 days",
    "AADSTS65001": "the consent was revoked, or never given for this",
    "AADSTS50076": "the organisation asks for a second factor",
    "AADSTS50079": "the organisation asks for a second factor",
    "AADSTS50057": "the account is disabled",
    "AADSTS53003": "the organisation's conditional access forbids it",
}


def refusal_words(provider: OAuthProvider, refused: GrantRefused, granted_at: float, now: float) -> str:
    """One sentence, and what the provider itself said."""
    title = provider.title
    said = f" ({refused.text})"
    age = now - granted_at
    number = _MICROSOFT.search(refused.description)
    if number and number[0] in _NUMBERS:
        return f"{title} does not accept the sign-in any more: {_NUMBERS[number[0]]}; sign in again{said}"
    if provider.trial_days and provider.trial_days * _DAY <= age < (provider.trial_days + 1) * _DAY:
        return (
            f"{title} does not accept the sign-in any more after {provider.trial_days} days: the administrator's client"
            f' is in "Testing" there, whose consents end by then, or the consent was revoked; sign in again{said}'
        )
    return f"{title} does not accept the sign-in any more: the consent was revoked or has ended; sign in again{said}"
