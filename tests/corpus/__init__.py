"""Real-looking messages, what may change in them on the way, and peers that receive them. Knows nothing of Outgate."""
