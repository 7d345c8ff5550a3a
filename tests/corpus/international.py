"""Specimens beyond US-ASCII: 8-bit bodies, encoded words, raw UTF-8 headers (RFC 6532), EAI addresses, IDN domains."""

from corpus.specimen import RECIPIENT, Draft, entity, letter, lines, multipart, plain, prose, specimen

EIGHT_BIT = "Content-Transfer-Encoding: 8bit"


@specimen
def latin_1_body(sender: str) -> Draft:
    text = "Grüße aus Köln.\r\nDéjà vu à l'hôtel: ¿qué?\r\n.ÿ\r\n".encode("iso-8859-1")
    return plain(sender, "Latin 1", text, "Content-Type: text/plain; charset=ISO-8859-1", EIGHT_BIT)


@specimen
def utf_8_body(sender: str) -> Draft:
    text = lines("Già, è così. Ελληνικά, кириллица, 日本語, 🐸.", ".è", "..", "\u2028 \u0085 \ufeff", "e\u0301 ≠ é")
    return plain(sender, "UTF-8", text, "Content-Type: text/plain; charset=UTF-8", EIGHT_BIT)


@specimen
def every_byte_from_128_to_255(sender: str) -> Draft:
    """No valid text in any charset that it claims; the body is the sender's business."""
    body = lines(bytes(range(128, 256)), bytes(range(255, 127, -1)), b"\xc3", b"\xff\xfe")
    return plain(sender, "Bytes", body, "Content-Type: text/plain; charset=unknown-8bit", EIGHT_BIT)


@specimen
def iso_2022_jp(sender: str) -> Draft:
    """Shifts by escape sequences, and has dots and angle brackets among its bytes."""
    text = "お世話になっております。\r\n来週の会議の件です。\r\n".encode("iso-2022-jp")
    subject = "=?ISO-2022-JP?B?" + "GyRCMnE1RCRON28bKEI=" + "?="
    return plain(
        sender, subject, text, "Content-Type: text/plain; charset=ISO-2022-JP", "Content-Transfer-Encoding: 7bit"
    )


@specimen
def windows_1251_in_parts(sender: str) -> Draft:
    russian = entity("text/plain; charset=windows-1251", "Добрый день!\r\n".encode("cp1251"), EIGHT_BIT)
    greek = entity("text/plain; charset=iso-8859-7", "Καλημέρα\r\n".encode("iso-8859-7"), EIGHT_BIT)
    head = letter(sender, "Two charsets", "Content-Type: multipart/mixed; boundary=two", EIGHT_BIT)
    return Draft(head + b"\r\n" + multipart("two", russian, greek))


@specimen
def encoded_words(sender: str) -> Draft:
    """RFC 2047 in every form, some of them wrong: they must come through as they are."""
    odd = [
        "X-B: =?utf-8?B?UGVyY2jDqQ==?= =?iso-8859-1?q?caf=E9_noir?=",
        "X-Language: =?utf-8*it?q?citt=C3=A0?=",
        "X-Broken: =?utf-8?B?UGVyY2jD?= =?utf-8?q?unfinished",
        "X-Split: =?utf-8?Q?perch=C3?=\r\n =?utf-8?Q?=A9?=",
    ]
    return plain(sender, "=?utf-8?q?Perch=C3=A9_no=3F?=\r\n =?utf-8?b?4oKs?= 100", prose("words", 2), *odd)


@specimen
def utf_8_header(sender: str) -> Draft:
    """RFC 6532: also in names of attachments, and decomposed characters that nobody may compose."""
    fields = ["X-Note: perché e\u0301 ≠ é 🐸", "Keywords: caffè,\r\n tè"]
    to = f'"Müller, Jürgen" <{RECIPIENT}>'
    return Draft(
        letter(
            sender, "Già deciso: il caffè è così", *fields, "Content-Type: text/plain; charset=utf-8", EIGHT_BIT, to=to
        )
        + b"\r\n"
        + lines("Sì.")
    )


@specimen
def utf_8_header_with_7_bit_body(sender: str) -> Draft:
    return plain(sender, "Øre", prose("ascii", 2))


@specimen
def recipient_with_utf_8_local_part(sender: str) -> Draft:
    recipients = ["pelé@exämple.example", "用户@xn--fsqu00a.example"]
    to = f"Pelé <{recipients[0]}>,\r\n {recipients[1]}"
    return Draft(letter(sender, "EAI", to=to) + b"\r\n" + prose("eai", 2), recipients)


@specimen
def recipients_at_u_labels(sender: str) -> Draft:
    """US-ASCII local parts: a server without SMTPUTF8 could take these addresses as A-labels."""
    recipients = ["bob@exämple.example", "carla@例え.example"]
    return Draft(letter(sender, "U-labels", to=", ".join(recipients)) + b"\r\n" + prose("u", 2), recipients)


@specimen
def recipients_at_a_labels(sender: str) -> Draft:
    recipients = ["bob@xn--exmple-cua.example", "carla@xn--r8jz45g.example"]
    return Draft(letter(sender, "A-labels", to=", ".join(recipients)) + b"\r\n" + prose("a", 2), recipients)


@specimen
def forwarded_utf_8_message(sender: str) -> Draft:
    """message/global (RFC 6532 3.7): the outer header is US-ASCII, yet the message asks for SMTPUTF8."""
    inner = (
        letter("pelé@exämple.example", "Già", "Content-Type: text/plain; charset=utf-8", EIGHT_BIT)
        + b"\r\n"
        + lines("è")
    )
    parts = (entity("text/plain", prose("global", 1)), entity("message/global", inner, EIGHT_BIT))
    head = letter(sender, "Fwd: Gia", 'Content-Type: multipart/mixed; boundary="glo/bal"', EIGHT_BIT)
    return Draft(head + b"\r\n" + multipart("glo/bal", *parts))
