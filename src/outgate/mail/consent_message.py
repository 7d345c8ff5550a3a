"""The message that tells a user, in the user's language, that a gateway takes the sign-in no more, and the repair."""

from outgate.mail.addresses import Mailbox
from outgate.mail.compose import compose

_SUBJECT = {
    "en": "Sign in again to send mail as {address}",
    "it": "Accedi di nuovo per inviare messaggi come {address}",
}

_SENDER = {"en": "Outgate at {organisation}", "it": "Outgate di {organisation}"}

_TEXT = {
    "en": """\
Mail that you send as {address} leaves by {host}, and waits since:

    {reason}

Nothing is lost. Sign in again{repair}; what waits leaves by itself then.

You are told this once.
""",
    "it": """\
I messaggi che invii come {address} passano da {host}, e sono in attesa perché:

    {reason}

Nulla va perduto. Accedi di nuovo{repair}; ciò che è in attesa parte poi da sé.

Questo avviso arriva una volta sola.
""",
}

_AT_LINK = {"en": " here:\n\n    {link}\n\n", "it": " qui:\n\n    {link}\n\n"}
_AT_ADMINISTRATOR = {"en": " with the help of your administrator", "it": " con l'aiuto del tuo amministratore"}


def consent_lost(
    *,
    address: str,
    host: str,
    reason: str,
    repair: str,
    to: str,
    organisation_name: str,
    sender: str,
    date: float,
    message_id: str,
    language: str = "en",
) -> bytes:
    """For the user `to`; `repair` is the page where to sign in again, empty where there are no pages."""
    place = _AT_LINK[language].format(link=repair) if repair else _AT_ADMINISTRATOR[language]
    return compose(
        sender=Mailbox(_SENDER[language].format(organisation=organisation_name), sender),
        to=[Mailbox("", to)],
        subject=_SUBJECT[language].format(address=address),
        text=_TEXT[language].format(address=address, host=host, reason=reason, repair=place),
        date=date,
        message_id=message_id,
        automatic=True,
    )
