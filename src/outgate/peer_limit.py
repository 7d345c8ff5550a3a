"""How many of something there may be at once, in all and of one peer. Pure: knows neither connection nor request."""

from collections import Counter


class PeerLimit:
    """Counts who is in. A peer is a network (peer.network_of), or an empty string if nobody knows whose it is."""

    def __init__(self, per_peer: int, total: int | None = None) -> None:
        self._per_peer, self._total = per_peer, total
        self._inside: Counter[str] = Counter()

    def enter(self, peer: str, *, exempt: bool = False) -> bool:
        """Let one more in, if there is room; then `leave` must follow. An exempt peer is counted in the total only."""
        if self._total is not None and self._inside.total() >= self._total:
            return False
        if not exempt and self._inside[peer] >= self._per_peer:
            return False
        self._inside[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        """One of those that were let in has gone."""
        self._inside[peer] -= 1
        if not self._inside[peer]:
            del self._inside[peer]  # else every network that ever came would be kept
