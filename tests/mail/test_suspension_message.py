"""Who has to mend a log-in at a gateway is told how, in their language: a password anew, or a sign-in."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from outgate.mail.suspension_message import suspension_notice

LINK = "https://mail.example.com/settings/accounts"


def told(*, language: str, link: str = LINK, signs_in: bool = False) -> EmailMessage:
    raw = suspension_notice(
        to="alice@example.com",
        address="alice@partner.example",
        host="smtp.partner.example",
        username="alice",
        reply="535 5.7.8 no",
        organisation_name="example.com",
        sender="postmaster@example.com",
        date=0.0,
        message_id="1@mail.example.com",
        link=link,
        language=language,
        signs_in=signs_in,
    )
    return message_from_bytes(raw, _class=EmailMessage, policy=policy.default)


@pytest.mark.parametrize(
    ("language", "signs_in", "subject"),
    [
        ("en", False, "Your mail from alice@partner.example waits: smtp.partner.example refuses the password"),
        ("it", False, "La posta da alice@partner.example è in attesa: smtp.partner.example rifiuta la password"),
        ("en", True, "Sign in again to send mail as alice@partner.example"),
        ("it", True, "Accedi di nuovo per inviare messaggi come alice@partner.example"),
    ],
)
def test_the_subject_says_what_is_to_be_done_and_the_text_where(language: str, signs_in: bool, subject: str) -> None:
    notice = told(language=language, signs_in=signs_in)
    assert (notice["Subject"], notice["To"]) == (subject, "alice@example.com")
    text = notice.get_content()
    assert LINK in text
    assert "535 5.7.8 no" in text
    assert ("password" in text) is not signs_in


@pytest.mark.parametrize(("language", "whom"), [("en", "your administrator"), ("it", "tuo amministratore")])
@pytest.mark.parametrize("signs_in", [False, True])
def test_where_there_are_no_pages_it_names_the_administrator(language: str, whom: str, signs_in: bool) -> None:
    text = " ".join(told(language=language, link="", signs_in=signs_in).get_content().split())
    assert whom in text
    assert "http" not in text
