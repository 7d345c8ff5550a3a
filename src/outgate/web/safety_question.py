"""Asks once more before something is lost, naming it: a page of one question, for every page that destroys. Knows none.

What is meant is sent again with `meant`, so that it works without scripts and can't be done by one slip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from starlette.responses import Response

from outgate.frozen import frozen
from outgate.web.visit import Visit

MEANT: Final = "meant"


@frozen
class SafetyQuestion:
    """`means` is what it leads to, `about` whom or what it concerns; all in the visitor's words. `fields` are sent
    again, the button's is `do`. `is_loss` if it can't be undone.
    """

    asks: str
    means: str
    button: str
    do: str
    about: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    is_loss: bool = True


def ask(visit: Visit, path: str, back: str, question: SafetyQuestion) -> Response:
    """The page. Its form is sent to `path`; `back` is where one goes who did not mean it."""
    return visit.page("safety_question.html", path=path, back=back, question=question, meant=MEANT)


def is_meant(visit: Visit) -> bool:
    """Whether the question was answered with yes."""
    return visit.form.ticked(MEANT)
