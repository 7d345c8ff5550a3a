"""Lines of JSON to whoever started this process, whole whatever standard output is. Knows nothing of what they say."""

import json
import os
import sys


def write_line(value: object) -> None:
    """One line. Where standard output is not buffered (PYTHONUNBUFFERED), print() makes one system call of it, and what
    that does not take is lost: of a pipe's 64 KiB and more, whenever a signal comes in between.
    """
    with os.fdopen(sys.stdout.fileno(), "w", closefd=False) as whole:
        whole.write(json.dumps(value) + "\n")
