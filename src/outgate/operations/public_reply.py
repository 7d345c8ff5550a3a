"""What a user may know of an attempt at a server that they named: what the server itself said, and nothing of how it
could not be reached, which would tell of hosts that only this server can ask (docs/egress.md). Pure.
"""

import re
from typing import Final

from outgate.model import Gateway, GatewayKind

_OF_SERVER: Final = re.compile(r"\d{3} |4\.7\.(4|5|8|10) ")  # its reply, or our words on what it has offered
# Our own words that tell of an address, the content, TLS, a log-in or policy.
_OF_MESSAGE: Final = re.compile(r"[45]\.[16]\.\d{1,3} |5\.[37]\.\d{1,3} |4\.7\.1 ")


# What a provider's interface has answered: our words, then its status and its own within brackets (deliver.api_answer).
_OF_INTERFACE: Final = re.compile(r"[45]\.[23567]\.\d{1,3} .*\(\d{3}[ )]")


def public_reply(reply: str, gateway: Gateway) -> str:
    """The reply as its user is shown it."""
    is_of_interface = gateway.kind is not GatewayKind.SMTP and _OF_INTERFACE.match(reply)
    if is_of_interface or _OF_SERVER.match(reply):
        return reply
    return f"no answer from {gateway.host}:{gateway.port}"


def reply_to_sender(reply: str) -> str:
    """What the sender of a message is told of why it has not arrived; empty if that is not for users."""
    return reply if _OF_SERVER.match(reply) or _OF_MESSAGE.match(reply) else ""
