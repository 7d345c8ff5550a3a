"""What is the matter with a gateway, in one word that pages have sentences for: told from what was recorded. Pure."""

import re
from enum import StrEnum
from typing import Final

from outgate.model import Cause


class GatewayFault(StrEnum):
    """Each has something else to be done about it."""

    ERASED = "erased"  # the password was, or it can't be opened
    SIGN_IN = "sign-in"  # the provider's consent has ended
    LOG_IN = "log-in"  # user name and password are refused
    CERTIFICATE = "certificate"
    TLS = "tls"  # the wrong kind of connection
    LOAD = "load"  # too much for it just now
    PUTS_OFF = "puts-off"
    SILENT = "silent"  # it can't be reached, or breaks off
    PAUSED = "paused"  # by a rule that reads replies
    SUSPENDED = "suspended"  # by an administrator
    COMMON = "common"  # what only an administrator can repair, whose gateway it is

    @property
    def is_of_log_in(self) -> bool:
        """Whether a password that is entered anew, or another sign-in, is likely to help."""
        return self in (GatewayFault.ERASED, GatewayFault.SIGN_IN, GatewayFault.LOG_IN)


_BY_REPLY: Final = (
    (re.compile(r"53[0458] |4\.7\.8 |4\.7\.\d{1,2} .*log-in"), GatewayFault.LOG_IN),
    (re.compile(r"4\.7\.5 .*certificate"), GatewayFault.CERTIFICATE),
    (re.compile(r"4\.7\.(4|5|10) "), GatewayFault.TLS),
    (re.compile(r"421 |(\d{3} )?4\.(3\.2|4\.5|7\.28|7\.650) "), GatewayFault.LOAD),
    (re.compile(r"\d{3} |[45]\.\d\.\d"), GatewayFault.PUTS_OFF),
)
_BY_CAUSE: Final = {
    Cause.OPERATOR: GatewayFault.SUSPENDED,
    Cause.RULE: GatewayFault.PAUSED,
    Cause.LOG_IN: GatewayFault.LOG_IN,
}


# What its settings may be the reason of, besides the log-in.
_OF_SETTINGS: Final = (GatewayFault.CERTIFICATE, GatewayFault.TLS, GatewayFault.SILENT)


def fault_of(
    said: str, cause: Cause | None, *, has_password: bool, signs_in: bool, is_common: bool = False
) -> GatewayFault | None:
    """None if nothing is known to be the matter. `said` is what its user may know of the last attempt, empty if that
    was well; `cause` why it is suspended, if it is; `signs_in` that it has an OAuth provider and no password;
    `is_common` that its users can't repair it.
    """
    found = None if has_password else GatewayFault.ERASED
    if found is None and cause is not None:
        found = _BY_CAUSE.get(cause)
    if found is None and said:
        found = next((fault for pattern, fault in _BY_REPLY if pattern.match(said)), GatewayFault.SILENT)
    if is_common and found is not None and (found.is_of_log_in or found in _OF_SETTINGS):
        return GatewayFault.COMMON
    return GatewayFault.SIGN_IN if found is not None and found.is_of_log_in and signs_in else found
