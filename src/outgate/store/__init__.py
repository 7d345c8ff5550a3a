"""Tables, engine, migrations and the vault: everything that knows how state is kept on disk."""
