"""Python imports this at its start when its folder is on PYTHONPATH: a wall clock that the file HARD_CLOCK puts off.

The file has seconds to add. Steady clocks go on as they are, as they do when somebody sets a machine's clock.
"""

import os
import time
from pathlib import Path

_file = Path(os.environ["HARD_CLOCK"])
_real = time.time


def _time() -> float:
    return _real() + float(_file.read_text() or 0)


time.time = _time
