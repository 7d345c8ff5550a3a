"""The parties' mail servers, each put together of real parts: the partner, the recipients, the organisation's relay."""

from collections.abc import Mapping

from lab import opendkim, opendmarc, policyd_spf
from lab.arrival import Arrival
from lab.dovecot import Dovecot
from lab.namespaces import Namespace
from lab.plan import CAROL, DORA, LUIGI, MARIO, OUTGATE_HOST, PARTNER
from lab.polling import wait_for
from lab.postfix import Postfix, tls
from outgate.demo.certificates import Authority

_SMTP = "25 inet n - n - - smtpd\n"
_SUBMISSION = f"""  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o {{ smtpd_client_restrictions = permit_sasl_authenticated, reject }}
  -o {{ smtpd_sender_restrictions = reject_sender_login_mismatch }}
  -o smtpd_milters={opendkim.MILTER}
"""


class Partner:
    """dominiopartner.example: submission for its users each as their own address; DKIM; the domain's MX."""

    def __init__(self, namespace: Namespace, authority: Authority, passwords: Mapping[str, str]) -> None:
        """`passwords` maps addresses to passwords; the part before the @ is the name to log in with."""
        self._namespace = namespace
        self.key = opendkim.SigningKey(PARTNER)
        names = {address: address.partition("@")[0] for address in passwords}
        self._dovecot = Dovecot(namespace, {names[address]: password for address, password in passwords.items()})
        owners = ", ".join(f"{{ {address} = {name} }}" for address, name in names.items())
        settings = {
            **tls(*authority.issue(namespace.host)),
            **self._dovecot.settings(),
            "smtpd_sender_login_maps": f"inline:{{ {owners} }}",
        }
        listeners = (
            f"{_SMTP}"
            f"587 inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n{_SUBMISSION}"
            f"465 inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n{_SUBMISSION}"
        )
        self.postfix = Postfix(namespace, listeners, settings, (MARIO, LUIGI))

    def start(self) -> None:
        """Start all parts."""
        self._dovecot.start()
        opendkim.start_signer(self._namespace, self.key)
        self.postfix.start(25, 587, 465)


class Recipient:
    """recipient.example and customer.example: takes everything, and notes what SPF, DKIM and DMARC say of it."""

    def __init__(self, namespace: Namespace, authority: Authority) -> None:
        self._namespace = namespace
        settings = {
            **tls(*authority.issue(namespace.host)),
            "smtpd_recipient_restrictions": policyd_spf.RESTRICTION,
            "smtpd_milters": f"{opendkim.MILTER}, {opendmarc.MILTER}",
        }
        self.postfix = Postfix(namespace, _SMTP + policyd_spf.service(namespace), settings, (CAROL, DORA))

    def start(self) -> None:
        """Start all parts."""
        opendkim.start_verifier(self._namespace)
        opendmarc.start(self._namespace)
        self.postfix.start(25)

    def arrival(self, message_id: str, address: str = CAROL) -> Arrival:
        """The message with this Message-ID, once it is in the address's Maildir."""
        what = f"the message {message_id} for {address}"
        return wait_for(what, lambda: self._find(message_id, address), log=self.postfix.log_tail)

    def _find(self, message_id: str, address: str) -> Arrival | None:
        arrivals = (Arrival(raw, self._namespace.host.name) for raw in self.postfix.messages(address))
        return next((arrival for arrival in arrivals if arrival.message_id == message_id), None)


class Relay:
    """The organisation's outbound gateway: relays to anywhere what comes from Outgate's address."""

    def __init__(self, namespace: Namespace, authority: Authority) -> None:
        settings = {**tls(*authority.issue(namespace.host)), "mynetworks": f"127.0.0.1, {OUTGATE_HOST.address}"}
        self.postfix = Postfix(namespace, _SMTP, settings)

    def start(self) -> None:
        """Start it."""
        self.postfix.start(25)
