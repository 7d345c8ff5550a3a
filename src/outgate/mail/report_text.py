"""The words of delivery reports for people, in their language: what became of the message, why, what to do, whom to
ask.

Knows no MIME and no queue. What servers said is quoted as it was said.
"""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final

from outgate.frozen import frozen

WIDTH: Final = 72


class Action(StrEnum):
    """What became of a recipient (RFC 3464 section 2.3.3). The worst comes first in a report."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    DELIVERED = "delivered"


class Remedy(StrEnum):
    """What the sender can do about it."""

    ADDRESS = "address"
    MAILBOX_FULL = "mailbox full"
    TOO_LARGE = "too large"
    LOG_IN = "log-in"
    TLS = "tls"
    ADMINISTRATOR = "administrator"
    THEIR_POSTMASTER = "their postmaster"
    LATER = "later"
    WAIT = "wait"
    NOTHING = "nothing"


@frozen
class RecipientInWords:
    """What people are told of a recipient. `said` is a server's reply, `by` its name; without one `words` are ours."""

    action: Action
    address: str
    remedy: Remedy
    said: str = ""
    by: str = ""
    words: str = ""


@frozen
class Occasion:
    """What they are told of the message: its subject, From address and queue id, when it came, until when it is tried,
    the gateway that it goes by, and whom to ask. Times in seconds since the epoch."""

    subject: str
    sender: str
    queue_id: str
    arrived_at: float
    tried_until: float
    gateway: str
    postmaster: str


def subject_line(language: str, actions: Sequence[Action], subject: str) -> str:
    """The report's Subject: the worst that it tells, and of which message."""
    worst = min(actions, key=list(Action).index)
    return f"{_SUBJECT[language][worst]}: {subject or _NO_SUBJECT[language]}"


def text(language: str, occasion: Occasion, explanations: Sequence[RecipientInWords]) -> str:
    """The text part, lines by LF."""
    quoted = occasion.subject or _NO_SUBJECT[language]
    date = datetime.fromtimestamp(occasion.arrived_at, UTC)
    paragraphs = [_OPENING[language].format(date=f"{date:%Y-%m-%d %H:%M} UTC"), f"    {quoted}"]
    for action, of_action in groupby(sorted(explanations, key=_order), key=lambda one: one.action):
        paragraphs.append(_filled(_ACTION[language][action].format(until=_until(occasion)), ""))
        for alike in _alike(list(of_action)):
            paragraphs += _group(language, occasion, alike)
    paragraphs.append(_filled(_CLOSING[language].format(postmaster=occasion.postmaster, id=occasion.queue_id), ""))
    return "\n\n".join(paragraphs) + "\n"


def _order(one: RecipientInWords) -> int:
    return list(Action).index(one.action)


def _until(occasion: Occasion) -> str:
    return f"{datetime.fromtimestamp(occasion.tried_until, UTC):%Y-%m-%d %H:%M} UTC"


def _alike(explanations: Sequence[RecipientInWords]) -> list[list[RecipientInWords]]:
    """Those of whom the same is to be said, together."""
    groups: dict[tuple[str, str, str, str], list[RecipientInWords]] = {}
    for one in explanations:
        groups.setdefault((one.said, one.by, one.words, one.remedy), []).append(one)
    return list(groups.values())


def _group(language: str, occasion: Occasion, alike: Sequence[RecipientInWords]) -> list[str]:
    one = alike[0]
    paragraphs = ["\n".join([f"  <{each.address}>" for each in alike])]
    if one.said:
        by = _SAID[language].format(by=one.by or _SERVER[language])
        paragraphs.append(f"    {by}\n{_filled(one.said, '      > ')}")
    if one.words:
        paragraphs.append(_filled(one.words, "    "))
    gateway = occasion.gateway or _SERVER[language]
    if remedy := _REMEDY[language][one.remedy].format(sender=occasion.sender, gateway=gateway):
        paragraphs.append(_filled(remedy, "    "))
    return paragraphs


def _filled(words: str, indent: str) -> str:
    return textwrap.fill(words, WIDTH, initial_indent=indent, subsequent_indent=indent)


_NO_SUBJECT = {"en": "(no subject)", "it": "(nessun oggetto)"}
_SERVER = {"en": "the other server", "it": "l'altro server"}
_SAID = {"en": "{by} said:", "it": "{by} ha risposto:"}

_SUBJECT = {
    "en": {
        Action.FAILED: "Not delivered",
        Action.DELAYED: "Not delivered yet",
        Action.RELAYED: "Passed on",
        Action.DELIVERED: "Delivered",
    },
    "it": {
        Action.FAILED: "Non consegnato",
        Action.DELAYED: "Non ancora consegnato",
        Action.RELAYED: "Inoltrato",
        Action.DELIVERED: "Consegnato",
    },
}

_OPENING = {
    "en": "About your message of {date} with the subject",
    "it": "A proposito del tuo messaggio del {date} con oggetto",
}

_ACTION = {
    "en": {
        Action.FAILED: "It could not be delivered to these recipients, and is not tried again:",
        Action.DELAYED: "It could not be delivered to these recipients yet. It is tried again until {until};"
        " you need not send it again:",
        Action.RELAYED: "It was passed on to the servers of these recipients, which send no confirmation themselves:",
        Action.DELIVERED: "It was delivered to these recipients:",
    },
    "it": {
        Action.FAILED: "Non è stato possibile consegnarlo a questi destinatari, e non si riprova più:",
        Action.DELAYED: "Non è stato ancora possibile consegnarlo a questi destinatari. Si riprova fino al {until};"
        " non occorre inviarlo di nuovo:",
        Action.RELAYED: "È stato inoltrato ai server di questi destinatari, che non inviano conferme:",
        Action.DELIVERED: "È stato consegnato a questi destinatari:",
    },
}

_REMEDY = {
    "en": {
        Remedy.ADDRESS: "Check the address for mistakes and send the message again.",
        Remedy.MAILBOX_FULL: "The recipient's mailbox is full. Tell the recipient in another way, or try again later.",
        Remedy.TOO_LARGE: "The message is too large. Send it without attachments, or in several messages.",
        Remedy.LOG_IN: "The server {gateway} does not accept the log-in that is stored for {sender}. Enter its user"
        " name and password anew where the address was added, under 'Send mail as'. If you changed nothing, ask"
        " whoever runs that server.",
        Remedy.TLS: "The server {gateway}, which sends mail as {sender}, can't prove who it is, or takes no secure"
        " connection; so that nobody reads your password, nothing is sent. Ask whoever runs that server to repair its"
        " certificate, or correct host and port under 'Send mail as'.",
        Remedy.ADMINISTRATOR: "If you think that this should be possible, ask your administrator.",
        Remedy.THEIR_POSTMASTER: "The recipient's server refuses the message. Tell the recipient in another way, who"
        " can ask those who run that server.",
        Remedy.LATER: "Ask the recipient whether the address still works, and send the message again.",
        Remedy.WAIT: "",
        Remedy.NOTHING: "",
    },
    "it": {
        Remedy.ADDRESS: "Controlla che l'indirizzo sia scritto bene e invia di nuovo il messaggio.",
        Remedy.MAILBOX_FULL: "La casella del destinatario è piena. Avvisa il destinatario in altro modo, o riprova più"
        " tardi.",
        Remedy.TOO_LARGE: "Il messaggio è troppo grande. Invialo senza allegati, o in più messaggi.",
        Remedy.LOG_IN: "Il server {gateway} non accetta le credenziali salvate per {sender}. Inserisci di nuovo nome"
        " utente e password dove hai aggiunto l'indirizzo, in 'Invia messaggio come'. Se non hai cambiato nulla, chiedi"
        " a chi gestisce quel server.",
        Remedy.TLS: "Il server {gateway}, che invia i messaggi come {sender}, non può dimostrare la propria identità, o"
        " non accetta connessioni sicure; perché nessuno legga la tua password, non si invia nulla. Chiedi a chi"
        " gestisce quel server di sistemare il certificato, o correggi host e porta in 'Invia messaggio come'.",
        Remedy.ADMINISTRATOR: "Se pensi che debba essere possibile, chiedi al tuo amministratore.",
        Remedy.THEIR_POSTMASTER: "Il server del destinatario rifiuta il messaggio. Avvisa il destinatario in altro"
        " modo: può chiedere a chi gestisce quel server.",
        Remedy.LATER: "Chiedi al destinatario se l'indirizzo funziona ancora, e invia di nuovo il messaggio.",
        Remedy.WAIT: "",
        Remedy.NOTHING: "",
    },
}

_CLOSING = {
    "en": "If you need help, write to {postmaster} and name the message {id}. For programs, a technical report follows;"
    " then your message, or the beginning of its header.",
    "it": "Se ti serve aiuto, scrivi a {postmaster} e indica il messaggio {id}. Seguono un rapporto tecnico per i"
    " programmi e il tuo messaggio, o l'inizio della sua intestazione.",
}
