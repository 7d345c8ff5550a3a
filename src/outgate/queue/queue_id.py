"""Queue ids: 63-bit numbers that grow with time, so that new rows go to the end of every index. Pure but for chance.

42 bits of milliseconds, 9 bits that tell processes apart, 12 bits that count within a millisecond. Both are of chance,
the count where it begins: two processes that drew the same 9 bits seldom make the same id.
"""

import secrets
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to be misread on the telephone
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # ten bits each
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 13  # 13 * 5 bits hold 63


class QueueIds:
    """Makes queue ids; each is greater than the one before, even if the clock is set back."""

    def __init__(self) -> None:
        self._process = secrets.randbits(9) << 12
        self._last = 0
        self._count = 0

    def new(self, now: float) -> int:
        """The next id at the time `now`; those for which a millisecond has no more room run into the next one."""
        millisecond = max(int(now * 1000), self._last)
        self._count = self._count + 1 if millisecond == self._last else secrets.randbits(11)
        if self._count == 4096:
            millisecond, self._count = millisecond + 1, 0
        self._last = millisecond
        return millisecond << 21 | self._process | self._count


@lru_cache(maxsize=4096)  # reply, Received, record and log ask for that of the same message
def to_text(identity: int) -> str:
    """The form that people and peers see: 13 letters and digits."""
    return _ALPHABET[identity >> 60] + "".join([_PAIRS[identity >> shift & 1023] for shift in range(50, -1, -10)])


def from_text(text: str) -> int:
    """The number of a queue id as people type it; ValueError names what is wrong."""
    letters = text.strip().lower()
    if len(letters) != _LENGTH or any(letter not in _VALUES for letter in letters):
        raise ValueError(f"'{text}' is not a queue id: 13 letters and digits, as in 'queued as 0c8sm2v1r0003'")
    identity = 0
    for letter in letters:
        identity = identity << 5 | _VALUES[letter]
    if identity >> 63:
        raise ValueError(f"'{text}' is not a queue id: none begins with more than 7")
    return identity
