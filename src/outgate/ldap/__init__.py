"""Users and passwords of an LDAP directory (RFC 4511): searched, compared with the accounts, asked at log-in."""
