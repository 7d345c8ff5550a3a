"""Pages for people, as routes on the HTTP base. For now one: what a confirmation link leads to."""
