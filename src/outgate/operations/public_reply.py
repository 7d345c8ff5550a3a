"""What users may know of an attempt: what a server said, or our words on it; nothing of how it could not be reached,
which would tell of networks that are not theirs (docs/egress.md). Pure.
"""

import re
from typing import Final

# A reply; or our own words that tell of an address, the content, TLS, a log-in or policy.
_PUBLIC: Final = re.compile(r"\d{3} |[45]\.[16]\.\d{1,3} |5\.[37]\.\d{1,3} |4\.7\.(1|4|5|8|10) ")


def public_reply(reply: str) -> str:
    """The reply, or empty if it is not for users."""
    return reply if _PUBLIC.match(reply) else ""
