"""The settings of policy as the console shows them: what each is called there, on which page it is. Pure.

The names are those of the reference's console where it has the setting.
"""

from collections.abc import Mapping
from typing import Final

from outgate.directory.settings import SETTINGS, Setting
from outgate.frozen import frozen
from outgate.web.words import N_

END_USER_ACCESS: Final = "/admin/apps/mail/end-user-access"
COMPLIANCE: Final = "/admin/apps/mail/compliance"


@frozen
class ShownSetting:
    """A setting's title and what it does; `also` is what else the console's search finds it by. `choices` are the words
    for the values that there are, where there are few.
    """

    name: str
    title: str
    means: str
    path: str = COMPLIANCE
    also: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def setting(self) -> Setting:
        """What it is to policy."""
        return SETTINGS[self.name]


_ON_OFF: Final = (("on", N_("on")), ("off", N_("off")))
_ALL: Final = (
    ShownSetting(
        "allowUsersToUseExternalSmtpServers",
        N_("Allow per-user outbound gateways"),
        N_(
            'Allow users to send mail through an external SMTP server when configuring a "from" address hosted outside'
            " your email domains"
        ),
        END_USER_ACCESS,
        ("Gmail", "SMTP", "gateway"),
        _ON_OFF,
    ),
    ShownSetting(
        "allowedGatewayHosts",
        N_("Allowed gateway hosts"),
        N_("Names, *.example.com for all below one. Empty: any public host"),
        END_USER_ACCESS,
    ),
    ShownSetting(
        "gatewayJournalAddress",
        N_("Journal copy to"),
        N_("Of all that leaves by users' gateways. Empty: none"),
        END_USER_ACCESS,
        (N_("Comprehensive mail storage"), N_("archive")),
    ),
    ShownSetting(
        "gatewayNotAllowed",
        N_("Mail whose own server is not allowed"),
        N_("What becomes of mail whose server is not allowed, or not any more."),
        choices=(
            ("organisation", N_("the organisation's servers deliver, on behalf of the user")),
            ("refuse", N_("it is refused")),
        ),
    ),
    ShownSetting(
        "allowExternalFromWithoutGateway",
        N_("Outside addresses without a server"),
        N_("Whether the organisation's servers send mail from addresses outside its domains, on behalf of the user."),
        choices=_ON_OFF,
    ),
    ShownSetting(
        "unknownFrom",
        N_("A From address that is not the user's"),
        N_("Whether such a message is refused, or leaves from the user's default address."),
        choices=(("refuse", N_("refused")), ("rewrite", N_("replaced by the default address"))),
    ),
    ShownSetting(
        "allowPlusTagsInFrom",
        N_("+tags in From"),
        N_("Whether users may send as alice+shop@ where alice@ is confirmed, by the same server."),
        choices=_ON_OFF,
    ),
    ShownSetting(
        "requireGatewayTls",
        N_("Secure transport (TLS) compliance"),
        N_("Whether users' gateways without TLS are refused."),
        also=("TLS", "SSL"),
        choices=_ON_OFF,
    ),
    ShownSetting(
        "allowedGatewaySecurity",
        N_("Kinds of connection to gateways"),
        N_("Of starttls, ssl and none, with commas between. Empty: any"),
        also=("TLS", "SSL"),
    ),
    ShownSetting(
        "allowedGatewayPorts",
        N_("Ports of gateways"),
        N_("Numbers with commas between. Empty: those of egress.ports in outgate.toml"),
    ),
    ShownSetting(
        "allowedRecipientDomains",
        N_("Restrict delivery"),
        N_("Domains that gateways may be used to send to: names, *.example.com for all below one. Empty: any"),
        also=(N_("Allowed recipients"),),
    ),
    ShownSetting(
        "deniedRecipientDomains",
        N_("Blocked recipients"),
        N_("Domains that gateways may not be used to send to: names, *.example.com for all below one."),
    ),
    ShownSetting(
        "deniedAttachmentTypes",
        N_("Attachment compliance"),
        N_("Endings such as .exe and media types such as application/zip that may not leave by a gateway."),
    ),
    ShownSetting(
        "maxAttachmentBytes",
        N_("Largest attachment"),
        N_("In bytes, of what leaves by a gateway. 0: no limit"),
    ),
    ShownSetting(
        "gatewayFooter",
        N_("Append footer"),
        N_("Text at the end of what leaves by a gateway. Empty: none"),
        also=(N_("signature"),),
    ),
    ShownSetting(
        "messagesPerDay",
        N_("Messages a day"),
        N_("That a user may send in 24 hours. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "recipientsPerDay",
        N_("Recipients a day"),
        N_("That a user may send to in 24 hours. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "messagesPerHour",
        N_("Messages an hour"),
        N_("That a user may send in an hour of the clock. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "recipientsPerHour",
        N_("Recipients an hour"),
        N_("That a user may send to in an hour of the clock. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "unitMessagesPerDay",
        N_("Messages a day, all of the unit"),
        N_("That all users together may send in 24 hours who have this value from the same unit. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "unitRecipientsPerDay",
        N_("Recipients a day, all of the unit"),
        N_("That all users together may send to in 24 hours who have this value from the same unit. 0: no limit"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "unitMessagesPerHour",
        N_("Messages an hour, all of the unit"),
        N_(
            "That all users together may send in an hour of the clock who have this value from the same unit."
            " 0: no limit"
        ),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "unitRecipientsPerHour",
        N_("Recipients an hour, all of the unit"),
        N_(
            "That all users together may send to in an hour of the clock who have this value from the same unit."
            " 0: no limit"
        ),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "recipientsPerMessage",
        N_("Recipients of a message"),
        N_("Of one message of a user. 0: as many as the server takes"),
        also=(N_("Sending limits"),),
    ),
    ShownSetting(
        "maxMessageBytes",
        N_("Largest message"),
        N_("In bytes, of what a user may send by any way. 0: as much as the server takes"),
        also=(N_("Sending limits"),),
    ),
)

SHOWN: Final[Mapping[str, ShownSetting]] = {one.name: one for one in _ALL}

assert set(SHOWN) == set(SETTINGS)
