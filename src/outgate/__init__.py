"""Outgate: an outbound mail server that sends as any address its users have proven to own."""
