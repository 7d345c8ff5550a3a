"""Pages for people, by HTTP. For now one: what a confirmation link leads to."""
