"""The advisor's sentences by language, as format strings. Knows no rule: which one applies is decided in advice.py."""

from collections.abc import Mapping

LANGUAGES = ("en", "it")

_EN = {
    "on_behalf_of": "on behalf of",
    # what the domain asks for
    "publishes": "{publisher} publishes {tag}={policy}",
    "publishes_for": "{publisher} publishes {tag}={policy} for {domain}",
    "publishes_nothing": "{domain} publishes no DMARC policy",
    # what becomes of mail that fails
    "fate_reject": "will be refused",
    "fate_quarantine": "will go into junk",
    "fate_none": "will be delivered although it fails DMARC",
    "fate_absent": "will be delivered, but nothing proves where it comes from",
    "tested": " (the policy is only being tested: t=y)",
    "fate_not_sent": "is not sent at all, as policy forbids it",
    # one way
    "way_pass": "DMARC passes: recipients see that it comes from {domain}.",
    "way_expected": "DMARC passes if {host} signs with a key of {domain} (DKIM); SPF alone gives {spf}.",
    "way_fail": "DMARC fails: this mail {fate}.",
    "way_none": "There is no policy to check against: this mail {fate}.",
    "way_none_proven": "There is no DMARC policy, but SPF or DKIM proves {domain}.",
    "way_none_expected": "There is no DMARC policy; DKIM proves {domain} if {host} signs, and SPF gives {spf}.",
    "way_unknown": "What becomes of this mail can't be said: {open}.",
    "way_refused": "Outgate does not send it this way: policy forbids it.",
    # the advice
    "own_pass": "{publishes} and this mail passes: there is nothing to do",
    "own_pass_but": "{publishes} and this mail passes, but {fix}",
    "own_fail": "{publishes}: this mail {fate}, so {fix}",
    "own_none": "{publishes}: publish one (outgate domain show {domain})",
    "own_none_but": "{publishes}: publish one (outgate domain show {domain}), and {fix}",
    "fix_signature": "make a DKIM key (outgate domain dkim set {signer})",
    "fix_key": "publish the DKIM key {name} (outgate domain show {signer})",
    "fix_other_key": "replace the DKIM key {name} in the DNS, which is not the one that mail is signed with",
    "fix_spf": "let SPF of {sender_domain} allow {addresses}",
    "fix_alignment": "let one of its servers sign for it (DKIM)",
    "without": "{publishes}: without its own server this mail {fate}",
    "without_but_passes": "{publishes}: this mail passes by the organisation's servers too, as one of {publisher}'s",
    "forbidden": "{publishes}: as policy forbids its own server {host}, this mail {fate}",
    "through": "{publishes}: through its own server {host} this mail passes DMARC, without it this mail {fate}",
    "through_passes_both": "{publishes}: this mail passes DMARC through {host} and by the organisation's servers",
    "through_expected": (
        "{publishes}: through its own server {host} this mail passes DMARC if that server signs for {domain} (DKIM),"
        " as SPF gives {spf}; otherwise this mail {fate}"
    ),
    "through_none": "{publishes}: its own server {host} proves {domain} to recipients, without it nothing does",
    "through_none_expected": (
        "{publishes}: its own server {host} proves {domain} only if it signs for it (DKIM), as SPF gives {spf}"
    ),
    "not_sent": "Policy forbids mail from {address} without its own server: it is not sent",
    "not_sent_forbidden": "Policy forbids the server {host} of {address}, and mail without it: it is not sent",
    "open": "What becomes of mail from {address} can't be said now: {open}; ask again later",
    # open questions
    "open_no-address": "{name} has no address in the DNS",
    "open_timeout": "the DNS gave no answer for {name} in time",
    "open_unreachable": "no nameserver could be reached for {name}",
    "open_other": "the DNS gave no answer for {name} ({reason})",
    "estimate": "Estimate: judged by the addresses of {host}; mail may leave from others.",
}

_IT = {
    "on_behalf_of": "per conto di",
    "publishes": "{publisher} pubblica {tag}={policy}",
    "publishes_for": "{publisher} pubblica {tag}={policy} per {domain}",
    "publishes_nothing": "{domain} non pubblica alcuna policy DMARC",
    "fate_reject": "sarà rifiutata",
    "fate_quarantine": "finirà nella posta indesiderata",
    "fate_none": "sarà consegnata anche se non supera DMARC",
    "fate_absent": "sarà consegnata, ma nulla ne prova la provenienza",
    "fate_not_sent": "non viene inviata, perché la policy lo vieta",
    "tested": " (la policy è solo in prova: t=y)",
    "way_pass": "DMARC superato: i destinatari vedono che viene da {domain}.",
    "way_expected": "DMARC superato se {host} firma con una chiave di {domain} (DKIM); il solo SPF dà {spf}.",
    "way_fail": "DMARC non superato: questa posta {fate}.",
    "way_none": "Non c'è una policy da verificare: questa posta {fate}.",
    "way_none_proven": "Non c'è una policy DMARC, ma SPF o DKIM prova {domain}.",
    "way_none_expected": "Non c'è una policy DMARC; DKIM prova {domain} se {host} firma, e SPF dà {spf}.",
    "way_unknown": "Non si può dire che cosa sarà di questa posta: {open}.",
    "way_refused": "Outgate non la invia per questa via: la policy lo vieta.",
    "own_pass": "{publishes} e questa posta supera la verifica: non c'è nulla da fare",
    "own_pass_but": "{publishes} e questa posta supera la verifica, ma {fix}",
    "own_fail": "{publishes}: questa posta {fate}, quindi {fix}",
    "own_none": "{publishes}: pubblicarne una (outgate domain show {domain})",
    "own_none_but": "{publishes}: pubblicarne una (outgate domain show {domain}), e {fix}",
    "fix_signature": "occorre creare una chiave DKIM (outgate domain dkim set {signer})",
    "fix_key": "occorre pubblicare la chiave DKIM {name} (outgate domain show {signer})",
    "fix_other_key": "occorre sostituire nel DNS la chiave DKIM {name}, diversa da quella con cui si firma",
    "fix_spf": "occorre che SPF di {sender_domain} autorizzi {addresses}",
    "fix_alignment": "occorre che uno dei suoi server firmi per esso (DKIM)",
    "without": "{publishes}: senza il suo server questa posta {fate}",
    "without_but_passes": (
        "{publishes}: questa posta supera la verifica anche dai server dell'organizzazione, come di {publisher}"
    ),
    "forbidden": "{publishes}: poiché la policy vieta il suo server {host}, questa posta {fate}",
    "through": "{publishes}: dal suo server {host} questa posta supera DMARC, senza di esso {fate}",
    "through_passes_both": "{publishes}: questa posta supera DMARC sia da {host} sia dai server dell'organizzazione",
    "through_expected": (
        "{publishes}: dal suo server {host} questa posta supera DMARC se quel server firma per {domain} (DKIM),"
        " perché SPF dà {spf}; altrimenti {fate}"
    ),
    "through_none": "{publishes}: il suo server {host} prova {domain} ai destinatari, senza di esso nulla lo prova",
    "through_none_expected": (
        "{publishes}: il suo server {host} prova {domain} solo se firma per esso (DKIM), perché SPF dà {spf}"
    ),
    "not_sent": "La policy vieta la posta da {address} senza il suo server: non viene inviata",
    "not_sent_forbidden": "La policy vieta il server {host} di {address}, e la posta senza: non viene inviata",
    "open": "Ora non si può dire che cosa sarà della posta da {address}: {open}; riprovare più tardi",
    "open_no-address": "{name} non ha un indirizzo nel DNS",
    "open_timeout": "il DNS non ha risposto in tempo per {name}",
    "open_unreachable": "nessun server DNS è raggiungibile per {name}",
    "open_other": "il DNS non ha risposto per {name} ({reason})",
    "estimate": "Stima: giudicata dagli indirizzi di {host}; la posta può uscire da altri.",
}

TEXTS: Mapping[str, Mapping[str, str]] = {"en": _EN, "it": _IT}
