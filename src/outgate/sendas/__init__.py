"""A user's From addresses: proof of ownership, and the gateway of each with its password in the vault."""
