"""What the demonstration says: steps and problems on standard error, results on standard output. Knows no server."""

import json
import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console

from outgate.demo import table
from outgate.demo.story import Row

_WIDTH_OF_A_FILE = 200


class Display:
    """`as_expected` says how the story came out, None until it is told."""

    def __init__(self, as_json: bool) -> None:
        self.as_expected: bool | None = None
        self._as_json = as_json
        self._results = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
        self._steps = Console(stderr=True, highlight=False)
        self._status = self._steps.status("starting")

    def __enter__(self) -> "Display":
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()

    def step(self, text: str) -> None:
        """What goes on now: a line that stays, with a spinner below it in a terminal."""
        self._steps.print(text, markup=False, soft_wrap=True)
        if self._steps.is_terminal:
            self._status.update(text)

    def done(self, text: str) -> None:
        """A step that the user can do likewise: it stays on the screen."""
        self._steps.print(text, style="dim", markup=False, soft_wrap=True)

    def problem(self, text: str) -> None:
        """Why it isn't as it should be."""
        self._steps.print(text, style="red", markup=False, soft_wrap=True)

    def story(self, rows: Sequence[Row], differences: Sequence[str]) -> None:
        """All cases at once, and what is not as it should be."""
        self.as_expected = not differences
        self._status.stop()
        self._rows(rows, header=True)
        self.say(table.KEY)
        for difference in differences:
            self.problem(f"not as the reference says: {difference}")

    def later(self, row: Row) -> None:
        """A message that came after the story."""
        self._rows([row], header=False)

    def say(self, text: str) -> None:
        """Words for a reader; none where a program reads."""
        if not self._as_json:
            self._results.print(text, markup=False, highlight=False, soft_wrap=True)

    def _rows(self, rows: Sequence[Row], *, header: bool) -> None:
        if not self._as_json:
            table.show(self._results, rows, header=header)
            return
        for row in rows:
            sys.stdout.write(json.dumps(row.fields()) + "\n")
        sys.stdout.flush()
