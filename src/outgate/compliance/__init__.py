"""What policy asks of mail that leaves by a user's gateway: attachments, footer, journal copy.

Knows bytes and policy, no queue and no route: submit and deliver ask it.
"""
