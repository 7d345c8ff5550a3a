"""Letters as they are read: whatever somebody has sent, nothing raises, and nothing is taken for what it is not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox import letters
from outgate.mail.addresses import Mailbox
from outgate.mailbox.answer import AnswerKind, answer_to, forwarded, quoted
from outgate.mailbox.clean_html import cleaned, written
from outgate.mailbox.conversations import conversation_of, conversations
from outgate.mailbox.html_text import MAX_DEPTH, text_of
from outgate.mailbox.letter import MAX_TEXT, LetterHead, file_of, files_of, head_of, letter_of, people_text
from outgate.model import Account, Policy, SendAs

AT = 1_800_000_000.0
PRIMARY, PARTNER, SALES = "alice@example.com", "alice@dominiopartner.example", "sales@example.com"


def head(key: str, message_id: str = "", references: tuple[str, ...] = (), **more: object) -> LetterHead:
    values: dict[str, object] = {
        "sender": Mailbox("Carol", "carol@recipient.example"),
        "to": (Mailbox("", PRIMARY),),
        "cc": (),
        "reply_to": (),
        "subject": "Prices",
        "at": AT + len(key),
    }
    return LetterHead(key=key, message_id=message_id, references=references, **(values | more))  # type: ignore[arg-type]  # by name


def account() -> Account:
    entries = (
        SendAs(PRIMARY, is_primary=True, is_default=True, verified=True),
        SendAs(PARTNER, verified=True),
        SendAs(SALES, verified=True, treat_as_alias=False),
        SendAs("alice@pending.example"),
    )
    return Account(1, PRIMARY, "Alice", "/", False, Policy(), {one.address: one for one in entries})


# --- reading ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_no_bytes_at_all_make_reading_fail(raw: bytes) -> None:
    letter = letter_of(raw, "1.x", AT)
    head_of(raw, "1.x", AT)
    for file in letter.files:
        assert file_of(raw, file.number) is not None


@given(st.text(max_size=300))
def test_no_header_text_makes_reading_fail_or_breaks_a_line(value: str) -> None:
    raw = b"".join(b"%s: %s\r\n" % (name, value.encode("utf-8", "replace")) for name in (b"From", b"Subject", b"Date"))
    found = head_of(raw + b"\r\n", "1.x", AT)
    assert found.subject.isprintable()
    assert found.sender.display_name.isprintable()


def test_encoded_words_are_decoded_and_what_would_turn_the_text_is_shown() -> None:
    raw = b"From: =?utf-8?q?Ren=C3=A9?= <r@x.example>\r\nSubject: =?utf-8?b?4oCubG8=?=\r\n\r\n"
    found = head_of(raw, "1.x", AT)
    assert found.sender == Mailbox("René", "r@x.example")
    assert found.subject == "\\u202elo"


def test_files_are_listed_by_names_without_paths_and_given_byte_by_byte() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nSee below\r\n"
        b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="../../a\\\\b.pdf"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n"
    )
    letter = letter_of(message, "1.x", AT)
    assert letter.text.strip() == "See below"
    [file] = letter.files
    assert not {"/", "\\"} & set(file.name)
    found = file_of(message, file.number)
    assert found is not None
    assert found[1] == b"\0\1\2\3"


def test_a_text_of_html_alone_has_a_plain_text_as_well() -> None:
    letter = letter_of(letters.html("<p>One</p><ul><li>two</li></ul><script>alert(1)</script>"), "1.x", AT)
    assert letter.text == "One\n\n- two"


def test_the_plain_text_of_html_keeps_where_links_lead_and_what_is_quoted() -> None:
    html = '<div>See <a href="https://x.example/">this</a></div><blockquote>old<br>words</blockquote>'
    assert text_of(html) == "See this <https://x.example/>\n> old\n> words"


def test_the_plain_text_of_html_is_silent_about_its_head_alone_whether_that_ends_or_not() -> None:
    assert text_of("<html><head><title>T</title><style>s</style><body><p>Hi") == "Hi"
    assert text_of("<head><meta charset=utf-8><p>Hi</p>") == "Hi"


# --- letters that are made to take long ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["From", "To", "Cc", "Reply-To"])
def test_comments_within_comments_are_shown_as_they_stand(field: str) -> None:
    raw = b"%s: a@x.example %s\r\nSubject: Prices\r\n\r\nHi" % (field.encode(), b"(" * 5000)
    letter = letter_of(raw, "1.x", AT)
    assert (letter.head.subject, letter.text) == ("Prices", "Hi")
    shown = {"From": (letter.head.sender,), "To": letter.head.to, "Cc": letter.head.cc}.get(field, letter.head.reply_to)
    assert "a@x.example ((((" in shown[0].display_name


@pytest.mark.parametrize("kind", ["multipart/mixed", "message/rfc822"])
def test_parts_nested_too_deep_are_one_file(kind: str) -> None:
    levels = [f'Content-Type: {kind}; boundary="b{level}"\r\n\r\n--b{level}\r\n'.encode() for level in range(2000)]
    raw = b"From: Carol <c@x.example>\r\nSubject: Prices\r\n" + b"".join(levels)
    letter = letter_of(raw, "1.x", AT)
    assert (letter.head.subject, letter.head.sender.display_name) == ("Prices", "Carol")
    [file] = letter.files
    assert file_of(raw, file.number) is not None


SLOW = 200_000  # what is repeated, in bytes


@pytest.mark.parametrize(
    "html",
    [
        *("<a ", "<x a=", "<!--", "</", "<blockquote>", "<blockquote>x<br>", "<div><a>", "<p><font color=1>", "&#"),
        *("<a href=https://x.example/>x", "x<b>y</b>", "<template>"),
    ],
)
def test_html_is_read_in_a_time_and_a_space_that_grow_with_its_length(html: str) -> None:
    began = time.process_time()
    letter = letter_of(letters.html(html * (SLOW // len(html))), "1.x", AT)
    cleaned(letter.html, {})
    assert time.process_time() - began < 5
    assert len(letter.text) <= MAX_TEXT


def test_quotations_have_a_bracket_each_but_not_without_end() -> None:
    assert text_of("<blockquote>" * 3 + "x") == "> > > x"
    assert text_of("<blockquote>" * 3000 + "x") == "> " * MAX_DEPTH + "x"


@pytest.mark.parametrize("charset", ["punycode", "PUNYCODE", "idna"])
def test_encodings_of_names_are_none_of_texts(charset: str) -> None:
    long = b"a" * SLOW
    head = f"Content-Type: text/plain; charset={charset}\r\nSubject: =?{charset}?q?x{'b' * 50}?=\r\n".encode()
    began = time.process_time()
    letter = letter_of(head + b"\r\n" + long, "1.x", AT)
    assert letter.text == long.decode()
    assert letter.head.subject.startswith("xb")
    file = f"Content-Disposition: attachment; filename*={charset}''{'c' * SLOW}\r\n\r\n".encode()
    assert letter_of(file, "1.x", AT).files[0].name == "c" * 200
    assert time.process_time() - began < 5


def test_fields_of_many_encoded_words_that_never_end_are_read_in_a_short_time() -> None:
    began = time.process_time()
    head_of(
        b"To: " + b'"' + b"=?a?q?" * 15_000 + b'" <a@x.example>\r\nSubject: ' + b"=?a?q?" * 15_000 + b"\r\n\r\n",
        "1.x",
        AT,
    )
    assert time.process_time() - began < 5


def test_several_files_are_taken_out_of_a_letter_at_once() -> None:
    part = "--b\r\nContent-Type: application/pdf; name={0}.pdf\r\n\r\n{0}\r\n"
    text = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + "".join(map(part.format, "xyz")) + "--b--\r\n"
    assert files_of(text.encode(), (0, 2, 9)) == {0: ("x.pdf", b"x"), 2: ("z.pdf", b"z")}


# --- conversations ---------------------------------------------------------------------------------------------------


def test_letters_belong_together_by_what_they_refer_to_even_if_that_is_gone() -> None:
    first, reply, stranger = head("a", "<1@x>"), head("ab", "<2@x>", ("<1@x>",)), head("abc", "<3@x>")
    sibling, cousin = head("abcd", "<5@x>", ("<gone@x>",)), head("abcde", "<6@x>", ("<gone@x>",))
    found = conversations([first, stranger, reply, sibling, cousin])
    assert [[one.key for one in each.letters] for each in found] == [["abcd", "abcde"], ["abc"], ["a", "ab"]]
    assert conversation_of(reply, [reply, first, stranger]).letters == (first, reply)


def test_letters_without_an_id_are_each_by_themselves() -> None:
    assert len(conversations([head("a"), head("ab")])) == 2


def test_a_ring_of_references_ends() -> None:
    ring = [head("a", "<1@x>", ("<2@x>",)), head("ab", "<2@x>", ("<1@x>",))]
    assert len(conversations(ring)) == 1


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written_to", "from_received", "sender"),
    [
        (PARTNER, True, PARTNER),
        (PARTNER.upper(), True, PARTNER),
        (PARTNER, False, PRIMARY),
        ("alice@pending.example", True, PRIMARY),
        ("list@lists.example", True, PRIMARY),
    ],
)
def test_a_reply_leaves_from_the_address_that_the_setting_says(
    written_to: str, from_received: bool, sender: str
) -> None:
    letter = head("a", to=(Mailbox("", written_to),))
    assert answer_to(letter, AnswerKind.REPLY, account(), from_received=from_received).sender == sender


def test_a_reply_to_all_leaves_out_oneself_and_names_nobody_twice() -> None:
    letter = head(
        "a",
        "<1@x>",
        ("<0@x>",),
        to=(Mailbox("", PRIMARY), Mailbox("", "dan@x.example")),
        cc=(Mailbox("", PARTNER), Mailbox("Dan", "DAN@x.example"), Mailbox("", SALES)),
    )
    answer = answer_to(letter, AnswerKind.ALL, account(), from_received=True)
    assert [one.address for one in answer.to] == ["carol@recipient.example"]
    assert [one.address for one in answer.cc] == ["DAN@x.example", SALES]  # sales is not treated as an alias
    assert (answer.subject, answer.in_reply_to, answer.references) == ("Re: Prices", "<1@x>", ("<0@x>", "<1@x>"))


def test_a_reply_goes_where_the_sender_wants_replies_and_to_the_same_people_if_the_letter_is_ones_own() -> None:
    elsewhere = head("a", reply_to=(Mailbox("", "desk@recipient.example"),))
    assert (
        answer_to(elsewhere, AnswerKind.REPLY, account(), from_received=True).to[0].address == "desk@recipient.example"
    )
    own = head("a", sender=Mailbox("", PARTNER), to=(Mailbox("", "dan@x.example"),))
    answer = answer_to(own, AnswerKind.REPLY, account(), from_received=True)
    assert (answer.sender, answer.to[0].address) == (PARTNER, "dan@x.example")


@pytest.mark.parametrize("subject", ["Re: Prices", "RE: Prices", "R: Prices", "AW: Prices"])
def test_a_subject_is_marked_as_a_reply_once(subject: str) -> None:
    assert answer_to(head("a", subject=subject), AnswerKind.REPLY, account(), from_received=True).subject == subject


def test_what_is_answered_is_quoted_and_what_is_forwarded_keeps_its_header() -> None:
    letter = letter_of(letters.text("One\n> two\n"), "1.x", AT)
    assert quoted(letter, "Carol wrote:").startswith("\n\nCarol wrote:\n> One\n>> two\n")
    assert "\nSubject: Prices\n\nOne" in forwarded(letter, [("Subject", "Prices"), ("Cc", "")], "Forwarded")


def test_names_are_written_so_that_they_can_be_read_again() -> None:
    people = [Mailbox("Rossi, Anna", "a@x.example"), Mailbox('The "Boss"', "b@x.example"), Mailbox("", "c@x.example")]
    assert people_text(people) == '"Rossi, Anna" <a@x.example>, "The \\"Boss\\"" <b@x.example>, c@x.example'


# --- HTML ------------------------------------------------------------------------------------------------------------


def test_pictures_that_came_with_the_letter_are_shown_and_others_only_if_asked_for() -> None:
    html = '<img src="cid:logo"><img src="https://x.example/a.png"><img src="//x.example/b"><img src="cid:gone">'
    held_back = cleaned(html, {"logo": ("image/png", b"\x89PNG")})
    assert "data:image/png;base64,iVBORw==" in held_back.html
    assert "x.example" not in held_back.html
    assert held_back.remote == 1
    assert 'src="https://x.example/a.png"' in cleaned(html, {}, with_remote=True).html


def test_a_style_keeps_what_loads_nothing() -> None:
    clean = cleaned('<p style="color:red;background:url(https://x.example/);position:fixed">Hi</p>', {}).html
    assert "color:red" in clean.replace(" ", "")
    assert not {"url", "position"} & {word for word in ("url", "position") if word in clean}


def test_what_users_write_keeps_no_style_and_leads_to_pages_alone() -> None:
    html = '<b style="color:red" onclick="x()">Hi</b><a href="javascript:x()">a</a><a href="https://x.example">b</a>'
    assert written(html) == '<b>Hi</b><a>a</a><a href="https://x.example">b</a>'
