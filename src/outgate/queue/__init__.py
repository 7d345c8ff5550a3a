"""The queue: what was acknowledged waits here, on disk, until each recipient has an outcome."""

from outgate.queue.changes import AddChunk, Defer, Finish, Put
from outgate.queue.entry import Claimed, Instruction, Item, Message, Recipient, Room
from outgate.queue.mail_queue import Queue

__all__ = [
    "AddChunk",
    "Claimed",
    "Defer",
    "Finish",
    "Instruction",
    "Item",
    "Message",
    "Put",
    "Queue",
    "Recipient",
    "Room",
]
