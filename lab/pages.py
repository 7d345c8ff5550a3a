"""The commands on a page, as who follows it word by word would type them. Knows nothing of what they do."""

import re
from pathlib import Path

from lab.polling import LabError

ROOT = Path(__file__).parents[1]


def commands(page: str, heading: str) -> list[str]:
    """The lines of all code blocks in the section with a heading that begins so, its subsections left out.

    `page` is relative to the repository. Raises LabError if there is no such section, or no command in it.
    """
    text = (ROOT / page).read_text()
    found = re.search(rf"^#+ {re.escape(heading)}.*?$\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    lines = found[1].splitlines() if found else []
    is_fenced, typed = False, []
    for line in lines:
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            typed.append(line if is_fenced else line[4:])
    if not typed:
        raise LabError(f"{page} has no commands under '{heading}'")
    return "\n".join(typed).replace("\\\n", " ").splitlines()
