"""pypolicyd-spf, which Postfix starts and asks: it notes the result of SPF (RFC 7208), and rejects nothing."""

from lab.namespaces import Namespace

RESTRICTION = "check_policy_service unix:private/policyd-spf"


def service(namespace: Namespace) -> str:
    """Write its configuration; returns the line of master.cf that runs it."""
    configuration = namespace.folder / "policyd-spf.conf"
    configuration.write_text(f"""
debugLevel = 0
TestOnly = 1
HELO_reject = False
Mail_From_reject = False
PermError_reject = False
TempError_Defer = False
Header_Type = AR
Authserv_Id = {namespace.host.name}
""")
    return f"policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf {configuration}\n"
