"""What policy asks of mail that leaves by a users gateway."""
