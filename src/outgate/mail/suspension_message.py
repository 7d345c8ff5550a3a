"""The message that tells a user that their gateway refuses its password, and where to mend it, in their language; and
the one that tells administrators of a common gateway.
"""

from outgate.mail.addresses import Mailbox
from outgate.mail.compose import compose
from outgate.mail.consent_message import consent_lost

_SUBJECT = {
    "en": "Your mail from {address} waits: {host} refuses the password",
    "it": "La posta da {address} è in attesa: {host} rifiuta la password",
}

_SENDER = {"en": "Outgate at {organisation}", "it": "Outgate di {organisation}"}

_TEXT = {
    "en": """\
What you send as {address} goes through {host}, with the user name {username}.
That server does not accept the password any more. It said:

    {reply}

Nothing is lost: your mail from {address} waits here, and so does what you send now.

Enter the password anew{place}.
It is tried at once, and all that waits leaves by itself when it works.

You are told this once. Nobody will ask you for the password by mail.
""",
    "it": """\
Ciò che invii come {address} passa da {host}, con il nome utente {username}.
Quel server non accetta più la password. Ha risposto:

    {reply}

Nulla va perso: la posta da {address} resta qui in attesa, anche quella che invii adesso.

Inserisci di nuovo la password{place}.
Viene provata subito, e se funziona tutto ciò che attende parte da solo.

Questo avviso arriva una volta sola. Nessuno ti chiederà la password per posta.
""",
}

_COMMON_SUBJECT = {
    "en": "Mail from {address} waits: {host} refuses the common {credential}",
    "it": "La posta da {address} è in attesa: {host} rifiuta {credential} comune",
}

_COMMON_TEXT = {
    "en": """\
What is sent as {address} by all to whom you granted it goes through {host}, with the user name {username}.
{refused}

    {reply}

Nothing is lost: their mail waits here, and so does what they send now. They can't repair this, and were not told.

{remedy}:

    {place}

It is tried at once, and all that waits leaves by itself when it works.

Those who manage send-as addresses for the whole organisation are told this once: the first twenty by address, if
they are more.
""",
    "it": """\
Ciò che tutti coloro a cui l'hai concesso inviano come {address} passa da {host}, con il nome utente {username}.
{refused}

    {reply}

Nulla va perso: la loro posta resta qui in attesa, anche quella che inviano adesso. Loro non possono rimediare e non
sono stati avvisati.

{remedy}:

    {place}

Viene provata subito, e se funziona tutto ciò che attende parte da solo.

Questo avviso arriva una volta sola a chi gestisce gli indirizzi mittente di tutta l'organizzazione: ai primi venti in
ordine di indirizzo, se sono di più.
""",
}

# What differs with a sign-in at a provider (True) from a password.
_COMMON_WORDS = {
    ("en", False): {
        "credential": "password",
        "refused": "That server does not accept the password any more. It said:",
        "remedy": "Enter the password anew",
    },
    ("en", True): {
        "credential": "sign-in",
        "refused": "The sign-in there does not hold any more:",
        "remedy": "Sign in again",
    },
    ("it", False): {
        "credential": "la password",
        "refused": "Quel server non accetta più la password. Ha risposto:",
        "remedy": "Inserisci di nuovo la password",
    },
    ("it", True): {
        "credential": "l'accesso",
        "refused": "L'accesso a quel server non è più valido:",
        "remedy": "Accedi di nuovo",
    },
}

_AT_LINK = {"en": ", in Settings > Accounts:\n\n    {link}\n", "it": ", in Impostazioni > Account:\n\n    {link}\n"}
_AT_ADMINISTRATOR = {"en": ", or ask your administrator to", "it": ", o chiedi al tuo amministratore di farlo"}


def suspension_notice(
    *,
    to: str,
    address: str,
    host: str,
    username: str,
    reply: str,
    organisation_name: str,
    sender: str,
    date: float,
    message_id: str,
    link: str,
    language: str,
    signs_in: bool = False,
) -> bytes:
    """`link` is the page with the user's addresses; empty where there are no pages. Who `signs_in` at a provider has no
    password there.
    """
    if signs_in:
        return consent_lost(
            address=address,
            host=host,
            reason=reply,
            repair=link,
            to=to,
            organisation_name=organisation_name,
            sender=sender,
            date=date,
            message_id=message_id,
            language=language,
        )
    place = _AT_LINK[language].format(link=link) if link else _AT_ADMINISTRATOR[language]
    return compose(
        sender=Mailbox(_SENDER[language].format(organisation=organisation_name), sender),
        to=[Mailbox("", to)],
        subject=_SUBJECT[language].format(address=address, host=host),
        text=_TEXT[language].format(address=address, host=host, username=username, reply=reply, place=place),
        date=date,
        message_id=message_id,
        automatic=True,
    )


def common_suspension_notice(
    *,
    to: str,
    address: str,
    host: str,
    username: str,
    reply: str,
    place: str,
    organisation_name: str,
    sender: str,
    date: float,
    message_id: str,
    language: str,
    signs_in: bool = False,
) -> bytes:
    """To an administrator; `place` is the page, or the command, by which it is mended. `reply` is what the server said,
    or why whoever has signed in must do so again.
    """
    words = {"address": address, "host": host, **_COMMON_WORDS[language, signs_in]}
    return compose(
        sender=Mailbox(_SENDER[language].format(organisation=organisation_name), sender),
        to=[Mailbox("", to)],
        subject=_COMMON_SUBJECT[language].format(**words),
        text=_COMMON_TEXT[language].format(username=username, reply=reply, place=place, **words),
        date=date,
        message_id=message_id,
        automatic=True,
    )
