"""Addresses, header block, DKIM, delivery reports, composing. Pure: no I/O, no clock, imports no other room."""
