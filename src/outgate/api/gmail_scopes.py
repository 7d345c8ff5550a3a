"""The scopes of Gmail's API that a program may be granted here. Data only."""

from typing import Final

_PREFIX: Final = "https://www.googleapis.com/auth/"

MAIL: Final = "https://mail.google.com/"
COMPOSE: Final = f"{_PREFIX}gmail.compose"
METADATA: Final = f"{_PREFIX}gmail.metadata"
MODIFY: Final = f"{_PREFIX}gmail.modify"
READONLY: Final = f"{_PREFIX}gmail.readonly"
SEND: Final = f"{_PREFIX}gmail.send"
SETTINGS_BASIC: Final = f"{_PREFIX}gmail.settings.basic"
SETTINGS_SHARING: Final = f"{_PREFIX}gmail.settings.sharing"

GMAIL_SCOPES: Final = {
    MAIL: "Send mail as the user, write drafts, and see the settings",
    COMPOSE: "Write drafts and send mail as the user",
    METADATA: "See whose account it is",
    MODIFY: "Write drafts, send mail as the user, and see the settings",
    READONLY: "See drafts and settings",
    SEND: "Send mail as the user",
    SETTINGS_BASIC: "See the From addresses, and change the primary one's name, Reply-To and signature",
    SETTINGS_SHARING: "Add, change and delete From addresses with their gateways",
}
