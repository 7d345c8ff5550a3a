"""SPF (RFC 7208) of an address that mail will leave from, by pyspf, which is given our way to ask the DNS.

Blocks: to be called in a thread. Each evaluation is an object of its own, so threads don't meet.
"""

import time
import warnings
from typing import Any

from outgate.advisor.ask import AskFromThread, NoAnswerNow
from outgate.advisor.findings import Spf, SpfCheck, Unanswered
from outgate.extras import extra

with warnings.catch_warnings():
    # pyspf 2.0.14 has "\\d" in plain strings, of which Python warns when it first compiles it.
    warnings.simplefilter("ignore")
    with extra("diagnostics"):
        import spf

_SECONDS = 20.0  # "MAY limit the total elapsed time ... at least 20 seconds" (section 4.6.4)


def evaluate(address: str, mail_from: str, helo: str, ask: AskFromThread) -> SpfCheck:
    """What a recipient will find for this client address, MAIL FROM and EHLO name."""
    query = _Query(address, mail_from, helo, ask)
    result, _, explanation = query.check()
    if result == Spf.TEMPERROR:
        return SpfCheck(address, Spf.TEMPERROR, unanswered=query.unanswered)
    return SpfCheck(address, Spf(result), _plain(explanation) if result == Spf.PERMERROR else "")


def _plain(text: str) -> str:
    """It quotes foreign records."""
    return "".join(char if char.isprintable() else "?" for char in text)[:300]


class _Query(spf.query):  # type: ignore[misc]  # pyspf has no types
    """pyspf's evaluation with its limits on lookups; `dns` is the one method by which it asks."""

    def __init__(self, address: str, mail_from: str, helo: str, ask: AskFromThread) -> None:
        self._ask = ask
        self._until = time.monotonic() + _SECONDS
        self.unanswered: Unanswered | None = None
        self._answers: dict[tuple[str, str], list[Any]] = {}
        super().__init__(i=address, s=mail_from, h=helo)

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """Data in pyspf's own shapes; counts names without records as it does ("void lookups", section 4.6.4)."""
        key = (str(name).removesuffix(".").lower(), qtype)
        if key not in self._answers:
            self._answers[key] = self._asked(*key)
        answer = self._answers[key]
        if not answer and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} names without records are asked for")
        return list(answer)

    def _asked(self, name: str, kind: str) -> list[Any]:
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise NoAnswerNow(Unanswered(name, "timeout"))
            return [_data(record, kind) for record in self._ask(name, kind, min(left, 10.0))]
        except NoAnswerNow as error:
            self.unanswered = error.unanswered
            raise spf.TempError(str(error)) from None


def _data(record: Any, kind: str) -> Any:
    match kind:
        case "A" | "AAAA":
            return record.address
        case "MX":
            return record.preference, record.exchange.to_text(omit_final_dot=True)
        case "PTR":
            return record.target.to_text(omit_final_dot=True)
        case _:
            return record.strings
