"""How many bytes of messages that have not come whole each account has on disk. Pure: knows no message."""

from collections import Counter


class UnfinishedBytes:
    """A total for each account over all sessions of a process: sessions are many, and a message may stay unfinished
    for as long as a session lasts.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes: Counter[int] = Counter()

    def add(self, account_id: int, count: int) -> bool:
        """Count so many more, if there is room for them."""
        if self._bytes[account_id] + count > self._limit:
            return False
        self._bytes[account_id] += count
        return True

    def remove(self, account_id: int, count: int) -> None:
        """So many are finished, or thrown away."""
        self._bytes[account_id] -= count
        if not self._bytes[account_id]:
            del self._bytes[account_id]  # else every account that ever sent something long would be kept
