"""The queue: what was acknowledged waits here, on disk, until each recipient has an outcome."""

from outgate.queue.changes import AddChunk, Claim, Defer, Discard, Finish, Put, Release, Renew
from outgate.queue.entry import Item, Message, Recipient
from outgate.queue.group_commit import GroupCommit
from outgate.queue.mail_queue import Queue

__all__ = [
    "AddChunk",
    "Claim",
    "Defer",
    "Discard",
    "Finish",
    "GroupCommit",
    "Item",
    "Message",
    "Put",
    "Queue",
    "Recipient",
    "Release",
    "Renew",
]
