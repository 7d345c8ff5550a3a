"""A small internet in one process, to try Outgate on: a partner, recipients, DNS and a domain gateway.

Outgate itself runs in it as its users run it, as a process; the other parties share no code with it, so that what
they find proves something. Nothing here is used outside the demonstration and its tests.
"""
