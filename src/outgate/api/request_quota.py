"""How many requests programs may make: of each program as a user, and of each program in all.

Counted in memory, by each process for itself: a request costs no write. By GCRA: so many at once, and as many again as
the time gives back. Knows no method, and neither loop nor thread: ask on the event loop.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from limits import parse

from outgate.api.google_error import ApiError
from outgate.config import ApiSettings
from outgate.iso_time import iso

MOST: Final = 50_000  # keys that are remembered; who asked longest ago is forgotten first
_CLOSE: Final = 1e-6  # seconds that sums of fractions may be off


class Quota:
    """A rate, as in "100/1minute", for each key."""

    def __init__(self, rate: str) -> None:
        limit = parse(rate)
        self._window = float(limit.get_expiry())
        self._each = self._window / limit.amount
        self._used_until: OrderedDict[Hashable, float] = OrderedDict()  # when all that was asked is given back

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until one more request of the key is answered; 0.0 if now."""
        wait = max(self._used_until.get(key, now), now) + self._each - self._window - now
        return wait if wait > _CLOSE else 0.0

    def count(self, key: Hashable, now: float) -> None:
        """A request is answered."""
        self._used_until[key] = max(self._used_until.get(key, now), now) + self._each
        self._used_until.move_to_end(key)
        if len(self._used_until) > MOST:
            self._used_until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._used_until)


class RequestQuota:
    """What the settings allow."""

    def __init__(self, settings: ApiSettings) -> None:
        self._of_users, self._of_clients = Quota(settings.user_rate), Quota(settings.client_rate)

    def take(self, client: str, account_id: int, now: float) -> None:
        """Count a request. Raises ApiError (429, with when to come again); what is refused is not counted."""
        if wait := self._of_users.wait((client, account_id), now):
            raise _exceeded("User-rate limit exceeded.", "userRateLimitExceeded", wait, now)
        if wait := self._of_clients.wait(client, now):
            raise _exceeded("Rate Limit Exceeded.", "rateLimitExceeded", wait, now)
        self._of_users.count((client, account_id), now)
        self._of_clients.count(client, now)


def _exceeded(text: str, reason: str, wait: float, now: float) -> ApiError:
    """In Gmail's words, in which programs look for the time."""
    seconds = math.ceil(wait)
    return ApiError(
        429, f"{text} Retry after {iso(now + seconds)}", reason=reason, headers={"Retry-After": str(seconds)}
    )
