"""Who is who in the lab: names and addresses. Knows no server.

The addresses are documentation addresses (TEST-NET-2, RFC 5737), used inside the namespaces only. They are not private
ones, so that no checker treats the parties as its own network.
"""

from outgate.demo.network import VirtualHost

ORGANISATION = "example.com"
PARTNER = "dominiopartner.example"
RECIPIENT = "recipient.example"
CUSTOMER = "customer.example"  # the second domain of the recipients' server

NAMESERVER = VirtualHost("ns.example", "198.51.100.53")
PARTNER_HOST = VirtualHost(f"smtp.{PARTNER}", "198.51.100.10")
RECIPIENT_HOST = VirtualHost(f"mx.{RECIPIENT}", "198.51.100.20")
RELAY_HOST = VirtualHost(f"relay.{ORGANISATION}", "198.51.100.30")
OUTGATE_HOST = VirtualHost(f"mail.{ORGANISATION}", "198.51.100.40")
CLIENT_HOST = VirtualHost(f"desk.{ORGANISATION}", "198.51.100.50")
HOSTS = (NAMESERVER, PARTNER_HOST, RECIPIENT_HOST, RELAY_HOST, OUTGATE_HOST, CLIENT_HOST)
PREFIX_LENGTH = 24
NETWORK = f"198.51.100.0/{PREFIX_LENGTH}"

# A second name of the partner's server, which its certificate does not have.
PARTNER_ALIAS = f"other.{PARTNER}"

ALICE = f"alice@{ORGANISATION}"
MARIO = f"mario@{PARTNER}"  # Alice's address at the partner
LUIGI = f"luigi@{PARTNER}"  # a colleague there
CAROL = f"carol@{RECIPIENT}"
DORA = f"dora@{CUSTOMER}"
