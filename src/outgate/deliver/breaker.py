"""A breaker for one destination: once it could not be reached several times in a row, mail for it waits together, and
one message after the other tries whether it is back. Pure: times come in.
"""

from dataclasses import dataclass, replace
from typing import Final

from outgate.deliver.outcome import Outcome, Verdict

FAILURES: Final = 3  # in a row, until it opens
LONGEST: Final = 10  # times the first pause


@dataclass(slots=True)
class Breaker:
    """`pause` is the first one, in seconds; each is twice as long as the former, up to ten times the first."""

    pause: float
    failures: int = 0
    tried_at: float = 0.0
    last: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether mail waits together."""
        return self.failures >= FAILURES

    def held(self, now: float) -> Outcome | None:
        """Why a message is not to be tried now; None if it is to try, which is noted."""
        if not self.is_open or self.last is None:
            return None
        if now - self.tried_at >= self.pause / 4:
            self.tried_at = now
            return None
        wait = min(self.pause * 2.0 ** (self.failures - FAILURES), self.pause * LONGEST)
        return replace(self.last, again=now + wait, untried=True, reply=None)

    def failed(self, outcome: Outcome, now: float) -> None:
        """It could not be reached. All who waited for one connection have the same outcome, which counts once."""
        if outcome is not self.last and outcome.verdict is Verdict.RETRY:
            self.failures += 1
            self.last, self.tried_at = outcome, now
