"""What a recipients' domain demands of the TLS to its exchangers, by MTA-STS (RFC 8461). Opens no SMTP connection."""
