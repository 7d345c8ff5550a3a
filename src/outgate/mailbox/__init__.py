"""What users read: their mailboxes, a Maildir of ours or on an IMAP server, and the letters in them.

A letter is whatever somebody sent to them, so nothing in it is believed: headers are read leniently and shown
printable, HTML is cleaned, and no file of it is ever served as what it says it is. `maildir_mailbox` and
`imap_mailbox` speak to mailboxes and block; all else is pure. Knows no page and no database.
"""
