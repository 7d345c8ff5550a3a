"""How a relaying server behaves towards every misbehaviour of the next one: rows that any server can be held against.

    python -m tests.behaviour HOST PORT

submits a message for each row to the server at HOST:PORT, which relays all it gets to the peer of this suite.
"""
