"""The pages' texts by language, and which language to take. Knows no page's making."""

from collections.abc import Iterator
from typing import Final

from outgate.frozen import frozen

DEFAULT: Final = "en"


@frozen
class Text:
    """What one page says."""

    title: str
    paragraphs: tuple[str, ...]


@frozen
class Texts:
    """All that is said in one language."""

    ask: Text
    address: str
    account: str
    button: str
    confirmed: Text
    spent: Text
    invalid: Text
    faults: dict[int, Text]


TEXTS: Final = {
    "en": Texts(
        ask=Text(
            "Confirm this address",
            (
                "Somebody asks to send mail as an address whose mail you read.",
                "If that is you, press the button. If you do not know the account, or do not want this, close this"
                " page: nothing has happened yet.",
            ),
        ),
        address="Address",
        account="Who asks",
        button="Confirm",
        confirmed=Text("The address is confirmed", ("Mail can now be sent as it. You can close this page.",)),
        spent=Text(
            "This link was used already, or has expired",
            (
                "A link is good once, for three days, and until a newer one is sent. If you have confirmed the address"
                " before, all is well.",
                "If it still waits, have a new message sent where you added the address, under 'Send mail as'.",
            ),
        ),
        invalid=Text(
            "This link is not valid",
            (
                "Check that you have opened it whole: a mail program may have cut it at the end of a line.",
                "You can also enter the code from the same message, or have a new one sent.",
            ),
        ),
        faults={
            400: Text("This request can't be answered", ("Go back and try again.",)),
            403: Text(
                "This was not asked for here", ("Another site has sent you. Open the link from the message again.",)
            ),
            404: Text("There is no such page", ("Check the address of the page.",)),
            405: Text("This page does not do that", ("Open the link from the message again.",)),
            413: Text("That is too much", ("This page takes no data. Open the link from the message again.",)),
            429: Text("Too many requests", ("Wait a minute, then open the link again.",)),
            500: Text("Something went wrong", ("Nothing has been changed. Try again later.",)),
            503: Text("Not available just now", ("Nothing has been changed. Try again in a minute.",)),
        },
    ),
    "it": Texts(
        ask=Text(
            "Conferma questo indirizzo",
            (
                "Qualcuno chiede di inviare messaggi con un indirizzo di cui leggi la posta.",
                "Se sei tu, premi il pulsante. Se non conosci l'account, o non vuoi, chiudi questa pagina: non è ancora"
                " successo nulla.",
            ),
        ),
        address="Indirizzo",
        account="Chi lo chiede",
        button="Conferma",
        confirmed=Text(
            "L'indirizzo è confermato", ("Ora si possono inviare messaggi con esso. Puoi chiudere questa pagina.",)
        ),
        spent=Text(
            "Questo link è già stato usato o è scaduto",
            (
                "Un link vale una volta sola, per tre giorni, e finché non ne viene inviato uno più recente. Se hai già"
                " confermato l'indirizzo, è tutto a posto.",
                "Se è ancora in attesa, fatti inviare un nuovo messaggio dove hai aggiunto l'indirizzo, in 'Invia"
                " messaggio come'.",
            ),
        ),
        invalid=Text(
            "Questo link non è valido",
            (
                "Controlla di averlo aperto per intero: un programma di posta può averlo tagliato a fine riga.",
                "Puoi anche inserire il codice che trovi nello stesso messaggio, o fartene inviare uno nuovo.",
            ),
        ),
        faults={
            400: Text("Questa richiesta non è comprensibile", ("Torna indietro e riprova.",)),
            403: Text(
                "La richiesta non viene da qui",
                ("Ti ha mandato un altro sito. Apri di nuovo il link che trovi nel messaggio.",),
            ),
            404: Text("Questa pagina non esiste", ("Controlla l'indirizzo della pagina.",)),
            405: Text("Questa pagina non lo permette", ("Apri di nuovo il link che trovi nel messaggio.",)),
            413: Text("È troppo", ("Questa pagina non riceve dati. Apri di nuovo il link che trovi nel messaggio.",)),
            429: Text("Troppe richieste", ("Aspetta un minuto, poi apri di nuovo il link.",)),
            500: Text("Qualcosa è andato storto", ("Non è stato cambiato nulla. Riprova più tardi.",)),
            503: Text("Non disponibile in questo momento", ("Non è stato cambiato nulla. Riprova tra un minuto.",)),
        },
    ),
}


def preferred(accept_language: str) -> str:
    """The language of ours that a browser likes best (RFC 9110 12.5.4); English if it names none."""
    best = max(_wanted(accept_language), default=(0.0, DEFAULT), key=lambda wanted: wanted[0])
    return best[1] if best[0] > 0 else DEFAULT


def _wanted(accept_language: str) -> Iterator[tuple[float, str]]:
    """Weights and languages, as far as we have texts in them and understand the header."""
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in TEXTS:
            try:
                yield float(weight.strip().removeprefix("q=") or 1), language
            except ValueError:
                continue
