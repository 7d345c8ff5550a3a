"""What users write on the pages, as rows: drafts with their files, and what was sent, whose copies are filed in the
Sent mailboxes. Knows no page and no delivery.
"""
