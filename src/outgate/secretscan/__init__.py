"""Whether a known secret lies where it must not: the secrets in all their forms, the places, the search."""
