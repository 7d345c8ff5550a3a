"""What is the matter with a gateway in plain words, what its user can do, and on which part of its page. Pure."""

from collections.abc import Mapping
from typing import Final

from outgate.frozen import frozen
from outgate.operations.gateway_fault import GatewayFault
from outgate.web.words import N_


@frozen
class FaultWords:
    """A sentence or two; the button that leads to the repair, empty if there is nothing to repair here, and the part of
    the server's page that it leads to.
    """

    sentence: str
    repair: str = ""
    part: str = ""


_PASSWORD, _SIGN_IN, _SETTINGS = "server_password", "sign-in", "host"

FAULTS: Final[Mapping[GatewayFault, FaultWords]] = {
    GatewayFault.ERASED: FaultWords(
        N_("Its password is not kept here any more. Mail waits until it is entered again."),
        N_("Enter the password"),
        _PASSWORD,
    ),
    GatewayFault.SIGN_IN: FaultWords(
        N_("Its provider does not accept the last sign-in any more. Sign in again, and what waits leaves by itself."),
        N_("Sign in again"),
        _SIGN_IN,
    ),
    GatewayFault.LOG_IN: FaultWords(
        N_(
            "Its server refuses the user name with this password. If the password was changed there, enter the new one"
            " here; with two-step verification it is an app password."
        ),
        N_("Enter the new password"),
        _PASSWORD,
    ),
    GatewayFault.COMMON: FaultWords(
        N_(
            "The server that your administrator has set does not work now. Only an administrator can repair that; what"
            " waits leaves by itself then."
        ),
    ),
    GatewayFault.CERTIFICATE: FaultWords(
        N_(
            "Its server can't show that it is the right one, so the password was not sent to it. Check the server's"
            " name; if it is right, its provider has to renew the certificate."
        ),
        N_("Check the server's name"),
        _SETTINGS,
    ),
    GatewayFault.TLS: FaultWords(
        N_(
            "No secure connection comes about in this way. Choose the other kind of connection: usually port 587 with"
            " TLS, or 465 with SSL."
        ),
        N_("Change the connection"),
        _SETTINGS,
    ),
    GatewayFault.LOAD: FaultWords(
        N_(
            "Its server takes no more for now. What waits is tried again by itself; many providers have a limit for"
            " each hour or day."
        )
    ),
    GatewayFault.PUTS_OFF: FaultWords(
        N_("Its server puts the mail off. It is tried again by itself; if it stays so, ask the server's provider.")
    ),
    GatewayFault.SILENT: FaultWords(
        N_(
            "Its server does not answer. It is tried again by itself; if the server has another name or port now,"
            " change them."
        ),
        N_("Change the server"),
        _SETTINGS,
    ),
    GatewayFault.PAUSED: FaultWords(
        N_("Its server has asked for a pause. What waits leaves by itself after it; there is nothing to be done.")
    ),
    GatewayFault.SUSPENDED: FaultWords(
        N_("Your administrator has stopped the mail to this server. It waits until they let it go on.")
    ),
}
