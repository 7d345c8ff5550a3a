"""Which hosts this server may connect to for a user, and their names made into checked addresses. Sends nothing."""
