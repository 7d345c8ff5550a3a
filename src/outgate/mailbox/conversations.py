"""Letters put together into conversations by the messages that they refer to (RFC 5322 section 3.6.4). Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from outgate.frozen import frozen
from outgate.mailbox.letter import LetterHead

_MANY: Final = 3  # names that a list shows of one conversation


@frozen
class LetterThread:
    """Letters that belong together, the oldest first; never empty."""

    letters: tuple[LetterHead, ...]

    @property
    def newest(self) -> LetterHead:
        """The last one."""
        return self.letters[-1]

    @property
    def subject(self) -> str:
        """What it began with."""
        return self.letters[0].subject

    @property
    def is_seen(self) -> bool:
        """Whether all of it was read."""
        return all(one.is_seen for one in self.letters)

    @property
    def names(self) -> list[str]:
        """Who wrote, each once."""
        return list(dict.fromkeys(one.sender_name for one in self.letters))[:_MANY]


def conversations(heads: Iterable[LetterHead]) -> list[LetterThread]:
    """The one with the newest letter first.

    Two letters belong together if one names the other, or both name a third: a letter that is not there ties as well.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    letters = list(heads)
    for one in letters:
        own = find(_name(one))
        for other in one.references:
            leader[find(other)] = own
    together: dict[str, list[LetterHead]] = {}
    for one in letters:
        together.setdefault(find(_name(one)), []).append(one)
    found = [LetterThread(tuple(sorted(each, key=lambda head: head.at))) for each in together.values()]
    return sorted(found, key=lambda one: one.newest.at, reverse=True)


def conversation_of(head: LetterHead, heads: Sequence[LetterHead]) -> LetterThread:
    """The one that a letter is in, of those that were looked at."""
    for one in conversations(heads):
        if any(each.key == head.key for each in one.letters):
            return one
    return LetterThread((head,))


def _name(head: LetterHead) -> str:
    """Two letters without an id are two."""
    return head.message_id or f"key:{head.key}"
