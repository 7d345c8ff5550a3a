"""The organisation: domains, units, policy, users; and the records of them that the way of a message needs."""
