"""A look at the DNS for a domain's DKIM keys, and what follows from it. Knows no transaction: a function that it is
given settles what was found.
"""

from collections.abc import Awaitable, Callable, Mapping

from outgate.advisor.ask import Names
from outgate.advisor.dkim_check import Signing
from outgate.advisor.domain_check import keys_found
from outgate.advisor.findings import Dkim
from outgate.directory import domain_keys
from outgate.directory.domain_keys import KeyPlace, KeysSettled
from outgate.directory.organisation import Domain
from outgate.frozen import frozen

SettleKeys = Callable[[frozenset[KeyPlace], frozenset[KeyPlace]], Awaitable[KeysSettled]]  # published, and gone


@frozen
class KeysLook:
    """What the DNS says of each of a domain's keys by selector (UNKNOWN if it gives no answer), and what came of it."""

    found: Mapping[str, Dkim]
    done: KeysSettled

    @property
    def is_answered(self) -> bool:
        """Whether of all keys something is known."""
        return Dkim.UNKNOWN not in self.found.values()


async def look_for_keys(names: Names, domain: Domain, now: float, settle: SettleKeys) -> KeysLook:
    """Ask the DNS for a domain's keys, and have what follows settled, if anything does."""
    found = await keys_found(names, domain.name, [Signing(*one.place) for one in domain.keys])
    results = list(zip(domain.keys, found, strict=True))
    published = frozenset(key.place for key, result in results if result is Dkim.PASS)
    gone = frozenset(key.place for key, result in results if result is Dkim.KEY_MISSING)
    done = domain_keys.foreseen(domain.keys, published, gone, now)
    if done:
        done = await settle(published, gone)
    return KeysLook({key.selector: result for key, result in results}, done)
