"""What happened to each message, row by row."""
