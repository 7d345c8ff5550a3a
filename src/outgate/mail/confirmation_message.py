"""The message that asks the reader of an address whether somebody may send mail as it, in the user's language."""

from outgate.mail.addresses import Mailbox
from outgate.mail.compose import compose

_SUBJECT = {
    "en": "Outgate Confirmation - Send Mail as {address}",
    "it": "Conferma Outgate - Invia messaggio come {address}",
}

_SENDER = {"en": "Outgate at {organisation}", "it": "Outgate di {organisation}"}

_TEXT = {
    "en": """\
{account} of {organisation} asks to send mail as {address}.

If that is you, enter this code where you added the address, under 'Send mail as':

    {code}
{link}
The code is good once, for {days} days; then ask for another one in the same place.

If you do not know {account}, or do not want this, do nothing: without the code nobody can send
as {address}. Do not pass the code on to anyone, whoever asks for it.
""",
    "it": """\
{account} di {organisation} chiede di inviare messaggi come {address}.

Se sei tu, inserisci questo codice dove hai aggiunto l'indirizzo, in 'Invia messaggio come':

    {code}
{link}
Il codice vale una volta sola, per {days} giorni; poi chiedine un altro nello stesso posto.

Se non conosci {account}, o non vuoi, non fare nulla: senza il codice nessuno può inviare
messaggi come {address}. Non comunicare il codice a nessuno, chiunque lo chieda.
""",
}

_LINK = {
    "en": "\nOr open this link:\n\n    {link}\n",
    "it": "\nOppure apri questo link:\n\n    {link}\n",
}


def confirmation(
    *,
    address: str,
    code: str,
    account: str,
    organisation_name: str,
    sender: str,
    days: int,
    date: float,
    message_id: str,
    link: str | None = None,
    language: str = "en",
) -> bytes:
    """The message that proves who reads `address`: with the nine-digit code, and the link that serves as well.

    `sender` is an address of the organisation; `days` is how long both are good.
    """
    text = _TEXT[language].format(
        account=account,
        organisation=organisation_name,
        address=address,
        code=code,
        days=days,
        link=_LINK[language].format(link=link) if link else "",
    )
    return compose(
        sender=Mailbox(_SENDER[language].format(organisation=organisation_name), sender),
        to=[Mailbox("", address)],
        subject=_SUBJECT[language].format(address=address),
        text=text,
        date=date,
        message_id=message_id,
        automatic=True,
    )
