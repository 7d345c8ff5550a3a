"""Specimens about header fields: folding, order, repetition, length, and fields that Outgate drops or adds."""

from corpus.specimen import Draft, letter, lines, message_id, plain, prose, specimen


@specimen
def reply_with_long_references(sender: str) -> Draft:
    thread = [message_id(f"thread {number}") for number in range(120)]
    return plain(
        sender,
        "Re: Re: [Fwd: Figures]",
        lines("Yes.", "", "On Tuesday Bob wrote:", "> Is that so?", ">> .", ">", "> Bob"),
        f"In-Reply-To: {thread[-1]}",
        "References: " + "\r\n ".join(thread),
    )


@specimen
def folded_with_odd_white_space(sender: str) -> Draft:
    odd = [
        "X-Tabs:\r\n\tvalue behind a fold with a tab",
        "X-No-Space:value",
        "X-Spaces:    value with   spaces     \t ",
        "X-Fold:  first \t\r\n  \t second\r\n\t\tthird ",
        "X-Empty:",
        "X-Blank: ",
        "x-LOWER-and-Upper: kept as written",
        "X-Colons: a: b:: c",
        "X_Odd!Name#1: names may have any printable character but the colon",
        'Content-Type:text/plain\r\n\t;charset = "us-ascii"\r\n\t; format=fixed',
        "Content-Transfer-Encoding:\r\n 7bit",
    ]
    return plain(sender, "Odd\r\n\tfolding \t here ", prose("folded", 4), *odd)


@specimen
def from_with_comment_and_folds(sender: str) -> Draft:
    head = lines(
        "Message-ID:\r\n " + message_id("from with comment"),
        "To: undisclosed-recipients:;",
        f'From:\r\n\t"Liddell, Alice \\"Al\\""\r\n <{sender}> (Wonderland)',
        "Date: Tue, 3 Mar 2026 09:05 GMT (no seconds)",
        "Subject:",
    )
    return Draft(head + b"\r\n" + prose("comment", 2))


@specimen
def duplicated_fields_in_order(sender: str) -> Draft:
    extra = [f"X-Tag: {number % 3}" for number in range(9)] + ["X-Other: between", "x-tag: 9", "X-TAG: 10"]
    return plain(
        sender, "Tags", prose("duplicated", 2), *extra, "Comments: first", "Keywords: a, b", "Comments: second"
    )


@specimen
def hundreds_of_fields(sender: str) -> Draft:
    return plain(sender, "Fields", prose("fields", 2), *[f"X-Field-{number}: {'v' * number}" for number in range(400)])


@specimen
def header_of_100_kilobytes(sender: str) -> Draft:
    folded = "\r\n ".join(["0123456789 " * 8] * 1150)
    return plain(sender, "A large header", prose("large header", 2), f"X-Diagnostics: {folded}")


@specimen
def received_already(sender: str) -> Draft:
    """From a mail server within the organisation, with the trace of its own hops."""
    trace = lines(
        "Received: from printer.lan (printer.lan [192.0.2.7])\r\n\tby relay.lan (Postfix) with ESMTP id 4Xy;\r\n"
        "\tTue, 3 Mar 2026 09:05:01 +0100 (CET)",
        "Received: from [192.0.2.9] by printer.lan; Tue, 3 Mar 2026 09:05:00 +0100",
    )
    return Draft(trace + letter(sender, "Scan") + b"\r\n" + prose("received", 2))


@specimen
def resent(sender: str) -> Draft:
    block = lines(
        f"Resent-From: <{sender}>",
        "Resent-To: Bob <bob@destinatario.example>",
        "Resent-Date: Tue, 3 Mar 2026 11:00:00 +0100",
        f"Resent-Message-ID: {message_id('resent')}",
    )
    return Draft(block + letter(sender, "Passed on", to="first@altrove.example") + b"\r\n" + prose("resent", 3))


@specimen
def mailing_list(sender: str) -> Draft:
    return plain(
        sender,
        "[gardens] Spring meeting",
        prose("list", 9) + lines("_______________________________________________", "gardens mailing list"),
        "List-Id: Friends of the gardens <gardens.list.example>",
        "List-Post: <mailto:gardens@list.example>",
        "List-Help: <mailto:gardens-request@list.example?subject=help>",
        "List-Unsubscribe: <https://list.example/u/7f3a>,\r\n\t<mailto:gardens-leave+7f3a@list.example>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Precedence: list",
    )


@specimen
def fields_to_be_dropped(sender: str) -> Draft:
    """Bcc above all: whoever gets the message must not see it."""
    return Draft(
        lines("Return-Path: <old@altrove.example>", "Bcc: secret@altrove.example")
        + letter(sender, "With Bcc", f"Sender: Secretary <{sender}>", "Bcc:", "Content-Length: 12")
        + b"\r\n"
        + prose("bcc", 2),
        ["bob@destinatario.example", "secret@altrove.example"],
    )


@specimen
def neither_date_nor_message_id(sender: str) -> Draft:
    """What a script writes."""
    return Draft(lines(f"From: {sender}", "Subject: backup done", "", "0 errors"))


@specimen
def plus_address(sender: str) -> Draft:
    to = "Bob <bob+invoices.2026=acme@destinatario.example>"
    return Draft(
        letter(sender, "Invoice", to=to) + b"\r\n" + prose("plus", 2), ["bob+invoices.2026=acme@destinatario.example"]
    )


@specimen
def quoted_local_part(sender: str) -> Draft:
    recipients = ['"bob..van.dyke"@destinatario.example', '"odd."@destinatario.example']
    return Draft(
        letter(sender, "Old addresses", to=",\r\n ".join(recipients)) + b"\r\n" + prose("quoted", 2), recipients
    )
