"""OpenDMARC as a milter: from the results of SPF and DKIM that of DMARC (RFC 7489). It notes, and rejects nothing."""

from lab.namespaces import Namespace

PORT = 8893
MILTER = f"inet:127.0.0.1:{PORT}"


def start(namespace: Namespace) -> None:
    """Believe the results that this host itself has put in; start after what gives them."""
    configuration = namespace.folder / "opendmarc.conf"
    configuration.write_text(f"""
Socket inet:{PORT}@127.0.0.1
Syslog false
AuthservID {namespace.host.name}
TrustedAuthservIDs {namespace.host.name}
RejectFailures false
FailureReports false
SPFSelfValidate false
PidFile {namespace.folder}/opendmarc.pid
""")
    namespace.start("opendmarc", "-f", "-c", str(configuration), ready=lambda: namespace.listens(PORT))
