"""Tells recipients' domains how TLS to their exchangers came out (RFC 8460): counts by day, and a report of each day.

Delivery tells of each session and waits for nothing here.
"""
